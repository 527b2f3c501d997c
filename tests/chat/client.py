# SPDX-License-Identifier: Apache-2.0
"""What the chat's tests share: a server with the fake engine, requests in JSON, event streams."""
import http.client
import json
import pathlib
import shutil
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from program import PATIENCE_S, Server  # noqa: E402 (the path comes first)

JSON = {"Content-Type": "application/json"}


class Chat(Server):
    """`aether chat` on a port of its own; its folder goes with it."""

    def __init__(self, *arguments, engine="fake:200", store=None, port=0, env=None):
        self.folder = None
        if store is None:
            self.folder = tempfile.mkdtemp(prefix="aether-chat-")
            store = self.folder + "/chat.db"
        self.store = store
        super().__init__("chat", "-l", f"127.0.0.1:{port}", "-w", "2", "--engine", engine,
                         "--store", store, *arguments, env=env)

    def __exit__(self, *rest):
        super().__exit__(*rest)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, bytes); a body that is no bytes goes out as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if headers is None:
            headers = JSON if body is not None else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, want=200):
        status, _, data = self.request(method, path, body)
        if status != want:
            raise AssertionError(f"{method} {path}: {status} {data[:300]!r}, expected {want}")
        return json.loads(data) if data else None

    def new(self):
        return self.json("POST", "/api/conversations", {}, 201)["id"]

    def read(self, conversation):
        return self.json("GET", f"/api/conversations/{conversation}")

    def stream(self, path, body, **fields):
        return Events(self, path, body, **fields)

    def ask(self, conversation, text="Hello?", **more):
        return self.stream(f"/api/conversations/{conversation}/messages", {"text": text, **more})


class Events:
    """An event stream: iterate for (event, object). A refused request raises Refused."""

    def __init__(self, server, path, body, headers=JSON):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                     timeout=PATIENCE_S)
        self.connection.request("POST", path, json.dumps(body), headers)
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise Refused(self.answer.status, self.answer.read())

    def __iter__(self):
        event, data = "message", []
        for line in self.answer:
            line = line.rstrip(b"\n").decode()
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and data:
                text = "\n".join(data)
                yield event, (text if text == "[DONE]" else json.loads(text))
                event, data = "message", []

    def all(self):
        try:
            return list(self)
        finally:
            self.close()

    def until(self, wanted):
        """The first object of that event; the stream stays open."""
        for event, value in self:
            if event == wanted:
                return value
        raise AssertionError(f"the stream ended without {wanted}")

    def close(self):
        self.answer.close()
        self.connection.close()

    def reset(self):
        """Leave as a program that dies does."""
        self.connection.sock and self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.close()


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body[:300]!r}")
        self.status, self.body = status, body

    @property
    def code(self):
        return json.loads(self.body)["error"]["code"]


def text_of(events):
    return "".join(value["text"] for event, value in events if event == "delta")
