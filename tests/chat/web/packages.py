#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How foreign code gets into the page: pinned, checked, and not needed. A registry on loopback
plays npm's."""
import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import threading
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent.parent.parent
WEB = TOP / "chat/web"
_cases = []


def case(function):
    _cases.append(function)
    return function


def tarball(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            item = tarfile.TarInfo("package/" + name)
            item.size = len(text)
            tar.addfile(item, io.BytesIO(text.encode()))
    return out.getvalue()


MARKED = tarball({"LICENSE": "MIT of marked", "lib/marked.esm.js":
                  "export const lexer = 1;\n//# sourceMappingURL=marked.esm.js.map"})


def integrity(data):
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


class Registry(http.server.BaseHTTPRequestHandler):
    served = b""
    asked = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.served)))
        self.end_headers()
        self.wfile.write(self.served)


class Place:
    """A folder with a page of one file, a lock, a cache, and a registry that serves `data`."""

    def __init__(self, data=MARKED, wanted=MARKED):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        (self.folder / "page").mkdir()
        (self.folder / "page/index.html").write_text("<!doctype html>")
        entry = {"version": "9.9.9", "integrity": integrity(wanted)}
        (self.folder / "lock.json").write_text(json.dumps(
            {"packages": {"": {}, "node_modules/marked": entry}}))
        self.handler = type("Handler", (Registry,), {"served": data, "asked": []})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bundle(self, *options, registry=None):
        url = registry or "http://127.0.0.1:%d" % self.server.server_port
        done = subprocess.run(
            [sys.executable, str(WEB / "bundle.py"), *options, str(self.folder / "page"),
             str(self.folder / "lock.json"), str(self.folder / "out.c"),
             str(self.folder / "out.d")],
            env={**os.environ, "AETHER_CACHE": str(self.folder / "cache"),
                 "npm_config_registry": url, "no_proxy": "127.0.0.1"},
            stderr=subprocess.PIPE, text=True, check=True)
        return done.stderr

    def data(self, path):
        """The bytes of one asset of out.c."""
        text = (self.folder / "out.c").read_text()
        index = text.partition('{ "%s", ' % path)[2].partition("data_")[2].partition(",")[0]
        body = text.partition("data_%s[] = {" % index)[2].partition("}")[0]
        return bytes(int(n) for n in body.split(","))


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


@case
def a_package_that_fits_its_sum_is_taken_and_cached():
    place = Place()
    expect(place.bundle() == "", "it complains of nothing")
    expect(place.handler.asked == ["/marked/-/marked-9.9.9.tgz"], place.handler.asked)
    expect(place.data("/assets/marked.js") == b"export const lexer = 1;\n", "without its map")
    expect(b"MIT of marked" in place.data("/assets/licenses.txt"), "its licence goes with it")
    place.bundle(registry="http://127.0.0.1:9")
    expect(place.data("/assets/marked.js").startswith(b"export const"), "from the cache")


@case
def a_package_that_does_not_is_refused():
    place = Place(data=tarball({"lib/marked.esm.js": "export const lexer = evil;"}))
    expect("is not what the lock says" in place.bundle(), "it says why")
    expect(b"evil" not in (place.folder / "out.c").read_bytes(), "nothing of it is taken")
    expect(place.data("/assets/marked.js") == b"export default null;\n", "the page does without")
    expect(not list(place.folder.glob("cache/npm/*")), "nor is it cached")


@case
def a_cached_package_that_was_changed_is_fetched_anew():
    place = Place()
    place.bundle()
    cached = place.folder / "cache/npm/marked-9.9.9.tgz"
    cached.write_bytes(cached.read_bytes()[:-7] + b"changed")
    place.bundle()
    expect(len(place.handler.asked) == 2, "the registry was asked again")
    expect(cached.read_bytes() == MARKED, "and the cache is right again")


@case
def without_a_network_the_page_is_built_and_looks_again():
    place = Place()
    said = place.bundle(registry="http://127.0.0.1:9")
    expect("without marked the page shows answers as plain text" in said, said)
    expect(place.data("/") == b"<!doctype html>", "the page is there")
    missing = str(place.folder / "cache/npm/marked-9.9.9.tgz")
    expect(missing in (place.folder / "out.d").read_text(), "ninja waits for the package")
    place.bundle()
    expect(place.data("/assets/marked.js").startswith(b"export const lexer"), "then it is taken")


@case
def offline_asks_nobody():
    place = Place()
    expect("without marked" in place.bundle("--offline"), "it says so")
    expect(place.handler.asked == [], "no request was made")


@case
def a_tarball_cannot_write_outside_its_folder():
    data = tarball({"../../../escaped": "x", "inside": "y"})
    place = Place(data=data, wanted=data)
    done = subprocess.run(
        [sys.executable, str(WEB / "npm_packages.py"), "install", str(place.folder / "lock.json"),
         str(place.folder / "a/b/c")], env={
             **os.environ, "AETHER_CACHE": str(place.folder / "cache"), "no_proxy": "127.0.0.1",
             "npm_config_registry": "http://127.0.0.1:%d" % place.server.server_port}, check=False)
    expect(done.returncode == 0, "it installs")
    expect((place.folder / "a/b/c/node_modules/marked/inside").read_text() == "y", "what is inside")
    expect(not list(place.folder.rglob("escaped")), "and nothing else")


@case
def the_locks_pin_what_the_page_and_its_tests_use():
    for lock, names in ((WEB / "package-lock.json", {"marked", "@highlightjs/cdn-assets"}),
                        (pathlib.Path(__file__).parent / "package-lock.json",
                         {"axe-core", "playwright-core"})):
        packages = json.loads(lock.read_text())["packages"]
        wanted = json.loads((lock.parent / "package.json").read_text())
        wanted = {**wanted.get("dependencies", {}), **wanted.get("devDependencies", {})}
        expect(set(wanted) == names, "%s: %s" % (lock, wanted))
        for name, version in wanted.items():
            entry = packages["node_modules/" + name]
            expect(entry["version"] == version, "%s is pinned to one version" % name)
            expect(entry["integrity"].startswith("sha512-"), "%s has a sum" % name)


def main():
    passed = failed = 0
    for function in _cases:
        try:
            function()
            passed += 1
        except Exception:
            failed += 1
            print("%s: FAILED\n%s" % (function.__name__, traceback.format_exc()))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)


main()
