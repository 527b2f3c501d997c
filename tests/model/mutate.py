# SPDX-License-Identifier: Apache-2.0
"""Model programs with one place of one source changed, from the objects of a build directory."""
import json
import os
import re
import shlex
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINE = re.compile(r'^(\w+) +(\d) threads +([\d,]+) executions +depth +(\d+) +bound (-?\d+)\.(-?\d+)'
                  r' +(complete|exhaustive|not exhaustive|stopped) +([\d.]+) s +(.*)$')


class Stale(Exception):
    """The text that a mutant replaces is not there, or not once."""


class Result:
    """What one model's run printed."""

    def __init__(self, match, message):
        self.model, threads, executions, depth, bound, stale, how, seconds, verdict = \
            match.groups()
        self.threads, self.depth = int(threads), int(depth)
        self.bound, self.stale = int(bound), int(stale)
        self.executions = int(executions.replace(',', ''))
        self.exhaustive = how in ('complete', 'exhaustive')
        self.complete = how == 'complete'
        self.seconds = float(seconds)
        self.good = verdict.startswith('ok')
        self.message = message


def parse(text):
    """The results of a model program, from what it printed."""
    results, message = [], ''
    for line in text.split('\n'):
        match = LINE.match(line)
        if match:
            results.append(Result(match, message))
            message = ''
        elif line.startswith('    ') and not line.startswith('    with') and not message:
            message = line.strip()
    return results


class Program:
    """model_NAME: how its objects are compiled and linked."""

    def __init__(self, build, name, commands):
        self.build, self.name = build, name
        self.exe = f'tests/model/model_{name}'
        self.objects = {}
        for c in commands:
            if c['output'].startswith(self.exe + '.p/'):
                path = os.path.relpath(os.path.join(build, c['file']), SOURCE)
                self.objects[path] = (c['command'], c['output'])
        text = subprocess.run(['ninja', '-C', build, '-t', 'commands', self.exe],
                              capture_output=True, text=True, check=True).stdout
        self.link = text.strip().split('\n')[-1]

    def uses(self, path):
        """Does a change of this file change the program?"""
        if not any(p.startswith('src/') for p in self.objects):
            raise SystemExit(f'{self.build} is not a build of {SOURCE}')
        return path in self.objects or path.endswith('.h')

    def compile(self, path, source, out, include):
        """Compile `source` as `path` is compiled, to `out`."""
        words = shlex.split(self.objects[path][0])
        command, skip = [], False
        for word in words:
            if skip or word in ('-MD', '-Werror'):
                skip = False
            elif word in ('-MQ', '-MF', '-o', '-c'):
                skip = True
            else:
                command.append(word)
        command[1:1] = ['-I' + include] if include else []
        subprocess.run(command + ['-w', '-o', out, '-c', source], cwd=self.build, check=True,
                       capture_output=True, text=True)

    def mutant(self, path, text, work):
        """The program with `text` in place of the file; its path. CalledProcessError: it does
        not compile."""
        if not self.uses(path):
            raise Stale(f'{path} is not in model_{self.name}')
        os.makedirs(work, exist_ok=True)
        replaced = {}
        if path in self.objects:
            source = os.path.join(work, os.path.basename(path))
            write(source, f'#line 1 "{path}"\n' + text)
            replaced[path] = os.path.join(work, os.path.basename(path) + '.o')
            self.compile(path, source, replaced[path], None)
        else:
            include = os.path.join(work, 'include')
            write(os.path.join(include, os.path.relpath(path, 'src')), text)
            for i, each in enumerate(self.objects):
                replaced[each] = os.path.join(work, f'{i}.o')
                self.compile(each, os.path.join(SOURCE, each), replaced[each], include)
        exe = os.path.join(work, 'model_' + self.name)
        link = self.link.replace(f'-o {self.exe} ', f'-o {exe} ')
        for each, out in replaced.items():
            link = link.replace(' ' + self.objects[each][1] + ' ', f' {out} ')
        subprocess.run(link, shell=True, cwd=self.build, check=True, capture_output=True,
                       text=True)
        return exe

    def models(self):
        """The names of its models."""
        text = subprocess.run([os.path.join(self.build, self.exe), '--list'],
                              capture_output=True, text=True, check=True).stdout
        return [line.split()[0] for line in text.splitlines()]

    def run(self, exe, *arguments):
        """Run a build of the program: the results of its models."""
        done = subprocess.run([exe or os.path.join(self.build, self.exe), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False)
        return parse(done.stdout)


def write(path, text):
    """Make a file, and the folders above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def read(path):
    """A file of the source tree."""
    with open(os.path.join(SOURCE, path), encoding='utf-8') as f:
        return f.read()


def edit(path, edits):
    """The file's text with each (old, new) done; `old` occurs exactly once."""
    text = read(path)
    for old, new in edits:
        if text.count(old) != 1:
            raise Stale(f'{path}: {text.count(old)} times, not once: {old!r}')
        text = text.replace(old, new)
    return text


def programs(build):
    """All model programs of a build directory but the explorer's own tests."""
    build = os.path.abspath(build)
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as f:
        commands = json.load(f)
    names = sorted({m.group(1) for c in commands
                    for m in [re.match(r'tests/model/model_([a-z]+)\.p/', c['output'])] if m})
    return {n: Program(build, n, commands) for n in names if n != 'litmus'}
