#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare what the objects import, and what the libraries export, with the committed lists.

    tools/check_symbols.py BUILD_DIR [--update]

Imports. tools/allowed-symbols/FOLDER.txt names what the objects of src/FOLDER may take from outside
the library, one name or pattern per line; common.txt holds for every folder. Only src/arch and
src/driver may import OS functions: their lists are the two seams to a new OS, written down.

Exports. tests/api/symbols.txt is what libaether.so exports, tests/api/symbols-http.txt the same of
libaether-http.so. Each must begin with ae_, and each function the public headers declare must be
there.

--update rewrites the lists of exports and those of src/arch and src/driver. The other folders'
lists are policy: they are edited by hand. Use a release build by gcc; sanitizers import more.
"""
import argparse
import fnmatch
import glob
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LISTS = os.path.join(TOP, 'tools', 'allowed-symbols')
SEAMS = ('arch', 'driver')
HEAD = '# SPDX-License-Identifier: Apache-2.0\n'


def plain(name):
    """The name without what one libc adds to it: versions, C standards, large files."""
    name = re.sub(r'^__isoc\d+_', '', name.split('@')[0])
    return name if name.startswith('ae_') else re.sub(r'64(v2)?$', r'\1', name)


def nm(*args):
    out = subprocess.run(['nm', '--format=posix', *args], check=True, capture_output=True,
                         text=True).stdout
    return {plain(line.split()[0]) for line in out.splitlines() if ' ' in line}


def read_list(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as f:
        return [x for x in (line.split('#')[0].strip() for line in f) if x]


def write_list(path, about, names):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(HEAD + f'# {about}\n' + ''.join(f'{n}\n' for n in sorted(names)))


def imports_by_folder(build):
    """What each folder of src/ takes from outside the library."""
    objects = glob.glob(os.path.join(build, 'src', 'libaether.*.p', '*.o'))
    defined = set().union(*[nm('--defined-only', o) for o in objects]) if objects else set()
    folders = {}
    for o in objects:
        folder = os.path.basename(o).split('_')[0]
        needed = nm('--undefined-only', o) - defined
        folders.setdefault(folder, {}).setdefault(os.path.basename(o), set()).update(needed)
    return folders


def check_imports(folders):
    bad = []
    common = read_list(os.path.join(LISTS, 'common.txt'))
    for folder, objects in sorted(folders.items()):
        allowed = common + read_list(os.path.join(LISTS, folder + '.txt'))
        for name, needed in sorted(objects.items()):
            source = 'src/' + name.replace('_', '/', 1)[:-2]
            bad += [f'{source}: imports {s}, which tools/allowed-symbols/{folder}.txt does not name'
                    for s in sorted(needed) if not any(fnmatch.fnmatch(s, a) for a in allowed)]
    return bad


def update_imports(folders):
    common = read_list(os.path.join(LISTS, 'common.txt'))
    for folder in SEAMS:
        needed = set().union(*folders.get(folder, {}).values()) if folder in folders else set()
        needed = {s for s in needed if not any(fnmatch.fnmatch(s, a) for a in common)}
        write_list(os.path.join(LISTS, folder + '.txt'),
                   f'What src/{folder} takes from the OS. Written by ./dev symbols --update.',
                   needed)


def declared(headers):
    names = set()
    for path in headers:
        with open(path, encoding='utf-8') as f:
            text = re.sub(r'/\*.*?\*/', ' ', f.read(), flags=re.S)
        text = re.sub(r'^\s*#.*(\\\n.*)*', '', text, flags=re.M)
        for proto in re.findall(r'\bAE(?:_HTTP)?_API\b([^;{]*)', text):
            m = re.search(r'\b(ae_\w+)\s*(?:\(|$|\[)', proto.strip())
            if m:
                names.add(m.group(1))
    return names


def libraries(build):
    """(shared library, its list, its headers), for those that were built."""
    http = {os.path.join(TOP, 'include', 'aether', 'http.h')}
    http |= set(glob.glob(os.path.join(TOP, 'include', 'aether', 'http_*.h')))
    http |= set(glob.glob(os.path.join(TOP, 'include', 'aether', 'http', '*.h')))
    every = set(glob.glob(os.path.join(TOP, 'include', 'aether', '*.h')))
    for where, name, headers in (('src/libaether.so', 'symbols', every - http),
                                 ('http/libaether-http.so', 'symbols-http', http)):
        path = os.path.join(build, where)
        if os.path.exists(path):
            yield path, os.path.join(TOP, 'tests', 'api', name + '.txt'), headers


def check_exports(path, list_path, headers):
    lib = os.path.basename(path)
    exported, expected = nm('-D', '--defined-only', path), set(read_list(list_path))
    bad = [f'{lib}: exports {s}, which does not begin with ae_' for s in exported
           if not re.match(r'ae_[a-z]', s)]
    bad += [f'{lib}: exports {s}, which {os.path.relpath(list_path, TOP)} does not name'
            for s in sorted(exported - expected)]
    bad += [f'{lib}: does not export {s}' for s in sorted(expected - exported)]
    bad += [f'{lib}: {s} is declared in a public header but not exported'
            for s in sorted(declared([h for h in headers if os.path.exists(h)]) - exported)]
    return bad


def main():
    parser = argparse.ArgumentParser(description='compare imports and exports with the lists')
    parser.add_argument('build')
    parser.add_argument('--update', action='store_true')
    args = parser.parse_args()
    folders = imports_by_folder(args.build)
    if not folders:
        print(f'symbols: {args.build} holds no built library')
        return 1
    if args.update:
        update_imports(folders)
        for path, list_path, _ in libraries(args.build):
            write_list(list_path, f'What {os.path.basename(path)} exports. Written by '
                                  './dev symbols --update.', nm('-D', '--defined-only', path))
    bad = check_imports(folders)
    for path, list_path, headers in libraries(args.build):
        bad += check_exports(path, list_path, headers)
    for line in bad:
        print(line)
    print(f'symbols: {len(bad)} violations')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
