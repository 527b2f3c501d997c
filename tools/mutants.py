#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Change one small thing in the code and see whether a test notices: a measure of the tests.

    tools/mutants.py [--count N] [--seed N] [--work DIR] [--minutes N] [PATH...]

Mutants are drawn from the lines of src/ and http/ (or PATH...), the same ones for the same seed.
Each is built in a copy of the tree; first the file's own test runs, then all of unit and http until
one fails. Prints each survivor as a line to look at, the figures, and `N passed, N failed`, where
failed means alive. A mutant that does not compile is not counted, nor one in an assert or a log.
"""
import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = re.compile(r'ASSERT|ae_log|^\s*(?:\*|/\*|//|#)|static const|__builtin|prefetch')
# (what, pattern, replacement)
OPERATORS = [
    ('<= for <', r'(?<=\s)<(?=\s)', '<='),
    ('< for <=', r'(?<=\s)<=(?=\s)', '<'),
    ('>= for >', r'(?<=\s)>(?=\s)', '>='),
    ('> for >=', r'(?<=\s)>=(?=\s)', '>'),
    ('!= for ==', r'(?<=\s)==(?=\s)', '!='),
    ('== for !=', r'(?<=\s)!=(?=\s)', '=='),
    ('|| for &&', r'&&', '||'),
    ('&& for ||', r'\|\|', '&&'),
    ('- for +', r'(?<=\s)\+(?=\s)', '-'),
    ('+ for -', r'(?<=\s)-(?=\s)', '+'),
    ('-= for +=', r'\+=', '-='),
    ('false for true', r'\btrue\b', 'false'),
    ('true for false', r'\bfalse\b', 'true'),
    ('the condition negated', r'\bif \((?!.*\bif \()(.*)\)(?= (?:\{|return|continue|break|goto))',
     r'if (!(\1))'),
    ('no statement', r'^(\s+)[a-z_]\w*(?:->\w+|\.\w+)*\(.*\);$', r'\1;'),
    ('0 returned', r'\breturn -E\w+;', 'return 0;'),
]


def sources(paths):
    listed = subprocess.run(['git', '-C', TOP, 'ls-files', '--', *(paths or ['src', 'http'])],
                            capture_output=True, text=True, check=True).stdout.split()
    return [p for p in listed if p.endswith('.c')]


def mutants_of(path):
    lines = (TOP / path).read_text(encoding='utf-8').split('\n')
    for n, line in enumerate(lines):
        if SKIPPED.search(line):
            continue
        code = re.sub(r'/\*.*', '', line)
        for what, pattern, replacement in OPERATORS:
            for m in re.finditer(pattern, code):
                changed = line[:m.start()] + m.expand(replacement) + line[m.end():]
                if changed != line:
                    yield path, n, what, changed


class Tree:
    """A copy of the tree with a build folder in it."""

    def __init__(self, work):
        self.root, self.build = work / 'tree', work / 'build'
        shutil.rmtree(work, ignore_errors=True)
        self.root.mkdir(parents=True)
        listed = subprocess.run(['git', '-C', TOP, 'ls-files', '-coz', '--exclude-standard'],
                                capture_output=True, text=True, check=True).stdout.split('\0')
        for path in filter(None, listed):
            if (TOP / path).is_file():
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TOP / path, self.root / path)
        subprocess.run(['meson', 'setup', self.build, self.root, '-Dparts=tests', '-Dchat=disabled',
                        '-Doptimization=0', '-Ddebug=false', '-Dwerror=false'],
                       check=True, capture_output=True)
        names = subprocess.run(['ninja', '-C', self.build, '-t', 'targets', 'all'],
                               capture_output=True, text=True, check=True).stdout
        self.tests = sorted(set(re.findall(r'^(tests/(?:unit|http)_test_\w+):', names, re.M)))
        if not self.make(self.tests):
            sys.exit('mutants: the tree does not build')

    def make(self, targets):
        done = subprocess.run(['ninja', '-C', self.build, *targets], capture_output=True,
                              check=False)
        return done.returncode == 0

    def passes(self, test, limit_s):
        try:
            done = subprocess.run([self.build / test], capture_output=True, timeout=limit_s,
                                  check=False, cwd=self.root)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def own(self, path):
        """The tests that are named as the file, or say that they cover it."""
        stem = pathlib.Path(path).stem
        found = [t for t in self.tests if t.endswith('_test_' + stem)]
        for test in self.tests:
            folder, name = test[len('tests/'):].split('_', 1)
            text = (self.root / 'tests' / folder / (name + '.c')).read_text(encoding='utf-8')
            if f'Covers: {path}' in text or path.rsplit('/', 1)[-1] in text:
                found.append(test)
        return list(dict.fromkeys(found))


def limits(tree):
    """How long each test may take: ten times as long as it does without a change."""
    result = {}
    for test in tree.tests:
        start = time.monotonic()
        if tree.passes(test, 120):
            result[test] = 10 * (time.monotonic() - start) + 5
    return result


def killer(tree, path, allowed):
    """The test that notices, or None. Raises if it does not compile."""
    own = [t for t in tree.own(path) if t in allowed]
    others = [t for t in allowed if t not in own]
    for group in (own, others):
        if group and not tree.make(group):
            raise ValueError
        for test in sorted(group, key=lambda t: allowed[t]):
            if not tree.passes(test, allowed[test]):
                return test
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--count', type=int, default=100)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--minutes', type=float, default=1e9, help='stop drawing after this')
    parser.add_argument('--work', type=pathlib.Path, default=TOP / 'build' / 'mutants')
    parser.add_argument('path', nargs='*')
    args = parser.parse_intermixed_args()
    drawn = [m for path in sources(args.path) for m in mutants_of(path)]
    random.Random(args.seed).shuffle(drawn)
    tree = Tree(args.work)
    allowed = limits(tree)
    killed, alive, end = 0, [], time.monotonic() + 60 * args.minutes
    for path, n, what, changed in drawn:
        if killed + len(alive) >= args.count or time.monotonic() > end:
            break
        file = tree.root / path
        text = file.read_text(encoding='utf-8')
        lines = text.split('\n')
        lines[n] = changed
        file.write_text('\n'.join(lines), encoding='utf-8')
        try:
            by = killer(tree, path, allowed)
            killed += by is not None
            if by is None:
                alive.append(path)
                print(f'alive: {path}:{n + 1}: {what}: {changed.strip()}', flush=True)
        except ValueError:
            pass
        file.write_text(text, encoding='utf-8')
    total = killed + len(alive)
    print(f'note: {killed} of {total} mutants killed ({100 * killed / max(1, total):.0f} %),'
          f' of {len(drawn)} that could be drawn')
    print(f'{killed} passed, {len(alive)} failed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
