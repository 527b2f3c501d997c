# SPDX-License-Identifier: Apache-2.0
"""The echo benchmark: server CPU time and system calls for a message there and back.

A server of one worker on CPU 0, bench/echo/client.c on CPU 1. CPU time and system calls are those
between "all are connected" and "all is answered", so accepting is not in them. Servers answer a
message that begins with '?' by their counts.
"""

import json
import os
import socket
import statistics
import subprocess

import web
from subjects import Missing, note, tool, version

BYTES = 64
UNIT = "ns cpu/msg"
ROUNDS, SECONDS = 5, 2
FLOORS = {"aether-epoll": "floor-epoll", "aether-uring": "floor-uring", "tokio": "floor-epoll"}
# name: connections, messages in one write
BENCHES = {
    "echo-1": (1, 1),
    "echo-64": (64, 1),
    "echo-512": (512, 1),
    "echo-4000": (4000, 1),
    "echo-burst-16": (64, 16),
}


class Server(web.Server):
    """One subject, alive for the length of one benchmark."""

    def command(self, builder):
        if self.subject == "tokio":
            return [builder.rust("tokio_io"), "echo", str(self.port)]
        if self.subject.startswith("floor-"):
            return [builder.own(self.subject.replace("-", "_")), str(self.port), "echo"]
        return [builder.own("echo_server"), f"127.0.0.1:{self.port}"]

    def response(self):
        """One message of the right bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as sock:
            sock.sendall(b"ping")
            if sock.recv(100) != b"ping":
                raise web.Void(f"{self.subject}: not what was sent")
        return 4

    def calls(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(b"?")
            return json.loads(sock.recv(1000))


def measure(builder, server, connections, depth, seconds):
    client = subprocess.Popen(
        [tool("taskset"), "-c", web.CLIENT_CPU, builder.own("echo_client"), str(server.port),
         str(connections), str(seconds), str(BYTES), str(depth)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if client.stdout.readline() != "ready\n":
            raise web.Void(f"{server.subject}: {client.communicate()[1].strip()[-200:]}")
        before, cpu = server.calls(), server.cpu_ns()
        out, err = client.communicate("go\n", timeout=seconds + 60)
        cpu = server.cpu_ns() - cpu
        after = server.calls()
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        raise web.Void(f"{server.subject}: not all came back") from None
    if client.returncode != 0:
        raise web.Void(f"{server.subject}: {err.strip()[-200:]}")
    seen = json.loads(out)
    messages = seen["trips"] * depth
    seen.update(cpu=cpu / messages, rate=messages / seen["seconds"], calls=None)
    if "syscalls" in after:
        seen["calls"] = (after["syscalls"] - before["syscalls"]) / messages
    return seen


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def row_of(name, subject, seen, floor):
    row = {"bench": name, "subject": subject, "workers": 1, "value": round(median(seen, "cpu"), 1),
           "unit": UNIT, "msg_per_s": round(median(seen, "rate")),
           "p50_us": median(seen, "p50_us"), "p99_us": median(seen, "p99_us"),
           "version": version(subject)}
    if floor:
        row["ratio"] = round(statistics.median(a["cpu"] / b["cpu"] for a, b in zip(seen, floor)), 3)
    if seen[0]["calls"] is not None:
        row["syscalls_per_req"] = round(median(seen, "calls"), 4)
    return row


def bench(builder, name, subjects, options):
    connections, depth = BENCHES[name]
    servers, missing = {}, {}
    for subject in subjects:
        try:
            servers[subject] = Server(builder, subject)
        except (Missing, OSError) as error:
            missing[subject] = str(error)
    seen = {subject: [] for subject in servers}
    order = list(servers)
    try:
        for number in range(options.rounds or ROUNDS):
            for subject in order[number % len(order):] + order[:number % len(order)]:
                seen[subject].append(measure(builder, servers[subject], connections, depth,
                                             options.seconds or SECONDS))
    finally:
        for server in servers.values():
            server.stop()
    for subject, rounds in seen.items():
        yield row_of(name, subject, rounds, seen.get(FLOORS.get(subject)))
    for subject, reason in missing.items():
        yield {"bench": name, "subject": subject, "workers": 1, "value": None, "unit": UNIT,
               "reason": reason}


def run(builder, options, emit):
    """Returns the exit status: 0, or 1 if a run proved nothing."""
    subjects = ["floor-epoll", "floor-uring", "aether-epoll", "aether-uring"]
    if options.peers:
        subjects.append("tokio")
    if options.subject:
        subjects = [s for s in subjects if s in options.subject]
    if os.cpu_count() < 2:
        raise web.Void("two CPUs are needed: one for the server, one for the client")
    status = 0
    for name in BENCHES:
        if options.bench and name not in options.bench:
            continue
        try:
            for row in bench(builder, name, subjects, options):
                emit(row)
        except web.Void as error:
            note(f"void: {name}: {error}")
            status = 1
    return status
