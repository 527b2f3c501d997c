# SPDX-License-Identifier: Apache-2.0
# packages: libargon2-dev libjansson-dev libzstd-dev
"""What CPU-bound work costs the other requests of a server: `bench/run.py offload`.

Each program of examples/offload/ on two workers is asked for /plaintext 1,000 times a second by
the clock, over 32 connections, while one client asks for its work again and again: inline without
the runtime's help, inline, offloaded. Made into docs/offload-figures.md by --markdown."""

import json
import os
import platform
import statistics
import subprocess
import threading
import time
import urllib.request

from subjects import Missing, note, version
from web import free_port

SECONDS, RATE, CONNECTIONS, WORKERS = 5, 1000, 32, 2
PAUSE_S = 0.005
LABELS = {"crypto": "a password hash (Argon2id, 19 MiB)",
          "compression": "1 MiB by zstd, level 9",
          "image": "a blur of 4 megapixels",
          "parsing": "5 MiB of JSON"}
BETTER = {"crypto": "`ae_blocking`", "compression": "`ae_blocking`", "image": "`ae_par_for`",
          "parsing": "`ae_checkpoint`"}
# name: path of the work (None: no work at all), environment, what the table says
WAYS = {
    "idle": (None, {}, "nothing else"),
    "inline-norescue": ("/inline", {"AE_RESCUE": "off"}, "inline, `AE_RESCUE=off`"),
    "inline": ("/inline", {}, "inline"),
    "offloaded": ("/offloaded", {}, ""),
}


class Server:
    """An example, alive for one measurement."""

    def __init__(self, builder, name, environment):
        program = builder.build / "examples" / f"offload_{name}"
        if not program.exists():
            raise Missing(f"offload_{name} is not built: its library is missing")
        self.address = f"127.0.0.1:{free_port()}"
        env = {**os.environ, "AE_WORKERS": str(WORKERS), "AE_LOG": "error", **environment}
        self.process = subprocess.Popen([program, self.address], env=env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as answer:
            return answer.read()

    def __enter__(self):
        for _ in range(200):
            try:
                self.get("/plaintext")
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        raise Missing("does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Worker(threading.Thread):
    """The client that asks for the work; `taken_ms` has how long each answer took."""

    def __init__(self, server, path):
        super().__init__()
        self.server, self.path, self.taken_ms = server, path, []
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            begin = time.monotonic()
            self.server.get(self.path)
            self.taken_ms.append(1000 * (time.monotonic() - begin))
            time.sleep(PAUSE_S)


def measure(builder, name, way, seconds):
    path, environment, _ = WAYS[way]
    with Server(builder, name, environment) as server:
        worker = Worker(server, path) if path else None
        if worker:
            worker.start()
        try:
            out = subprocess.run(
                [builder.own("open_loop"), server.address, "/plaintext", str(RATE), str(seconds),
                 str(CONNECTIONS)], capture_output=True, text=True, timeout=seconds * 3 + 60)
        finally:
            if worker:
                worker.done.set()
                worker.join()
    if out.returncode != 0:
        raise Missing(f"requests were lost: {out.stderr.strip()[-200:]}")
    seen = json.loads(out.stdout)
    if worker:
        seen["work_ms"] = round(statistics.median(worker.taken_ms), 1)
        seen["works"] = len(worker.taken_ms)
    return seen


def row_of(name, way, seen):
    row = {"bench": f"offload-{name}", "subject": way, "workers": WORKERS, "unit": "us",
           "value": seen["p99_us"], "version": version("aether")}
    row.update({key: seen[key] for key in ("p50_us", "max_us", "work_ms", "works") if key in seen})
    return row


def rows(builder, name, options):
    for way in WAYS:
        if options.subject and way not in options.subject:
            continue
        try:
            yield row_of(name, way, measure(builder, name, way, options.seconds or SECONDS))
        except (Missing, OSError, ValueError, subprocess.TimeoutExpired) as error:
            yield {"bench": f"offload-{name}", "subject": way, "workers": WORKERS, "unit": "us",
                   "value": None, "reason": str(error)}


def milliseconds(value):
    return "–" if value is None else f"{value / 1000:,.2f}"


class Markdown:
    """docs/offload-figures.md, row by row."""

    def __init__(self):
        print("<!-- Made by `./dev bench offload --markdown`; do not edit. -->")
        print(f"Milliseconds, on {os.cpu_count()} CPUs, Linux {platform.release()}, "
              f"{version('aether')}, load {os.getloadavg()[0]:.1f}; the client runs on the same "
              "CPUs.\n")
        print("| the work | done | one takes | p50 of the others | p99 | longest |")
        print("|---|---|---|---|---|---|")

    def __call__(self, row):
        name = row["bench"].removeprefix("offload-")
        way = WAYS[row["subject"]][2] or BETTER[name]
        work = f"{row['work_ms']:,.1f}" if "work_ms" in row else "–"
        figures = " | ".join(milliseconds(row.get(key)) for key in ("p50_us", "value", "max_us"))
        print(f"| {LABELS[name]} | {way} | {work} | {figures} |", flush=True)
        if "reason" in row:
            note(f"{row['bench']} {row['subject']}: {row['reason']}")


def run(builder, options, emit):
    """Returns the exit status: 0, or 1 if something could not be measured."""
    status = 0
    emit = Markdown() if options.markdown else emit
    for name in LABELS:
        if options.bench and f"offload-{name}" not in options.bench and name not in options.bench:
            continue
        for row in rows(builder, name, options):
            emit(row)
            status |= row["value"] is None
    return status
