# SPDX-License-Identifier: Apache-2.0
# packages: valgrind
"""What it costs to be watched: `bench/run.py cost`, in instructions, counted by callgrind.

The same programs twice, on one worker: `aether` as it is, and `aether-unwatched`, built with
AE_WATCHED=0 (src/base/compiler.h): no counters, recorder, probes, monitor. Counts do not depend on
what else the machine does, except that samples are taken by the clock and valgrind is some fifty
times slower than the machine, so that there are as many more of them per slice. The monitor's own
thread, which looks about once a millisecond whatever the slices are, is left out for that reason.
"""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import web
from subjects import Missing, note, tool, version

UNIT = "instr"
SLICES = { # name: benchmark of aether_micro, slices in its two passes
    "slice-yield": ("switch", 2 * 2 * 500000),
    "slice-park": ("chan-pingpong", 2 * 2 * 200000),
}
# With one connection the client's pace decides how often the server sleeps: nothing to compare.
HTTP = { # name: connections, requests
    "http-64": (64, 64 * 400),
}
SLICE_BAR, HTTP_BAR = 8, 2 # at most so many instructions, so many per cent
REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def callgrind(directory):
    return [tool("valgrind"), "-q", "--tool=callgrind", "--separate-threads=yes",
            f"--callgrind-out-file={directory}/out"]


def environment():
    return dict(os.environ, AE_WORKERS="1", AE_DRIVER="epoll")


def counted(directory):
    """Instructions of all threads but the monitor's."""
    total = 0
    for path in Path(directory).iterdir():
        text = path.read_text()
        found = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        if found and " monitor_main" not in text:
            total += int(found[1])
    if total == 0:
        raise Missing("callgrind counted nothing")
    return total


def slices(program, name):
    """Instructions per slice, with the start and end of the program spread over them."""
    bench, count = SLICES[name]
    with tempfile.TemporaryDirectory(prefix="aether-bench-") as directory:
        done = subprocess.run(callgrind(directory) + [program, bench, "1"], env=environment(),
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Missing(f"exit {done.returncode}: {done.stderr.strip()[-200:]}")
        return counted(directory) / count


def answered(sock, size):
    """One response of so many bytes; 0: of any length, which is returned."""
    data = b""
    while len(data) < size or not data.endswith(web.BODY):
        part = sock.recv(65536)
        if not part:
            raise web.Void(f"end of stream in {data!r}")
        data += part
    if not data.startswith(b"HTTP/1.1 200 OK\r\n"):
        raise web.Void(f"wrong response {data[:80]!r}")
    return len(data)


def ask(port, connections, requests):
    """Each connection has one request under way."""
    socks = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(connections)]
    size = 0
    for _ in range(requests // connections):
        for sock in socks:
            sock.sendall(REQUEST)
        for sock in socks:
            size = answered(sock, size)
    for sock in socks:
        sock.close()


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise Missing(f"did not start: {process.stderr.read().strip()[-200:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Missing("does not answer")


def requests(program, name):
    """Instructions per request."""
    connections, count = HTTP[name]
    port = web.free_port()
    with tempfile.TemporaryDirectory(prefix="aether-bench-") as directory:
        with subprocess.Popen(callgrind(directory) + [program, f"127.0.0.1:{port}"], text=True,
                              env=environment(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:
            try:
                wait_for(port, process)
                ask(port, connections, count)
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
            finally:
                process.kill()
        return counted(directory) / count


def row_of(name, subject, value, plain):
    row = {"bench": name, "subject": subject, "workers": 1, "value": round(value, 2), "unit": UNIT,
           "version": version("aether")}
    if subject == "aether":
        row["added"] = round(value - plain, 2)
        row["added_percent"] = round(100 * (value - plain) / plain, 2)
    return row


def is_dear(row):
    return row["added"] > SLICE_BAR if row["bench"] in SLICES else row["added_percent"] > HTTP_BAR


def run(builder, options, emit):
    """Returns the exit status: 0, or 1 if it costs too much or could not be measured."""
    plain_dir = builder.build.parent / "unwatched" / "bench"
    status = 0
    for name in list(SLICES) + list(HTTP):
        if options.bench and name not in options.bench:
            continue
        measure, program = (slices, "aether_micro") if name in SLICES else (requests, "http_server")
        try:
            if not (plain_dir / program).exists():
                raise Missing("build/unwatched is not there; ./dev bench cost builds it")
            plain = measure(str(plain_dir / program), name)
            value = measure(builder.own(program), name)
        except (Missing, OSError, subprocess.TimeoutExpired) as error:
            emit({"bench": name, "subject": "aether", "workers": 1, "value": None, "unit": UNIT,
                  "reason": str(error)})
            status = 1
            continue
        row = row_of(name, "aether", value, plain)
        emit(row)
        if is_dear(row):
            note(f"{name}: being watched costs too much")
            status = 1
        emit(row_of(name, "aether-unwatched", plain, plain))
    return status
