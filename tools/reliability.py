#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reliability in figures, of what the tests wrote down.

    tools/reliability.py budget RESULTS         minutes per part against what each may take
    tools/reliability.py page RESULTS BUILD     docs/reliability.md, on standard output

RESULTS is what tools/suite.py keeps (a line of JSON per test), BUILD the debug build of gcc that
tests/model/check.py ran in. A figure that was not measured is left out."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
JOBS = 2 # programs that run at once
BUDGET = {'variants': 18, 'models': 12, 'simulation': 10, 'fault loops': 8, 'fuzzing': 4}
PARTS = {'model': 'models', 'sim': 'simulation', 'fault': 'fault loops', 'fuzz': 'fuzzing'}

# Bugs of this code that the machinery found: what, found by, fixed in, kept found by.
REAL = [
    ('A worker that was refused the search parked without a look although the one that searched '
     'had just stopped: a task waits while workers sleep.', 'model `sched/hog`', '493cbdf',
     'model `sched/hog`'),
    ('`ae_join` read a flag of the task while another thread could change it.',
     'model `task/join_finish` (a race)', 'a4ecf14', 'model `task/join_finish`'),
    ('The end of a runtime did not wait for a thread in the middle of its last wake.',
     'unit test `test_runtime`', '9471e1a', 'models `end/end_wake`, `end/end_wake_pinned`'),
    ('A single worker looked at its ring before it asked whether it is alone: if the last thief '
     'had been, and its rescue had ended, in between, it took by a plain store what was stolen, '
     'and a task ran twice.', 'model `rescue/call`', 'e2a4fc1', 'model `rescue/close_again`'),
    ('A signal stack that `sigaltstack(2)` refuses leaked its mapping.', 'fault loop `call`',
     'e0e3669', '`fault/call`, planted bug 6 of the loops'),
    ('A pending EOPNOTSUPP ended `ae_accept`, and with it the server.', 'fault loop `call`',
     '564ec6f', '`fault/call`'),
    ('Eight interrupted `openat2` in a row became EAGAIN: a file that is there was not served.',
     'fault loop `call`', '564ec6f', '`fault/call`'),
]


def rows_of(path):
    """What the tests kept."""
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as f:
        return [json.loads(line) for line in f]


def part_of(row):
    """The part of the budget that a test belongs to."""
    return next((PARTS[s] for s in row['suites'] if s in PARTS), 'variants')


def minutes(rows):
    """About how long they took with JOBS at a time."""
    return sum(r['seconds'] / (JOBS if r['parallel'] else 1) for r in rows) / 60


def budget(path):
    """A line per part."""
    rows = rows_of(path)
    for name, limit in BUDGET.items():
        mine = [r for r in rows if part_of(r) == name]
        if mine:
            took = minutes(mine)
            print(f"budget: {name} {took:.1f} of {limit} minutes, {len(mine)} programs"
                  f"{', OVER' if took > limit else ''}")
    return 0


def checked(build, name):
    """What tests/model/check.py kept."""
    path = pathlib.Path(build) / 'tests/model/checked' / (name + '.json')
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else []


def model_figures(build):
    """Lines of the table about models."""
    sys.path.insert(0, str(TOP / 'tests/model'))
    import report # pylint: disable=import-outside-toplevel
    models, matrix = checked(build, 'models'), checked(build, 'matrix')
    bugs, orders = checked(build, 'bugs'), checked(build, 'orders')
    command = '`tests/model/check.py build/proof '
    if models:
        only = report.alone(matrix)
        good = [r for r in models if report.counts(r, only)]
        total = sum(r['executions'] for r in models)
        yield 'models', len(models), command + 'models`'
        yield ('of them exhaustive with two preemptions at least; with three at least',
               f"{sum(r['exhaustive'] for r in models)}; {sum(report.deep(r) for r in models)}",
               command + 'models`')
        yield (f'of them that find a bug that no other finds (of {len(matrix)} bugs tried on all '
               'models), and count', len(good), command + 'matrix`')
        yield 'executions of models, long run', f'{total:,}', command + 'models`'
    if bugs:
        yield ('planted bugs found by models', f"{sum(r['good'] for r in bugs)} of {len(bugs)}",
               command + 'bugs`')
        yield ('of them like published ones', sum(bool(r['good'] and r['like']) for r in bugs),
               command + 'bugs`')
    if orders:
        caught = sum(bool(r['model']) for r in orders)
        kept = sum(not r['model'] and bool(r['reason']) for r in orders)
        yield ('memory orders, weakened by a step: found by a model, kept by argument, neither',
               f'{caught}, {kept}, {len(orders) - caught - kept} of {len(orders)}',
               command + 'orders`')


def run_figures(rows):
    """Lines of the table about what the tests counted."""
    for name, what, command in (
            ('executions', 'executions of models in a run of all tests',
             '`./dev test` (gcc release)'),
            ('faults', 'faults injected by the loops',
             '`build/release/tests/fault/fault --loop LOOP`'),
            ('inputs', 'inputs made by fuzzing', '`tools/suite.py build/asan --suite fuzz`')):
        by_label = {}
        for row in rows:
            if name in row:
                by_label[row['label']] = by_label.get(row['label'], 0) + row[name]
        for label, number in by_label.items():
            yield f'{what} ({label})', f'{number:,}', command
    passed = sum(r['passed'] for r in rows)
    if passed:
        yield 'test cases that passed in that run', f'{passed:,}', '`./dev test`'


def planted_in_loops():
    """What tests/fault/meson.build plants: comment and loop."""
    text = (TOP / 'tests/fault/meson.build').read_text(encoding='utf-8')
    body = text[text.index('fault_planted = ['):text.index('fault_plant = ')]
    pattern = re.compile(r"((?:  # [^\n]*\n)+)  \['([^']+)'.*?\[('[a-z]+')", re.S)
    for number, match in enumerate(pattern.finditer(body), 1):
        what = ' '.join(line.strip(' #') for line in match.group(1).splitlines())
        loop = match.group(3).strip("'")
        yield what, match.group(2), '', f'fault loop `{loop}` (planted bug {number})', ''


def table(heads, rows):
    """Lines of a Markdown table."""
    yield '| ' + ' | '.join(heads) + ' |'
    yield '|' + ' --- |' * len(heads)
    for row in rows:
        yield '| ' + ' | '.join(str(c) for c in row) + ' |'


def coverage_figures(build):
    """The last line of tools/coverage.sh, which it keeps."""
    path = pathlib.Path(build).parent / 'coverage' / 'figures.json'
    if path.exists():
        figures = json.loads(path.read_text(encoding='utf-8'))
        for name in ('line', 'branch'):
            yield (f'{name} coverage of src/ and http/', f'{figures[name]:.1f} %',
                   '`tools/coverage.sh`')


def page(path, build, note):
    """docs/reliability.md"""
    rows = rows_of(path)
    bugs = [(r['what'], r['file'], r['like'], f"model `{r['program']}/{r['model']}`",
             f"{r['executions']:,}") for r in checked(build, 'bugs') if r['good']]
    commit = subprocess.run(['git', '-C', TOP, 'log', '-1', '--format=%h, %ad', '--date=short'],
                            capture_output=True, text=True, check=False).stdout.strip()
    yield '# Reliability in figures'
    yield ''
    yield ('Made by `tools/reliability.py page`, the last step of `./dev release-check`'
           f'{" (" + commit + ")" if commit else ""}; do not edit. {note}')
    yield ('What the parts are, and how they work: [models](reliability-models.md), [faults, '
           'fuzzing, coverage, mutants](reliability-faults.md). Each number has the command that '
           'gives it; '
           'what was not measured is left out.')
    yield ''
    figures = [*model_figures(build), *run_figures(rows), *coverage_figures(build)]
    yield from table(['what', 'figure', 'command'], figures)
    yield ''
    yield '## Real bugs found'
    yield ''
    yield from table(['bug', 'found by', 'fixed in', 'kept found by'], REAL)
    yield ''
    yield '## Planted bugs'
    yield ''
    yield ('Changes that a test must find; "like" names a published bug of the same kind. '
           'Executions: until the model that is meant to find it did.')
    yield ''
    yield from table(['bug', 'in', 'like', 'found by', 'executions'],
                     bugs + list(planted_in_loops()))


def main():
    """The command line."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('what', choices=['budget', 'page'])
    parser.add_argument('results')
    parser.add_argument('build', nargs='?', default='build/proof')
    parser.add_argument('--note', default='', help='of how it was measured')
    args = parser.parse_args()
    if args.what == 'budget':
        return budget(args.results)
    print('\n'.join(page(args.results, args.build, args.note)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
