#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chat's fuzz targets (tests/fuzz/chat_*.c), each for a fixed number of inputs from its kept
corpus: fuzz.py RUNS CORPUS_FOLDER PROGRAM...   A finding is printed as bytes to put into a test."""
import os
import pathlib
import subprocess
import sys
import tempfile

RUNS, CORPUS, PROGRAMS = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
SEED = os.environ.get("AE_SEED", "1")
passed = failed = 0

for program in PROGRAMS:
    name = os.path.basename(program)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [program, f"-runs={RUNS}", f"-seed={SEED}", "-max_len=2048", "-timeout=20",
             "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/",
             folder, str(CORPUS / name)], stderr=subprocess.PIPE, text=True, errors="replace")
        found = [p for p in pathlib.Path(folder).iterdir()
                 if p.name.startswith(("crash-", "timeout-", "oom-", "leak-"))]
        inputs = [line.split()[-1] for line in done.stderr.splitlines()
                  if "number_of_executed_units" in line]
        print(f"note: {name}: {inputs[0] if inputs else 'no'} inputs")
        if done.returncode == 0 and inputs:
            passed += 1
            continue
        failed += 1
        print(done.stderr[-4000:])
        for path in found:
            print(f"{path.name}: {path.read_bytes()!r}")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
