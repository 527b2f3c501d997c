#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The explorer as a program: known numbers of schedules, replay by one command, random search.

    tests/model/check_explorer.py BUILD/tests/model/model_litmus"""
import re
import subprocess
import sys

import mutate

# Interleavings of n and m steps: (n+m)! / (n! m!), and so on; no load has a choice.
COUNTS = {
    'store_buffering': 6,          # 2, 2
    'iriw': 180,                   # 1, 1, 2, 2
    'rmw_atomicity': 90,           # 2, 2, 2
}

FAILED = []
PASSED = 0


def expect(what, holds, text=''):
    """One test."""
    global PASSED
    if holds:
        PASSED += 1
    else:
        FAILED.append(what)
        print(f'FAILED: {what}\n{text}')


def run(*arguments):
    """The explorer's output; it prints progress elsewhere."""
    done = subprocess.run([sys.argv[1], *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return done.returncode, done.stdout


def counts():
    """Every schedule is tried, each once; fewer where those that are like others are left out."""
    for model, want in COUNTS.items():
        _, text = run(model, '--bound', '9', '--stale', '0', '--full')
        got = mutate.parse(text)[0]
        expect(f'{model} has {want} schedules, not {got.executions}',
               got.exhaustive and got.executions == want, text)
        _, text = run(model, '--bound', '9', '--stale', '0')
        got = mutate.parse(text)[0]
        expect(f'{model}: {got.executions} of {want} schedules are enough',
               got.exhaustive and 1 < got.executions <= want, text)


def same_bounds():
    """What is left out hides no bug at any bound."""
    _, text = run('--list')
    names = [line.split()[0] for line in text.splitlines() if line.strip()]
    for bound in range(4):
        limits = ['--bound', str(bound), '--stale', '1', '--max', '200000']
        found = {}
        for full in ([], ['--full']):
            _, text = run(*limits, *full)
            found[bool(full)] = {r.model: r for r in mutate.parse(text)}
        for name in names:
            pruned, full = found[False][name], found[True][name]
            if full.executions < 200000:
                expect(f'{name}: the same with {bound} preemptions', pruned.good == full.good,
                       f'{pruned.good} {full.good}')


def replays():
    """What a failure prints repeats it, with the same message and a trace."""
    for model in ('lost_wakeup_load', 'queue_pop_broken', 'release_sequence_broken', 'lock_order'):
        _, text = run(model)
        again = re.search(r'--replay (\S+)', text).group(1)
        message = text.split('\n')[0].strip()
        _, text = run(model, '--replay', again)
        expect(f'{model}: the replay fails the same way', message in text, text)
        expect(f'{model}: one execution, with its trace',
               ' 1 executions' in re.sub(' +', ' ', text) and 'FAILS' in text, text)
    rc, text = run('message_passing', '--replay', '3.2:')
    expect('the replay of a good schedule is good', rc == 0, text)


def searches():
    """Random search finds what the bounded one does; a limit ends a search; marks are right."""
    for model in ('lost_wakeup_no_recheck', 'queue_pop_broken', 'iriw_acq_rel'):
        _, text = run(model, '--random', '10000', '--seed', '7')
        expect(f'{model}: found by random schedules', 'ok (found)' in text, text)
    _, text = run('coherence', '--random', '2000')
    got = mutate.parse(text)[0]
    expect('as many random schedules as were asked for', got.executions == 2000, text)
    _, text = run('coherence', '--bound', '9', '--stale', '9', '--max', '100')
    got = mutate.parse(text)[0]
    expect('a search that was cut short does not call itself exhaustive',
           got.executions == 100 and not got.exhaustive, text)


def main():
    """All of them."""
    counts()
    same_bounds()
    replays()
    searches()
    print(f'{PASSED} passed, {len(FAILED)} failed')
    return bool(FAILED)


if __name__ == '__main__':
    sys.exit(main())
