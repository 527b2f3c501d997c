#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the examples, and the programs of tests/sim, under simulation: each seed twice, with the same
steps both times. AE_SIM_SEEDS=N changes the number of seeds (1000) of each program.

`seeds.py [PART...]` runs the programs whose name holds a PART.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("AE_BUILD_DIR", TOP / "build" / "release"))
SEEDS = int(os.environ.get("AE_SIM_SEEDS", "1000"))
AESIM = BUILD / "cli" / "aesim"
HTTP = (r"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST /shout HTTP/1.1\r\nHost: x\r\n"
        r"Content-Length: 5\r\n\r\nhelloGET /count/3 HTTP/1.1\r\nHost: x\r\n\r\n")
CLIENTS = ["--set", "clients=8"]

# program, arguments of aesim, arguments of the program, share of the seeds
PROGRAMS = [
    ("examples/hello", [], [], 1),
    ("examples/chat_room", [], [], 1),
    ("examples/timeout", [], [], 1),
    ("examples/hedge", [], [], 1),
    ("examples/background", [], [], 0.1),
    ("examples/echo", CLIENTS, [], 1),
    ("examples/graceful", CLIENTS, [], 1),
    ("examples/sim_counter", [], [], 1),
    ("examples/01_spawn", [], [], 1),
    ("examples/02_accept_loop", CLIENTS, [], 1),
    ("examples/06_spawn_blocking", [], [], 0.02),
    ("examples/07_batch_process", [], [], 0.1),
    ("examples/08_incremental_parser", [], [], 1),
    ("examples/http_hello", CLIENTS + ["--say", HTTP], ["127.0.0.1:8080"], 1),
    ("examples/http_api", CLIENTS + ["--say", HTTP], [":8080", str(TOP / "docs")], 1),
    ("tests/sim/sim_accounts", [], [], 1),
    ("tests/sim/sim_network", [], [], 1),
    ("tests/sim/sim_network", [], ["http"], 1),
]
SUMMARY = re.compile(r"(\d+) seeds, (\d+) runs, (\d+) steps, ([\d.]+) virtual hours.* (\d+) failed")


def run(program, options, arguments, seeds):
    """(seeds, runs, steps, hours, failed) of one program, or None: it is not built."""
    if not (BUILD / program).exists():
        return None
    command = [AESIM, "--seeds", f"1..{seeds}", "--check-determinism", "--timeout", "300", *options,
               BUILD / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = SUMMARY.search(done.stdout)
    if done.returncode != 0 or not found:
        print(done.stdout + done.stderr)
        print(f"FAILED: {program} {' '.join(arguments)}")
    if not found:
        return 0, 0, 0, 0.0, 1
    return *map(int, found.groups()[:3]), float(found[4]), int(done.returncode != 0)


def main():
    """All programs; a line for each, and one for all."""
    parts = sys.argv[1:]
    total = [0, 0, 0, 0.0, 0]
    passed = 0
    for program, options, arguments, share in PROGRAMS:
        name = " ".join([program.rsplit("/", 1)[1], *arguments[:1]])
        if parts and not any(part in name for part in parts):
            continue
        begun = time.monotonic()
        got = run(program, options, arguments, max(1, int(SEEDS * share)))
        if got is None:
            print(f"{name}: not built")
            continue
        total = [a + b for a, b in zip(total, got)]
        passed += got[4] == 0
        print(f"{name}: {got[0]} seeds, {got[2] // max(1, got[1])} steps each, "
              f"{time.monotonic() - begun:.0f} s", flush=True)
    print(f"simulation: {total[0]} seeds, {total[1]} runs, {total[2]} steps, "
          f"{total[3]:.0f} virtual hours")
    print(f"{passed} passed, {total[4]} failed")
    return total[4] > 0


if __name__ == "__main__":
    sys.exit(main())
