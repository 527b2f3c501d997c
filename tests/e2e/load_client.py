# SPDX-License-Identifier: Apache-2.0
"""The clients of load.py, each a process of its own: `load_client.py ROLE PORT SOURCE COUNT`.

    flood     COUNT connections that never send a complete head, opened again when closed
    bloat     the same, with heads of 30 KB
    trickle   COUNT connections that send a head, one byte a second
    deaf      COUNT connections that ask for a large file and never read
    talk      COUNT keep-alive connections, one request at a time, up to `Connection: close`
    pipeline  the same, 16 requests at a time
    visit     COUNT loops of a new connection for each request, up to a connection refused

A client prints `ready` when it is under way, then its figures as one line of JSON: the first three
when their standard input ends, the others when all their connections have come to their end. Each
connects from a loopback address of its own, SOURCE, so that there are ports for all."""
import errno
import json
import os
import resource
import select
import socket
import sys
import time

CONNECTING_MAX = 1024  # at a time, so that the accept queue keeps room for others
REOPEN_PER_S = 1000
PIPELINE = 16
IN, OUT = select.EPOLLIN, select.EPOLLOUT
REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n"
BEGINNINGS = [b"", b"G", b"GET / HTTP/1.1\r\n",
              b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 300]
LONG_BEGINNING = BEGINNINGS[2] + b"Host: localhost\r\n" + (b"X-Long: " + b"a" * 1490 + b"\r\n") * 20
SLOW_HEAD = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 10000
LARGE = b"GET /files/large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Client:
    """Sockets in an epoll set, each with a state of its role's."""

    def __init__(self, port, source, count):
        self.address, self.source, self.count = ("127.0.0.1", port), source, count
        self.poll, self.states = select.epoll(), {}
        self.counts = {"opened": 0, "closed": 0, "refused": 0}

    def open(self, state, receive_buffer=0):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        if receive_buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        s.bind((self.source, 0))
        s.connect_ex(self.address)
        state.socket, state.connecting = s, True
        self.states[s.fileno()] = state
        self.poll.register(s.fileno(), OUT)

    def connected(self, state, wanted=IN):
        """Was it? From then on, wait for `wanted`."""
        state.connecting = False
        if state.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.counts["refused"] += 1
            self.drop(state)
            return False
        self.counts["opened"] += 1
        self.poll.modify(state.socket.fileno(), wanted)
        return True

    def drop(self, state):
        del self.states[state.socket.fileno()]
        state.socket.close()

    def count_up(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1


class State:
    socket = None
    connecting = False
    sent = 0


def receive(s):
    """Bytes; b"" for the end, None for a connection cut off."""
    try:
        return s.recv(1 << 16)
    except ConnectionError:
        return None
    except BlockingIOError:
        return b"-"


def send(s, data):
    try:
        return s.send(data)
    except OSError:  # the end is seen by the next receive
        return 0


def ready():
    print("ready", flush=True)


# ---- those who keep the server from its work ----

def hold(client, first_bytes, each_second, again, receive_buffer=0):
    """`count` connections at all times; `first_bytes(i)` once connected. What comes back is read,
    unless there is a receive buffer to fill."""
    wanted = 0 if receive_buffer else IN
    missing, connecting, tick, said = client.count, 0, time.monotonic(), False
    allowed = client.count
    client.poll.register(0, IN)
    while True:
        while missing and allowed and connecting < CONNECTING_MAX:
            client.open(State(), receive_buffer)
            missing, connecting, allowed = missing - 1, connecting + 1, allowed - 1
        for fd, _ in client.poll.poll(0.05, 4096):
            if fd == 0:
                return
            state = client.states[fd]
            if state.connecting:
                connecting -= 1
                if client.connected(state, wanted):
                    send(state.socket, first_bytes(client.counts["opened"]))
                else:
                    missing += 1
            elif not receive(state.socket):
                client.count_up("closed")
                client.drop(state)
                missing += again
        if not said and client.counts["opened"] >= client.count:
            ready()
            said = True
        if time.monotonic() - tick >= (1 if each_second else 0.1):
            tick = time.monotonic()
            allowed = max(allowed, REOPEN_PER_S // 10)
            each_second and each_second()


def flood(client):
    hold(client, lambda i: BEGINNINGS[i % len(BEGINNINGS)], None, True)


def bloat(client):
    hold(client, lambda i: LONG_BEGINNING, None, True)


def trickle(client):
    def one_byte_each():
        for state in client.states.values():
            if not state.connecting:
                state.sent += send(state.socket, SLOW_HEAD[state.sent:state.sent + 1])
    hold(client, lambda i: b"", one_byte_each, True)


def deaf(client):
    hold(client, lambda i: LARGE, None, False, receive_buffer=4096)


# ---- those who want answers ----

class Talk(State):
    """One connection: `depth` requests are out, `due` of them unanswered."""

    def __init__(self):
        self.due, self.data, self.closing = 0, b"", False

    def ask(self, depth):
        self.due = depth
        send(self.socket, REQUEST * depth)

    def take(self):
        """Complete responses in what has come."""
        done = 0
        while True:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return done
            fields = head.lower()
            if not fields.startswith(b"http/1.1 200 "):
                raise ValueError(head)
            length = int(fields.split(b"content-length: ")[1].split(b"\r\n")[0])
            if len(rest) < length:
                return done
            self.closing = self.closing or b"connection: close" in fields
            self.data, self.due, done = rest[length:], self.due - 1, done + 1


def answered(client, state, depth):
    """Take what came. False when the connection has come to its end."""
    data = receive(state.socket)
    state.data += data or b""
    for _ in range(state.take()):
        client.count_up("answers")
    if not data or (state.due == 0 and state.closing):
        if state.due:
            client.counts["lost"] = client.counts.get("lost", 0) + state.due
            client.count_up("lost_by_reset" if data is None else "lost_by_end")
        client.count_up("told" if state.closing else "untold")
        return False
    if state.due == 0:
        state.ask(depth)
    return True


def talk(client, depth=1):
    for _ in range(client.count):
        client.open(Talk())
    ready()
    while client.states:
        for fd, _ in client.poll.poll(1, 4096):
            state = client.states[fd]
            if state.connecting:
                if client.connected(state):
                    state.ask(depth)
            elif not answered(client, state, depth):
                client.drop(state)


def pipeline(client):
    talk(client, PIPELINE)


class Visit(Talk):
    def ask(self, depth):
        self.due = 1
        send(self.socket, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def visit(client):
    for _ in range(client.count):
        client.open(Visit())
    ready()
    while client.states:
        for fd, _ in client.poll.poll(1, 4096):
            state = client.states[fd]
            if state.connecting:
                if client.connected(state):
                    state.ask(1)
            elif not answered(client, state, 1):
                client.drop(state)
                client.open(Visit())


ROLES = {f.__name__: f for f in (flood, bloat, trickle, deaf, talk, pipeline, visit)}


def main():
    role, port, source, count = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    client = Client(int(port), source, int(count))
    try:
        ROLES[role](client)
    except OSError as e:
        client.counts["failed"] = errno.errorcode.get(e.errno, "") + " " + os.strerror(e.errno)
    print(json.dumps(client.counts), flush=True)
    os._exit(0)  # the kernel closes faster


if __name__ == "__main__":
    main()
