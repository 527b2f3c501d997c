#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the models are worth: bugs they find, memory orders they need, schedules they see.

    tests/model/check.py BUILD models [NAME] [--seconds N]  run them, or some; their figures
    tests/model/check.py BUILD bugs [NAME]            plant each bug: its model must find it
    tests/model/check.py BUILD matrix [NAME] [--max N]  each bug against all models with its file
    tests/model/check.py BUILD orders [FILE] [--max N]  weaken each memory order by one step
    tests/model/check.py BUILD report                 docs/reliability-models.md from these

Each writes what it saw to BUILD/tests/model/checked; the report is made of that. BUILD is a gcc
debug build directory whose models are built (clang does not tell weak exchanges from strong)."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import kept
import mutate
import planted
import report


def save(build, name, value):
    """Keep what was seen for the report."""
    mutate.write(os.path.join(build, 'tests/model/checked', name + '.json'),
                 json.dumps(value, indent=1))


def load(build, name):
    """What was seen before, or nothing."""
    path = os.path.join(build, 'tests/model/checked', name + '.json')
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as f:
        return json.load(f)


def tally(passed, failed):
    """The last line, and the exit status."""
    print(f'{passed} passed, {failed} failed')
    return failed > 0 or passed == 0


def in_order(args, work, items, seen=()):
    """Do it for each, some at a time; a line each as they end. Keeps what was seen so far, unless
    only a part was asked for and there is no telling what it is a part of."""
    rows = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for row in pool.map(work, items):
            print(row.pop('line'), flush=True)
            rows.append(row)
            if not args.name or args.what != 'bugs':
                save(args.build, args.what, list(seen) + rows)
    return rows


# ---- models ----

def models(args, found):
    """Run every model; one whose schedules are too many also by two preemptions and at random."""
    def run(item):
        program, model = item
        row = vars(program.run(None, model, '--deepen', '--seconds', str(args.seconds))[0])
        row['program'] = program.name
        row['two'] = row['good'] and row['exhaustive']
        if row['good'] and not (row['exhaustive'] and row['bound'] >= 3) and args.random:
            drawn = program.run(None, model, '--random', str(args.random), '--seconds', '600')[0]
            row['random'] = drawn.executions if drawn.good else 0
            row['executions'] += row['random']
        row['line'] = (f"{model:24} {row['executions']:>12,} executions  bound {row['bound']}."
                       f"{row['stale']}  {'complete' if row['complete'] else ''}"
                       f"{'exhaustive' if row['exhaustive'] and not row['complete'] else ''}")
        return row
    every = [(p, m) for p in found.values() for m in p.models()]
    chosen = [(p, m) for p, m in every if args.name in f'{p.name}/{m}']
    left = {m for _, m in every} - {m for _, m in chosen}
    seen = [r for r in load(args.build, 'models') if r['model'] in left]
    rows = in_order(args, run, chosen, seen)
    good = sum(r['good'] for r in rows)
    print(f"{sum(r['executions'] for r in rows):,} executions")
    return tally(good, len(rows) - good)


# ---- planted bugs ----

# Most bugs need few preemptions: small searches come first, then the model's own bounds.
LADDER = [['--bound', '1', '--stale', '1'], ['--bound', '2', '--stale', '1'],
          ['--bound', '1', '--stale', '3'], []]


def climb(program, exe, *arguments):
    """The results of the first search in which a model fails, or of the last; executions before."""
    before = 0
    for step in LADDER:
        results = program.run(exe, *step, *arguments)
        if any(r.good for r in results):
            break
        before += sum(r.executions for r in results) if step else 0
    return results, before


def bugs(args, found):
    """Each bug is found by the model that it names."""
    def run(bug):
        work = tempfile.mkdtemp(prefix='model-bug-')
        results, before, wrong = [], 0, ''
        try:
            text = mutate.edit(bug.file, bug.edits)
            exe = found[bug.program].mutant(bug.file, text, work)
            results, before = climb(found[bug.program], exe, '--expect-fail', '--seconds', '60',
                                    bug.model)
        except (mutate.Stale, subprocess.CalledProcessError) as error:
            wrong = getattr(error, 'stderr', '')[-600:] or str(error)
        shutil.rmtree(work, ignore_errors=True)
        result = results[0] if results else None
        good = bool(result) and result.good
        row = {'program': bug.program, 'model': bug.model, 'what': bug.what, 'file': bug.file,
               'like': bug.like, 'good': good, 'message': result.message if result else wrong,
               'executions': before + result.executions if result else 0}
        row['line'] = (f"{'ok' if good else 'FAILED':6} {bug.model:24} {row['executions']:>9,}  "
                       f"{bug.what}{'' if good else ': ' + (wrong or 'not found')}")
        return row
    chosen = [b for b in planted.BUGS if not args.name or args.name in b.model]
    rows = in_order(args, run, chosen)
    good = sum(r['good'] for r in rows)
    return tally(good, len(rows) - good)


FIRST_LOOK = 300 # executions; most bugs that many models find are found by two of them so soon


def all_finders(bug, found, most):
    """The models that fail in a small search; how many do not."""
    work = tempfile.mkdtemp(prefix='model-bug-')
    finders_, misses, exes = [], 0, []
    for name, program in found.items():
        if not program.uses(bug.file):
            continue
        try:
            text = mutate.edit(bug.file, bug.edits)
            exes.append((program, program.mutant(bug.file, text, os.path.join(work, name))))
        except (mutate.Stale, subprocess.CalledProcessError):
            continue
    for executions in sorted({min(FIRST_LOOK, most), most}):
        results = [r for program, exe in exes
                   for r in program.run(exe, *LADDER[1], '--expect-fail', '--seconds', '60',
                                        '--max', str(executions))]
        finders_ = [r.model for r in results if r.good]
        misses = len(results) - len(finders_)
        if len(finders_) > 1: # nobody finds it alone: more executions would not tell more
            break
    shutil.rmtree(work)
    return finders_, misses


# ---- which model is needed: each bug against all ----

def matrix(args, found):
    """Who finds what: for each bug the models, of all programs with its file, that find it."""
    def run(bug):
        finders_, misses = all_finders(bug, found, args.max)
        row = {'what': bug.what, 'model': bug.model, 'file': bug.file, 'finders': finders_,
               'misses': misses, 'max': args.max}
        if bug.model not in row['finders']: # it is known to find it, with more executions
            row['finders'].append(bug.model)
        row['line'] = f"{bug.model:24} found by {' '.join(row['finders'])}"
        return row
    seen = [r for r in load(args.build, 'matrix') if args.name and args.name not in r['model']]
    rows = in_order(args, run, [b for b in planted.BUGS if not args.name or args.name in b.model],
                    seen)
    alone = {r['finders'][0] for r in rows if len(r['finders']) == 1}
    print(f'{len(alone)} models find a bug that no other finds')
    return tally(sum(bool(r['finders']) for r in rows), sum(not r['finders'] for r in rows))


# ---- memory orders ----

ORDER = re.compile(r'memory_order_(seq_cst|acq_rel|acquire|release)\b')
PLAIN = re.compile(r'\batomic_(load|store|exchange|fetch_add|fetch_sub)\(')


def weaker(text, match):
    """The next weaker orders for the operation that the match is in."""
    order = match.group(1)
    start = max(text.rfind('atomic_', 0, match.start() - len('memory_order_') + 13), 0)
    head = text[start:match.start()]
    start = text.rfind('atomic_', 0, match.start())
    while text[start - 7:start] == 'memory_' or not re.match(r'atomic_[a-z_]+\(', text[start:]):
        start = text.rfind('atomic_', 0, start)
    operation = re.match(r'atomic_([a-z_]+)\(', text[start:]).group(1)
    head = text[start:match.start()]
    failing = 'compare_exchange' in operation and 'memory_order_' in head
    if order in ('acquire', 'release'):
        return ['relaxed']
    if order == 'acq_rel':
        return ['acquire', 'release']
    if operation.startswith('load') or failing:
        return ['acquire']
    return ['release'] if operation.startswith('store') else ['acq_rel']


def order_mutants(path):
    """(line, what it was, what it becomes, the file's text) for each step in a file."""
    text = mutate.read(path)
    for match in ORDER.finditer(text):
        line = text.count('\n', 0, match.start()) + 1
        if text[text.rfind('\n', 0, match.start()) + 1:].lstrip().startswith(('*', '/*')):
            continue
        for new in weaker(text, match):
            yield (line, match.group(1), new,
                   text[:match.start()] + 'memory_order_' + new + text[match.end():])
    for match in PLAIN.finditer(text):
        line = text.count('\n', 0, match.start()) + 1
        end, depth = match.end(), 1
        while depth:
            depth += {'(': 1, ')': -1}.get(text[end], 0)
            end += 1
        new = {'load': 'acquire', 'store': 'release'}.get(match.group(1), 'acq_rel')
        call = text[match.start():match.end() - 1] + '_explicit' + text[match.end() - 1:end - 1]
        yield (line, 'seq_cst', new, text[:match.start()] + call + ', memory_order_' + new + ')' +
               text[end:])


HEADERS = ['src/sched/inject.h', 'src/task/lock.h', 'src/sched/wait.h', 'src/task/types.h']


# Small programs first; whole runtimes only for what nothing smaller has.
ASKED = [
    (r'sched/(wait|waitq)\.[ch]', ['wait', 'thread', 'task']),
    (r'sched/(runq|inject)\.[ch]', ['runq', 'rescue', 'sched']),
    (r'sched/(shutdown|runtime)\.c', ['end']),
    (r'sched/(worker|queue|park|steal|idle)\.c', ['sched', 'rescue', 'end']),
    (r'sched/ready\.c', ['thread', 'end', 'sched']),
    (r'sched/(spawn|scope|cancel|task)\.c|task/types\.h', ['task', 'end']),
    (r'task/lock\.[ch]', ['thread', 'wait', 'slab']),
    (r'task/slab\.c', ['slab', 'task']),
]


def asked(found, path):
    """The programs that are to find a change of this file."""
    for pattern, names in ASKED:
        if re.search(pattern, path):
            return [found[n] for n in names if n in found]
    return [p for _, p in sorted(found.items()) if p.uses(path)]


def finders(found, path, text, most):
    """The first model that fails with the file changed so; its executions."""
    tried = 0
    for program in asked(found, path):
        work = tempfile.mkdtemp(prefix='model-order-')
        try:
            exe = program.mutant(path, text, work)
            results, before = climb(program, exe, '--expect-any', '--seconds', '60', '--max',
                                    str(most))
            tried += before
        except subprocess.CalledProcessError:
            results = []
        shutil.rmtree(work)
        caught = [r for r in results if r.good]
        if caught:
            return f'{program.name}/{caught[0].model}', tried + caught[0].executions
        tried += sum(r.executions for r in results)
    return '', tried


def orders(args, found):
    """Weaken each order in the modelled sources; some model fails, or the reason is kept."""
    files = sorted({p for f in found.values() for p in f.objects if p.startswith('src/')})
    work = [(p, m) for p in files + HEADERS if not args.name or args.name in p
            for m in order_mutants(p)]

    def run(item):
        path, (line, old, new, text) = item
        code = mutate.read(path).split('\n')[line - 1].strip()
        model, executions = finders(found, path, text, args.max)
        reason = '' if model else kept.reason(path, code, old, new)
        row = {'file': path, 'number': line, 'old': old, 'new': new, 'code': code,
               'model': model, 'executions': executions, 'reason': reason}
        row['line'] = (f"{'ok' if model else 'kept' if reason else 'FAILED':6} {path}:{line} "
                       f"{old} -> {new}: {model or reason or code}")
        return row
    seen = [r for r in load(args.build, 'orders') if args.name and args.name not in r['file']]
    rows = in_order(args, run, work, seen)
    good = sum(bool(r['model'] or r['reason']) for r in rows)
    print(f"{sum(bool(r['model']) for r in rows)} caught, {sum(bool(r['reason']) for r in rows)} "
          'kept by argument')
    return tally(good, len(rows) - good)


def write_report(args, _):
    """docs/reliability-models.md."""
    seen = {name: load(args.build, name) for name in ('models', 'bugs', 'matrix', 'orders')}
    text = report.page(**seen)
    mutate.write(os.path.join(mutate.SOURCE, 'docs/reliability-models.md'), text)
    return 0


def main():
    """The command line."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('build')
    parser.add_argument('what', choices=['models', 'bugs', 'matrix', 'orders', 'report'])
    parser.add_argument('name', nargs='?', default='')
    parser.add_argument('--max', type=int, default=20000)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--random', type=int, default=1000000)
    parser.add_argument('--seconds', type=float, default=120)
    args = parser.parse_args()
    do = {'models': models, 'bugs': bugs, 'matrix': matrix, 'orders': orders,
          'report': write_report}[args.what]
    return do(args, mutate.programs(args.build))


if __name__ == '__main__':
    sys.exit(main())
