#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: binutils
"""`aether top`, `dump` and `trace` at a running server: found by its process id, by its socket, or
as the only one; what they show is true; what is missing is said."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from program import AETHER, BUILD, PATIENCE_S, WORKERS, Server, ask, case, expect, expect_in
from program import run_cases, wait_until

TOP = pathlib.Path(tempfile.mkdtemp(prefix="aether-top-"))
ENV = {"XDG_RUNTIME_DIR": str(TOP), "AE_DEBUG_SOCKET": "on"}


def start(workers):
    """A server whose socket is there: it comes a little later than the URL."""
    one = Server("demo", "-l", "127.0.0.1:0", "-w", str(workers), env=ENV)
    path = TOP / "aether" / f"{one.process.pid}.sock"
    wait_until(path.exists, "there is a socket")
    return one


server = start(2)
PID = str(server.process.pid)
SOCKET = TOP / "aether" / (PID + ".sock")


def run(*arguments, status=0, env=None):
    done = subprocess.run([AETHER, *arguments], capture_output=True, text=True,
                          timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
                          env={**os.environ, **ENV, **(env or {})})
    expect(done.returncode, status, done.stderr)
    return done.stderr if status else done.stdout


def symbolized(text):
    return subprocess.run([AETHER, "symbolize"], input=text, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=True).stdout


@case
def the_socket_is_private():
    expect(oct(SOCKET.stat().st_mode & 0o777), oct(0o600))
    expect(oct(SOCKET.parent.stat().st_mode & 0o777), oct(0o700))


@case
def top_shows_workers_tasks_and_sites_once():
    for _ in range(20):
        ask(server, "/plaintext")
    for target in ([], [PID], [str(SOCKET)]):
        out = run("top", "--once", "-i", "0.1", *target)
        expect_in(f"process {PID}", out)
        workers = re.findall(r"^ +\d+  [█░]{24} +\d+ %", out, re.M)
        expect(len(workers), WORKERS, out)
        for words in ("live", "slices", "queues", "waits", "accept", "spawned at"):
            expect_in(words, out)
        expect_in("accept_loop serve.c:", out)
        expect("\x1b" in out, False, "no escape sequences where no terminal is")


@case
def top_sees_what_happens_meanwhile():
    shown = subprocess.Popen([AETHER, "top", "--once", "-i", "2", PID], stdout=subprocess.PIPE,
                             text=True, env={**os.environ, **ENV})
    while shown.poll() is None:
        ask(server, "/plaintext")
    out = shown.stdout.read()
    shown.stdout.close()
    slices = re.search(r"spawned/s +([\d.]+)( [kMGT])? slices/s", out)
    expect(slices is not None and float(slices[1]) > 0, True, out)
    expect("(0 sampled)" in out, False, out)


@case
def a_dump_names_the_tasks_of_the_server():
    out = symbolized(run("dump", PID))
    expect_in(f"aether dump of process {PID}", out)
    expect(re.search(r"waits for accept .*\n    function accept_loop \S*serve\.c:\d+", out)
           is not None, True, out)
    expect(re.search(r"#\d+ ae_http_serve|ae_http_serve ", out) is not None, True, out)
    expect(re.search(r"^end of dump: \d+ tasks", out, re.M) is not None, True, out)


@case
def a_trace_is_json_with_a_track_for_each_worker():
    for _ in range(20):
        ask(server, "/plaintext")
    path = TOP / "trace.json"
    run("trace", PID, "-o", str(path))
    trace = json.loads(path.read_text())["traceEvents"]
    names = [e["args"]["name"] for e in trace if e["ph"] == "M"]
    expect([n for n in names if n.startswith("worker")], [f"worker {i}" for i in range(WORKERS)])
    kinds = {e.get("cat") for e in trace}
    expect({"slice", "asleep"} <= kinds, True, str(kinds))
    for event in trace:
        if event["ph"] == "X":
            expect(event["dur"] >= 0 and event["ts"] >= 0, True, str(event))
    named = json.loads(symbolized(path.read_text()))["traceEvents"]
    expect(any(e["name"].startswith("accept_loop ") for e in named), True, "functions by name")
    for track in range(1, WORKERS + 1):  # a worker does one thing at a time
        spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in trace
                       if e["ph"] == "X" and e["tid"] == track)
        for (_, end), (begin, _) in zip(spans, spans[1:]):
            expect(begin >= end - 0.01, True, f"{begin} is before {end}")


@case
def ctrl_c_ends_a_live_top_cleanly():
    parent, child = pty.openpty()
    top = subprocess.Popen([AETHER, "top", "-i", "0.1", PID], stdin=child, stdout=child,
                           stderr=child, close_fds=True, env={**os.environ, **ENV})
    os.close(child)
    seen = b""
    deadline = time.monotonic() + PATIENCE_S
    while seen.count(b"aether top") < 3 and time.monotonic() < deadline:
        if select.select([parent], [], [], 0.2)[0]:
            seen += os.read(parent, 1 << 16)
    top.send_signal(signal.SIGINT)
    while True:
        try:
            more = os.read(parent, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        seen += more
    expect(top.wait(PATIENCE_S), 0)
    os.close(parent)
    expect_in(b"\x1b[?1049h", seen)
    expect(seen.endswith(b"\x1b[?25h\x1b[?1049l"), True, repr(seen[-40:]))


@case
def the_program_that_ends_is_said():
    with start(1) as other:
        parent, child = pty.openpty()
        top = subprocess.Popen([AETHER, "top", "-i", "0.1", str(other.process.pid)], stdin=child,
                               stdout=child, stderr=subprocess.PIPE, close_fds=True,
                               env={**os.environ, **ENV})
        os.close(child)
        os.read(parent, 1 << 16)
        other.end()
        deadline = time.monotonic() + PATIENCE_S
        while top.poll() is None and time.monotonic() < deadline:
            if select.select([parent], [], [], 0.1)[0]:
                try:
                    os.read(parent, 1 << 16)
                except OSError:
                    break
        expect(top.wait(PATIENCE_S), 0)
        expect_in(b"has ended", top.stderr.read())
        top.stderr.close()
        os.close(parent)


@case
def several_programs_have_to_be_told_apart():
    with start(1) as other:
        said = run("top", "--once", status=2)
        expect_in(PID, said)
        expect_in(str(other.process.pid), said)
        other.end()


@case
def what_is_not_there_is_said():
    nowhere = {"XDG_RUNTIME_DIR": str(TOP / "empty")}
    for command in ("top", "dump", "trace"):
        expect_in("nothing runs here", run(command, status=1, env=nowhere))
        expect_in("there is no process", run(command, "999999999", status=1))
        expect_in("no control socket", run(command, str(os.getpid()), status=1))
        expect_in("cannot connect", run(command, "/nowhere/at/all", status=1))
        expect_in("--help", run(command, "--nonsense", status=2))
        expect_in("only one program", run(command, "1", "2", status=2))
    expect_in("0.1 to 60", run("top", "-i", "0", status=2))


@case
def probes_are_in_the_library():
    notes = subprocess.run(["readelf", "-n", str(BUILD / "src" / "libaether.so")], check=True,
                           capture_output=True, text=True, timeout=PATIENCE_S).stdout
    for name in ("spawn", "resume", "park", "unpark", "steal"):
        expect(re.search(rf"Provider: aether\s+Name: {name}\s", notes) is not None, True, name)


@case
def sigquit_writes_a_dump_and_the_server_goes_on():
    with Server("serve", str(TOP), "-l", "127.0.0.1:0", "-w", "2") as other:
        expect(ask(other, "/").status, 200)
        other.process.send_signal(signal.SIGQUIT)
        dump = ""
        while "end of dump: " not in dump:
            expect(select.select([other.process.stderr], [], [], PATIENCE_S)[0] != [], True, dump)
            dump += os.read(other.process.stderr.fileno(), 1 << 16).decode()
        expect_in(f"aether dump of process {other.process.pid}", dump)
        expect_in("waits for accept", dump)
        expect(ask(other, "/").status, 200)
        status, _, _ = other.end()
        expect(status, 0)


@case
def top_names_who_keeps_a_worker():
    stalls = TOP / "stalls"
    with Server("demo", "-l", "127.0.0.1:0", "-w", "2", env={
            **ENV, "AE_DEBUG_SOCKET": str(stalls), "AE_STALL": "auto"}) as other:
        wait_until(stalls.exists, "there is a socket")
        out = ""
        deadline = time.monotonic() + PATIENCE_S
        while "tasks that kept their worker" not in out and time.monotonic() < deadline:
            ask(other, "/hash?inline=1")
            out = run("top", "--once", "-i", "0.1", str(stalls))
        expect_in("tasks that kept their worker", out)
        other.end()


@case
def nothing_is_left_behind():
    expect(server.end(), (0, "", ""))
    wait_until(lambda: not SOCKET.exists(), "the socket is gone")
    expect(SOCKET.parent.exists(), False)


try:
    with server:
        run_cases()
finally:
    shutil.rmtree(TOP, ignore_errors=True)
