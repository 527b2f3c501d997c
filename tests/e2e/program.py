# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests of the `aether` command share: cases, a server started and ended, and
requests sent as exact bytes."""
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("AE_BUILD_DIR", TOP / "build" / "release"))
AETHER = str(BUILD / "cli" / "aether")
SCALE = float(os.environ.get("AE_TEST_TIMEOUT_SCALE", "1"))
PATIENCE_S = 20 * SCALE
WORKERS = 1 if os.environ.get("AE_FLAVOR") == "current" else 2  # that `-w 2` gives

_cases = []


def case(function):
    """A test case: its name is the claim."""
    _cases.append(function)
    return function


def expect(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, expected {want!r}")


def expect_in(part, whole, what=""):
    if part not in whole:
        raise AssertionError(f"{what}: {part!r} is not in {whole!r}")


def run_cases():
    passed = failed = 0
    wanted = sys.argv[1:]
    for function in _cases:
        if wanted and not any(part in function.__name__ for part in wanted):
            continue
        try:
            function()
            passed += 1
        except Exception:  # whatever it was, the other cases run
            failed += 1
            print(f"{function.__name__}: FAILED\n{traceback.format_exc()}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


class Server:
    """`aether ARGUMENTS`, up to the line that names its URL. Nothing is expected on its stderr, so
    it is not to tell of requests that compute, as some do on purpose."""

    def __init__(self, *arguments, env=None, cwd=TOP):
        self.process = subprocess.Popen(
            [AETHER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL, cwd=cwd,
            env={"AE_STALL": "off", **os.environ, "AE_DEBUG_SOCKET": "off", **(env or {})})
        self.first_line = self._line()
        found = re.search(r"http://(127\.0\.0\.1|\[::1\]):(\d+)/", self.first_line)
        if not found:
            _, said = self.process.communicate(timeout=PATIENCE_S)
            raise AssertionError(f"no URL: {self.first_line!r}, {said!r}")
        self.port = int(found.group(2))

    def _line(self):
        if not select.select([self.process.stdout], [], [], PATIENCE_S)[0]:
            self.process.kill()
            raise AssertionError("it prints nothing")
        return self.process.stdout.readline()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def end(self, sig=signal.SIGTERM):
        """(exit status, stdout behind the first line, stderr)"""
        self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Answer:
    """A response taken apart: status, headers (names in lower case), body."""

    def __init__(self, raw, head_only=False):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        if self.headers.get("transfer-encoding") == "chunked":
            self.body = unchunk(self.body)
        elif not head_only and "content-length" in self.headers:
            expect(len(self.body), int(self.headers["content-length"]), "the body's length")


def unchunk(data):
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        n = int(size.split(b";")[0], 16)
        if n == 0:
            return body
        body += data[:n]
        data = data[n + 2:]


def read_all(connection):
    data = b""
    while True:
        more = connection.recv(1 << 16)
        if not more:
            return data
        data += more


def ask(server, target, method="GET", **fields):
    """One request on a connection of its own; `target` goes out as it is. Names of fields are
    written with underscores; a list makes a field of several lines."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            lines.append(f"{name.replace('_', '-')}: {value}")
    with server.connect() as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return Answer(read_all(connection), head_only=method == "HEAD")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("in vain: " + what)
        time.sleep(0.02)
