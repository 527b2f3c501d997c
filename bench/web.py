# SPDX-License-Identifier: Apache-2.0
# packages: wrk
"""The HTTP benchmarks: server CPU time per request, beside a floor measured in the same round.

One worker of the server on CPU 0, wrk with one thread on CPU 1. Requests per second say little
here, because wrk costs more per request than the servers do; the CPU time that the server's
threads used, divided by the responses that wrk got, does not depend on who waited for whom.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from subjects import HERE, Missing, note, tool, version

SERVER_CPU, CLIENT_CPU = "0", "1"
UNIT = "ns cpu/req"
ROUNDS, SECONDS = 9, 3
BODY = b"Hello, World!"
FLOOR = "floor-epoll"
FLOORS = {"aether-uring": "floor-uring"} # of the others: FLOOR
# name: connections, requests in one write
BENCHES = {
    "http-keepalive-64": (64, 1),
    "http-keepalive-512": (512, 1),
    "http-pipelined-16": (64, 16),
    # only by name, or with both drivers
    "http-keepalive-1": (1, 1),
    "http-keepalive-4000": (4000, 1),
}
MORE = ("http-keepalive-1", "http-keepalive-4000")
DRIVERS = {"epoll": ["aether-epoll"], "uring": ["floor-uring", "aether-uring"],
           "both": ["floor-uring", "aether-epoll", "aether-uring"]}
PEERS = ["hyper", "hyper-current", "go", "nginx", "h2o"]


class Void(Exception):
    """The run proves nothing: a wrong response, an error, or a peer below the floor."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill(source, directory, port):
    text = (HERE / "peers" / source).read_text()
    path = Path(directory) / Path(source).stem
    path.write_text(text.replace("@DIR@", str(directory)).replace("@PORT@", str(port)))
    return str(path)


def command(builder, subject, directory, port):
    """The argv of one server."""
    if subject == FLOOR:
        return [builder.own("floor_epoll"), str(port)]
    if subject == "floor-uring":
        return [builder.own("floor_uring"), str(port)]
    if subject in ("aether-epoll", "aether-uring"):
        return [builder.own("http_server"), f"127.0.0.1:{port}"]
    if subject == "hyper":
        return [builder.rust("hyper_http"), "multi", str(port)]
    if subject == "hyper-current":
        return [builder.rust("hyper_http"), "current", str(port)]
    if subject == "go":
        return [builder.go("http"), str(port)]
    if subject == "nginx":
        return [tool("nginx"), "-p", directory, "-c", fill("nginx/nginx.conf.in", directory, port)]
    (Path(directory) / "plaintext.txt").write_bytes(BODY)
    return [tool("h2o"), "-c", fill("h2o/h2o.conf.in", directory, port)]


class Server:
    """One subject, alive for the length of one benchmark."""

    def __init__(self, builder, subject):
        self.subject = subject
        self.dir = tempfile.TemporaryDirectory(prefix="aether-bench-")
        os.chmod(self.dir.name, 0o755)
        self.port = free_port()
        argv = self.command(builder)
        env = dict(os.environ, GOMAXPROCS="1", AE_WORKERS="1")
        if subject.startswith("aether-"):
            env["AE_DRIVER"] = subject.removeprefix("aether-")
        self.process = subprocess.Popen(
            [tool("taskset"), "-c", SERVER_CPU] + argv, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.expected = self._first_response()
        if subject.startswith("aether-") and self.calls()["driver"] != env["AE_DRIVER"]:
            self.stop()
            raise Missing("the driver is not to be had: see aether doctor")

    def command(self, builder):
        """The argv of the server."""
        return command(builder, self.subject, self.dir.name, self.port)

    def _first_response(self):
        for _ in range(100):
            if self.process.poll() is not None:
                raise Missing(f"did not start: {self.process.stderr.read().strip()[-200:]}")
            try:
                return self.response()
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise Missing("does not answer")

    def response(self):
        """One whole response, its status and body checked; returns its head with no Date."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as sock:
            sock.sendall(b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            data = b""
            while not data.endswith(BODY):
                part = sock.recv(4096)
                if not part:
                    raise Void(f"{self.subject}: end of stream in {data!r}")
                data += part
        head, _, body = data.partition(b"\r\n\r\n")
        fields = [line.lower().split(b":")[0] for line in head.split(b"\r\n")[1:]]
        if not head.startswith(b"HTTP/1.1 200 OK\r\n") or body != BODY:
            raise Void(f"{self.subject}: wrong response {data!r}")
        for name in (b"server", b"date", b"content-type", b"content-length"):
            if fields.count(name) != 1:
                raise Void(f"{self.subject}: no {name.decode()} in {data!r}")
        return len(data)

    def calls(self):
        """System calls of the driver so far; None for others than ours."""
        if not self.subject.startswith("aether-"):
            return None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/calls", timeout=5) as answer:
            return json.load(answer)

    def pids(self):
        found = [self.process.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found.extend(int(child) for child in children)
        return found

    def cpu_ns(self):
        """CPU time of all threads; the first field of schedstat, which counts softirqs too."""
        total = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def stop(self):
        """Ends it; returns what it printed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            out, _ = self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
        self.dir.cleanup()
        return out


def wrk(server, connections, depth, seconds):
    script = "done.lua" if depth == 1 else "pipelined.lua"
    out = subprocess.run(
        [tool("taskset"), "-c", CLIENT_CPU, tool("wrk"), "-t1", f"-c{connections}",
         f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{server.port}/plaintext"],
        cwd=HERE / "http", capture_output=True, text=True).stdout
    for line in out.splitlines():
        if line.startswith("wrk-json "):
            return json.loads(line[len("wrk-json "):])
    raise Void(f"{server.subject}: wrk said {out!r}")


def check(server, seen, connections, depth):
    errors = {key: seen[key] for key in ("connect", "read", "write", "status", "timeout")}
    if any(errors.values()):
        raise Void(f"{server.subject}: {errors}")
    if seen["requests"] == 0:
        raise Void(f"{server.subject}: no response")
    # What is under way when wrk stops is read in part; nothing else may differ.
    off = seen["bytes"] - seen["requests"] * server.expected
    if not 0 <= off <= connections * depth * server.expected:
        raise Void(f"{server.subject}: {off} bytes too many in {seen['requests']} responses")


def measure(server, connections, depth, seconds):
    calls, before = server.calls(), server.cpu_ns()
    seen = wrk(server, connections, depth, seconds)
    time.sleep(0.05)
    used = server.cpu_ns() - before
    check(server, seen, connections, depth)
    per = None
    if calls:
        per = (server.calls()["syscalls"] - calls["syscalls"]) / seen["requests"]
    return used / seen["requests"], seen["requests"] / seconds, per


def start_all(builder, subjects, missing):
    servers = {}
    for subject in subjects:
        try:
            servers[subject] = Server(builder, subject)
        except (Missing, OSError) as error:
            missing[subject] = str(error)
    return servers


def rounds(servers, connections, depth, options):
    """Interleaved: each round measures every server once, starting with another one each time."""
    values = {subject: [] for subject in servers}
    rates = {subject: [] for subject in servers}
    calls = {subject: [] for subject in servers}
    order = list(servers)
    for server in servers.values():
        measure(server, connections, depth, 1 + connections // 1000) # until all are connected
    for number in range(options.rounds or ROUNDS):
        for subject in order[number % len(order):] + order[:number % len(order)]:
            ns, rate, per = measure(servers[subject], connections, depth,
                                    options.seconds or SECONDS)
            values[subject].append(ns)
            rates[subject].append(rate)
            if per is not None:
                calls[subject].append(per)
    for server in servers.values():
        if server.response() != server.expected:
            raise Void(f"{server.subject}: the response changed its length")
    return values, rates, calls


def floor_line(name, printed):
    try:
        own = json.loads(printed)
    except ValueError:
        return {}
    note(f"{name}: {own['syscalls_per_request']} system calls and "
         f"{own['user_us_per_request']} us of user time per request")
    return {key: own[key] for key in ("syscalls_per_request", "user_us_per_request")}


def rows_of(name, values, rates, missing, extras):
    for subject, seen in values.items():
        floor = values.get(FLOORS.get(subject, FLOOR)) if subject != "floor-uring" else None
        row = {"bench": name, "subject": subject, "workers": 1,
               "value": round(statistics.median(seen), 1), "unit": UNIT,
               "req_per_s": round(statistics.median(rates[subject]))}
        if floor:
            row["ratio"] = round(statistics.median(a / b for a, b in zip(seen, floor)), 3)
        row["version"] = version(subject)
        row.update(extras.get(subject, {}))
        yield row
    for subject, reason in missing.items():
        yield {"bench": name, "subject": subject, "workers": 1, "value": None, "unit": UNIT,
               "reason": reason}


def bench(builder, name, subjects, options):
    connections, depth = BENCHES[name]
    missing, extras = {}, {}
    servers = start_all(builder, subjects, missing)
    try:
        lengths = {subject: server.expected for subject, server in servers.items()}
        if len(set(lengths.values())) > 1:
            raise Void(f"responses differ in length: {lengths}")
        values, rates, calls = rounds(servers, connections, depth, options)
    finally:
        for subject, server in servers.items():
            printed = server.stop()
            if subject.startswith("floor-"):
                extras[subject] = floor_line(f"{name} {subject}", printed)
    for subject, seen in calls.items():
        if seen:
            extras[subject] = {"syscalls_per_request": round(statistics.median(seen), 3)}
    return list(rows_of(name, values, rates, missing, extras))


def below_floor(rows):
    return [f"{row['bench']} {row['subject']} {row['ratio']}" for row in rows
            if row.get("ratio", 1.0) < 1.0]


def run(builder, options, emit):
    """Returns the exit status: 0, or 1 if a benchmark was void twice."""
    ours = DRIVERS[options.driver]
    subjects = [FLOOR] + ours + (PEERS if options.peers else [])
    if options.subject:
        wanted = set(options.subject) | {FLOORS.get(s) for s in options.subject}
        subjects = [s for s in subjects if s == FLOOR or s in wanted]
    if os.cpu_count() < 2:
        raise Void("two CPUs are needed: one for the server, one for wrk")
    status = 0
    names = [b for b in BENCHES if options.driver == "both" or b not in MORE]
    for name in options.bench or names:
        for attempt in (1, 2):
            rows = bench(builder, name, subjects, options)
            low = below_floor(rows)
            if not low:
                break
            note(f"void: below the floor: {', '.join(low)} (attempt {attempt} of 2)")
        else:
            status = 1
            for row in rows:
                row["void"] = True
        for row in rows:
            emit(row)
    return status
