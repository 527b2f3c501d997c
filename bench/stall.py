# SPDX-License-Identifier: Apache-2.0
"""The stall benchmark: what the requests of a server wait while some of its tasks compute for
200 ms at a time without yielding. What `bench/run.py stall` measures.

64 connections ask /plaintext 5,000 times a second by the clock, whatever became of the requests
before (open loop); a latency counts from when its request was due. The row `stall-os` is the
floor: the same loops as plain threads beside a server that nothing holds up."""

import json
import os
import statistics
import subprocess
import time
import urllib.request

from subjects import Missing, note, version
from web import free_port

SECONDS, RATE, CONNECTIONS, WORKERS = 60, 5000, 64, 2
# bench names by the number of tasks that compute
NAMES = {1: "stall", 2: "stall-two"}
FIGURES = ("p50", "p99", "max")
CONTROL = "stall-os"
# subject: mode of our server, environment
OURS = {
    CONTROL: ("os", {}),
    "aether": ("inline", {}),
    "aether-norescue": ("inline", {"AE_RESCUE": "off"}),
    "aether-blocking": ("blocking", {}),
}


def command(builder, subject, port, count):
    if subject == "tokio":
        return [builder.rust("stall_http"), str(port), str(count)], {}
    mode, environment = OURS[subject]
    return [builder.own("stall_server"), f"127.0.0.1:{port}", mode, str(count)], environment


class Server:
    """One subject, alive for one measurement."""

    def __init__(self, builder, subject, count):
        self.port = free_port()
        argv, environment = command(builder, subject, self.port, count)
        # the reports of stalls are what others measure
        env = {**os.environ, "AE_WORKERS": str(WORKERS), "AE_LOG": "error", **environment}
        self.process = subprocess.Popen(argv, env=env, text=True, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)

    def wait_until_it_answers(self):
        for _ in range(200):
            if self.process.poll() is not None:
                raise Missing(f"did not start: {self.process.stderr.read().strip()[-200:]}")
            try:
                url = f"http://127.0.0.1:{self.port}/plaintext"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if answer.read() == b"Hello, World!":
                        return
            except OSError:
                time.sleep(0.05)
        raise Missing("does not answer")

    def __enter__(self):
        try:
            self.wait_until_it_answers()
        except Missing:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def measure(builder, subject, count, seconds):
    """What the client saw: {"requests": ..., "p50_us": ...}. A lost request is an error."""
    with Server(builder, subject, count) as server:
        done = subprocess.run(
            [builder.own("open_loop"), f"127.0.0.1:{server.port}", "/plaintext", str(RATE),
             str(seconds), str(CONNECTIONS)],
            capture_output=True, text=True, timeout=seconds * 3 + 60)
    if done.returncode != 0:
        raise Missing(f"requests were lost: {done.stderr.strip()[-200:]}")
    return json.loads(done.stdout)


def rows_of(subject, count, seen, seconds):
    for figure in FIGURES:
        values = [out[f"{figure}_us"] for out in seen]
        value = max(values) if figure == "max" else statistics.median(values)
        yield {"bench": f"{NAMES[count]}-{figure}", "subject": subject, "workers": WORKERS,
               "value": value, "unit": "us", "version": version(subject),
               "requests": sum(out["requests"] for out in seen), "seconds": seconds}


def missing_rows(subject, count, reason):
    for figure in FIGURES:
        yield {"bench": f"{NAMES[count]}-{figure}", "subject": subject, "workers": WORKERS,
               "value": None, "unit": "us", "reason": reason}


def subjects_of(options):
    found = list(OURS) + (["tokio"] if options.peers else [])
    return [s for s in found if not options.subject or s in options.subject]


def selected(options, count):
    names = [f"{NAMES[count]}-{figure}" for figure in FIGURES] + [NAMES[count]]
    return not options.bench or any(name in options.bench for name in names)


def bench(builder, count, options):
    """All subjects, interleaved; every round begins with another one."""
    subjects, seconds = subjects_of(options), options.seconds or SECONDS
    seen, failed = {subject: [] for subject in subjects}, {}
    for turn in range(options.rounds or 1):
        for i in range(len(subjects)):
            subject = subjects[(turn + i) % len(subjects)]
            try:
                seen[subject].append(measure(builder, subject, count, seconds))
            except (Missing, ValueError, OSError, subprocess.TimeoutExpired) as error:
                failed[subject] = str(error)
    for subject in subjects:
        if subject in failed:
            yield from missing_rows(subject, count, failed[subject])
        else:
            yield from rows_of(subject, count, seen[subject], seconds)


def run(builder, options, emit):
    """Returns the exit status: 0, or 1 if one of ours could not be measured."""
    status = 0
    if (os.cpu_count() or 1) < 2:
        note("one CPU: the client and whoever computes take each other's time")
    for count in NAMES:
        if not selected(options, count):
            continue
        for row in bench(builder, count, options):
            emit(row)
            if row["value"] is None and row["subject"] in OURS:
                status = 1
    return status
