#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: nodejs=node
"""The official `openai` client of npm, at the version of openai/package-lock.json, lists models,
chats, streams and aborts against `aether chat`. Without Node or the package it says so and counts
no case as passed."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from client import Chat
from program import BUILD, SCALE

HERE = pathlib.Path(__file__).resolve().parent
KEY = "a-key-for-the-official-client"
NODE_FOLDER = BUILD / "chat-openai-client"

sys.path.insert(0, str(HERE.parent.parent / "chat" / "web"))
import npm_packages  # noqa: E402


def skip(why):
    print(f"skip: {why}: the official client was not tried")
    print("0 passed, 0 failed")
    sys.exit(0)


node = shutil.which("node") or shutil.which("nodejs")
if not node:
    skip("no Node.js here (package nodejs)")
try:
    npm_packages.install(str(HERE / "openai" / "package-lock.json"), str(NODE_FOLDER))
except OSError as error:
    skip(f"the npm package openai cannot be had ({error})")

with Chat("--key", KEY, engine="fake:2000") as server:
    done = subprocess.run(
        [node, str(HERE / "openai" / "client.mjs")], stdout=subprocess.PIPE, text=True,
        timeout=120 * SCALE, env={**os.environ, "CHAT_URL": f"http://127.0.0.1:{server.port}/",
                                  "CHAT_KEY": KEY, "CHAT_NODE_FOLDER": str(NODE_FOLDER)})
    status, _, said = server.end()
counts = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
print(re.sub(r"^\d+ passed, \d+ failed\n", "", done.stdout, flags=re.M), end="")
passed, failed = (int(counts[1]), int(counts[2])) if counts else (0, 1)
if (status, said) != (0, ""):
    print(f"the server ended with {status} and said {said}")
    failed += 1
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
