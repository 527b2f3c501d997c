#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of stalls and of offloaded work still run and print what is asked of them: every
row, its unit, and no lost request. Their figures are not looked at."""

import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("AE_BUILD_DIR", str(TOP / "build" / "release"))
SCALE = float(os.environ.get("AE_TEST_TIMEOUT_SCALE", "1"))


def rows(*args):
    done = subprocess.run([sys.executable, TOP / "bench" / "run.py", *args, "--json", "--build-dir",
                           BUILD, "--seconds", "1"], capture_output=True, text=True,
                          timeout=120 * SCALE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{args}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def expect(claim, got, want):
    if got != want:
        raise AssertionError(f"{claim}: got {got!r}, expected {want!r}")


def test_stall():
    """p50, p99 and max of each subject, in that order of size."""
    found = rows("stall", "--bench", "stall", "--subject", "aether-blocking", "--subject",
                 "stall-os")
    names = [(row["bench"], row["subject"]) for row in found]
    expect("rows", sorted(names), sorted((f"stall-{figure}", subject)
                                         for figure in ("p50", "p99", "max")
                                         for subject in ("aether-blocking", "stall-os")))
    for row in found:
        expect("unit", (row["unit"], row["workers"]), ("us", 2))
    values = {name: row["value"] for name, row in zip(names, found)}
    for subject in ("aether-blocking", "stall-os"):
        low, high, most = (values[f"stall-{f}", subject] for f in ("p50", "p99", "max"))
        expect(f"{subject} in order", low <= high <= most, True)


def test_offload():
    """A row for each way; the image needs no library."""
    found = rows("offload", "--bench", "image")
    expect("rows", [row["subject"] for row in found],
           ["idle", "inline-norescue", "inline", "offloaded"])
    expect("work was done", all(row["works"] > 0 for row in found[1:]), True)


def main():
    failed = passed = 0
    for name, case in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            case()
            passed += 1
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{name}: FAILED: {error}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
