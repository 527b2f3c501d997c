#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks: `bench/run.py NAME [--json] [--peers]`. See bench/README.md."""

import argparse
import json
import os
import statistics
import subprocess
import sys

import cost
import echo
import loops
import offload
import reads
import stall
import web
from subjects import HERE, Builder, Missing, note, version

ROUNDS = 5
NS, BYTES, IDEAL = "ns/op", "B/task", "x ideal"
# name: unit, worker counts, peers that have an answer to it
MICRO = {
    "switch": (NS, (1,), ["go"]),
    "yield-1": (NS, (1, 2), ["tokio", "go"]),
    "yield-16": (NS, (1, 2), ["tokio", "go"]),
    "yield-10k": (NS, (1, 2), ["tokio", "go"]),
    "spawn-join-seq": (NS, (1, 2), ["tokio", "go", "pthread"]),
    "spawn-join-many": (NS, (1, 2), ["tokio", "go", "pthread"]),
    "chan-pingpong": (NS, (1, 2), ["tokio", "go"]),
    "chan-stream-1024": (NS, (1, 2), ["tokio", "go"]),
    "oneshot": (NS, (1, 2), ["tokio", "go"]),
    "mutex-4": (NS, (1, 2), ["tokio", "go"]),
    "sleep-1m": (NS, (1, 2), ["tokio", "go"]),
    "blocking-seq": (NS, (1, 2), ["tokio"]),
    "blocking-many": (NS, (1, 2), ["tokio"]),
    "parked-task": (BYTES, (1, 2), ["tokio", "go", "pthread"]),
    "deferred-task": (BYTES, (1, 2), ["tokio", "go"]),
    "million": (BYTES, (2,), []),
    "steal": (IDEAL, (2,), ["tokio", "go"]),
    "steal-off": (IDEAL, (2,), []),
}


def argv_of(builder, subject, name):
    if subject == "tokio":
        return [builder.rust("tokio_micro")]
    if subject == "go":
        return [builder.go("micro")]
    return [builder.own("pthread_micro" if subject == "pthread" else "aether_micro")]


def once(builder, subject, name, workers):
    """One process: a warm-up pass and a measured one. Returns the object it printed."""
    env = dict(os.environ)
    if name == "steal-off":
        env["AE_STEAL"] = "off"
    argv = argv_of(builder, subject, name) + [name.removesuffix("-off"), str(workers)]
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        raise Missing("took more than 300 s") from None
    if done.returncode != 0:
        raise Missing(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def micro_rows(builder, name, workers, subjects, rounds):
    unit = MICRO[name][0]
    seen = {subject: [] for subject in subjects}
    failed = {}
    for _ in range(rounds):
        for subject in subjects:
            if subject in failed:
                continue
            try:
                seen[subject].append(once(builder, subject, name, workers))
            except (Missing, ValueError, OSError) as error:
                failed[subject] = str(error)
    for subject in subjects:
        row = {"bench": name, "subject": subject, "workers": workers, "value": None, "unit": unit}
        values = [out["value"] for out in seen[subject] if out.get("value") is not None]
        if subject in failed or len(values) < rounds:
            row["reason"] = failed.get(subject) or seen[subject][0].get("reason", "no value")
        else:
            row["value"] = round(statistics.median(values), 3)
            row["version"] = version(subject)
            row.update({k: v for k, v in seen[subject][-1].items() if k != "value"})
        yield row


def micro(builder, options, emit):
    status = 0
    for name, (_, workers_list, peers) in MICRO.items():
        if options.bench and name not in options.bench:
            continue
        subjects = ["aether"] + (peers if options.peers else [])
        if options.subject:
            subjects = [subject for subject in subjects if subject in options.subject]
        for workers in workers_list:
            for row in micro_rows(builder, name, workers, subjects, options.rounds or ROUNDS):
                emit(row)
                if row["subject"] == "aether" and row["value"] is None:
                    status = 1
    return status


class Table:
    """For people: a line per row, with the ratio to our own figure, or to the floor."""

    def __init__(self):
        self.own = {}

    def __call__(self, row):
        key = (row["bench"], row["workers"])
        if row["value"] is None:
            text = f"{'-':>12}  {row['unit']:<10}  {row['reason']}"
        else:
            text = f"{row['value']:12,.1f}  {row['unit']:<10}  {self.ratio(key, row)}"
        print(f"{row['bench']:<18} {row['workers']}  {row['subject']:<14} {text}", flush=True)

    def ratio(self, key, row):
        skip = ("bench", "subject", "workers", "value", "unit", "version", "ratio", "req_per_s")
        notes = " ".join(f"{k}={v}" for k, v in row.items() if k not in skip)
        if "ratio" in row:
            return f"{row['ratio']:.2f} x floor  {notes}"
        if row["subject"] == "aether":
            self.own[key] = row["value"]
            return notes
        if not self.own.get(key):
            return notes
        return f"{row['value'] / self.own[key]:.2f} x aether  {notes}"


def show_versions(options):
    load = os.getloadavg()[0]
    note(f"machine: {os.cpu_count()} CPUs, Linux {os.uname().release}, load {load:.1f}")
    names = ["aether"]
    if options.peers:
        peers = {"micro": ["tokio", "go", "pthread"], "par": ["rayon"], "file": ["tokio"],
                 "echo": ["tokio"], "stall": ["tokio"], "offload": [],
                 "cost": []}
        names += peers.get(options.what, web.PEERS)
    for name in names:
        note(f"{name}: {version(name)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["micro", "http", "par", "file", "echo", "stall",
                                         "offload", "cost"])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--peers", action="store_true", help="measure the peers too")
    parser.add_argument("--driver", choices=["epoll", "uring", "both"], default="epoll",
                        help="of our HTTP server")
    parser.add_argument("--build-dir", default=str(HERE.parent / "build" / "release"))
    parser.add_argument("--bench", action="append", help="only this benchmark (repeatable)")
    parser.add_argument("--subject", action="append", help="only this subject (repeatable)")
    parser.add_argument("--rounds", type=int, help="9 (http), 1 (stall) or 5 (the rest)")
    parser.add_argument("--seconds", type=int,
                        help="of one round: 3 (http), 2 (echo), 60 (stall), 5 (offload)")
    parser.add_argument("--markdown", action="store_true",
                        help="offload: the table of docs/offload.md")
    options = parser.parse_args()
    emit = (lambda row: print(json.dumps(row), flush=True)) if options.json else Table()
    show_versions(options)
    try:
        run = {"micro": micro, "par": loops.run, "file": reads.run, "echo": echo.run,
               "stall": stall.run, "offload": offload.run,
               "cost": cost.run}.get(options.what, web.run)
        return run(Builder(options.build_dir), options, emit)
    except web.Void as error:
        note(f"void: {error}")
        return 1
    except Missing as error:
        note(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
