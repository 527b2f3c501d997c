#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the benchmarks' JSON lines into docs/figures.md, the table that the README includes.

    ./dev bench micro --json --peers > figures.jsonl
    ./dev bench http --json --peers >> figures.jsonl
    bench/report.py figures.jsonl > docs/figures.md
"""

import json
import os
import sys

WEB = ["floor-epoll", "hyper", "hyper-current", "nginx", "h2o", "go"]
LABELS = {
    "switch": "two tasks switch to each other, ns",
    "yield-1": "yield, 1 task, ns",
    "yield-16": "yield, 16 tasks, ns",
    "yield-10k": "yield, 10,000 tasks, ns",
    "spawn-join-seq": "spawn and join, one after another, ns",
    "spawn-join-many": "spawn a million, then join all, ns each",
    "chan-pingpong": "channel of 1, round trip, ns",
    "chan-stream-1024": "channel of 1,024, stream, ns",
    "oneshot": "one value back from a spawned task, ns",
    "mutex-4": "mutex, 4 tasks, ns",
    "sleep-1m": "a million tasks sleep 1 to 100 ms, ns each",
    "blocking-seq": "a job on the blocking pool, ns",
    "blocking-many": "200,000 jobs on the blocking pool, ns each",
    "parked-task": "memory of a waiting task, bytes",
    "deferred-task": "memory of a task that waits without a stack, bytes",
    "million": "a million tasks, each with a stack, bytes each",
    "steal": "20,000 jobs spawned by one task, time ÷ ideal",
    "steal-off": "the same without stealing (`AE_STEAL=off`)",
    "http-keepalive-64": "64 connections",
    "http-keepalive-512": "512 connections",
    "http-pipelined-16": "64 connections, 16 requests in flight each",
}


def read(paths):
    rows = {}
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    row = json.loads(line)
                    rows[row["bench"], row["workers"], row["subject"]] = row
    return rows


def number(row):
    if row is None or row["value"] is None:
        return "–"
    value = row["value"]
    if row["unit"] == "x ideal":
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def micro(rows):
    subjects = ["aether", "tokio", "go", "pthread"]
    yield "| | workers | Aether | Tokio | Go | OS thread | `./dev bench micro --peers …` |"
    yield "|---|---|---|---|---|---|---|"
    for bench, workers in dict.fromkeys((b, w) for b, w, s in rows if s == "aether"):
        cells = [number(rows.get((bench, workers, subject))) for subject in subjects]
        cells[0] = f"**{cells[0]}**"
        yield (f"| {LABELS.get(bench, bench)} | {workers} | " + " | ".join(cells) +
               f" | `--bench {bench}` |")


def cell(row):
    if row is None or row["value"] is None:
        return "–"
    return f"{row['value'] / 1000:.2f} ({row['ratio']:.2f} ×)"


def web(rows):
    subjects = ["aether-epoll"] + WEB
    yield ("| CPU µs per request (× floor) | Aether | raw epoll loop | hyper | "
           "hyper, current-thread | nginx | h2o | Go | `./dev bench http --peers …` |")
    yield "|---" * 9 + "|"
    for bench in dict.fromkeys(b for b, _, s in rows if s == "floor-epoll"):
        cells = [cell(rows.get((bench, 1, subject))) for subject in subjects]
        cells[0] = f"**{cells[0]}**"
        yield f"| {LABELS[bench]} | " + " | ".join(cells) + f" | `--bench {bench}` |"


def versions(rows):
    seen = dict.fromkeys(row["version"] for row in rows.values()
                         if row.get("version") and row["value"] is not None)
    names = dict.fromkeys(part for text in seen for part in text.split(", "))
    return ", ".join(names)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rows = read(sys.argv[1:])
    print("<!-- Made by bench/report.py from the benchmarks' output; do not edit. -->")
    print(f"Medians on {os.cpu_count()} CPUs, Linux {os.uname().release.split('-')[0]}; "
          f"{versions(rows)}. Run them where you are: the ratios travel, the numbers do not.")
    print()
    print("\n".join(micro(rows)))
    print()
    print("\n".join(web(rows)))


if __name__ == "__main__":
    main()
