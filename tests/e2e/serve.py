#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: curl
"""`aether serve` from the outside: files, ranges, conditions, listings, ways out of the root."""
import email.utils
import hashlib
import html.parser
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from program import (AETHER, PATIENCE_S, Server, ask, case, expect, expect_in, free_port, read_all,
                     run_cases, wait_until)

BIG = bytes(hashlib.sha256(str(i).encode()).digest()[0] for i in range(1 << 16)) * 80  # 5 MiB
HOSTILE = ["<script>alert(1)<>", "a&b\"c'd", "javascript:alert(1)", "white space", "per%41cent",
           "new\nline", "q?x=1#y", "größe"]


def make_tree(top):
    root = top / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "with-index").mkdir()
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    (root / "hello.txt").write_bytes(b"0123456789")
    (root / "nothing.bin").write_bytes(b"")
    (root / "big.bin").write_bytes(BIG)
    (root / "page.html").write_text("<p>hi")
    (root / "with-index" / "index.html").write_text("the index")
    (root / "sub" / "a b.css").write_text("p{}")
    (root / ".git" / "config").write_text("secret")
    (root / ".env").write_text("secret")
    (top / "outside.txt").write_text("secret")
    (root / "inside-link").symlink_to("hello.txt")
    (root / "outside-link").symlink_to("../outside.txt")
    (root / "absolute-link").symlink_to(top / "outside.txt")
    (root / "way-out").symlink_to("..")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    (root / "hostile").mkdir()
    for name in HOSTILE:
        (root / "hostile" / name).write_text("x")
    os.utime(root / "hello.txt", (784111777, 784111777))
    return root


TOP = pathlib.Path(tempfile.mkdtemp(prefix="aether-serve-"))
ROOT = make_tree(TOP)
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
server = Server("serve", str(ROOT), "-l", "127.0.0.1:0")


def get(target, **fields):
    return ask(server, target, **fields)


# ---- files ----

@case
def a_file_comes_whole_with_its_type_and_validators():
    a = get("/hello.txt")
    expect((a.status, a.body), (200, b"0123456789"))
    expect(a.headers["content-type"], "text/plain; charset=utf-8")
    expect(a.headers["x-content-type-options"], "nosniff")
    expect(a.headers["last-modified"], MODIFIED)
    expect(a.headers["accept-ranges"], "bytes")
    expect(a.headers["etag"][0] + a.headers["etag"][-1], '""', "a strong tag")
    expect("date" in a.headers, True)


@case
def an_empty_file_has_an_empty_body():
    a = get("/nothing.bin")
    expect((a.status, a.body, a.headers["content-length"]), (200, b"", "0"))
    expect(get("/nothing.bin", Range="bytes=0-").status, 200)


@case
def a_large_file_comes_whole():
    a = get("/big.bin")
    expect(hashlib.sha256(a.body).digest(), hashlib.sha256(BIG).digest())
    expect(a.headers["content-type"], "application/octet-stream")


@case
def head_gives_the_head_alone():
    for target in ("/hello.txt", "/big.bin", "/sub/", "/with-index/", "/none"):
        whole, head = get(target), get(target, method="HEAD")
        expect((head.status, head.body), (whole.status, b""), target)
        for name in ("content-length", "content-type", "etag"):
            expect(head.headers.get(name), whole.headers.get(name), f"{target} {name}")


@case
def other_methods_are_not_allowed():
    for method in ("POST", "PUT", "DELETE"):
        a = get("/hello.txt", method=method, Content_Length="0")
        expect(a.status, 405, method)
        expect_in("GET", a.headers["allow"])


@case
def names_are_percent_decoded():
    expect(get("/sub/a%20b.css").body, b"p{}")
    expect(get("/%68ello.txt").body, b"0123456789")
    expect(get("/sub/a%20b.css").headers["content-type"], "text/css; charset=utf-8")
    expect(get("/hello.txt?v=1").status, 200)


@case
def a_connection_serves_many_files():
    with server.connect() as c:
        request = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        c.sendall(request * 20 + last)
        expect(read_all(c).count(b"0123456789"), 21)


# ---- conditions ----

@case
def a_matching_tag_is_not_modified():
    tag = get("/hello.txt").headers["etag"]
    for value in (tag, "W/" + tag, "*", f'"x", {tag}', ['"x"', tag]):
        a = get("/hello.txt", If_None_Match=value)
        expect((a.status, a.body), (304, b""), value)
        expect(a.headers["etag"], tag)
    expect(get("/hello.txt", If_None_Match='"x"').status, 200)
    expect(get("/hello.txt", method="HEAD", If_None_Match=tag).status, 304)


@case
def dates_decide_when_there_is_no_tag():
    later, earlier = "Sun, 06 Nov 1994 08:49:38 GMT", "Sun, 06 Nov 1994 08:49:36 GMT"
    expect(get("/hello.txt", If_Modified_Since=MODIFIED).status, 304)
    expect(get("/hello.txt", If_Modified_Since=later).status, 304)
    expect(get("/hello.txt", If_Modified_Since=earlier).status, 200)
    expect(get("/hello.txt", If_Modified_Since="Sunday, 06-Nov-94 08:49:37 GMT").status, 304)
    expect(get("/hello.txt", If_Modified_Since="yesterday").status, 200)
    expect(get("/hello.txt", If_Modified_Since=email.utils.formatdate(time.time() + 9999,
                                                                      usegmt=True)).status, 200)
    expect(get("/hello.txt", If_Modified_Since=MODIFIED, If_None_Match='"x"').status, 200)
    expect(get("/hello.txt", If_Unmodified_Since=earlier).status, 412)
    expect(get("/hello.txt", If_Unmodified_Since=MODIFIED).status, 200)


@case
def if_match_needs_the_tag():
    tag = get("/hello.txt").headers["etag"]
    expect(get("/hello.txt", If_Match=tag).status, 200)
    expect(get("/hello.txt", If_Match="*").status, 200)
    expect(get("/hello.txt", If_Match="W/" + tag).status, 412)
    expect(get("/hello.txt", If_Match='"x"').status, 412)


@case
def a_changed_file_has_another_tag():
    path = ROOT / "changing.txt"
    path.write_text("one")
    first = get("/changing.txt").headers["etag"]
    path.write_text("two")
    os.utime(path, ns=(1, time.time_ns()))
    second = get("/changing.txt", If_None_Match=first)
    expect((second.status, second.body), (200, b"two"))
    expect(second.headers["etag"] != first, True)


@case
def a_file_from_the_future_has_no_date():
    path = ROOT / "future.txt"
    path.write_text("x")
    os.utime(path, (time.time() + 86400, time.time() + 86400))
    expect("last-modified" in get("/future.txt").headers, False)


# ---- ranges ----

@case
def one_range_is_partial_content():
    for field, part in (("bytes=0-3", "0-3"), ("bytes=4-", "4-9"), ("bytes=-2", "8-9"),
                        ("bytes=9-99", "9-9"), ("bytes=0-1,2-3", "0-3")):
        a = get("/hello.txt", Range=field)
        first, last = (int(n) for n in part.split("-"))
        expect((a.status, a.body), (206, b"0123456789"[first:last + 1]), field)
        expect(a.headers["content-range"], f"bytes {part}/10", field)


@case
def a_range_of_a_large_file_is_exact():
    for first, last in ((0, 0), (12345, 1234567), (len(BIG) - 70000, len(BIG) - 1)):
        a = get("/big.bin", Range=f"bytes={first}-{last}")
        expect(a.status, 206)
        expect(a.body == BIG[first:last + 1], True, f"{first}-{last}")


@case
def several_ranges_come_as_parts():
    a = get("/hello.txt", Range="bytes=0-1,5-6, -1")
    expect(a.status, 206)
    kind, _, boundary = a.headers["content-type"].partition("; boundary=")
    expect(kind, "multipart/byteranges")
    parts = a.body.split(b"\r\n--" + boundary.encode())
    expect(parts[0], b"")
    expect(parts[-1], b"--\r\n")
    bodies = []
    for part in parts[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        expect_in(b"Content-Type: text/plain; charset=utf-8", head)
        bodies.append((head.split(b"Content-Range: ")[1], body))
    expect(bodies, [(b"bytes 0-1/10", b"01"), (b"bytes 5-6/10", b"56"), (b"bytes 9-9/10", b"9")])


@case
def a_range_outside_is_refused():
    for field in ("bytes=10-", "bytes=-0", "bytes=0-,0-,0-"):
        a = get("/hello.txt", Range=field)
        expect(a.status, 416, field)
        expect(a.headers["content-range"], "bytes */10")


@case
def a_malformed_range_is_ignored():
    many = "bytes=" + ",".join(f"{i * 2}-{i * 2}" for i in range(17))
    for field in ("bytes=x", "lines=0-1", "bytes=3-1", "bytes=", many):
        expect(get("/hello.txt", Range=field).status, 200, field)
    expect(get("/hello.txt", method="HEAD", Range="bytes=0-1").status, 200)


@case
def if_range_sends_all_when_the_file_is_another():
    tag = get("/hello.txt").headers["etag"]
    for value, status in ((tag, 206), ('"x"', 200), ("W/" + tag, 200), (MODIFIED, 206),
                          ("Sun, 06 Nov 1994 08:49:38 GMT", 200)):
        expect(get("/hello.txt", Range="bytes=0-1", If_Range=value).status, status, value)


# ---- directories ----

class Links(html.parser.HTMLParser):
    """What a browser makes of a listing: links, texts, and elements that must not be there."""

    def __init__(self, text):
        super().__init__()
        self.links, self.elements, self.text = [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data):
        self.text += data


@case
def a_directory_redirects_to_its_slash():
    a = get("/sub?x=1")
    expect((a.status, a.headers["location"]), (301, "/sub/?x=1"))
    expect(get("/hello.txt/").status, 404, "a file has none")


@case
def a_redirect_stays_on_this_host():
    for target in ("//sub", "//example.org/..%2f", "///sub"):
        expect("location" in get(target).headers, False, target)


@case
def index_html_stands_for_its_directory():
    a = get("/with-index/")
    expect((a.status, a.body), (200, b"the index"))
    expect(a.headers["content-type"], "text/html; charset=utf-8")
    expect(get("/with-index/", If_None_Match=a.headers["etag"]).status, 304)


@case
def a_listing_shows_what_may_be_had():
    a = get("/")
    page = Links(a.body.decode())
    expect(a.headers["content-type"], "text/html; charset=utf-8")
    expect_in("default-src 'none'", a.headers["content-security-policy"])
    expect(page.links[:4], ["./empty/", "./hostile/", "./sub/", "./with-index/"], "directories")
    expect_in("./hello.txt", page.links)
    expect_in("./inside-link", page.links)
    expect(page.links[4:], sorted(page.links[4:], key=str.lower), "files by name")
    for hidden in ("secret", ".git", ".env", "outside-link", "absolute-link", "way-out", "pipe",
                   "loop", "../"):
        expect(hidden in a.body.decode(), False, hidden)
    expect_in("5.0 MiB", page.text)
    expect_in("1994-11-06 08:49", page.text)
    expect_in("../", Links(get("/sub/").body.decode()).links)
    expect_in("Nothing here", get("/empty/").body.decode())


@case
def hostile_names_stay_text():
    page = Links(get("/hostile/").body.decode())
    expect(len(page.links), len(HOSTILE) + 1, "one link each, and the way up")
    expect("script" in page.elements, False)
    for link in page.links:
        expect(link.startswith(("./", "../")), True, link)
        if link != "../":
            expect(get("/hostile/" + link[2:]).body, b"x", link)


@case
def listings_can_be_turned_off():
    with Server("serve", str(ROOT), "-l", "127.0.0.1:0", "--no-listing") as quiet:
        expect(ask(quiet, "/").status, 404)
        expect(ask(quiet, "/with-index/").status, 200)
        expect(ask(quiet, "/hello.txt").status, 200)


# ---- ways out ----

@case
def nothing_outside_is_reached():
    tries = ["/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt",
             "/sub/../../outside.txt", "/sub/%2e%2e/%2e%2e/outside.txt", "/.%2e/outside.txt",
             "/..%5coutside.txt",
             "/%252e%252e/outside.txt", "/outside-link", "/absolute-link", "/way-out/outside.txt",
             "//etc/passwd", "/%2fetc/passwd", "/sub/..", "/.", "/./hello.txt", "/hello.txt%00",
             "/%00", "/%", "/%zz", "/\xff", "/....//outside.txt", "/%c0%ae%c0%ae/outside.txt",
             "/way-out/root/hello.txt"]
    for target in tries:
        a = get(target)
        expect(a.status in (400, 404), True, f"{target}: {a.status}")
        expect(b"secret" in a.body, False, target)
        expect(b"0123456789" in a.body, False, target)


@case
def dotfiles_and_what_is_no_file_do_not_exist():
    for target in ("/.git/config", "/.git/", "/.env", "/%2egit/config", "/pipe", "/loop", "/none",
                   "/hello.txt/x", "/" + "a" * 300):
        expect(get(target).status, 404, target)


@case
def links_inside_are_followed():
    expect(get("/inside-link").body, b"0123456789")


# ---- the command ----

@case
def curl_resumes_a_download():
    url = f"http://127.0.0.1:{server.port}/big.bin"
    part = TOP / "part.bin"
    part.write_bytes(BIG[:1000])
    subprocess.run(["curl", "-sS", "--fail", "-C", "-", "-o", part, url], check=True,
                   timeout=PATIENCE_S)
    expect(part.read_bytes() == BIG, True)
    subprocess.run(["curl", "-sS", "--fail", "--path-as-is", "-o", os.devnull,
                    f"http://127.0.0.1:{server.port}/hello.txt"], check=True, timeout=PATIENCE_S)


def fails(*arguments):
    done = subprocess.run([AETHER, *arguments], capture_output=True, text=True, timeout=PATIENCE_S,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr


@case
def errors_say_what_to_do():
    status, said = fails("serve", str(ROOT), "-l", f"127.0.0.1:{server.port}")
    expect(status, 1)
    expect_in("address in use", said)
    expect_in("try -l", said)
    status, said = fails("serve", str(ROOT), "-l", "nonsense")
    expect(status, 2)
    expect_in("try 127.0.0.1:8080", said)
    status, said = fails("serve", str(TOP / "none"))
    expect(status, 1)
    expect_in("no such directory", said)
    status, said = fails("serve", str(ROOT / "hello.txt"))
    expect_in("not a directory", said)
    for wrong in (["serve", "--nonsense"], ["serve", "-w", "0"], ["serve", "-w", "x"],
                  ["serve", "a", "b"], ["nonsense"], []):
        expect(fails(*wrong)[0], 2, str(wrong))
    status, said = fails("serve", str(ROOT), "-l", "192.0.2.1:8080")
    expect(status, 1)
    expect_in("no interface", said)


@case
def help_explains_each_command():
    for arguments in (["help"], ["--help"], ["serve", "--help"], ["help", "serve"],
                      ["demo", "--help"], ["doctor", "--help"], ["symbolize", "--help"],
                      ["top", "--help"], ["dump", "--help"], ["trace", "--help"],
                      ["version"]):
        done = subprocess.run([AETHER, *arguments], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        expect((done.returncode, done.stderr), (0, ""), str(arguments))
        expect(max(len(line) for line in done.stdout.splitlines()) <= 100, True, "width")


@case
def doctor_names_the_driver():
    done = subprocess.run([AETHER, "doctor"], capture_output=True, text=True, timeout=PATIENCE_S)
    expect(done.returncode, 0)
    expect_in("driver", done.stdout)
    expect_in("epoll", done.stdout)


@case
def the_log_has_a_line_per_request():
    with Server("serve", str(ROOT), "-l", "127.0.0.1:0", "--log", "-w", "1") as logged:
        for target in ("/hello.txt", "/none", "/sub/"):
            ask(logged, target)
        status, out, err = logged.end()
        expect((status, err), (0, ""))
        lines = out.splitlines()
        expect(len(lines), 3)
        for line, wanted in zip(lines, ('"GET /hello.txt" 200', '"GET /none" 404',
                                        '"GET /sub/" 200')):
            expect_in(wanted, line)


@case
def a_signal_ends_it_with_status_0():
    for sig in (signal.SIGTERM, signal.SIGINT):
        with Server("serve", str(ROOT), "-l", "127.0.0.1:0") as one:
            ask(one, "/hello.txt")
            expect(one.end(sig), (0, "", ""))


@case
def a_download_under_way_is_finished_by_the_drain():
    with Server("serve", str(ROOT), "-l", "127.0.0.1:0") as one, one.connect() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        c.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        first = c.recv(1000)
        one.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(one.port), "the listener is closed")
        body = (first + read_all(c)).partition(b"\r\n\r\n")[2]
        expect(len(body), len(BIG))
        expect(one.process.wait(PATIENCE_S), 0)


def refused(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


@case
def it_listens_on_all_interfaces_when_told():
    port = free_port()
    with Server("serve", str(ROOT), "-l", f":{port}") as one:
        expect(ask(one, "/hello.txt").status, 200)


@case
def the_server_of_these_cases_ends_without_a_word():
    expect(server.end(), (0, "", ""))  # a sanitizer would have said something


try:
    with server:
        run_cases()
finally:
    shutil.rmtree(TOP, ignore_errors=True)
