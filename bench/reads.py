# SPDX-License-Identifier: Apache-2.0
"""The file benchmark: random reads of 4 KiB, cached and dropped from the cache.

Each measurement is a process of its own (bench/file/file.c, peers/rust/src/bin/tokio_io.rs), which
compares every block it reads with what was written there. The floor is a loop of pread(2).
"""

import json
import os
import statistics
import subprocess
import tempfile

from subjects import Missing, version

ROUNDS = 5
UNIT = "ns/read"
BLOCK_BYTES = 4096
BLOCKS = 65536 # 256 MiB
# name: reads in flight, cached or cold, reads of one pass
BENCHES = {
    "file-cached-1": (1, "cached", 200000),
    "file-cached-64": (64, "cached", 200000),
    "file-cold-1": (1, "cold", 2000),
    "file-cold-64": (64, "cold", 8000),
}
NO_TOKIO_URING = "not among the locked peers: its older figures are in docs/io_uring.md"


def write_file(directory):
    """A file whose blocks begin with their numbers."""
    path = os.path.join(directory, "blocks")
    with open(path, "wb") as out:
        for first in range(0, BLOCKS, 1024):
            out.write(b"".join(number.to_bytes(8, "little") + bytes(BLOCK_BYTES - 8)
                               for number in range(first, first + 1024)))
        out.flush()
        os.fsync(out.fileno())
    return path


def argv_of(builder, subject, path, bench):
    depth, kind, reads = BENCHES[bench]
    rest = [path, str(depth), kind, str(reads)]
    if subject == "tokio":
        return [builder.rust("tokio_io"), "file"] + rest
    return [builder.own("file_reads"), "pread" if subject == "pread" else "aether"] + rest


def once(builder, subject, path, bench):
    env = dict(os.environ)
    if subject.startswith("aether-"):
        env["AE_DRIVER"] = subject.removeprefix("aether-")
    try:
        done = subprocess.run(argv_of(builder, subject, path, bench), env=env, text=True,
                              capture_output=True, timeout=300)
    except subprocess.TimeoutExpired:
        raise Missing("took more than 300 s") from None
    if done.returncode != 0:
        raise Missing(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    seen = json.loads(done.stdout)
    if subject == "aether-uring" and seen["driver"] != "uring":
        raise Missing("the driver is not to be had: see aether doctor")
    return seen


def row_of(bench, subject, seen, floor):
    row = {"bench": bench, "subject": subject, "workers": 1,
           "value": round(statistics.median(r["value"] for r in seen), 1), "unit": UNIT,
           "cpu_ns": round(statistics.median(r["cpu_ns"] for r in seen), 1),
           "version": version(subject)}
    if floor and subject != "pread":
        row["ratio"] = round(statistics.median(
            a["value"] / b["value"] for a, b in zip(seen, floor)), 3)
        row["cpu_ratio"] = round(statistics.median(
            a["cpu_ns"] / b["cpu_ns"] for a, b in zip(seen, floor)), 3)
    return row


def rows(builder, bench, subjects, path, rounds):
    seen = {subject: [] for subject in subjects}
    failed = {}
    for turn in range(rounds):
        for i in range(len(subjects)):
            subject = subjects[(turn + i) % len(subjects)]
            if subject in failed:
                continue
            try:
                seen[subject].append(once(builder, subject, path, bench))
            except (Missing, ValueError, OSError) as error:
                failed[subject] = str(error)
    for subject in subjects:
        if subject in failed:
            yield {"bench": bench, "subject": subject, "workers": 1, "value": None, "unit": UNIT,
                   "reason": failed[subject]}
        else:
            yield row_of(bench, subject, seen[subject], seen.get("pread"))


def run(builder, options, emit):
    subjects = ["pread", "aether-epoll", "aether-uring"] + (["tokio"] if options.peers else [])
    if options.subject:
        subjects = [s for s in subjects if s in options.subject]
    status = 0
    with tempfile.TemporaryDirectory(prefix="aether-bench-") as directory:
        path = write_file(directory)
        for bench in BENCHES:
            if options.bench and bench not in options.bench:
                continue
            for row in rows(builder, bench, subjects, path, options.rounds or ROUNDS):
                emit(row)
                if row["subject"].startswith("aether") and row["value"] is None:
                    status = 1
            if options.peers:
                emit({"bench": bench, "subject": "tokio-uring", "workers": 1, "value": None,
                      "unit": UNIT, "reason": NO_TOKIO_URING})
    return status
