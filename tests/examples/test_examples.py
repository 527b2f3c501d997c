#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: libargon2-dev libjansson-dev libzstd-dev
"""Run each example and compare what it does with what its comment says.

A program that ends by itself is compared with expected/NAME.txt; servers are talked to.
`test_examples.py [PART...]` runs the cases whose name holds a PART.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
PROGRAMS = pathlib.Path(os.environ.get("AE_BUILD_DIR", TOP / "build" / "release")) / "examples"
SCALE = float(os.environ.get("AE_TEST_TIMEOUT_SCALE", "1"))
PATIENCE_S = 30 * SCALE


def expect(claim, got, want):
    """One comparison that names what it compared."""
    if got != want:
        raise AssertionError(f"{claim}: got {got!r}, expected {want!r}")


def run_and_compare(name):
    """A program that ends by itself."""
    done = subprocess.run([PROGRAMS / name], capture_output=True, text=True, timeout=PATIENCE_S,
                          check=False)
    expect("stderr", done.stderr, "")
    expect("stdout", done.stdout, (HERE / "expected" / f"{name}.txt").read_text())
    expect("exit status", done.returncode, 0)


class Server:
    """An example that serves until it is told to stop."""

    def __init__(self, name, *args):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([PROGRAMS / name, f"127.0.0.1:{self.port}", *args],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "AE_LOG": "info"})

    def __enter__(self):
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.connect().close()
                return self
            except ConnectionRefusedError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def connect(self):
        """A new connection; reads from it do not hang."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def worker_threads(self):
        """How many threads are named as the first four workers are; spares have higher numbers."""
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(bool(re.fullmatch("aether-[0-3]\n", (t / "comm").read_text()))
                   for t in threads)

    def stop(self):
        """SIGTERM, then (exit status, stdout, stderr)."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


def read_exactly(peer, size):
    """`size` bytes, or fewer at the end of the stream."""
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def test_echo():
    """What is sent comes back, for many at once; Ctrl-C ends it cleanly."""
    with Server("echo") as server:
        peers = [server.connect() for _ in range(50)]
        for i, peer in enumerate(peers):
            peer.sendall(b"ping %d" % i * 1000)
        for i, peer in enumerate(peers):
            want = b"ping %d" % i * 1000
            expect(f"echo {i}", read_exactly(peer, len(want)), want)
        expect("end", server.stop(), (0, "", ""))
        for peer in peers:
            expect("closed", peer.recv(1), b"")
            peer.close()


def test_02_accept_loop():
    """Each request gets its answer, on kept-alive connections too."""
    want = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
    with Server("02_accept_loop") as server:
        peers = [server.connect() for _ in range(50)]
        for _ in range(3):
            for peer in peers:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            for peer in peers:
                expect("answer", read_exactly(peer, len(want)), want)
        want_workers = 0 if os.environ.get("AE_FLAVOR") == "current" else 4
        end = time.monotonic() + PATIENCE_S
        while server.worker_threads() != want_workers and time.monotonic() < end:
            time.sleep(0.02)  # a thread gives itself its name
        expect("worker threads", server.worker_threads(), want_workers)
        expect("end", server.stop(), (0, "", ""))
        for peer in peers:
            peer.close()


def test_graceful():
    """A request that has begun is answered after SIGTERM; idle ones close, new ones are refused."""
    with Server("graceful") as server:
        with server.connect() as busy, server.connect() as idle:
            busy.sendall(b"one\n")
            expect("first answer", busy.recv(100), b"one\n")
            busy.sendall(b"two\n")
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            expect("idle closes", idle.recv(1), b"")
            expect("the answer comes", busy.recv(100), b"two\n")
            expect("then it closes", busy.recv(1), b"")
        out, err = server.process.communicate(timeout=PATIENCE_S)
        expect("output", (out, err), ("draining\ndrained\n", ""))
        expect("exit status", server.process.returncode, 0)


def http_get(server, target, method=b"GET", body=b""):
    """The response to one request, as (head, body)."""
    with server.connect() as peer:
        peer.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (method, target)
                     + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        head, _, body = read_exactly(peer, 1 << 20).partition(b"\r\n\r\n")
        return head, body


def test_http_hello():
    """Routes, a parameter, and 404 for the rest."""
    with Server("http_hello") as server:
        head, body = http_get(server, b"/")
        expect("status", head.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
        expect("body", body, b"Hello, World!")
        expect("parameter", http_get(server, b"/hello/you%20all")[1], b"hello, you all\n")
        expect("404", http_get(server, b"/nothing")[0].split(b" ")[1], b"404")
        expect("exit status", server.stop()[0], 0)


def test_http_api():
    """A body, its limit, a streamed response, files, a line in the log."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "note.txt").write_text("a file\n")
        with Server("http_api", folder) as server:
            head, body = http_get(server, b"/shout", b"POST", b"quiet")
            expect("shout", (body, b"X-Length: 5" in head), (b"QUIET", True))
            head, body = http_get(server, b"/shout", b"POST")
            expect("nothing said", head.split(b" ")[1], b"400")
            head, body = http_get(server, b"/shout", b"POST", b"x" * 1025)
            expect("too much", head.split(b" ")[1], b"413")
            head, body = http_get(server, b"/count/3")
            expect("a chunk each", body, b"2\r\n3\n\r\n2\r\n2\n\r\n2\r\n1\n\r\n0\r\n\r\n")
            expect("no number", http_get(server, b"/count/x")[0].split(b" ")[1], b"400")
            expect("file", http_get(server, b"/files/note.txt")[1], b"a file\n")
            status, _, log = server.stop()
            expect("exit status", status, 0)
            expect("log", "POST /shout 200" in log, True)


def test_socket_activation():
    """A listening socket comes as descriptor 3; fields come back in their order."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            ["sh", "-c", f'exec 3<&{listener.fileno()}; exec "$0"', PROGRAMS / "socket_activation"],
            env={**os.environ, "LISTEN_FDS": "1"}, pass_fds=[listener.fileno()])
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE_S) as peer:
            peer.sendall(b"GET /a?b HTTP/1.1\r\nHost: x\r\nB: 1\r\nA: 2\r\nB: 3\r\n"
                         b"Connection: close\r\n\r\n")
            body = read_exactly(peer, 1 << 20).partition(b"\r\n\r\n")[2]
        process.terminate()
        expect("exit status", process.wait(PATIENCE_S), 0)
    lines = [line for line in body.split(b"\n") if b"/a?b" in line or line[:1] in (b"A", b"B")]
    expect("mirror", lines, [b"GET /a?b", b"B: 1", b"A: 2", b"B: 3"])


def offload(name):
    """Both ways give the same answer, and requests beside them are answered."""
    if not (PROGRAMS / f"offload_{name}").exists():
        print(f"offload_{name}: not built, its library is missing")
        return b""
    with Server(f"offload_{name}") as server:
        head, body = http_get(server, b"/inline")
        expect("status", head.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
        expect("other requests", http_get(server, b"/plaintext")[1], b"Hello, World!")
        expect("offloaded", http_get(server, b"/offloaded")[1] == body, True)
        expect("exit status", server.stop()[0], 0)
    return body


def test_offload_crypto():
    """What `argon2 0123456789abcdef -id -t 2 -k 19456 -p 1 -l 16 -r` says of the password."""
    want = b"c57d7ff49315f75f25c64a0d11d427c9"
    expect("hash", offload("crypto") in (b"", want), True)


def test_offload_compression():
    """It is a frame of zstd, and shorter."""
    body = offload("compression")
    expect("frame", body[:4] in (b"", b"\x28\xb5\x2f\xfd"), True)
    expect("shorter", len(body) < 1 << 19, True)


def test_offload_image():
    """The middle line of the blurred picture has no edges left."""
    line = offload("image")
    expect("length", len(line), 2048)
    steps = [abs(a - b) for a, b in zip(line, line[1:])]
    expect("edges", max(steps) > 32, False)


def test_offload_parsing():
    """As many items as fit in 5 MiB."""
    expect("items", offload("parsing")[-7:] in (b"", b" items\n"), True)


def test_background():
    """Work goes on behind the end of its request."""
    run_and_compare("background")


def test_01_spawn():
    """The tour's first page."""
    run_and_compare("01_spawn")


def test_04_read_at():
    """A file of 10,000 bytes, with either driver; one that is not there."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "large_file.bin")
        path.write_bytes(bytes(10000))
        for driver in ("epoll", "uring"):
            done = subprocess.run([PROGRAMS / "04_read_at"], capture_output=True, text=True,
                                  timeout=PATIENCE_S, check=False, cwd=folder,
                                  env={**os.environ, "AE_DRIVER": driver, "AE_LOG": "error"})
            expect(driver, (done.returncode, done.stdout, done.stderr),
                   (0, "Read 4096 bytes\n", ""))
        done = subprocess.run([PROGRAMS / "04_read_at", path.with_name("none")], check=False,
                              capture_output=True, text=True, timeout=PATIENCE_S)
        expect("no file", (done.returncode, done.stdout), (1, ""))


def test_05_blocked():
    """The other task goes on, and the log says who blocked it, where."""
    done = subprocess.run([PROGRAMS / "05_blocked"], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    alone = os.environ.get("AE_FLAVOR") == "current"  # nobody is there to go on with it
    expect("stdout", done.stdout,
           f"the other task {'stood still' if alone else 'went on'} meanwhile\n")
    expect("exit status", done.returncode, 0)
    expect("the task is named", "(handle_request) has held worker" in done.stderr, True)
    aether = PROGRAMS.parent / "cli" / "aether"
    text = subprocess.run([aether, "symbolize", "-"], input=done.stderr, capture_output=True,
                          text=True, timeout=PATIENCE_S, check=False).stdout
    expect(f"the function is named in {text}", "heavy_crypto_operation" in text, True)
    expect(f"the line is named in {text}", "05_blocked.c:" in text, True)


def test_06_spawn_blocking():
    """A hash or an error."""
    run_and_compare("06_spawn_blocking")


def test_07_batch_process():
    """Results and errors in the order of the items."""
    run_and_compare("07_batch_process")


def test_08_incremental_parser():
    """The other task runs between every two chunks."""
    run_and_compare("08_incremental_parser")


def test_hello():
    """The smallest program."""
    run_and_compare("hello")


def test_chat_room():
    """All hear all lines in one order."""
    run_and_compare("chat_room")


def test_timeout():
    """A deadline cuts the slow one short."""
    run_and_compare("timeout")


def test_hedge():
    """The first good answer wins."""
    run_and_compare("hedge")


def test_length():
    """An example fits on one page; a simulated cluster is several programs in one."""
    for path in (TOP / "examples").rglob("*.c"):
        if path.name.startswith("sim_"):
            continue
        expect(f"{path.name}: longer than 80 lines", len(path.read_text().split("\n")) - 1 > 80,
               False)


def main():
    """Run the cases that the arguments name, or all."""
    failed = passed = 0
    for name, case in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        try:
            case()
            passed += 1
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{name}: FAILED: {error}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
