#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages from the comments of include/aether/*.h, and the check that each function is used.

    tools/docgen.py DIR        write aether-NAME.3 for each header, and one line for each function
    tools/docgen.py --list     the names of all these files (for the build)
    tools/docgen.py --functions
    tools/docgen.py --check    each public function has a comment and appears in an example or test

A header is read as a row of blocks: a comment and the declarations right below it. The first
comment after the licence says what the header is for.
"""
import argparse
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
HEADERS = TOP / "include" / "aether"
USED_IN = ["examples/**/*.c", "tests/**/*.c", "tests/**/*.h"]
NOISE = re.compile(r"^(#(ifn?def|if|else|endif|include|define AETHER_)|AE_EXTERN_C_|$)")
FUNCTION = re.compile(r"AE_API[^;]*?\b(ae_\w+)\(")


class Block:
    """A comment and what it is about."""

    def __init__(self):
        self.comment = []   # lines without comment signs
        self.code = []      # declarations as written

    def functions(self):
        """Names of the functions declared here."""
        return FUNCTION.findall("\n".join(self.code))


def uncomment(lines):
    """Comment lines without their signs."""
    text = "\n".join(lines).strip()
    text = re.sub(r"^/\*\s?|\s*\*/$", "", text)
    return [re.sub(r"^ \* ?", "", line).rstrip() for line in text.split("\n")]


def read_comment(lines, at):
    """The comment that starts in line `at`, and the line after it."""
    end = at
    while "*/" not in lines[end]:
        end += 1
    return uncomment(lines[at:end + 1]), end + 1


def read_code(lines, at):
    """The declaration or macro that starts in line `at`, and the line after it."""
    end, depth = at, 0
    while True:
        line = re.sub(r"/\*.*?(\*/|$)", "", lines[end])
        depth += line.count("{") - line.count("}")
        macro = lines[at].startswith("#")
        if macro and not line.endswith("\\"):
            break
        if not macro and depth == 0 and line.rstrip().endswith(";"):
            break
        end += 1
    while "/*" in lines[end] and "*/" not in lines[end].rsplit("/*", 1)[1]:
        end += 1
    return lines[at:end + 1], end + 1


def read_header(path):
    """(purpose, blocks) of one header."""
    lines = path.read_text().split("\n")
    purpose, blocks, block, at = [], [], Block(), 1
    while at < len(lines):
        line = lines[at]
        if NOISE.match(line):
            if block.comment or block.code:
                blocks.append(block)
                block = Block()
            at += 1
        elif line.startswith("/*"):
            comment, at = read_comment(lines, at)
            if not purpose:
                purpose = comment
            elif block.code:
                blocks.append(block)
                block = Block()
                block.comment = comment
            else:
                block.comment += comment
        else:
            code, at = read_code(lines, at)
            block.code += code
    return purpose, blocks


def clean(code):
    """Declarations without the words that only the compiler needs."""
    text = re.sub(r"\bAE_API ", "", code)
    text = re.sub(r"\s*\bAE_MUST_CHECK\b", "", text)
    return re.sub(r"\s*\bAE_PRINTF\([^)]*\)", "", text)


def roff(text):
    """Text safe for troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def paragraph(lines):
    """Comment lines as troff: indented ones stay as they are."""
    out, kept = [], False
    for line in lines:
        keep = line.startswith("  ")
        if keep != kept:
            out.append(".nf" if keep else ".fi")
            kept = keep
        out.append(roff(line) if line else ".PP")
    if kept:
        out.append(".fi")
    return out


def man_page(path, version):
    """The whole page of one header."""
    purpose, blocks = read_header(path)
    stem = path.stem
    functions = [name for block in blocks for name in block.functions()]
    summary = " ".join(purpose).split(". ")[0].rstrip(".")
    include = "http.h" if stem == "http" else "aether.h"
    out = [f'.TH AETHER\\-{stem.upper()} 3 "" "aether {version}" "Aether"', ".SH NAME",
           roff(", ".join(functions) or f"aether/{path.name}") + " \\- " + roff(summary),
           ".SH SYNOPSIS", ".nf", f"#include <aether/{include}>", ".fi", ".SH DESCRIPTION"]
    out += paragraph(purpose)
    for block in blocks:
        names = block.functions()
        if names:
            out.append(".SS " + roff(", ".join(names)))
        else:
            out.append(".PP")
        if block.code:
            out += [".nf", ".RS 2", roff(clean("\n".join(block.code))), ".RE", ".fi", ".PP"]
        out += paragraph(block.comment)
    others = sorted(p.stem for p in HEADERS.glob("*.h") if p.stem not in (stem, "aether"))
    out += [".SH SEE ALSO", ",\n".join(f".BR aether\\-{name} (3)" for name in others)
            .replace(",\n", " ,\n")]
    return "\n".join(out) + "\n"


def headers():
    """All public headers but the umbrella."""
    return sorted(p for p in HEADERS.glob("*.h") if p.name != "aether.h")


def pages():
    """{file name: header} of everything that `DIR` gets."""
    files = {}
    for path in headers():
        files[f"aether-{path.stem}.3"] = path
        for block in read_header(path)[1]:
            for name in block.functions():
                files[f"{name}.3"] = path
    return files


def write_all(folder):
    """All pages into a folder."""
    version = re.search(r"version: '([\d.]+)'", (TOP / "meson.build").read_text())[1]
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in pages().items():
        if name == f"aether-{path.stem}.3":
            text = man_page(path, version)
        else:
            text = f".so man3/aether-{path.stem}.3\n"
        (folder / name).write_text(text)


def check():
    """Functions without a comment, and functions that nothing uses."""
    used = set()
    for pattern in USED_IN:
        for path in TOP.glob(pattern):
            used |= set(re.findall(r"\bae_\w+", path.read_text(errors="replace")))
    status = 0
    for path in headers():
        blocks = read_header(path)[1]
        for i, block in enumerate(blocks):
            commented = block.comment or "/*" in "".join(block.code) or (
                i > 0 and blocks[i - 1].functions())
            for name in block.functions():
                if not commented:
                    print(f"{path.relative_to(TOP)}: {name} has no comment")
                    status = 1
                if name not in used:
                    print(f"{path.relative_to(TOP)}: {name} is in no example and no test")
                    status = 1
    return status


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dir", nargs="?", type=pathlib.Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--functions", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(pages()))
    elif args.functions:
        print("\n".join(n[:-2] for n in pages() if not n.startswith("aether-")))
    elif args.check:
        return check()
    elif args.dir:
        write_all(args.dir)
    else:
        parser.error("name a folder, or --list, --functions or --check")
    return 0


if __name__ == "__main__":
    sys.exit(main())
