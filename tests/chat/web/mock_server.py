#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for `aether chat`, to work on the page without building anything:

    mock_server.py [--port N] [--token-ms N] [--plain] [--no-model] [--fetching] [--key KEY]

Serves the page from its source folder and the API from memory, standard library only. Answers say
what was asked, in Markdown; words in the question choose the end: "fail" breaks off.
"""
import argparse
import itertools
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
WEB = os.path.join(TOP, "chat/web")
sys.path.insert(0, WEB)
import bundle  # noqa: E402

ANSWER = """You asked: **{text}**

Here is a list, *some* `code` and a table:

1. **First** — one
2. **Second** — two

| Driver | System calls |
|--------|--------------|
| epoll | 2 per wait |
| io_uring | near 0 |

```c
int main(void)
{{
    return ae_run(NULL, hello, NULL);

}}
```
That is *all*."""


def policy():
    with open(os.path.join(WEB, "assets.h"), encoding="utf-8") as f:
        text = f.read().partition("#define CHAT_PAGE_POLICY")[2]
    return "".join(re.findall(r'"([^"]*)"', text.partition("#endif")[0]))


def count(text):
    return len(re.findall(r"\w{1,5}|[^\w\s]", text))


class Store:
    def __init__(self):
        self.lock = threading.RLock()
        self.ids = itertools.count(1)
        self.conversations = {}
        self.stopped = set()

    def add(self, title):
        now = int(time.time() * 1000)
        made = {"id": next(self.ids), "title": title, "created_ms": now, "updated_ms": now,
                "all": {}, "leaf": None}
        self.conversations[made["id"]] = made
        return made

    def say(self, c, role, text, parent, **more):
        message = {"id": next(self.ids), "parent": parent, "role": role, "text": text,
                   "sent_ms": int(time.time() * 1000), "finished_ms": None, "model": None,
                   "tokens": count(text), "state": "done", "error": None, "duration_ms": None,
                   **more}
        c["all"][message["id"]] = message
        c["leaf"] = message["id"]
        c["updated_ms"] = int(time.time() * 1000)
        return message

    def branch(self, c):
        found, at = [], c["leaf"]
        while at:
            found.append(c["all"][at])
            at = c["all"][at]["parent"]
        return found[::-1]

    def totals(self, c):
        shown = self.branch(c)
        answers = sum(m["tokens"] or 0 for m in shown if m["role"] == "assistant")
        questions = sum(m["tokens"] or 0 for m in shown if m["role"] == "user")
        return {"messages": len(shown), "tokens": questions + answers, "questions": questions,
                "answers": answers, "system_template": 9 * len(shown)}

    def row(self, c):
        t = self.totals(c)
        return {k: c[k] for k in ("id", "title", "created_ms", "updated_ms")} | {
            "messages": t["messages"], "tokens": t["tokens"]}


class Mock(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = Store()
    options = None
    received = 0

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Security-Policy", policy())
        self.send_header("Cache-Control", "no-store")
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message):
        self.answer(status, {"error": {"code": "refused", "message": message}})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")

    def refused(self):
        """Whether the API wanted its key and did not get it."""
        key = self.options.key
        if not key or self.headers.get("Authorization") == "Bearer " + key:
            return False
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.refuse(401, "This server wants its key.")
        return True

    # ---- routes ----

    def do_GET(self):
        if self.path.startswith("/api/") and self.refused():
            return
        files, _ = bundle.own(os.path.join(WEB, "page"))
        foreign = {"marked.js": bundle.MISSING} if self.options.plain else {}
        files = {**self.options.foreign, **foreign, **files}
        name = "index.html" if self.path == "/" else self.path.removeprefix("/assets/")
        found = re.fullmatch(r"/api/conversations/(\d+)", self.path)
        if name in files:
            self.answer(200, files[name], bundle.TYPES[os.path.splitext(name)[1]])
        elif self.path == "/api/status":
            self.answer(200, self.status())
        elif self.path == "/api/conversations":
            rows = [self.store.row(c) for c in self.store.conversations.values()]
            rows.sort(key=lambda r: -r["updated_ms"])
            self.answer(200, {"conversations": rows})
        elif found and int(found[1]) in self.store.conversations:
            self.answer(200, self.whole(self.store.conversations[int(found[1])]))
        else:
            self.refuse(404, "There is no such thing here.")

    def whole(self, c):
        return self.store.row(c) | {"messages": self.store.branch(c),
                                    "totals": self.store.totals(c)}

    def status(self):
        models = [] if self.options.no_model or self.options.fetching else [
            {"name": "fake", "bytes": 98362432, "loaded": True}]
        fetch = None
        if self.options.fetching:
            Mock.received += 7_000_000
            fetch = {"file": "SmolLM2-135M-Instruct.Q4_1.gguf", "received": Mock.received,
                     "total": 98362432, "state": "running", "error": None}
        return {"version": "0.1.0", "engine": "fake", "models": models, "live": "/-/",
                "default_model": "fake" if models else None, "fetch": fetch,
                "fetch_command": "./dev chat"}

    def do_POST(self):
        if self.refused():
            return
        body = self.body()
        if self.path == "/api/conversations":
            made = self.store.add(body.get("title", "New conversation"))
            self.answer(201, self.store.row(made))
        elif self.path == "/api/import":
            self.answer(201, self.whole(self.take(body)))
        else:
            _, _, what = self.path.rpartition("/")
            c = self.store.conversations.get(int(self.path.split("/")[3]))
            {"messages": self.ask, "regenerate": self.again, "stop": self.stop}[what](c, body)

    def do_PATCH(self):
        c = self.store.conversations[int(self.path.rpartition("/")[2])]
        c["title"] = self.body()["title"]
        self.answer(200, self.store.row(c))

    def do_DELETE(self):
        del self.store.conversations[int(self.path.rpartition("/")[2])]
        self.answer(204)

    def take(self, body):
        c = self.store.add(body["title"])
        for m in body["messages"]:
            took = m["finished_ms"] - m["sent_ms"] if m.get("finished_ms") else None
            self.store.say(c, m["role"], m["text"], c["leaf"], duration_ms=took,
                           **{k: v for k, v in m.items() if k not in ("role", "text")})
        return c

    # ---- answers ----

    def event(self, name, data):
        text = "event: %s\ndata: %s\n\n" % (name, json.dumps(data))
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
        self.wfile.flush()

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def ask(self, c, body):
        if self.options.no_model:
            self.refuse(503, "There is no model.")
            return
        question = self.store.say(c, "user", body["text"], body.get("parent"))
        self.begin()
        self.event("question", question)
        self.stream(c, question)

    def again(self, c, body):
        self.begin()
        self.stream(c, c["all"][c["all"][body["message"]]["parent"]])

    def stop(self, c, _):
        self.store.stopped.add(c["leaf"])
        self.answer(204)

    def stream(self, c, question):
        message = self.store.say(c, "assistant", "", question["id"], model="fake", tokens=None,
                                 state="streaming")
        self.event("answer", message)
        began = time.time()
        self.event("progress", {"prompt_done": 10, "prompt_tokens": 40})
        for piece in re.findall(r"\s*\S{1,6}|\s+", ANSWER.format(text=question["text"])):
            if message["id"] in self.store.stopped:
                message["state"] = "stopped"
                break
            if "fail" in question["text"] and len(message["text"]) > 60:
                message.update(state="failed", error="The model ran out of its context.")
                break
            message["text"] += piece
            self.event("delta", {"text": piece})
            time.sleep(self.options.token_ms / 1000)
        else:
            message["state"] = "done"
        message.update(tokens=count(message["text"]), finished_ms=int(time.time() * 1000),
                       duration_ms=int((time.time() - began) * 1000))
        end = {"message": message, "totals": self.store.totals(c)}
        failed = message["state"] == "failed"
        self.event("failed" if failed else "done",
                   end | ({"error": {"message": message["error"]}} if failed else {}))
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a browser that goes away mid-way is no news


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--token-ms", type=float, default=20)
    parser.add_argument("--key")
    for name in ("plain", "no-model", "fetching"):
        parser.add_argument("--" + name, action="store_true")
    Mock.options = parser.parse_args()
    lock = os.path.join(WEB, "package-lock.json")
    Mock.options.foreign, _ = bundle.foreign(lock, offline=False)
    server = Server(("127.0.0.1", Mock.options.port), Mock)
    print("http://127.0.0.1:%d/" % server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
