#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: chromium nodejs
"""The page of AetherAI in a real browser, by playwright-core and axe-core: page.py [CLAIM...]

First against a stand-in for the server, then against `aether chat` with the fake engine where it
has been built, and with the real one where that and a model are there. Screenshots go to the build
directory. Without Chromium or Node, or without the two npm packages, it says so and counts no case
as passed: nothing was seen."""
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent.parent
BUILD = pathlib.Path(os.environ.get("AE_BUILD_DIR", TOP / "build" / "release")).resolve()
SCALE = float(os.environ.get("AE_TEST_TIMEOUT_SCALE", "1"))
NODE_FOLDER = BUILD / "chat-page-tests"

sys.path.insert(0, str(TOP / "chat/web"))
import npm_packages  # noqa: E402


def skip(why):
    print("skip: %s: the page of the chat was not looked at" % why)
    print("0 passed, 0 failed")
    sys.exit(0)


class Server:
    """A program that prints its URL in its first lines."""

    def __init__(self, *command, **more):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        text=True, **more)
        self.url = None
        while self.url is None:
            if not select.select([self.process.stdout], [], [], 30 * SCALE)[0]:
                sys.exit("%s says nothing" % command[0])
            line = self.process.stdout.readline()
            if not line:
                sys.exit("%s ended with %s" % (command[0], self.process.wait()))
            found = re.search(r"http://[^/\s]+/", line)
            self.url = found.group(0) if found else None

    def end(self):
        self.process.terminate()
        self.process.wait(30 * SCALE)


def mock(*options):
    return Server(sys.executable, str(HERE / "mock_server.py"), "--port", "0", *options)


def run(kind, script="page_test.mjs", **urls):
    """The counts of one run of a script."""
    environment = {**os.environ, **urls, "CHAT_KIND": kind, "CHAT_CHROMIUM": CHROMIUM,
                   "CHAT_NODE_FOLDER": str(NODE_FOLDER), "CHAT_SHOTS": str(BUILD),
                   "CHAT_SAMPLE": str(TOP / "chat/sample/deep-dive.json")}
    done = subprocess.run([NODE, str(HERE / script), *sys.argv[1:]], env=environment,
                          stdout=subprocess.PIPE, text=True, timeout=500 * SCALE)
    counts = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
    print(re.sub(r"^\d+ passed, \d+ failed\n", "", done.stdout, flags=re.M), end="")
    if not counts:
        return 0, 1
    print("%s: %s passed, %s failed" % (kind, *counts.groups()))
    return int(counts[1]), int(counts[2])


def against_mocks():
    servers = {"CHAT_URL": mock(), "CHAT_PLAIN_URL": mock("--plain", "--token-ms", "1"),
               "CHAT_EMPTY_URL": mock("--no-model"), "CHAT_FETCHING_URL": mock("--fetching"),
               "CHAT_KEY_URL": mock("--key", "open-sesame-open")}
    try:
        return run("mock", **{name: server.url for name, server in servers.items()})
    finally:
        for server in servers.values():
            server.end()


def has_chat(aether):
    listed = subprocess.run([str(aether), "help"], stdout=subprocess.PIPE, text=True).stdout \
        if aether.exists() else ""
    return re.search(r"^\s*chat\b", listed, re.M) is not None


def against_aether(kind, script, *options):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(str(BUILD / "cli/aether"), "chat", "-l", "127.0.0.1:0",
                        "--store", os.path.join(folder, "chat.db"), *options)
        try:
            return run(kind, script, CHAT_URL=server.url)
        finally:
            server.end()


def model_and_engine():
    """The folder of the default model if that and the engine's module are there."""
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    models = pathlib.Path(home, "aether/models")
    module = subprocess.run([sys.executable, str(TOP / "chat/fetch.py"), "path"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    there = module and os.path.exists(module) and list(models.glob("SmolLM2-*.gguf"))
    return models if there else None


def against_the_real_ones():
    if not has_chat(BUILD / "cli/aether"):
        print("note: no `aether chat` in %s: only the stand-in was looked at" % BUILD.name)
        return []
    with tempfile.TemporaryDirectory() as empty:
        results = [against_aether("aether", "page_test.mjs", "--engine", "fake:15000",
                                  "--models", empty)]
    models = model_and_engine()
    if not models:
        print("note: no model or no engine here (./dev chat fetches them): no real answer was seen")
        return results
    return results + [against_aether("model", "real_test.mjs", "--models", str(models))]


NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if not NODE or not CHROMIUM:
    skip("no Chromium or Node here (packages chromium and nodejs)")
try:
    npm_packages.install(str(HERE / "package-lock.json"), str(NODE_FOLDER))
except OSError as error:
    skip("playwright-core and axe-core cannot be had (%s)" % error)

results = [against_mocks(), *against_the_real_ones()]
passed, failed = (sum(column) for column in zip(*results))
print("%d passed, %d failed" % (passed, failed))
sys.exit(1 if failed or not passed else 0)
