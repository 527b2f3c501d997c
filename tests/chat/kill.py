#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of a busy server, again and again on the same store: every message that
was acknowledged is there after the restart, and of an answer that was being written at most the
last second is missing.

AE_KILLS sets how many: 200 in a release build, a tenth of it in the others, unless set."""
import collections
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time

from client import Chat
from program import BUILD, SCALE

KILLS = int(os.environ.get("AE_KILLS", "200" if BUILD.name == "release" else "20"))
CLIENTS = 4
LOST_S = 1.0 * SCALE  # of an answer; sanitizers make saving slower, not the promise
seed = int(os.environ.get("AE_SEED", str(random.randrange(1 << 30))))
dice = random.Random(seed)
# What clients were told. One entry per answer: its conversation, its question, and what came of it.
Told = collections.namedtuple("Told", "conversation question answer pieces final")


class Client(threading.Thread):
    """Asks one question after another until the server dies."""

    def __init__(self, server, conversation):
        super().__init__(daemon=True)
        self.server, self.conversation, self.told = server, conversation, []
        self.unexpected = None

    def run(self):
        try:
            while True:
                self.ask()
        except (OSError, ValueError, AssertionError) as error:
            if self.server.process.poll() is None and not self.server.dying:
                self.unexpected = error
        except Exception as error:  # http.client's own kinds: a line cut in the middle
            if type(error).__module__ != "http.client":
                self.unexpected = error

    def ask(self):
        question = answer = None
        pieces, entry = [], None
        events = self.server.ask(self.conversation, f"What about {dice.random()}?")
        try:
            for event, value in events:
                if event == "question":
                    question = value
                elif event == "answer":
                    answer = value
                    entry = [self.conversation, question, answer, pieces, None]
                    self.told.append(entry)
                elif event == "delta":
                    pieces.append((time.monotonic(), value["text"]))
                elif event == "done":
                    entry[4] = value["message"]
                elif event == "failed":
                    raise AssertionError(str(value))
        finally:
            events.close()
            if question and not answer:
                self.told.append([self.conversation, question, None, [], None])


def kept_messages(path):
    """Every message of the store by id, read as another program would after the death."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT id, conversation, text, state FROM message").fetchall()
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    if sound != "ok":
        raise AssertionError(f"the store is damaged: {sound}")
    return {row[0]: row[1:] for row in rows}


def check(told, kept, died_at, problems):
    conversation, question, answer, pieces, final = told
    for message in (question, answer):
        if message and message["id"] not in kept:
            problems.append(f"message {message['id']} of {message['role']} is gone")
            return
    if kept[question["id"]][:2] != (conversation, question["text"]):
        problems.append(f"question {question['id']} is another one")
    if not answer:
        return
    text = kept[answer["id"]][1]
    if final and text != final["text"]:
        problems.append(f"the whole answer {answer['id']} is not whole")
    told_text = "".join(piece for _, piece in pieces)
    if not told_text.startswith(text) and not text.startswith(told_text):
        problems.append(f"answer {answer['id']} is another one")
    old = "".join(piece for at, piece in pieces if at < died_at - LOST_S)
    if not text.startswith(old):
        problems.append(f"answer {answer['id']}: more than {LOST_S} s of it are missing: "
                        f"{len(old) - len(text)} bytes")


def one_life(store, conversations, problems):
    """A server that serves until it is killed. (answers told of, how many were under way)"""
    with Chat(engine="fake:2000", store=store) as server:
        server.dying = False
        states = [m["state"] for c in conversations for m in server.read(c)["messages"]]
        if "streaming" in states:
            problems.append("an answer is still called streaming after the start")
        while len(conversations) < CLIENTS:
            conversations.append(server.new())
        clients = [Client(server, c) for c in conversations]
        for client in clients:
            client.start()
        time.sleep(dice.uniform(0.02, 0.3) if dice.random() < 0.8 else dice.uniform(0.3, 1.6))
        server.dying = True
        died_at = time.monotonic()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for client in clients:
            client.join(20)
            if client.unexpected:
                problems.append(f"a client was told: {client.unexpected!r}")
    kept = kept_messages(store)
    told = [entry for client in clients for entry in client.told]
    for entry in told:
        check(Told(*entry), kept, died_at, problems)
    return len(told), sum(1 for entry in told if entry[2] and not entry[4])


def main():
    folder = tempfile.mkdtemp(prefix="aether-kill-")
    problems, answers, under_way, longest = [], 0, 0, 0
    conversations = []
    try:
        for life in range(KILLS):
            if life % 10 == 0:  # long conversations would only make it slow
                conversations = []
            told, cut = one_life(folder + "/chat.db", conversations, problems)
            answers, under_way, longest = answers + told, under_way + cut, max(longest, cut)
            if problems:
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"note: {life + 1} kills, {answers} answers told of, {under_way} of them under way, "
          f"seed {seed}")
    for problem in problems:
        print(problem)
    enough = under_way >= KILLS / 2
    if not enough:
        print("too few kills met an answer under way")
    passed = (life + 1 if not problems else life) + (1 if enough else 0)
    print(f"{passed} passed, {(1 if problems else 0) + (0 if enough else 1)} failed")
    return 1 if problems or not enough else 0


sys.exit(main())
