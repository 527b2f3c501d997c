#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/gdb/aether-gdb.py lists tasks and walks the stacks of suspended ones, live and from a
core."""
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(os.environ.get("AE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("AE_BUILD_DIR", TOP / "build" / "release"))
PROGRAM = BUILD / "tests" / "gdb" / "gdb_parked"
SCRIPT = TOP / "tools" / "gdb" / "aether-gdb.py"
PATIENCE_S = 120 * float(os.environ.get("AE_TEST_TIMEOUT_SCALE", "1"))
# Leaks cannot be looked for under a debugger.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "DEBUGINFOD_URLS": ""}
ENVIRONMENT.pop("AE_FLAVOR", None)  # two workers are part of what is looked at


def gdb(commands, *files):
    """{command: what gdb printed for it}, and {"": everything}."""
    args = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set width 0", "-x", SCRIPT]
    for command in commands:
        args += ["-ex", f"echo \\n==== {command}\\n", "-ex", command]
    done = subprocess.run([*args, *files], capture_output=True, text=True, timeout=PATIENCE_S,
                          env=ENVIRONMENT, check=False)
    parts = re.split(r"^==== (.*)\n", done.stdout, flags=re.M)
    return {"": done.stdout + done.stderr, **dict(zip(parts[1::2], parts[2::2]))}


def expect(condition, claim, output):
    """A claim, and what was seen instead."""
    if not condition:
        raise AssertionError(f"{claim}\n--- output ---\n{output}")


def frames_in(output):
    """Function names of a printed stack, innermost first."""
    return re.findall(r"^  #\d+ +(\w+)", output, re.M)


def expect_order(output, names):
    """These frames, in this order, and a stack that ends where the task began."""
    frames = frames_in(output)
    places = [frames.index(name) if name in frames else -1 for name in names]
    expect(-1 not in places and places == sorted(places), f"frames {names} in order", output)
    expect(frames[-1] in ("ae__arch_entry", "ae__arch_call"), "the stack ends at its first frame",
           output)
    expect("inner to this frame" not in output and "corrupt" not in output, "no complaint", output)


def expect_table(output):
    """What `ae tasks` says of the program's tasks. The numbers of control blocks are free."""
    for state, waits, function in [("parked", r"recv 0x\w+", "receiver"),
                                   ("parked", "sleep", "sleeper"),
                                   ("parked", r"accept 0x\w+", "acceptor"),
                                   ("parked", r"mutex 0x\w+", "locker"),
                                   ("parked", r"join of \d+", "app"),
                                   ("running", "", "stopper")]:
        line = rf"^ *\d+  {state} +{waits} *{function} +{function}$"
        expect(re.search(line, output, re.M), f"a line {line}", output)
    expect(len(re.findall(r" receiver$", output, re.M)) == 2, "two receivers", output)
    expect("7 tasks" in output, "seven tasks", output)


def live_session():
    """gdb starts the program, looks, and lets it go on."""
    return gdb(["break everybody_is_parked", "run", "ae tasks", "ae tasks running",
                "ae bt receiver", "ae bt sleeper", "ae bt acceptor", "ae bt stopper",
                "ae bt app", "ae bt all",
                "ae workers", "ae bt nobody", "ae enter receiver", "frame function receiver",
                "print word", "ae leave", "backtrace 1", "continue"], PROGRAM)


def test_live(seen):
    """Tasks, states and waits."""
    expect_table(seen["ae tasks"])
    expect("1 tasks" in seen["ae tasks running"], "one task runs", seen["ae tasks running"])


def test_live_stacks(seen):
    """Suspended stacks, and the one that a thread uses."""
    expect_order(seen["ae bt receiver"], ["ae_recv", "wait_for_a_word", "receiver"])
    expect("channel" in seen["ae bt receiver"] or "recv" in seen["ae bt receiver"], "the wait",
           seen["ae bt receiver"])
    expect_order(seen["ae bt sleeper"], ["ae_sleep", "sleeper"])
    expect_order(seen["ae bt acceptor"], ["ae_accept", "acceptor"])
    expect_order(seen["ae bt stopper"], ["everybody_is_parked", "stopper"])
    expect_order(seen["ae bt app"], ["ae_join", "app"])
    expect("parked.c:" in seen["ae bt receiver"], "file and line", seen["ae bt receiver"])


def test_equal_stacks_are_grouped(seen):
    """The two receivers stand together."""
    expect(re.search(r"^2 tasks parked: \d+ \d+$", seen["ae bt all"], re.M), "a group of two",
           seen["ae bt all"])
    expect(seen["ae bt all"].count("wait_for_a_word") == 1, "shown once", seen["ae bt all"])


def test_enter(seen):
    """Locals of a suspended frame, and the way back."""
    expect("= 7" in seen["print word"], "the local's value", seen[""])
    expect("everybody_is_parked" in seen["backtrace 1"], "the real stack again", seen[""])


def test_workers(seen):
    """Who does what."""
    expect(seen["ae workers"].count("\nworker ") + seen["ae workers"].startswith("worker ") == 2,
           "two workers", seen["ae workers"])
    expect("runs task" in seen["ae workers"] and " stopper;" in seen["ae workers"],
           "one runs the stopper", seen["ae workers"])


def test_mistakes(seen):
    """A wrong id is said, and the program goes on unharmed."""
    expect("no task nobody" in seen[""], "no such task", seen[""])
    expect("exited normally" in seen["continue"], "the program ends well", seen[""])


def make_core(folder):
    """A core file of the program with all its tasks parked, or the reason why there is none."""
    # Neither a sanitizer's shadow memory nor another program's handling of cores is ours to test.
    text = PROGRAM.read_bytes()
    if b"__asan_init" in text or b"__tsan_init" in text:
        return None, "sanitizers write no cores"
    if pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        return None, "cores go to another program here"

    def unlimited():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    subprocess.run([PROGRAM, "abort"], cwd=folder, preexec_fn=unlimited, env=ENVIRONMENT,
                   timeout=PATIENCE_S, capture_output=True, check=False)
    cores = list(pathlib.Path(folder).glob("*core*"))
    return (cores[0], "") if cores else (None, "this system wrote no core file here")


def test_core():
    """The same from a core that the kernel wrote."""
    with tempfile.TemporaryDirectory() as folder:
        core, reason = make_core(folder)
        if not core:
            print(f"test_core: not looked at: {reason}")
            return
        seen = gdb(["ae tasks", "ae bt acceptor", "ae bt receiver", "ae workers"], PROGRAM, core)
    expect_table(seen["ae tasks"])
    expect_order(seen["ae bt acceptor"], ["ae_accept", "acceptor"])
    expect_order(seen["ae bt receiver"], ["ae_recv", "wait_for_a_word", "receiver"])
    expect("asleep" in seen["ae workers"], "workers asleep", seen["ae workers"])


def main():
    """Each test_ function is a case."""
    if not shutil.which("gdb"):
        print("gdb is not installed\n0 passed, 1 failed")
        return 1
    seen, passed, failed = live_session(), 0, 0
    for name, case in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            case(*([seen] if case.__code__.co_argcount else []))
            passed += 1
        except (AssertionError, KeyError, OSError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{name}: FAILED: {error!r:.4000}" if isinstance(error, KeyError)
                  else f"{name}: FAILED: {error}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
