# SPDX-License-Identifier: Apache-2.0
"""The page that says what the models are worth, made of what check.py saw."""

HEAD = """# Reliability: the models

Made by `tests/model/check.py BUILD report` of what its other commands saw (BUILD: a gcc debug
build); do not edit. How the checker works is in [tests/model](../tests/model/README.md).
"""


def table(heads, rows):
    """Lines of a Markdown table."""
    lines = ['| ' + ' | '.join(heads) + ' |',
             '|' + '|'.join(' ---: ' if h.startswith('=') else ' --- ' for h in heads) + '|']
    lines[0] = lines[0].replace('| =', '| ')
    return lines + ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows]


def code(text):
    """A piece of code inside a table."""
    return '`' + text.replace('|', '\\|') + '`'


def alone(matrix):
    """For each model a bug that it alone finds."""
    return {r['finders'][0]: r['what'] for r in matrix if len(r['finders']) == 1}


def counts(row, only):
    """Does the model count?"""
    enough = row['good'] and row['threads'] >= 2 and row['executions'] >= 1000
    searched = row['exhaustive'] and (deep(row) or row.get('random', 0) >= 1000000)
    return bool(enough and searched and row['model'] in only)


def deep(row):
    """Exhaustive with three preemptions at least, or no bound kept anything from being seen?"""
    return row['exhaustive'] and (row['bound'] >= 3 or row.get('complete', False))


def schedules(row):
    """How the model's schedules were searched."""
    bounds = f"{row['bound']} preemptions, {row['stale']} older values"
    drawn = f"; {row['random']:,} at random" if row.get('random') else ''
    if row.get('complete'):
        return f'all there are ({bounds})'
    if row['exhaustive']:
        return f'all with {bounds}{drawn}'
    return f"a part of bound {row['bound']}{drawn}"


def models_part(models, matrix):
    """The models and their figures."""
    only = alone(matrix)
    total = sum(r['executions'] for r in models)
    good = [r for r in models if counts(r, only)]
    three = [r for r in good if deep(r)]
    whole = [r for r in good if r.get('complete')]
    most = max((r['executions'] for r in models), default=0)
    lines = ['', '## Models', '',
             f'{len(models)} models, {total:,} executions, at most {100 * most // max(total, 1)} % '
             f'of them in one model. {len(good)} count: they have two threads and 1,000 executions '
             'at least, all schedules with two preemptions were seen, and they find a bug that no '
             f'other model finds. Of these, {len(three)} are exhaustive with three preemptions or '
             f'more, the others have a million executions at random as well; of {len(whole)} every '
             'schedule was seen, without any bound. Schedules that differ only in the order of '
             'operations that do not meet are seen once. The last column is of the '
             f'{len(matrix)} planted bugs that were tried on all models, with '
             f'{max((r.get("max", 0) for r in matrix), default=0):,} executions on each as long as '
             'one alone had found it.', '',
             'Command: `tests/model/check.py BUILD models`', '']
    return lines + table(
        ['model', '=threads', '=executions', 'schedules', '=seconds', 'the bug it alone finds'],
        [[f"{r['program']}/{r['model']}", r['threads'], f"{r['executions']:,}", schedules(r),
          f"{r['seconds']:.1f}", only.get(r['model'], '–')] for r in models])


def bugs_part(bugs):
    """The planted bugs."""
    found = [r for r in bugs if r['good']]
    known = [r for r in found if r['like']]
    lines = ['', '## Planted bugs', '',
             f'{len(found)} of {len(bugs)} are found; {len(known)} of them are like bugs that were '
             'published. Command: `tests/model/check.py BUILD bugs`; the bugs are in '
             '`tests/model/planted.py`.', '']
    return lines + table(
        ['bug', 'file', 'like', 'found by', '=after executions'],
        [[r['what'], r['file'][4:], r['like'],
          f"{r['program']}/{r['model']}" if r['good'] else 'not found',
          f"{r['executions']:,}"] for r in bugs])


def orders_part(orders):
    """The memory orders."""
    caught = [r for r in orders if r['model']]
    kept = [r for r in orders if not r['model'] and r['reason']]
    loose = [r for r in orders if not r['model'] and not r['reason']]
    lines = ['', '## Memory orders', '',
             f'Each order in the modelled sources, weakened by one step: {len(orders)} changes, '
             f'{len(caught)} found by a model, {len(kept)} kept by argument, {len(loose)} neither. '
             'Command: `tests/model/check.py BUILD orders`.', '']
    lines += table(['kept', 'order', 'becomes', 'why'],
                   [[f"{r['file'][4:]} {code(r['code'])}", r['old'], r['new'], r['reason']]
                    for r in kept]) if kept else []
    if loose:
        lines += ['', 'Neither found nor argued:', '']
        lines += table(['place', 'order', 'becomes'],
                       [[f"{r['file'][4:]} {code(r['code'])}", r['old'], r['new']]
                        for r in loose])
    lines += ['']
    return lines + table(
        ['place', 'order', 'becomes', 'found by', '=after executions'],
        [[f"{r['file'][4:]}:{r['number']}", r['old'], r['new'], r['model'],
          f"{r['executions']:,}"] for r in caught])


def page(models, bugs, matrix, orders):
    """docs/reliability-models.md."""
    by_program = sorted(models, key=lambda r: r['program']) # parts are measured in any order
    lines = HEAD.rstrip('\n').split('\n') + models_part(by_program, matrix)
    lines += bugs_part(bugs) + orders_part(orders)
    return '\n'.join(lines) + '\n'
