#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: binutils
"""`aether symbolize`: places become functions and lines, with and without a tool that reads debug
information, and nothing wrong is said of another build."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from program import AETHER, PATIENCE_S, case, expect, expect_in, run_cases

TOP = pathlib.Path(tempfile.mkdtemp(prefix="aether-symbolize-"))
NO_TOOLS = {**os.environ, "PATH": str(TOP)}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True,
                          timeout=PATIENCE_S).stdout


def symbolize(text, *arguments, env=None):
    """(stdout, stderr) of a run that succeeds."""
    done = subprocess.run([AETHER, "symbolize", *arguments], input=text, capture_output=True,
                          text=True, timeout=PATIENCE_S, env=env)
    expect(done.returncode, 0, done.stderr)
    return done.stdout, done.stderr


ID = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", AETHER)).group(1)
FUNCTIONS = {line.split()[2]: int(line.split()[0], 16)
             for line in run("nm", AETHER).splitlines() if len(line.split()) == 3}


def place(function, file=AETHER, build_id=ID, into=4):
    return f"{file} {build_id}+0x{FUNCTIONS[function] + into:x}"


@case
def a_place_becomes_function_and_line():
    out, err = symbolize(f"  #0 {place('cmd_help')}\n")
    expect(err, "")
    expect(re.fullmatch(r"  #0 cmd_help \S*/cli/help\.c:[\d?]+\n", out) is not None, True, out)


@case
def every_place_of_a_line_is_replaced_and_the_rest_stays():
    out, _ = symbolize(f"a {place('cmd_help')} b {place('cmd_version')}, c+0x12 d +0x0\n\nend")
    # A sanitizer's first instruction may belong to no line: `version.c:?`.
    expect(re.fullmatch(r"a cmd_help \S+ b cmd_version \S+:[\d?]+, c\+0x12 d \+0x0\n\nend", out)
           is not None, True, out)


@case
def without_a_tool_the_symbol_table_answers():
    out, err = symbolize(f"x {place('cmd_help', into=5)} y\n", env=NO_TOOLS)
    expect((out, err), ("x cmd_help+0x5 y\n", ""))


@case
def another_build_is_not_guessed_at():
    text = place("cmd_help", build_id="0123456789abcdef0123456789abcdef01234567") + "\n"
    out, err = symbolize(text * 3)
    expect(out, text * 3)
    expect(err.count("another build"), 1, "said once: " + err)


@case
def a_missing_program_is_said_and_the_place_stays():
    text = place("cmd_help", file="/nowhere/at/all") + "\n"
    out, err = symbolize(text)
    expect(out, text)
    expect_in("/nowhere/at/all: it is not here", err)


@case
def programs_are_looked_for_in_the_directory_that_is_named():
    out, err = symbolize(place("cmd_help", file="/nowhere/at/all/aether"), "-d",
                         os.path.dirname(AETHER))
    expect(err, "")
    expect_in("cmd_help", out)


@case
def blanks_in_a_name_are_understood():
    folder = TOP / "a b"
    folder.mkdir()
    shutil.copy(AETHER, folder / "aether")
    out, err = symbolize(place("cmd_help", file=str(folder / "aether").replace(" ", "%20")))
    expect(err, "")
    expect_in("cmd_help", out)


@case
def a_place_without_a_build_id_is_believed():
    out, _ = symbolize(place("cmd_help", build_id="-"))
    expect_in("cmd_help", out)


@case
def many_places_are_asked_in_batches():
    names = sorted(name for name in FUNCTIONS if name.startswith("cmd_"))
    text = "".join(place(name, into=into) + "\n" for into in range(60) for name in names)
    out, _ = symbolize(text)
    expect(len(out.splitlines()), 60 * len(names))
    expect_in("cmd_version", out)


@case
def what_is_no_program_is_no_trouble():
    bad = TOP / "bad"
    for content in (b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + b"\xff" * 200, b"text"):
        bad.write_bytes(content)
        out, err = symbolize(f"{bad} {ID}+0x10\n")
        expect(out, f"{bad} {ID}+0x10\n")
        expect_in("bad: it is ", err)
    whole = bytearray(pathlib.Path(AETHER).read_bytes())
    for at in range(0x28, 0x40):  # offsets and sizes of the section table
        broken = bytearray(whole[:1 << 16])
        broken[at] ^= 0xff
        bad.write_bytes(broken)
        symbolize(f"{bad} -+0x1234\n", env=NO_TOOLS)


@case
def wrong_use_says_so():
    for arguments, status in ((["--nonsense"], 2), (["a", "b"], 2), ([str(TOP / "none")], 1)):
        done = subprocess.run([AETHER, "symbolize", *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        expect(done.returncode, status, str(arguments))
        expect_in("aether: ", done.stderr)


try:
    run_cases()
finally:
    shutil.rmtree(TOP, ignore_errors=True)
