#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: gcc python3-pip cmake g++ ninja-build
"""The chat's figures, on a real model.

    bench/chat/run.py [--build DIR] [--models FOLDER] [--model NAME] [--rounds N] [--threads N]
                      [--part engine|leave|server|peer]...

engine  tokens a second; the longest gap of a running stream while a 1,500-word prompt arrives; how
        soon a cancelled stream leaves the compute thread
leave   from a client's closing its connection until the compute thread rests
server  latency of /plaintext (open loop, fixed rate) on an idle server, and on the same one while a
        model writes answers without a pause; A/B/A, several rounds
peer    the longest gap by HTTP, of `aether chat` and of llama-server on the same file, if
        llama-server is in the PATH or named by $LLAMA_SERVER

One JSON object per line. What the machine did besides is told by its load average; longest_cpu_ms
is the same gap in CPU time of the process, which others' load changes little. The model is fetched
and llama.cpp built if they are not there (chat/fetch.py)."""
import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
MODEL = 'SmolLM2-135M-Instruct.Q4_1'
WORDS = ['river', 'stone', 'cloud', 'letter', 'engine', 'garden', 'window', 'market', 'winter',
         'signal', 'harbour']


def compile_program(name, build, folder, sources):
    program = folder / name
    subprocess.run(
        ['gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', f'-I{TOP / "include"}', f'-I{TOP / "chat"}',
         '-o', program, *sources, build / 'src' / 'libaether.a', '-lpthread', '-ldl'], check=True)
    return program


def engine_sources():
    names = ['engine.c', 'engine_fake.c', 'engine_loaded.c', 'engine_module.c', 'models.c',
             'sched.c', 'stream.c', 'stream_text.c']
    return [TOP / 'chat' / name for name in names]


def say(row):
    row['load'] = round(os.getloadavg()[0], 1)
    print(json.dumps(row), flush=True)


def engine(args, folder):
    program = compile_program('engine', args.build, folder, [HERE / 'engine.c', *engine_sources()])
    command = [program, 'llama', args.models, args.model, str(args.rounds), str(args.threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            say(json.loads(line))
    if process.returncode != 0:
        sys.exit(process.returncode)


# ---- servers ----

class Server:
    """A program that prints its URL, or is told its port."""

    def __init__(self, command, environment, port=None):
        self.process = subprocess.Popen(command, env={**os.environ, **environment},
                                        stdout=subprocess.DEVNULL if port else subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.address = f'127.0.0.1:{port}' if port else self.read_url()
        self.wait_until_it_answers()

    def read_url(self):
        for line in self.process.stdout:
            found = re.search(r'http://(127\.0\.0\.1:\d+)', line)
            if found:
                return found.group(1)
        raise SystemExit('run.py: the server said no URL')

    def wait_until_it_answers(self):
        for _ in range(600):
            try:
                connection = http.client.HTTPConnection(self.address, timeout=5)
                connection.request('GET', '/health')
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit('run.py: the server does not answer')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


def chat(address, model, text, max_tokens, on_token=None, stop=None):
    """One streamed answer; calls on_token at each piece of text."""
    connection = http.client.HTTPConnection(address, timeout=600)
    body = {'model': model, 'stream': True, 'max_tokens': max_tokens, 'temperature': 1.5,
            'messages': [{'role': 'user', 'content': text}]}
    connection.request('POST', '/v1/chat/completions', json.dumps(body),
                       {'Content-Type': 'application/json'})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f'run.py: {answer.status} {answer.read()[:200]}')
    while line := answer.readline():
        if line.startswith(b'data: {') and b'"content"' in line and on_token:
            on_token()
        if line.startswith(b'data: [DONE]') or (stop and stop.is_set()):
            break
    connection.close()


def words(count, serial):
    return f'Text {serial}. Say what it is about. ' + ' '.join(
        WORDS[(i * 7 + i * i % 13 + serial) % len(WORDS)] for i in range(count))


def server(args, folder):
    client = compile_program('open_loop', args.build, folder, [HERE / 'open_loop.c'])
    data = folder / 'data'
    (data / 'aether').mkdir(parents=True)
    os.symlink(args.models, data / 'aether' / 'models')
    program = args.build / 'cli' / 'aether'
    with Server([program, 'demo', '-l', '127.0.0.1:0'], {'XDG_DATA_HOME': str(data)}) as s:
        for round_ in range(args.rounds):
            for what in ('idle', 'decoding', 'idle again'):
                measure(client, s.address, args, what, round_)


def measure(client, address, args, what, round_):
    stop, tokens = threading.Event(), []

    def write():
        while not stop.is_set():
            chat(address, args.model, words(20, round_ * 100 + len(tokens)), 1500,
                 lambda: tokens.append(1), stop)
    writer = threading.Thread(target=write) if what == 'decoding' else None
    if writer:
        writer.start()
        while len(tokens) < 5:
            time.sleep(0.05)
    before = len(tokens)
    out = subprocess.run([client, address, '/plaintext', str(args.rate), str(args.seconds)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    row = {'bench': 'plaintext', 'while': what, 'rate': args.rate, **json.loads(out)}
    row['tokens_per_s'] = round((len(tokens) - before) / args.seconds, 1)
    stop.set()
    if writer:
        writer.join()
    say(row)


# ---- a client that leaves ----

def compute_thread(pid):
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        if (task / 'comm').read_text().strip() == 'aether-compute':
            return task / 'schedstat'
    raise SystemExit('run.py: no compute thread')


def ran_ns(schedstat):
    return int(schedstat.read_text().split()[0])


def freed_ms(schedstat, quiet_s=0.2):
    """From now until the thread last ran, seen to a millisecond; it has then rested for a while."""
    begin = last = time.monotonic()
    ran = ran_ns(schedstat)
    while time.monotonic() - last < quiet_s:
        time.sleep(0.001)
        now = ran_ns(schedstat)
        if now != ran:
            ran, last = now, time.monotonic()
    return 1000 * (last - begin)


def leave_once(address, model, text, pause_s, tokens):
    """Asks, waits for `tokens` of text and `pause_s`, then closes the connection."""
    body = json.dumps({'model': model, 'stream': True, 'max_tokens': 4000, 'temperature': 1.5,
                       'messages': [{'role': 'user', 'content': text}]})
    host, port = address.split(':')
    with socket.create_connection((host, int(port))) as s:
        s.sendall(f'POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n'
                  f'Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n'
                  f'{body}'.encode())
        seen = b''
        while seen.count(b'"content"') < tokens:
            seen += s.recv(4096)
        time.sleep(pause_s)


def leave(args, _folder):
    program = args.build / 'cli' / 'aether'
    command = [program, 'chat', '--models', args.models, '--store', 'memory', '-l', '127.0.0.1:0']
    with Server(command, {}) as s:
        chat(s.address, args.model, 'Hello', 2)  # the model is loaded
        schedstat = compute_thread(s.process.pid)
        for what, count, tokens in (('answer', 20, 5), ('prompt', 1500, 0)):
            times = []
            for i in range(4 * args.rounds):
                text = words(count, i * 3 + count)
                leave_once(s.address, args.model, text, 0.3 + i % 5 * 0.017, tokens)
                times.append(freed_ms(schedstat))
            say({'bench': f'client leaves, {what}', 'longest_ms': round(max(times), 1),
                 'median_ms': round(sorted(times)[len(times) // 2], 1), 'count': len(times)})


def longest_gap(subject, address, args, serial):
    times, stop = [], threading.Event()
    runs = threading.Thread(target=chat, args=(address, args.model, words(20, serial), 4000,
                                               lambda: times.append(time.monotonic()), stop))
    runs.start()
    while len(times) < 20:
        time.sleep(0.01)
    begin = time.monotonic()
    chat(address, args.model, words(1500, serial + 1), 1)
    end = time.monotonic()
    stop.set()
    runs.join()
    during = [t for t in times if begin - 0.5 <= t <= end]
    gaps = [b - a for a, b in zip(during, during[1:] + [end])]
    say({'bench': 'gap by HTTP', 'subject': subject, 'longest_ms': round(1000 * max(gaps), 1),
         'first_token_of_the_late_s': round(end - begin, 2)})


def peer(args, folder):
    llama_server = os.environ.get('LLAMA_SERVER') or shutil.which('llama-server')
    program = args.build / 'cli' / 'aether'
    ours = [program, 'chat', '--models', args.models, '--store', 'memory', '-l', '127.0.0.1:0']
    theirs = [llama_server, '-m', f'{args.models}/{args.model}.gguf', '--port', '18431', '-np', '4',
              '-c', '32768', '-t', str(args.threads or max(1, (os.cpu_count() or 2) // 2))]
    for round_ in range(args.rounds):
        with Server(ours, {}) as s:
            longest_gap('aether', s.address, args, round_ * 10)
        if not llama_server:
            say({'bench': 'gap by HTTP', 'subject': 'llama-server', 'longest_ms': None,
                 'reason': 'llama-server is not here'})
            continue
        with Server(theirs, {}, 18431) as s:
            longest_gap('llama-server', s.address, args, round_ * 10)


PARTS = {'engine': engine, 'leave': leave, 'server': server, 'peer': peer}


def main():
    parser = argparse.ArgumentParser(description='the figures of the chat')
    data = os.environ.get('XDG_DATA_HOME') or os.path.expanduser('~/.local/share')
    parser.add_argument('--build', type=pathlib.Path, default=TOP / 'build' / 'release')
    parser.add_argument('--models', default=f'{data}/aether/models')
    parser.add_argument('--model', default=MODEL)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=0, help='that compute; 0 = the default')
    parser.add_argument('--rate', type=int, default=1000, help='requests a second of /plaintext')
    parser.add_argument('--seconds', type=float, default=5)
    parser.add_argument('--part', action='append', choices=list(PARTS))
    args = parser.parse_args()
    args.build = args.build.resolve()
    fetch = [sys.executable, TOP / 'chat' / 'fetch.py']
    if args.model == MODEL:
        subprocess.run([*fetch, 'model', args.models], check=True, stdout=subprocess.DEVNULL)
    if 'AETHER_LLAMA_MODULE' not in os.environ:
        subprocess.run([*fetch, 'engine'], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix='aether-bench-') as folder:
        for part in args.part or PARTS:
            PARTS[part](args, pathlib.Path(folder))


if __name__ == '__main__':
    main()
