#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`aether demo` from the outside: its routes, its events, hashes both ways, ports, the end."""
import json
import os
import signal
import socket
import subprocess
import time

from program import (AETHER, PATIENCE_S, WORKERS, Server, ask, case, expect, expect_in, free_port,
                     read_all, run_cases)

FIGURES = {"version", "driver", "t", "up", "workers", "parked", "live", "spawned", "slices",
           "steals", "stolen", "polls", "events", "syscalls", "stacks", "cached", "threads", "idle",
           "queued", "jobs", "connections", "requests", "p50", "p99"}

HAS_CHAT = "\n  chat " in subprocess.run([AETHER, "help"], capture_output=True, text=True).stdout
if not HAS_CHAT:
    print("note: this build has no chat: the live page is at /")

server = Server("demo", "-l", "127.0.0.1:0", "-w", "2")


class Events:
    """A visitor's event stream."""

    def __init__(self, to):
        self.connection = to.connect()
        self.connection.sendall(b"GET /-/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.lines = self.connection.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = self.lines.readline()
            if not line:
                raise AssertionError(f"the connection ended in {self.head!r}")
            self.head += line
        expect_in(b" 200 ", self.head)

    def next(self):
        while True:
            line = self.lines.readline()
            if line == b"":
                raise AssertionError("the stream ended")
            if line.startswith(b"data:"):
                return json.loads(line[5:])

    def close(self):
        self.lines.close()
        self.connection.close()


@case
def the_page_is_complete_and_lets_nothing_else_run():
    a = ask(server, "/-/")
    expect(a.status, 200)
    expect(a.headers["content-type"], "text/html; charset=utf-8")
    policy = a.headers["content-security-policy"]
    expect_in("default-src 'none'", policy)
    expect_in("script-src 'sha256-", policy)
    expect("unsafe" in policy, False)
    expect(b"http://" in a.body.replace(b"http://www.w3.org/", b"").replace(
        b"http://127.0.0.1:8080/plaintext", b""), False, "no address of another host")
    expect_in(b"</html>", a.body)


@case
def the_chat_is_at_the_root_with_its_sample():
    a = ask(server, "/")
    expect(a.status, 200)
    expect(a.headers["content-type"], "text/html; charset=utf-8")
    if not HAS_CHAT:
        expect(a.body, ask(server, "/-/").body)
        return
    expect_in("default-src 'none'", a.headers["content-security-policy"])
    expect_in(b"AetherAI", a.body)
    listed = json.loads(ask(server, "/api/conversations").body)["conversations"]
    expect([(c["title"], c["messages"], c["tokens"]) for c in listed],
           [("Rust async/await deep dive", 24, 8412)])


@case
def other_sites_are_kept_out_of_all_of_it():
    for target in ("/", "/-/", "/plaintext", "/api/conversations") if HAS_CHAT else ():
        expect(ask(server, target, Host="evil.example").status, 400, "two Hosts")
        expect(ask(server, target, Origin="http://evil.example").status, 403, target)


@case
def plaintext_and_json_answer():
    expect(ask(server, "/plaintext").body, b"Hello, World!")
    expect(json.loads(ask(server, "/json").body), {"message": "Hello, World!"})
    a = ask(server, "/ping")
    expect((a.status, a.headers["cache-control"]), (200, "no-store"))
    expect(ask(server, "/none").status, 404)
    expect(ask(server, "/ping", method="HEAD").status, 200)


@case
def files_shows_the_docs():
    with Server("demo", "-l", "127.0.0.1:0", "--files", "tests/e2e") as one:
        expect_in(b"demo.py", ask(one, "/files/").body)
        expect_in(b"SPDX", ask(one, "/files/demo.py").body)
        expect(ask(one, "/files/../dev").status in (400, 404), True)
        expect(ask(one, "/files").status in (301, 307, 308, 404), True)


@case
def hashes_are_made_on_the_pool_and_inline():
    for target, inline in (("/hash", False), ("/hash?inline=1", True), ("/hash?n=3", False),
                           ("/hash?n=3&inline=1", True)):
        answer = json.loads(ask(server, target).body)
        expect(answer["inline"], inline, target)
        expect(answer["hashes"], 3 if "n=3" in target else 1, target)
        expect_in("$argon2id$v=19$m=19456,t=2,p=1$", answer["hash"])
    for wrong in ("/hash?n=0", "/hash?n=x", "/hash?n=99999", "/hash?n="):
        expect(ask(server, wrong).status, 400, wrong)


@case
def pool_hashes_use_the_pool_and_inline_ones_do_not():
    def jobs():
        events = Events(server)  # a stream that is open already may hold older figures
        events.next()
        count = events.next()["jobs"]
        events.close()
        return count

    before = jobs()
    ask(server, "/hash?n=4&inline=1")
    middle = jobs()
    ask(server, "/hash?n=4")
    after = jobs()
    expect((middle - before, after - middle), (0, 4))


@case
def events_come_four_times_a_second_with_all_figures():
    events = Events(server)
    expect_in(b"text/event-stream", events.head)
    first = events.next()
    start = time.monotonic()
    figures = [events.next() for _ in range(8)]
    seconds = time.monotonic() - start
    events.close()
    expect(set(first), FIGURES)
    expect(first["workers"], WORKERS)
    expect(first["driver"], os.environ.get("AE_DRIVER") or "epoll")
    expect(1.5 < seconds < 6, True, f"{seconds} s for eight")
    for key in ("requests", "spawned", "syscalls", "t"):
        values = [f[key] for f in figures]
        expect(values, sorted(values), key)


@case
def latency_is_measured():
    events = Events(server)
    for _ in range(50):
        ask(server, "/plaintext")
    events.next()
    figures = events.next()
    events.close()
    expect(0 < figures["p50"] <= figures["p99"], True, str(figures))


@case
def a_burst_on_the_pool_leaves_the_workers_free():
    with server.connect() as burst:
        burst.sendall(b"GET /hash?n=24 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answered = 0
        burst.setblocking(False)
        while True:
            ask(server, "/ping")
            try:
                if burst.recv(1 << 16):
                    break
            except BlockingIOError:
                answered += 1
    expect(answered >= 5, True, f"{answered} pings while it hashed")


@case
def a_visitor_that_leaves_frees_his_stream():
    watching = Events(server)
    for _ in range(70):  # more than may watch at once
        one = Events(server)
        one.next()
        one.close()
        watching.next()
    watching.close()


@case
def a_taken_port_makes_it_use_the_next():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with Server("demo", "-l", f"127.0.0.1:{port}") as one:
            expect(one.port > port, True)
            expect(ask(one, "/ping").status, 200)
            with Server("demo", "-l", f"127.0.0.1:{port}") as two:
                expect(two.port > one.port, True)
                expect(ask(two, "/ping").status, 200)
                expect_in("is taken", two.end()[2])
            expect(one.end()[0], 0)


@case
def it_stays_on_this_machine():
    for address in (":8080", "0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"):
        done = subprocess.run([AETHER, "demo", "-l", address], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        expect(done.returncode, 2, address)
        expect_in("this machine only", done.stderr)


@case
def a_signal_drains_and_ends_with_status_0():
    for sig in (signal.SIGTERM, signal.SIGINT):
        with Server("demo", "-l", "127.0.0.1:0", "-w", "2") as one:
            with one.connect() as hashing:
                hashing.sendall(b"GET /hash?n=8 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(0.1)
                one.process.send_signal(sig)
                answer = read_all(hashing)
            expect_in(b'"hashes":8', answer)
            expect(one.process.wait(PATIENCE_S), 0)


@case
def an_open_page_does_not_hold_the_end():
    with Server("demo", "-l", "127.0.0.1:0") as one:
        events = Events(one)
        events.next()
        start = time.monotonic()
        one.process.send_signal(signal.SIGINT)
        while events.lines.readline():
            pass
        expect(one.process.wait(PATIENCE_S), 0)
        expect(time.monotonic() - start < 5, True, "it waits for no timeout")
        events.close()


@case
def the_server_of_these_cases_ends_without_a_word():
    expect(server.end(), (0, "", ""))  # a sanitizer would have said something


with server:
    run_cases()
