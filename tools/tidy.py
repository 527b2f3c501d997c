#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of STYLE.md that a machine can check.

    tools/tidy.py [--root DIR] [--metrics]

Prints one `path:line: what` per violation, then the measured figures, and exits 1 if there was a
violation. A line may excuse itself, with a reason: `/* tidy: allow WORD: why */`, where WORD is the
banned word. A flat switch longer than a function may be says `/* long: one case per ... */`. A test
file that covers sources of another name says so in its head: `Covers: src/sched/worker.c`.

It reads text, not a syntax tree: comments and strings are blanked, then braces are counted. That is
exact enough for code laid out by clang-format.
"""
import argparse
import fnmatch
import os
import re
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
HEADER_LINES_MAX = 150
COLUMNS_MAX = 100
NESTING_MAX = 3
FUNCTION_P50_MAX, FUNCTION_P90_MAX = 12, 35
ASSERTS_PER_KLOC_AIM = 30

# A folder may include from those before it and from itself.
LAYERS = ['base', 'arch', 'task', 'sched', 'driver', 'sync', 'blocking', 'io', 'par']
PUBLIC_ONLY = ['http', 'cli', 'chat', 'examples']
METRIC_FOLDERS = ['src', 'http', 'cli', 'chat']
ASSERT_FOLDERS = ['src/task', 'src/sched', 'src/driver', 'src/sync']
SKIPPED = {'build', '.git', 'subprojects', 'node_modules', 'target', '__pycache__', 'peers'}

OS_HEADERS = ['sys/*', 'linux/*', 'netinet/*', 'arpa/*', 'net/*', 'asm/*', 'unistd.h', 'pthread.h',
              'fcntl.h', 'signal.h', 'poll.h', 'time.h', 'sched.h', 'semaphore.h', 'netdb.h',
              'dlfcn.h', 'ucontext.h', 'termios.h', 'dirent.h', 'threads.h', 'aio.h', 'spawn.h']
OS_HOMES = ['src/arch/*', 'src/driver/*', 'src/base/compiler.h']
# Declarations of plain values (iovec, sockaddr, stat): no call can be made through them unseen,
# since the imports of each object are checked too (check_symbols.py).
VALUE_HEADERS = ['sys/types.h', 'sys/uio.h', 'sys/socket.h', 'sys/stat.h', 'sys/un.h',
                 'netinet/in.h']
VALUE_HOMES = ['src/io/*', 'src/sched/driver.h', 'src/task/sanitize.h']

LIBRARY = ['src/*', 'http/*', 'cli/*', 'chat/*', 'include/*', 'examples/*']
# (word, where it is banned, where it is allowed all the same, what to use)
BANNED = [
    (r'_Thread_local', ['*'], ['src/arch/*'], 'the accessor of src/arch'),
    (r'__thread', ['*'], ['src/arch/*'], 'the accessor of src/arch'),
    (r'thread_local', ['*'], ['src/arch/*'], 'the accessor of src/arch'),
    (r'strcpy', ['*'], [], 'memcpy or snprintf, with a length'),
    (r'strcat', ['*'], [], 'snprintf, with a length'),
    (r'sprintf', ['*'], [], 'snprintf'),
    (r'vsprintf', ['*'], [], 'vsnprintf'),
    (r'strtok', ['*'], [], 'strchr or strcspn'),
    (r'alloca', LIBRARY, [], 'a fixed array or the pool'),
    (r'volatile', LIBRARY, ['src/arch/*', 'src/base/compiler.h'], '_Atomic, or arch'),
    (r'atomic_thread_fence', LIBRARY, [], 'an ordered operation (TSan does not see fences)'),
    (r'errno', ['src/*'], ['src/arch/*', 'src/driver/*'], 'a negative result'),
    (r'assert', ['src/*', 'http/*'], [], 'AE_ASSERT'),
    (r'(?:u|nano)?sleep', ['tests/*'], ['tests/runner.c'], 'a virtual clock, or an event'),
]
CALLS_ONLY = {'assert', '(?:u|nano)?sleep', 'alloca', 'strcat', 'strcpy', 'sprintf', 'vsprintf',
              'strtok'}
UNFINISHED = re.compile(r'\b(FIX' + r'ME|TO' + r'DO|X' + r'XX)\b')
MACHINE_PATH = re.compile(r'(?<![\w./])/(?:work|home/\w+|root)/')
ASSERT_CALL = re.compile(r'\b(?:AE_\w*ASSERT\w*|_Static_assert)\s*\(')
BLOCK_WORDS = {'if', 'for', 'while', 'switch'}


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, p) for p in patterns)


def blank(text, keep_newlines=True):
    return re.sub(r'[^\n]' if keep_newlines else r'.', ' ', text)


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip(text, strings_too=True):
    """The same text with comments (and the insides of strings) blanked; lines stay in place."""
    def replace(m):
        s = m.group(0)
        if s[0] == '/':
            return blank(s)
        return s[0] + blank(s[1:-1]) + s[-1] if strings_too else s
    return TOKEN.sub(replace, text)


def strip_preprocessor(code):
    """Blank directives with their continuation lines, and the #else halves: braces then balance."""
    out, hidden, depth, continued = [], [], 0, False
    for line in code.split('\n'):
        directive = re.match(r'\s*#\s*(\w+)', line) if not continued else None
        if directive:
            word = directive.group(1)
            if word in ('if', 'ifdef', 'ifndef'):
                depth += 1
            elif word in ('else', 'elif') and (not hidden or hidden[-1] != depth):
                hidden.append(depth)
            elif word == 'endif':
                if hidden and hidden[-1] == depth:
                    hidden.pop()
                depth -= 1
        keep = not (directive or continued or hidden)
        continued = bool(directive or continued) and line.rstrip().endswith('\\')
        out.append(line if keep else ' ' * len(line))
    return '\n'.join(out)


class Function:
    def __init__(self, name, line, last, depth, head):
        self.name, self.line, self.last, self.depth, self.head = name, line, last, depth, head
        self.lines = last - line + 1


def is_function_head(head):
    head = re.sub(r'__attribute__\s*\(\(.*?\)\)', ' ', head, flags=re.S)
    if not re.search(r'\w\s*\(', head) or re.search(r'(?<![=!<>])=(?!=)', head):
        return False
    return not re.match(r'\s*(typedef\s+)?(struct|union|enum)\s+(\w+\s*(\([^()]*\)\s*)?)*$', head)


def opens_block(code, at):
    """Whether the brace at `at` begins a block, not an initialiser or compound literal."""
    before = code[:at].rstrip()
    if before.endswith(')'):
        level, i = 0, len(before) - 1
        while i >= 0:
            level += {')': 1, '(': -1}.get(before[i], 0)
            if level == 0:
                break
            i -= 1
        word = re.search(r'(\w+)\s*$', before[:max(i, 0)])
        return bool(word) and word.group(1) not in ('return', 'sizeof')
    return before.endswith((';', '{', '}', ':')) or bool(re.search(r'\b(else|do)$', before))


def functions(code):
    """Functions of one file: a small brace walk over stripped code."""
    found, stack, head_start = [], [], 0
    line_of = [0]
    for m in re.finditer('\n', code):
        line_of.append(m.end())

    def line(at):
        lo, hi = 0, len(line_of)
        while hi - lo > 1:
            mid = (lo + hi) // 2
            lo, hi = (mid, hi) if line_of[mid] <= at else (lo, mid)
        return lo + 1

    start = depth = deepest = 0
    name = head = ''
    for m in re.finditer(r'[{};]', code):
        c, at = m.group(0), m.start()
        if c == '{' and not stack:
            head = code[head_start:at]
            if is_function_head(head):
                start = head_start + len(head) - len(head.lstrip())
                bare = re.sub(r'__attribute__\s*\(\(.*?\)\)', ' ', head, flags=re.S)
                name, depth, deepest = re.search(r'(\w+)\s*\(', bare).group(1), 0, 0
                stack.append('function')
            else:
                stack.append('other')
        elif c == '{':
            block = stack[0] == 'function' and stack[-1] != 'other' and opens_block(code, at)
            stack.append('block' if block else 'other')
            depth += block
            deepest = max(deepest, depth)
        elif c == '}' and stack:
            kind = stack.pop()
            depth -= kind == 'block'
            if kind == 'function':
                found.append(Function(name, line(start), line(at), deepest, head))
        if not stack and c in ';}':
            head_start = at + 1
    return found


class Tidy:
    def __init__(self, root):
        self.root = root
        self.violations = []
        self.lengths, self.library_lengths = [], []
        self.asserts = {f: [0, 0] for f in ASSERT_FOLDERS}
        self.sources, self.test_names, self.covered = [], set(), set()
        self.edges = set()

    def bad(self, path, line, what):
        self.violations.append((path, line, what))

    def walk(self):
        for base, dirs, names in os.walk(self.root):
            dirs[:] = sorted(d for d in dirs if d not in SKIPPED)
            for name in sorted(names):
                path = os.path.relpath(os.path.join(base, name), self.root)
                if not path.startswith('.git/'):
                    yield path

    def run(self):
        for path in self.walk():
            ours = path.endswith(('.c', '.h', '.S', '.py', '.sh', 'meson.build', '.md', '.js',
                                  '.html', '.css')) or path in ('dev', '.ci/run')
            if not ours:
                continue
            with open(os.path.join(self.root, path), encoding='utf-8') as f:
                text = f.read()
            self.check_text(path, text)
            if path.endswith(('.c', '.h')):
                self.check_c(path, text)
        self.check_pairs()
        self.check_in_build()
        self.check_figures()

    # ---- every kind of file ----

    def check_text(self, path, text):
        lines = text.split('\n')
        code = not path.endswith('.md')
        if code and not path.endswith(('.html', '.css', '.js')):
            if not any('SPDX-License-Identifier: Apache-2.0' in x for x in lines[:2]):
                self.bad(path, 1, 'no SPDX line')
        if re.match(r'utils?\b', os.path.basename(path)):
            self.bad(path, 1, 'a file called util: name what it is for')
        checks_itself = path in ('tools/tidy.py', 'tests/tools/test_tidy.py')
        for n, line in enumerate(lines, 1):
            if code and len(line) > COLUMNS_MAX and not path.endswith(('.html', '.css', '.js')):
                self.bad(path, n, f'{len(line)} columns, at most {COLUMNS_MAX}')
            if UNFINISHED.search(line) and not checks_itself:
                self.bad(path, n, f'{UNFINISHED.search(line).group(1)}: finish it or open an issue')
            if MACHINE_PATH.search(line) and not checks_itself:
                self.bad(path, n, 'a path of one machine')
            if line.rstrip() != line and code:
                self.bad(path, n, 'trailing blanks')
        # the last line's newline gives one empty string
        if len(lines) - 1 > FILE_LINES_MAX:
            self.bad(path, 1, f'{len(lines) - 1} lines, at most {FILE_LINES_MAX}')

    # ---- C ----

    def check_c(self, path, text):
        code = strip(text)
        lines = text.split('\n')
        if path.startswith('include/') and len(lines) - 1 > HEADER_LINES_MAX:
            self.bad(path, 1, f'header of {len(lines) - 1} lines, at most {HEADER_LINES_MAX}')
        for n, line in enumerate(lines, 1):
            if '\t' in line:
                self.bad(path, n, 'a tab')
        self.check_words(path, code, lines)
        self.check_macros(path, code)
        self.check_includes(path, strip(text, strings_too=False), lines)
        self.check_asserts(path, code)
        self.check_functions(path, strip_preprocessor(code), lines)
        if re.match(r'src/\w+/\w+\.c$', path):
            self.sources.append(path)
        if path.startswith('tests/'):
            self.test_names.add(os.path.basename(path))
            for names in re.findall(r'Covers:([^\n]*)', text):
                self.covered.update(names.replace(',', ' ').replace('*/', ' ').split())

    def check_macros(self, path, code):
        for m in re.finditer(r'^[ ]*#[ ]*define\b(?:.*\\\n)*.*', code, flags=re.M):
            word = re.search(r'\b(return|goto|break|continue)\b', m.group(0))
            if word and path.startswith('include/'):
                n = code.count('\n', 0, m.start()) + 1
                self.bad(path, n, f'a public macro with {word.group(1)} hides control flow')

    def check_words(self, path, code, lines):
        for word, banned, allowed, instead in BANNED:
            if not matches(path, banned) or matches(path, allowed):
                continue
            pattern = r'(?<![\w.>])' + word + (r'\s*\(' if word in CALLS_ONLY else r'\b')
            for m in re.finditer(pattern, code):
                n = code.count('\n', 0, m.start()) + 1
                found = m.group(0).rstrip('( ')
                if re.match(r'\s*#\s*include', code.split('\n', n)[n - 1]):
                    continue
                if not re.search(r'tidy: allow ' + re.escape(found) + r': \w', lines[n - 1]):
                    self.bad(path, n, f'{found}: use {instead}')

    def check_includes(self, path, code, lines):
        for n, line in enumerate(code.split('\n'), 1):
            m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not m or 'tidy: allow include: ' in lines[n - 1]:
                continue
            self.check_layer(path, n, m.group(1), m.group(2))
            self.check_os_header(path, n, m.group(2))

    def check_layer(self, path, n, kind, name):
        parts = path.split('/')
        target = name.split('/')[0] if '/' in name else None
        private = target in LAYERS
        if parts[0] == 'src' and private and len(parts) > 2 and parts[1] in LAYERS:
            self.edges.add((parts[1], target))
            if LAYERS.index(target) > LAYERS.index(parts[1]):
                self.bad(path, n, f'src/{parts[1]} includes {name}: that layer is below it')
        elif parts[0] in PUBLIC_ONLY or parts[0] == 'include':
            if private or '../src/' in name:
                self.bad(path, n, f'{name} is private: only <aether/...> here')
        if parts[0] == 'src' and target in ('http', 'cli', 'chat', 'tests'):
            self.bad(path, n, f'src includes {name}: that layer is below it')
        if parts[0] in ('cli', 'chat', 'examples') and target == 'http':
            self.bad(path, n, f'{name} is private to http')

    def check_os_header(self, path, n, name):
        if not path.startswith('src/') or not matches(name, OS_HEADERS) or matches(path, OS_HOMES):
            return
        if name == 'sys/types.h' or (name in VALUE_HEADERS and matches(path, VALUE_HOMES)):
            return
        self.bad(path, n, f'<{name}>: OS headers only in src/arch, src/driver, src/base/compiler.h')

    def check_asserts(self, path, code):
        folder = os.path.dirname(path)
        if folder in self.asserts and not path.endswith('.h'):
            self.asserts[folder][0] += len(ASSERT_CALL.findall(code))
            self.asserts[folder][1] += sum(1 for x in code.split('\n') if x.strip())
        for m in re.finditer(r'\bAE_\w*ASSERT\w*\s*\(', code):
            level, i = 1, m.end()
            while i < len(code) and level:
                level += {'(': 1, ')': -1}.get(code[i], 0)
                i += 1
            inside = code[m.end():i - 1]
            changes = re.search(r'\+\+|--|(?<![=!<>])=(?!=)', inside)
            if changes and not self.defines(code, m.start()):
                self.bad(path, code.count('\n', 0, m.start()) + 1, 'an assert with a side effect')

    @staticmethod
    def defines(code, at):
        return re.match(r'\s*#', code[code.rfind('\n', 0, at) + 1:at + 1] + ' ') is not None

    def check_functions(self, path, code, lines):
        for f in functions(code):
            body = '\n'.join(lines[f.line - 1:f.last])
            tagged = re.search(r'/\* long: one case per ', body) and 'switch' in body
            if f.lines > FUNCTION_LINES_MAX and not tagged:
                self.bad(path, f.line, f'{f.name}: {f.lines} lines, at most {FUNCTION_LINES_MAX}')
            if f.depth > NESTING_MAX:
                self.bad(path, f.line, f'{f.name}: nested {f.depth} deep, at most {NESTING_MAX}')
            self.lengths.append(f.lines)
            if path.split('/')[0] in METRIC_FOLDERS:
                self.library_lengths.append(f.lines)

    # ---- across files ----

    def check_pairs(self):
        for path in self.sources:
            if f'test_{os.path.basename(path)}' not in self.test_names and path not in self.covered:
                self.bad(path, 1, f'no tests/unit/test_{os.path.basename(path)}, and no test says '
                                  f'`Covers: {path}`')

    def check_in_build(self):
        for path in self.sources:
            build = os.path.join(self.root, os.path.dirname(path), 'meson.build')
            text = open(build, encoding='utf-8').read() if os.path.exists(build) else ''
            if os.path.basename(path) not in text:
                self.bad(path, 1, 'not in the build: no meson.build of its folder names it')

    def check_figures(self):
        p50, p90 = percentile(self.library_lengths, 50), percentile(self.library_lengths, 90)
        if p50 > FUNCTION_P50_MAX:
            self.bad('.', 0, f'function length p50 is {p50}, at most {FUNCTION_P50_MAX}')
        if p90 > FUNCTION_P90_MAX:
            self.bad('.', 0, f'function length p90 is {p90}, at most {FUNCTION_P90_MAX}')

    def metrics(self):
        for name, values in (('library', self.library_lengths), ('all', self.lengths)):
            print(f'functions ({name}): {len(values)}, length p50 {percentile(values, 50)} '
                  f'p90 {percentile(values, 90)} max {max(values, default=0)}')
        for folder, (asserts, lines) in self.asserts.items():
            if lines:
                rate = 1000 * asserts / lines
                note = '' if rate >= ASSERTS_PER_KLOC_AIM else f', aim {ASSERTS_PER_KLOC_AIM}'
                print(f'asserts ({folder}): {rate:.0f} per 1000 lines{note}')
        drawn = sorted((a, b) for a, b in self.edges if a != b)
        for layer in LAYERS:
            above = [b for a, b in drawn if a == layer]
            if above:
                print(f'includes ({layer}): {" ".join(sorted(above, key=LAYERS.index))}')


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * p // 100)] if ordered else 0


def main():
    parser = argparse.ArgumentParser(description='check the rules of STYLE.md')
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument('--root', default=os.path.dirname(here))
    parser.add_argument('--metrics', action='store_true', help='print the figures too')
    args = parser.parse_args()
    tidy = Tidy(args.root)
    tidy.run()
    for path, line, what in sorted(tidy.violations):
        print(f'{path}:{line}: {what}')
    if args.metrics:
        tidy.metrics()
    print(f'tidy: {len(tidy.violations)} violations')
    return 1 if tidy.violations else 0


if __name__ == '__main__':
    sys.exit(main())
