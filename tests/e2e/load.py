#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: wrk
"""The server under load, from the outside: throughput without an error, an end under load that
loses nothing, a crowd that never completes a request. The rounds are short; AE_LOAD=full takes the
lengths that releases are measured with. Prints the figures it saw."""
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from program import (BUILD, PATIENCE_S, SCALE, Server, ask, case, expect, run_cases,
                     wait_until)

FULL = os.environ.get("AE_LOAD") == "full"
HERE = pathlib.Path(__file__).resolve().parent
HOLDERS = ("flood", "bloat", "trickle", "deaf")  # they end when told to
CLIENT = [sys.executable, str(HERE / "load_client.py")]
FILES = pathlib.Path(tempfile.mkdtemp(prefix="aether-load-"))

def sanitized(names=(b"__asan_init", b"__tsan_init")):
    program = (BUILD / "cli" / "aether").read_bytes()
    return any(name in program for name in names)


# TSan makes everything twenty times slower: there the crowd is a tenth, and the first line says so.
THIN = 10 if sanitized([b"__tsan_init"]) else 1
DESCRIPTORS_WANTED = 20000  # of the server: its connection limit is 80 % of this
CROWD_WANTED = 24000
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
DESCRIPTORS = min(DESCRIPTORS_WANTED, HARD) // THIN
CROWD = min(CROWD_WANTED // THIN, DESCRIPTORS * 6 // 5, 2 * (HARD - 100))
WRK_S, CROWD_S, ROUNDS = (10, 15, 6) if FULL else (3, 4, 2)
BACK_S = 30 * SCALE
MEMORY_SLACK_KIB = 16 * 1024  # control blocks stay, ready for the next crowd
RSS = re.compile(r"VmRSS:\s+(\d+)")

resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, HARD))
print(f"{'full' if FULL else 'short'} rounds; {DESCRIPTORS} descriptors for the server "
      f"({DESCRIPTORS_WANTED} wanted), a crowd of {CROWD} ({CROWD_WANTED} wanted)", flush=True)


def demo():
    return Server("demo", "-l", "127.0.0.1:0", "--files", str(FILES))


class Client:
    """A process of load_client.py, up to its `ready`."""

    number = 1

    def __init__(self, role, server, count):
        Client.number = Client.number % 200 + 1
        self.role = role
        self.process = subprocess.Popen(
            [*CLIENT, role, str(server.port), f"127.0.1.{Client.number}", str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ready(self):
        expect(self.line(), "ready\n", self.role)

    def line(self):
        if not select.select([self.process.stdout], [], [], PATIENCE_S)[0]:
            raise AssertionError(f"the client {self.role} is silent")
        return self.process.stdout.readline()

    def figures(self):
        """What it did, once it has ended; those that hold connections are told to."""
        if self.role in HOLDERS:
            self.process.stdin.close()
        figures = json.loads(self.line())
        self.process.wait(PATIENCE_S)
        if "failed" in figures:
            raise AssertionError(f"the client {self.role}: {figures['failed']}")
        return figures

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def end_all(clients):
    for client in clients:
        client.__exit__()


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def memory_kib(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(RSS.search(status).group(1))


def wait_until_back(server, before, memory, peak=None):
    """Descriptors to where they were, memory to near it: malloc's arenas may keep an eighth of the
    peak between blocks that live on. Sanitizers keep freed memory on purpose, more than the peak
    that was seen here: there only descriptors count."""
    deadline = time.monotonic() + BACK_S
    most = MEMORY_SLACK_KIB + memory + (peak or 0) // 8
    if sanitized():
        most = 1 << 40
    began = time.monotonic()
    while descriptors(server) > before or memory_kib(server) > most:
        if time.monotonic() > deadline:
            raise AssertionError(f"{descriptors(server)} descriptors (before: {before}), "
                                 f"{memory_kib(server)} KiB (before: {memory}, most: {most})")
        time.sleep(0.1)
    print(f"  back after {time.monotonic() - began:.1f} s: {descriptors(server)} descriptors, "
          f"{memory_kib(server) / 1024:.0f} MiB (before: {memory / 1024:.0f})", flush=True)


# ---- throughput ----

def wrk(server, connections):
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", str(connections), "-d", f"{WRK_S}s", "--timeout",
         f"{int(2 * max(SCALE, 1))}s", f"http://127.0.0.1:{server.port}/plaintext"],
        capture_output=True, text=True, timeout=WRK_S + PATIENCE_S)
    expect((done.returncode, done.stderr), (0, ""), f"wrk at {connections}")
    for line in ("Socket errors", "Non-2xx"):
        expect(line in done.stdout, False, f"wrk at {connections}: {done.stdout}")
    requests, per_s = (re.search(p, done.stdout).group(1) for p in
                       (r"(\d+) requests in", r"Requests/sec:\s+([\d.]+)"))
    expect(int(requests) >= connections, True, f"wrk at {connections}: {done.stdout}")
    print(f"  wrk at {connections}: {requests} requests, {float(per_s):.0f}/s, no error",
          flush=True)


@case
def wrk_sees_no_error():
    with demo() as server:
        ask(server, "/plaintext")
        before, memory = descriptors(server), memory_kib(server)
        for connections in (64, 512, min(4000, DESCRIPTORS * 3 // 4)):
            wrk(server, connections)
        wait_until_back(server, before, memory)
        expect(server.end(), (0, "", ""))


# ---- the end under load ----

def end_under_load(*roles):
    with demo() as server:
        clients = [Client(role, server, count) for role, count in roles]
        try:
            for client in clients:
                client.ready()
            time.sleep(0.3)
            began = time.monotonic()
            end = server.end()
            took = time.monotonic() - began
            figures = [client.figures() for client in clients]
        finally:
            end_all(clients)
    for client, f in zip(clients, figures):
        print(f"  {client.role}: {f.get('answers', 0)} answers, {f.get('lost', 0)} lost, "
              f"{f.get('told', 0)} told to close; ended in {took:.2f} s", flush=True)
        expect(f.get("lost", 0), 0, f"{client.role}: {f}")
        expect(f.get("answers", 0) > dict(roles)[client.role], True, f"{f}")
        expect(f.get("untold", 0), 0, f"{client.role}: not told to close: {f}")
    expect(end, (0, "", ""))


@case
def an_end_under_load_loses_no_request():
    for _ in range(ROUNDS):
        end_under_load(("talk", 64))
    end_under_load(("talk", 512))


@case
def an_end_answers_whole_pipelines():
    for _ in range(ROUNDS):
        end_under_load(("pipeline", 32))


@case
def an_end_answers_who_has_got_a_connection():
    for _ in range(ROUNDS):
        end_under_load(("visit", 32), ("talk", 16))


@case
def a_second_signal_ends_it_at_once():
    with demo() as server, Client("deaf", server, 4) as client:
        client.ready()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        expect(server.process.poll(), None, "it waits for those who have asked")
        began = time.monotonic()
        status, _, _ = server.end()
        expect(status, -signal.SIGTERM)
        expect(time.monotonic() - began < 1 * SCALE, True, "at once")
        client.figures()


# ---- the crowd ----

def good_client(server, seconds):
    """New connections, one after the other, each with a whole answer. (how many, the slowest)"""
    count, slowest, until = 0, 0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        answer = ask(server, "/plaintext")
        expect((answer.status, answer.body), (200, b"Hello, World!"))
        count, slowest = count + 1, max(slowest, time.monotonic() - began)
        time.sleep(0.005)
    return count, slowest


@case
def a_crowd_keeps_nobody_out():
    with demo() as server:
        for _ in range(20):
            ask(server, "/plaintext")
        before, memory = descriptors(server), memory_kib(server)
        roles = [("deaf", 100), ("trickle", 100), ("flood", CROWD // 2), ("flood", CROWD // 2)]
        clients = [Client(role, server, count) for role, count in roles]
        try:
            began = time.monotonic()
            arriving, slow_arriving = good_client(server, 0.5)
            for client in clients:
                client.ready()
            arrived = time.monotonic() - began
            count, slowest = good_client(server, CROWD_S)
            most, peak = descriptors(server), memory_kib(server)
            figures = [client.figures() for client in clients]
        finally:
            end_all(clients)
        print(f"  the crowd arrived in {arrived:.1f} s; the good client's {arriving + count} "
              f"connections succeeded, the slowest in {max(slowest, slow_arriving) * 1000:.0f} ms\n"
              f"  then: {most} descriptors, {peak / 1024:.0f} MiB", flush=True)
        for (role, _), f in zip(roles, figures):
            print(f"  {role}: {f['opened']} opened, {f['closed']} closed", flush=True)
            expect(f["refused"], 0, role)
        expect(most >= min(CROWD, DESCRIPTORS * 3 // 4), True, f"it holds its limit: {most}")
        expect(sum(f["opened"] for f in figures) >= CROWD, True, "all came")
        wait_until_back(server, before, memory, peak)
        expect(server.end(), (0, "", ""))


@case
def thousands_who_never_read_keep_nobody_out():
    """Each has asked for a large file and holds a task with a stack, in the midst of its answer."""
    count = min((8000 if FULL else 2000) // THIN, DESCRIPTORS * 3 // 5)
    with demo() as server:
        ask(server, "/plaintext")
        before, memory = descriptors(server), memory_kib(server)
        clients = [Client("deaf", server, count // 2) for _ in range(2)]
        try:
            for client in clients:
                client.ready()
            # a socket and the file each
            wait_until(lambda: descriptors(server) >= 4 * (count // 2), "all are answered")
            peak = memory_kib(server)
            good, slowest = good_client(server, CROWD_S / 2)
            figures = [client.figures() for client in clients]
        finally:
            end_all(clients)
        print(f"  {count} who never read: {peak / 1024:.0f} MiB; the good client's {good} "
              f"connections succeeded, the slowest in {slowest * 1000:.0f} ms", flush=True)
        for f in figures:
            expect((f["opened"], f["closed"], f["refused"]), (count // 2, 0, 0), "deaf")
        # A sanitizer's shadow is no client's memory.
        expect(sanitized() or peak - memory < count * 64, True,
               f"at most 64 KiB each: {peak} - {memory}")
        wait_until_back(server, before, memory, peak)
        expect(server.end(), (0, "", ""))


@case
def the_memory_of_a_crowd_is_given_back():
    count = min(12000, DESCRIPTORS * 3 // 5)
    with demo() as server:
        ask(server, "/plaintext")
        before, memory = descriptors(server), memory_kib(server)
        clients = [Client("bloat", server, count // 2) for _ in range(2)]
        try:
            for client in clients:
                client.ready()
            wait_until(lambda: memory_kib(server) > count * 20, "their heads arrive")
            peak = memory_kib(server)
            good_client(server, 1)
            for client in clients:
                client.figures()
        finally:
            end_all(clients)
        print(f"  {count} heads of 30 KB: {peak / 1024:.0f} MiB", flush=True)
        wait_until_back(server, before, memory, peak)
        expect(server.end(), (0, "", ""))


try:
    with open(FILES / "large.bin", "wb") as large:
        large.truncate(64 << 20)
    run_cases()
finally:
    shutil.rmtree(FILES, ignore_errors=True)
