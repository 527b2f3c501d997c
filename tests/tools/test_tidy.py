#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/tidy.py finds each planted violation, and nothing in a tree that keeps the rules."""
import os
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n'

CLEAN = {
    'src/sched/meson.build': "# SPDX-License-Identifier: Apache-2.0\nfiles('loop.c')\n",
    'src/sched/loop.c': SPDX + '''#include "base/assert.h"
/* volatile strcpy( and { in a comment, and "sleep(1)" in a string, are nobody's business */
struct AE_CACHE_ALIGNED thing { int a[2][2]; };
static const struct thing table = { { { 1, 2 }, { 3, 4 } } };
int ae__loop(int n)
{
    for (int i = 0; i < n; i++) {
        if (i == 3) {
            struct thing t = (struct thing){ { { 1, 2 }, { 3, table.a[0][0] } } };
            AE_ASSERT(t.a[0][0] == 1);
        }
    }
    return n;
}
''',
    'tests/unit/test_loop.c': SPDX + 'TEST(a) { wait_for(1); }\n',
}


def long_function(lines, first=''):
    return SPDX + 'int f(int n)\n{\n' + first + '    n++;\n' * (lines - 3) + '}\n'


# (what, path, content, expected message or None)
CASES = [
    ('a function of 70 lines', 'http/x.c', long_function(70), None),
    ('a function of 71 lines', 'http/x.c', long_function(71), 'f: 71 lines'),
    ('a long flat switch, tagged', 'http/x.c',
     long_function(90, '    switch (n) { /* long: one case per opcode */\n    }\n'), None),
    ('a file of 801 lines', 'http/x.c', SPDX + '\n' * 800, '801 lines, at most 800'),
    ('a public header of 151 lines', 'include/aether/x.h', SPDX + '\n' * 150, 'header of 151'),
    ('a line of 101 columns', 'http/x.c', SPDX + 'int ' + 'x' * 96 + ';\n', '101 columns'),
    ('blocks nested four deep', 'http/x.c',
     SPDX + 'int f(void)\n{\n if (1) { for (;;) { while (1) { if (2) { } } } }\n}\n', 'nested 4'),
    ('blocks nested three deep', 'http/x.c',
     SPDX + 'int f(void)\n{\n if (1) { for (;;) { while (1) { } } }\n}\n', None),
    ('a thread-local', 'src/sched/x.h', SPDX + 'extern _Thread_local int x;\n', 'accessor'),
    ('a thread-local in arch', 'src/arch/x.h', SPDX + 'extern _Thread_local int x;\n', None),
    ('__thread', 'cli/x.h', SPDX + 'extern __thread int x;\n', 'accessor'),
    ('strcpy', 'http/x.c', SPDX + 'void f(void)\n{\n    strcpy(a, b);\n}\n', 'memcpy or snprintf'),
    ('sprintf', 'cli/x.c', SPDX + 'void f(void)\n{\n    sprintf(a, "b");\n}\n', 'use snprintf'),
    ('snprintf', 'cli/x.c', SPDX + 'void f(void)\n{\n    snprintf(a, 1, "b");\n}\n', None),
    ('volatile', 'src/sched/x.h', SPDX + 'extern volatile int x;\n', '_Atomic'),
    ('volatile, excused', 'src/sched/x.h',
     SPDX + 'extern volatile int x; /* tidy: allow volatile: a device */\n', None),
    ('volatile, excused without a reason', 'src/sched/x.h',
     SPDX + 'extern volatile int x; /* tidy: allow volatile */\n', '_Atomic'),
    ('a sleep in a test', 'tests/unit/test_x.c', SPDX + 'TEST(x) { usleep(3); }\n', 'usleep: use'),
    ('ae_sleep in a test', 'tests/unit/test_x.c', SPDX + 'TEST(x) { ae_sleep(3); }\n', None),
    ('a fence', 'src/sync/x.h', SPDX + 'static void f(void)\n{\n    atomic_thread_fence(1);\n}\n',
     'atomic_thread_fence'),
    ('errno in the scheduler', 'src/sched/x.h', SPDX + 'static int f(void)\n{\nreturn errno;\n}\n',
     'errno: use'),
    ('an upward include', 'src/base/x.h', SPDX + '#include "sched/sched.h"\n',
     'src/base includes sched/sched.h'),
    ('a downward include', 'src/sched/x.h', SPDX + '#include "base/list.h"\n', None),
    ('a private header in http', 'http/x.h', SPDX + '#include "sched/sched.h"\n', 'is private'),
    ('a private header of http in cli', 'cli/x.h', SPDX + '#include "http/conn.h"\n', 'private'),
    ('a private header in a public one', 'include/aether/x.h', SPDX + '#include "base/list.h"\n',
     'is private'),
    ('an OS header in the scheduler', 'src/sched/x.h', SPDX + '#include <sys/epoll.h>\n',
     'OS headers only'),
    ('an OS header in the driver', 'src/driver/x.h', SPDX + '#include <sys/epoll.h>\n', None),
    ('value types in io', 'src/io/x.h', SPDX + '#include <sys/uio.h>\n', None),
    ('no SPDX line', 'http/x.c', 'int x;\n', 'no SPDX'),
    ('an unfinished mark', 'http/x.c', SPDX + '/* TO' + 'DO: more */\n', 'finish it'),
    ('a mark in a page', 'docs/x.md', 'FIX' + 'ME\n', 'finish it'),
    ('a path of one machine', 'docs/x.md', 'see /work/' + 'main\n', 'path of one machine'),
    ('a file called util', 'http/util.c', SPDX, 'called util'),
    ('a source without a test', 'src/sched/lone.c', SPDX, 'no tests/unit/test_lone.c'),
    ('a source outside the build', 'src/sched/lone.c', SPDX, 'not in the build'),
    ('an assert with a side effect', 'http/x.c',
     SPDX + 'void f(void)\n{\n    AE_ASSERT(n++ == 3);\n}\n', 'side effect'),
    ('a macro that returns', 'include/aether/x.h',
     SPDX + '#define X(a) do { return a; } while (0)\n', 'hides control flow'),
    ('a tab', 'http/x.c', SPDX + '\tint x;\n', 'a tab'),
    ('trailing blanks', 'http/x.c', SPDX + 'int x; \n', 'trailing blanks'),
]


def tidy(files):
    with tempfile.TemporaryDirectory() as root:
        for path, content in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, 'w', encoding='utf-8') as f:
                f.write(content)
        done = subprocess.run([sys.executable, os.path.join(TOP, 'tools', 'tidy.py'),
                               '--root', root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def covered_by_another_test():
    files = {**CLEAN, 'src/sched/lone.c': SPDX,
             'src/sched/meson.build': CLEAN['src/sched/meson.build'] + "files('lone.c')\n",
             'tests/unit/test_other.c': SPDX + '/* Covers: src/sched/lone.c */\n'}
    return tidy(files)


def main():
    passed = failed = 0
    results = [('the clean tree', None, *tidy(CLEAN)),
               ('a source covered by name', None, *covered_by_another_test())]
    # p50 and p90 of a tree with one function are that function's length: not the question here
    for what, path, content, expected in CASES:
        status, output = tidy({**CLEAN, path: content})
        output = '\n'.join(x for x in output.split('\n') if 'function length p' not in x)
        status = 1 if any(': ' in x for x in output.split('\n') if x.count(':') > 1) else 0
        results.append((what, expected, status, output))
    for what, expected, status, output in results:
        good = (status == 0) if expected is None else (status != 0 and expected in output)
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f'{what}: FAILED: expected {expected!r}, got:\n{output}')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
