#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: binutils
"""`aether doctor --profile PID`: right on a program that does I/O, on one that computes and on one
that sleeps, with samples and without, with symbols and without; what it cannot do is said."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from program import AETHER, BUILD, PATIENCE_S, Server, case, expect, expect_in, run_cases
from program import wait_until

TOP = pathlib.Path(tempfile.mkdtemp(prefix="aether-profile-"))
ENV = {"XDG_RUNTIME_DIR": str(TOP), "AE_DEBUG_SOCKET": "on", "AE_WORKERS": "1"}
CONNECTIONS = 8
# A sanitizer computes at each access to memory and has the kernel map pages at each allocation, so
# that what was to do I/O computes, and what was to compute is in the kernel.
SANITIZED = re.search(b"__[at]san_init", pathlib.Path(AETHER).read_bytes()) is not None
CPU_S = 0.4  # what a busy server is judged by
CLOCKS_CPU_S = 1.2  # the same by the kernel's clocks, which tick seldom, and for sleepers seldomer
SECONDS_MAX = 16  # to wait for it, on a machine with other work


def start(**env):
    one = Server("demo", "-l", "127.0.0.1:0", "-w", "1", env={**ENV, **env})
    wait_until((TOP / "aether" / f"{one.process.pid}.sock").exists, "there is a socket")
    return one


class Load:
    """Requests to a server without a pause, on some connections, from a thread."""

    def __init__(self, to, target, count=CONNECTIONS):
        self.request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.connections = [to.connect() for _ in range(count)]
        self.stopping = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping:
            for one in self.connections:
                one.sendall(self.request)
            for one in self.connections:
                answer = one.recv(1 << 16)
                expect(answer[:13], b"HTTP/1.1 200 ", "the load's answer")

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for one in self.connections:
            one.close()


# Runs a command for which perf_event_open fails, as in most containers.
WITHOUT_SAMPLES = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("=HBBI", *line) for line in (
    (0x20, 0, 0, 0),                           # the number of the call
    (0x15, 0, 1, {"x86_64": 298}.get(os.uname().machine, 241)),
    (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000)))  # EPERM; or let it pass
text = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(text)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
assert prctl(38, 1, 0, 0, 0) == 0              # PR_SET_NO_NEW_PRIVS
assert prctl(22, 2, ctypes.addressof(program), 0, 0) == 0  # PR_SET_SECCOMP
os.execv(sys.argv[1], sys.argv[1:])
"""


def doctor(*arguments, wrapper=(), **options):
    return subprocess.run([*wrapper, AETHER, "doctor", *arguments], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S + SECONDS_MAX,
                          env={**os.environ, **ENV}, **options)


def profile(of, *options, seconds=1, wrapper=()):
    """(text, shares)"""
    done = doctor("--profile", str(of.process.pid), "--seconds", str(seconds), *options,
                  wrapper=wrapper)
    expect((done.returncode, done.stderr), (0, ""))
    shares = {name: float(value)
              for name, value in re.findall(r"^  (\w+) +([\d.]+) %", done.stdout, re.M)}
    expect(shares.keys() | {"scheduler"}, {"user", "scheduler", "driver", "idle"}, done.stdout)
    expect(abs(sum(shares.values()) - 100) < 0.5, True, f"the sum of {shares}")
    return done.stdout, shares


def busy_profile(of, *options, clocks=False, **more):
    """The same, of as long as it takes until it ran for long enough; without shares if that does
    not come, since other work has the machine."""
    seconds, enough = 1, CLOCKS_CPU_S if clocks or "--no-samples" in options else CPU_S
    while True:
        text, shares = profile(of, *options, seconds=seconds, **more)
        if seconds * (100 - shares["idle"]) / 100 > enough:
            return text, shares
        if seconds >= SECONDS_MAX:
            expect(shares["idle"] < 100, True, text)
            print("note: not judged: the server got too little of the CPU")
            return text, None
        seconds *= 2


def judge(expectation, of, *options, **more):
    """What is seen in a while is a sample: one of three looks is to be as expected."""
    for look in range(3):
        text, shares = busy_profile(of, *options, **more)
        if SANITIZED or not shares:
            return text, shares
        try:
            expectation(text, shares)
            return text, shares
        except AssertionError as error:
            if look == 2:
                raise
            print(f"note: looked once more: {error}")


def expect_input_and_output(text, shares):
    if "scheduler" in shares:
        expect(shares["driver"] > shares["user"], True, text)
    expect_in("% of the busy time is I/O", text)
    expect("would not help" in text, False, text)


def expect_saving_calls(text, shares):
    expect_input_and_output(text, shares)
    if "driver epoll" not in text:
        expect_in("is used already", text)
        return
    found = re.search(r"\d\d+ a second\nare [\d.]+ % of the busy time", text)
    expect(found is not None, True, text)
    expect_in("AE_DRIVER=uring", text)


def expect_computing(text, shares):
    expect(shares["user"] > 4 * shares["driver"], True, text)
    expect_in("io_uring would not help: ", text)
    expect_in("is not I/O", text)


if SANITIZED:
    print("note: under a sanitizer what is said of the shares is not compared")
server = start()


@case
def a_program_that_sleeps_needs_no_other_driver():
    for options in ([], ["--no-samples"]):
        text, shares = profile(server, *options)
        expect(shares["idle"] > 90, True, text)
        expect_in("io_uring would not help: the workers are idle", text)


@case
def requests_without_work_are_input_and_output():
    with Load(server, "/ping"):
        for options in ([], ["--no-samples"]):
            judge(expect_saving_calls, server, *options)


@case
def hashes_on_the_worker_are_not():
    with Load(server, "/hash?inline=1", 1):
        for options in ([], ["--no-samples"]):
            judge(expect_computing, server, *options)


@case
def where_samples_are_refused_the_clocks_tell():
    refused = [sys.executable, "-c", WITHOUT_SAMPLES]
    with start() as young:  # the kernel smooths its clocks over a thread's whole life
        with Load(young, "/ping"):
            text, shares = judge(expect_input_and_output, young, wrapper=refused, clocks=True)
            expect_in("Samples are refused here", text)
            expect("scheduler" in (shares or {}), False, text)
        with Load(young, "/hash?inline=1", 1):
            judge(expect_computing, young, wrapper=refused, clocks=True)
        young.end()


@case
def symbols_are_not_needed():
    folder = TOP / "stripped"
    folder.mkdir()
    name = "libaether.so.0"
    shutil.copy(BUILD / "src" / name, folder / name)
    subprocess.run(["strip", folder / name], check=True, timeout=PATIENCE_S)
    with start(LD_LIBRARY_PATH=str(folder)) as stripped:
        maps = pathlib.Path(f"/proc/{stripped.process.pid}/maps").read_text()
        expect_in(str(folder / name), maps)
        with Load(stripped, "/ping"):
            judge(expect_input_and_output, stripped)
        with Load(stripped, "/hash?inline=1", 1):
            judge(expect_computing, stripped)
        stripped.end()


def begin(of):
    """A long look at a server, under way."""
    process = subprocess.Popen([AETHER, "doctor", "-p", str(of.process.pid), "-s", "600"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, **ENV})

    def takes_ctrl_c():
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.M)[1], 16)
        return caught >> (signal.SIGINT - 1) & 1

    wait_until(takes_ctrl_c, "it has begun")
    return process


@case
def ctrl_c_ends_it_early_with_what_was_seen():
    process = begin(server)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    expect((process.returncode, err), (0, ""))
    expect_in("idle", out)


@case
def a_program_that_ends_meanwhile_is_said():
    with start() as other:
        process = begin(other)
        other.end()
        _, err = process.communicate(timeout=PATIENCE_S)
        expect(process.returncode, 1)
        expect_in("has ended", err)


@case
def what_cannot_be_watched_is_said():
    pid = str(server.process.pid)
    for arguments in (["-p", "x"], ["-p"], ["-p", "0"], ["-p", pid, "-s", "0"], ["-s", "1"],
                      ["-p", pid, "-s", "601"], ["--no-samples"], ["-p", pid, "more"], ["-x"]):
        expect(doctor(*arguments).returncode, 2, str(arguments))
    for which, why in ((os.getpid(), "has no runtime"), (999999999, "there is no process")):
        done = doctor("-p", str(which))
        expect((done.returncode, done.stdout), (1, ""))
        expect_in(why, done.stderr)


@case
def another_users_process_may_not_be_watched():
    if os.geteuid() != 0:
        done = doctor("-p", "1")
    else:
        try:
            done = doctor("-p", str(server.process.pid), user=65534, group=65534, extra_groups=[])
        except PermissionError:
            print("note: not tested: the build is in a folder that others may not look into")
            return
    expect((done.returncode, done.stdout), (1, ""))
    expect_in("may not be looked at", done.stderr)


try:
    with server:
        run_cases()
finally:
    shutil.rmtree(TOP, ignore_errors=True)
