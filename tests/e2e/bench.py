#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of stalls and of offloaded work still run and print what is asked of them: every
row, its unit, and no lost request. Their figures are not looked at."""

import json
import subprocess
import sys

from program import BUILD, SCALE, TOP, case, expect, run_cases


def rows(*args):
    done = subprocess.run([sys.executable, TOP / "bench" / "run.py", *args, "--json", "--build-dir",
                           BUILD, "--seconds", "1"], capture_output=True, text=True,
                          timeout=120 * SCALE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{args}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


@case
def stalls_have_p50_p99_and_max_of_each_subject_in_that_order_of_size():
    found = rows("stall", "--bench", "stall", "--subject", "aether-blocking", "--subject",
                 "stall-os")
    names = [(row["bench"], row["subject"]) for row in found]
    expect(sorted(names), sorted((f"stall-{figure}", subject)
                                 for figure in ("p50", "p99", "max")
                                 for subject in ("aether-blocking", "stall-os")), "rows")
    for row in found:
        expect((row["unit"], row["workers"]), ("us", 2), "unit")
    values = {name: row["value"] for name, row in zip(names, found)}
    for subject in ("aether-blocking", "stall-os"):
        low, high, most = (values[f"stall-{f}", subject] for f in ("p50", "p99", "max"))
        expect(low <= high <= most, True, f"{subject} in order")


@case
def offloaded_work_has_a_row_for_each_way():  # the image needs no library
    found = rows("offload", "--bench", "image")
    expect([row["subject"] for row in found],
           ["idle", "inline-norescue", "inline", "offloaded"], "rows")
    expect(all(row["works"] > 0 for row in found[1:]), True, "work was done")


run_cases()
