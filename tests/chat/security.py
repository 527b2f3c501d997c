#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whom the chat refuses: names that are not its own, pages of other sites, bodies that are no JSON
or too long, model names that are paths, and everybody without the key where there is one."""
import json
import os
import subprocess
import tempfile

from client import JSON, Chat
from program import AETHER, PATIENCE_S, Answer, case, expect, expect_in, read_all, run_cases

KEY = "0123456789abcdef-key"
server = Chat()
guarded = Chat("--key", KEY)


def raw(to, head, body=b""):
    with to.connect() as connection:
        connection.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)
        return Answer(read_all(connection))


def get(target, *fields, host="localhost", to=None):
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close", *fields]
    return raw(to or server, "\r\n".join(lines))


@case
def a_host_that_is_not_ours_is_misdirected():
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "128.0.0.1",
                 "127.0.0.1@evil.example", "0x7f000001", "2130706433", "127.1", "localhost:x", "",
                 "[::2]", "[::1", "10.0.0.1", "evil.example:8080"):
        for target in ("/", "/api/conversations", "/v1/models", "/health"):
            status = get(target, host=host).status
            expect(status in (400, 421), True, f"{host} {target}: {status}")


@case
def our_own_names_are_served():
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1", f"127.0.0.1:{server.port}", "[::1]",
                 "[::1]:80", "127.9.9.9", "chat.localhost", "localhost."):
        expect(get("/api/conversations", host=host).status, 200, host)


@case
def a_name_that_was_given_is_served():
    with Chat("--host", "chat.example.org") as named:
        expect(get("/health", host="chat.example.org:80", to=named).status, 200)
        expect(get("/health", host="CHAT.example.org", to=named).status, 200)
        expect(get("/health", host="other.example.org", to=named).status, 421)


@case
def pages_of_other_sites_are_refused():
    for origin in ("http://evil.example", "null", "http://localhost:1", "https://localhost.evil",
                   f"http://127.0.0.1:{server.port}", "file://", "chrome-extension://abc"):
        expect(get("/api/conversations", f"Origin: {origin}").status, 403, origin)
    own = f"localhost:{server.port}"
    expect(get("/api/conversations", f"Origin: http://{own}", host=own).status, 200)
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200),
                         ("none", 200)):
        expect(get("/api/conversations", f"Sec-Fetch-Site: {site}").status, status, site)
    expect(get("/", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate").status, 200,
           "a link to the page")
    answer = get("/api/conversations")
    expect([n for n in answer.headers if n.startswith("access-control")], [], "no CORS")
    with server.connect() as connection:
        connection.sendall(b"OPTIONS /api/conversations HTTP/1.1\r\nHost: localhost\r\n"
                           b"Origin: http://evil.example\r\nConnection: close\r\n"
                           b"Access-Control-Request-Method: POST\r\n\r\n")
        expect(Answer(read_all(connection)).status, 403, "a preflight")


@case
def a_body_must_say_that_it_is_json():
    body = b'{"title":"x"}'
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                 "application/jsonx", "text/json", ""):
        headers = {} if kind is None else {"Content-Type": kind}
        for method, path in (("POST", "/api/conversations"), ("PATCH", "/api/conversations/1"),
                             ("POST", "/v1/chat/completions"), ("DELETE", "/api/conversations/1")):
            status = server.request(method, path, body, headers)[0]
            expect(status, 415, f"{method} {path} {kind}")
    for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        expect(server.request("POST", "/api/conversations", body, {"Content-Type": kind})[0], 201)
    expect(len(server.json("GET", "/api/conversations")["conversations"]), 3)


@case
def a_gigabyte_is_refused_before_it_comes():
    for path in ("/api/conversations", "/api/import", "/v1/chat/completions"):
        head = (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {1 << 30}")
        answer = raw(server, head, b"{")
        expect(answer.status, 413, path)
        expect(json.loads(answer.body)["error"]["code"], "too_long")


@case
def a_chunked_gigabyte_is_cut_off():
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with server.connect() as connection:
        connection.sendall(b"POST /api/conversations HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 1 << 30:
                connection.sendall(chunk)
                sent += 65536
        except OSError:
            pass
        expect(sent < 64 << 20, True, f"{sent} bytes were taken")
    expect(server.request("GET", "/health")[0], 200)


@case
def names_that_are_paths_name_no_model():
    conversation = server.new()
    secret = os.path.join(server.folder, "secret.gguf")
    with open(secret, "w", encoding="utf-8") as f:
        f.write("GGUF")
    for name in ("../secret", "..", ".", "/etc/passwd", "a/../b", "..\\secret", "secret\x00",
                 "%2e%2e/secret", "fake/", "-fake", "fake.", "f" * 129, secret):
        for path, body in ((f"/api/conversations/{conversation}/messages",
                            {"text": "x", "model": name}),
                           ("/v1/chat/completions",
                            {"model": name, "messages": [{"role": "user", "content": "x"}]})):
            status, _, data = server.request("POST", path, body)
            expect(status in (400, 404), True, f"{name!r}: {status} {data[:80]!r}")
    for name in ("..%2fsecret", "%2e%2e", "..%2f..%2fetc%2fpasswd", "x%00"):
        expect(get(f"/v1/models/{name}").status in (400, 404), True, name)


@case
def with_a_key_the_api_wants_it():
    body = {"title": "x"}
    for wrong in (None, "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}",
                  f"Bearer x{KEY}", f"Basic {KEY}", KEY, "Bearer " + "0" * len(KEY)):
        fields = {"Authorization": wrong} if wrong else {}
        for method, path in (("GET", "/api/conversations"), ("GET", "/v1/models"),
                             ("GET", "/api/status"), ("POST", "/api/conversations")):
            sent = body if method == "POST" else None
            status, headers, _ = guarded.request(method, path, sent, {**JSON, **fields})
            expect((status, headers.get("WWW-Authenticate")), (401, "Bearer"), f"{wrong} {path}")
    right = {**JSON, "Authorization": f"Bearer {KEY}"}
    expect(guarded.request("POST", "/api/conversations", body, right)[0], 201)
    expect(guarded.request("GET", "/v1/models", None, right)[0], 200)
    for free in ("/", "/health"):
        expect(guarded.request("GET", free)[0], 200, f"{free} tells nothing")


def fails(*arguments, env=None):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([AETHER, "chat", "--engine", "fake", "--store", folder + "/x.db",
                               *arguments], capture_output=True, text=True, timeout=PATIENCE_S,
                              env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr


@case
def beyond_this_machine_it_wants_a_key():
    for address in (":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:8080"):
        status, said = fails("-l", address)
        expect(status, 2, address)
        expect_in("AETHER_CHAT_KEY", said)
    for key in ("short", "x" * 257, "sixteen letters with blanks", "é" * 16):
        expect(fails("-l", "127.0.0.1:0", "--key", key)[0], 2, key)
    with Chat("-l", "0.0.0.0:0", env={"AETHER_CHAT_KEY": KEY}) as public:
        expect(public.request("GET", "/v1/models")[0], 401)
        right = {"Authorization": f"Bearer {KEY}"}
        expect(public.request("GET", "/v1/models", None, right)[0], 200)
        expect(get("/health", host="10.1.2.3:8080", to=public).status, 200, "an address")
        expect(get("/health", host="evil.example", to=public).status, 421, "a name")


@case
def what_cannot_be_is_told_with_a_way_out():
    for arguments, status, word in (
            (["--model", "../x"], 2, "not a name"), (["--engine", "magic"], 1, "fake"),
            (["-w", "0"], 2, "--workers"), (["extra"], 2, "--help"), (["--nonsense"], 2, "--help"),
            (["-l", "nonsense"], 2, "127.0.0.1:8080"), (["--host", "http://x"], 2, "--host"),
            (["-l", f"127.0.0.1:{server.port}"], 1, "in use"),
            (["--store", "/nonexistent/x.db"], 1, "store"),
            (["--store", server.store], 1, "open")):
        got, said = fails(*arguments)
        expect(got, status, str(arguments))
        expect_in(word, said, str(arguments))


@case
def help_names_every_option_within_a_terminals_width():
    for arguments in (["chat", "--help"], ["help", "chat"], ["chat", "-h"]):
        done = subprocess.run([AETHER, *arguments], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        expect((done.returncode, done.stderr), (0, ""), str(arguments))
        for word in ("--listen", "--model ", "--models", "--store", "--engine", "--key", "--host",
                     "--fetch-default", "--workers", "AETHER_CHAT_KEY", "SIGTERM", "Examples"):
            expect_in(word, done.stdout)
        expect(max(len(line) for line in done.stdout.splitlines()) <= 100, True, "width")


@case
def every_answer_forbids_what_it_does_not_need():
    for target in ("/", "/api/conversations", "/none", "/health"):
        headers = get(target).headers
        expect_in("default-src 'none'", headers["content-security-policy"], target)
        expect_in("frame-ancestors 'none'", headers["content-security-policy"], target)
        expect(headers["x-content-type-options"], "nosniff")
        expect(headers["referrer-policy"], "no-referrer")
        expect(headers["cross-origin-resource-policy"], "same-origin")
    expect(get("/api/conversations").headers["cache-control"], "no-store")


@case
def half_requests_hold_nobody_up():
    idle = [server.connect() for _ in range(50)]
    for connection in idle:
        connection.sendall(b"POST /api/conversations HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
    expect(server.request("GET", "/health")[0], 200)
    for connection in idle:
        connection.close()


@case
def the_servers_of_these_cases_end_without_a_word():
    expect(server.end(), (0, "", ""))
    expect(guarded.end(), (0, "", ""))


with server, guarded:
    run_cases()
