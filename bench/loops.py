# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of parallel loops: what `bench/run.py par` measures."""

import json
import statistics
import subprocess

from subjects import Missing, version

ROUNDS = 5
# name: unit, has a serial form, Rayon has it
LOOPS = {
    "fork-join": ("ns/join", True, True),
    "par-sort": ("ms", False, True),
    "par-sort-key": ("ms", False, True),
    "par-sort-cmp": ("ms", False, True),
    "map-reduce": ("ms", True, True),
    "map-collect": ("ms", True, True),
    "scan-op": ("ms", True, False),
    "scan-add": ("ms", True, False),
}
WORKERS = (1, 2)


def argv_of(builder, subject, name, workers):
    if subject == "rayon":
        return [builder.rust("rayon_par"), name, str(workers)]
    return [builder.own("aether_par"), name, "0" if subject == "serial" else str(workers)]


def once(argv):
    """One process: a warm-up pass and the median of five."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        raise Missing("took more than 300 s") from None
    if done.returncode != 0:
        raise Missing(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)["value"]


def subjects_of(name, options):
    _, serial, rayon = LOOPS[name]
    found = ["aether"] + (["serial"] if serial else [])
    if options.peers and rayon:
        found.append("rayon")
    return [s for s in found if not options.subject or s in options.subject]


def rows(builder, name, workers, subjects, rounds):
    """Every subject once a round, each round beginning with another one; medians, and the median
    of what it took beside us in the same round."""
    seen = {subject: [] for subject in subjects}
    failed = {}
    for turn in range(rounds):
        for i in range(len(subjects)):
            subject = subjects[(turn + i) % len(subjects)]
            try:
                seen[subject].append(once(argv_of(builder, subject, name, workers)))
            except (Missing, ValueError, KeyError, OSError) as error:
                failed[subject] = str(error)
    for subject in subjects:
        row = {"bench": name, "subject": subject, "workers": workers, "value": None,
               "unit": LOOPS[name][0]}
        if subject in failed:
            row["reason"] = failed[subject]
        else:
            row["value"] = round(statistics.median(seen[subject]), 3)
            row["version"] = version(subject)
            if subject != "aether" and len(seen.get("aether", [])) == rounds:
                pairs = zip(seen["aether"], seen[subject])
                row["aether_x"] = round(statistics.median(a / b for a, b in pairs), 3)
        yield row


def run(builder, options, emit):
    status = 0
    for name in LOOPS:
        if options.bench and name not in options.bench:
            continue
        for workers in WORKERS:
            for row in rows(builder, name, workers, subjects_of(name, options),
                            options.rounds or ROUNDS):
                emit(row)
                if row["subject"] == "aether" and row["value"] is None:
                    status = 1
    return status
