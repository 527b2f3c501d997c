#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the tests that a build directory knows, and count test cases, not programs.

    tools/suite.py BUILD_DIR [--suite NAME]... [--except NAME]... [--jobs N] [PART...]

Each test is a program that ends with `N passed, N failed`; one that prints no such line counts as
one case, by its exit status. Tests that meson calls not parallel run alone, after the others.
A failing program's output is shown (head and tail if it is long), and appended to the file that
$AE_TEST_FAILURES names, if it does. PART: part of a program's name.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

COUNTS = re.compile(r'^(\d+) passed, (\d+) failed$', re.M)
# What programs print of their work, for the figures of tools/reliability.py.
FIGURES = {
    'faults': re.compile(r'^note: (\d+) faults injected', re.M),
    'inputs': re.compile(r'^(?:note: (\d+) inputs made|stat::number_of_executed_units: (\d+))',
                         re.M),
    'executions': re.compile(r' threads +([\d,]+) executions ', re.M),
}
RUNNING = set()
OUTPUT_LINES_MAX = 150


def tests_of(build, suites, parts, excepted):
    out = subprocess.run(['meson', 'introspect', '--tests', build], check=True,
                         capture_output=True, text=True).stdout
    for test in json.loads(out):
        names = {s.split(':')[-1] for s in test['suite']}
        if suites and not names & set(suites):
            continue
        if parts and not any(p in test['name'] for p in parts):
            continue
        if any(fnmatch.fnmatch(test['name'].split('/')[-1], e) for e in excepted):
            continue
        yield test


def run(test, scale, wrapper=()):
    """(test, seconds, passed, failed, output)"""
    if not os.path.exists(test['cmd'][0]):
        return test, 0, 0, 1, 'not built\n'
    with tempfile.TemporaryDirectory(prefix='ae-', ignore_cleanup_errors=True) as folder:
        return run_in(folder, test, scale, wrapper)


def run_in(folder, test, scale, wrapper):
    """What it leaves in $TMPDIR goes with it, however it ends."""
    env = {'AE_STALL_LOG_US': '100000', **os.environ, **test['env'],
           'AE_TEST_TIMEOUT_SCALE': str(scale), 'TMPDIR': folder}
    start = time.monotonic()
    child = subprocess.Popen([*wrapper, *test['cmd']], cwd=test['workdir'], env=env, text=True,
                             errors='replace', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    RUNNING.add(child.pid)
    try:
        output, _ = child.communicate(timeout=test['timeout'] * scale)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output = (child.communicate()[0] or '') + f'hangs for more than {test["timeout"]} s\n'
    RUNNING.discard(child.pid)
    counts = COUNTS.findall(output)
    passed, failed = (int(x) for x in counts[-1]) if counts else (0, 0)
    if child.returncode != 0 and failed == 0:
        failed = 1
    if not counts and child.returncode == 0:
        passed = 1
    return test, time.monotonic() - start, passed, failed, output


def report(label, result, verbose):
    test, seconds, passed, failed, output = result
    mark = 'FAILED' if failed else 'ok'
    print(f'  {label} {test["name"]}: {mark}, {passed} passed, {failed} failed, {seconds:.1f} s',
          flush=True)
    lines = output.splitlines()
    if len(lines) > OUTPUT_LINES_MAX:
        lines[OUTPUT_LINES_MAX - 20:-20] = ['... (run the program itself for the rest)']
    for line in lines:
        if failed or verbose or line.startswith(('note: ', 'skip: ')):
            print('    ' + line)
    sys.stdout.flush()
    if failed and os.environ.get('AE_TEST_FAILURES'):
        with open(os.environ['AE_TEST_FAILURES'], 'a', encoding='utf-8') as failures:
            failures.write('\n'.join([f'  {label} {test["name"]}:'] + ['    ' + x for x in lines]))
            failures.write('\n')


def keep(label, result):
    """A line in the file that AE_TEST_RESULTS names."""
    test, seconds, passed, failed, output = result
    path = os.environ.get('AE_TEST_RESULTS')
    if not path:
        return
    row = {'label': label, 'name': test['name'],
           'suites': [s.split(':')[-1] for s in test['suite']],
           'seconds': round(seconds, 2), 'parallel': test['is_parallel'], 'passed': passed,
           'failed': failed}
    for name, pattern in FIGURES.items():
        found = [n for m in pattern.finditer(output) for n in m.groups() if n]
        if found:
            row[name] = sum(int(n.replace(',', '')) for n in found)
    with open(path, 'a', encoding='utf-8') as f:
        f.write(json.dumps(row) + '\n')


def end_children(signum, _frame):
    for pid in list(RUNNING):
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(128 + signum)


def main():
    parser = argparse.ArgumentParser(description='run the tests of a build directory')
    parser.add_argument('build')
    parser.add_argument('--label', default='')
    parser.add_argument('--suite', action='append', default=[])
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--timeout-scale', type=int, default=1)
    parser.add_argument('--wrapper', default='', help='a command to run each program by')
    parser.add_argument('--verbose', action='store_true')
    parser.add_argument('--except', action='append', default=[], dest='excepted',
                        metavar='NAME', help='leave such programs out (test_x, test_x*)')
    parser.add_argument('part', nargs='*')
    args = parser.parse_intermixed_args()
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, end_children)
    # A shell lets what it starts in the background ignore it; the tests send it.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    tests = list(tests_of(args.build, args.suite, args.part, args.excepted))
    together = [t for t in tests if t['is_parallel']]
    alone = [t for t in tests if not t['is_parallel']]
    wrapper = args.wrapper.split()
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        pending = [pool.submit(run, t, args.timeout_scale, wrapper) for t in together]
        results = (f.result() for f in concurrent.futures.as_completed(pending))
        for result in results:
            report(args.label, result, args.verbose)
            keep(args.label, result)
            passed, failed = passed + result[2], failed + result[3]
    for test in alone:
        result = run(test, args.timeout_scale, wrapper)
        report(args.label, result, args.verbose)
        keep(args.label, result)
        passed, failed = passed + result[2], failed + result[3]
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
