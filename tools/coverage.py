#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures of tools/coverage.sh: what llvm-cov counted, without the branches of asserts.

    tools/coverage.py --llvm-cov PROGRAM [--missing] PROFILE BUILD_DIR
"""
import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FLOORS = {'line': 92.0, 'branch': 85.0}
ASSERT = re.compile(r'AE_\w*ASSERT\w*\s*\(|AE_FATAL')


def objects(build):
    """Every program and library that holds code of src/ or http/."""
    found = [*pathlib.Path(build).glob('tests/**/*'), *pathlib.Path(build).glob('*/lib*.so.*')]
    for path in found:
        if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK):
            with open(path, 'rb') as f:
                if f.read(4) == b'\x7fELF':
                    yield str(path)


def export(llvm_cov, profile, build):
    first, *rest = objects(build)
    command = [llvm_cov, 'export', '-instr-profile', profile, '-skip-expansions', first]
    for path in rest:
        command += ['-object', path]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    ours = (str(TOP / 'src') + '/', str(TOP / 'http') + '/')
    files = json.loads(done.stdout)['data'][0]['files']
    for file in files:
        file['filename'] = os.path.realpath(os.path.join(build, file['filename']))
    return [f for f in files if f['filename'].startswith(ours)]


def assert_lines(path):
    """The lines that asserts stand on, with those that they go on to."""
    lines, depth = set(), 0
    for n, text in enumerate(pathlib.Path(path).read_text(encoding='utf-8').split('\n'), 1):
        begins = ASSERT.search(text)
        if begins or depth > 0:
            lines.add(n)
            rest = text[begins.start():] if begins and depth == 0 else text
            depth = max(0, depth + rest.count('(') - rest.count(')'))
    return lines


def lines_of(file):
    """Line -> how often: the highest count of a segment that begins on it or reaches into it."""
    counts, segments = {}, file['segments']
    for this, after in zip(segments, segments[1:]):
        line, _, count, has_count, _, is_gap = this[:6]
        if not has_count or is_gap:
            continue
        for n in range(line, after[0] + (after[1] > 1)):
            counts[n] = max(count, counts.get(n, 0))
    return counts


def branches_of(file, skipped):
    """(line, side) -> how often, for both sides of each branch."""
    sides = collections.Counter()
    for line, column, _, _, taken, not_taken, *_ in file['branches']:
        if line not in skipped:
            sides[line, column, True] += taken
            sides[line, column, False] += not_taken
    return sides


class Sum:
    def __init__(self):
        self.line = [0, 0]
        self.branch = [0, 0]

    def add(self, other):
        for mine, its in ((self.line, other.line), (self.branch, other.branch)):
            mine[0] += its[0]
            mine[1] += its[1]

    def percent(self, kind):
        hit, all_ = getattr(self, kind)
        return 100 * hit / all_ if all_ else 100.0

    def row(self, name):
        return (f'{name:24} {self.percent("line"):6.1f} % of {self.line[1]:5} lines'
                f' {self.percent("branch"):6.1f} % of {self.branch[1]:5} branches')


def measure(file, missing):
    path = file['filename']
    counts, sides = lines_of(file), branches_of(file, assert_lines(path))
    total = Sum()
    total.line = [sum(c > 0 for c in counts.values()), len(counts)]
    total.branch = [sum(c > 0 for c in sides.values()), len(sides)]
    if missing:
        name = os.path.relpath(path, TOP)
        for n in sorted(n for n, c in counts.items() if c == 0):
            print(f'{name}:{n}: not reached')
        for line, column, side in sorted(k for k, c in sides.items() if c == 0):
            if counts.get(line, 0) > 0:
                print(f'{name}:{line}:{column}: never {"true" if side else "false"}')
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--llvm-cov', required=True)
    parser.add_argument('--missing', action='store_true')
    parser.add_argument('profile')
    parser.add_argument('build')
    args = parser.parse_args()
    folders, total = collections.defaultdict(Sum), Sum()
    for file in export(args.llvm_cov, args.profile, args.build):
        of_file = measure(file, args.missing)
        folders[os.path.dirname(os.path.relpath(file['filename'], TOP))].add(of_file)
        total.add(of_file)
    for name in sorted(folders):
        print(folders[name].row(name))
    print(total.row('all'))
    low = [kind for kind, floor in FLOORS.items() if total.percent(kind) < floor]
    for kind in low:
        print(f'{kind} coverage is below {FLOORS[kind]} %')
    figures = {kind: total.percent(kind) for kind in FLOORS}
    pathlib.Path(args.build, 'figures.json').write_text(json.dumps(figures), encoding='utf-8')
    print(f'note: coverage: {total.percent("line"):.1f} % of lines,'
          f' {total.percent("branch"):.1f} % of branches')
    print(f'{len(FLOORS) - len(low)} passed, {len(low)} failed')
    return len(low) > 0


if __name__ == '__main__':
    sys.exit(main())
