#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keep the code and the figures shown in Markdown equal to the files they come from.

    tools/readme.py            rewrite what is stale
    tools/readme.py --check    name what is stale, exit 1

In Markdown, what stands between these two lines is replaced:

    <!-- include examples/tour/02_accept_loop.c#accept-loop as c -->
    <!-- end include -->

`#region` takes the lines between `[region]` and `[end]`, each alone in a comment of the file;
without it the whole file is taken. `as LANG` makes a code block, without it the text goes in as
it is. The example programs stay the only place where code is written.
"""
import argparse
import functools
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGES = ["README.md", "ARCHITECTURE.md", "docs/*.md"]
BLOCK = re.compile(
    r"^(?P<head><!-- include (?P<path>[^\s#]+)(?:#(?P<region>[\w-]+))?(?: as (?P<lang>\w+))? -->\n)"
    r"(?P<body>.*?)^(?P<tail><!-- end include -->)$", re.M | re.S)
REGION = r"^[^\n\w]*\[{}\][^\n\w]*\n(?P<text>.*?)^[^\n\w]*\[end\][^\n\w]*$"


class Missing(Exception):
    """A file or region that a page names is not there."""


def source_text(path, region):
    """The text of a file, or of one region of it, without blank lines around it."""
    file = TOP / path
    if not file.is_file():
        raise Missing(f"no file {path}")
    text = file.read_text()
    if region:
        found = re.search(REGION.format(re.escape(region)), text, re.M | re.S)
        if not found:
            raise Missing(f"no region [{region}] in {path}")
        text = found["text"]
    return text.strip("\n") + "\n"


def fill(match, missing):
    """One include block as it ought to be; what cannot be found is named and left as it is."""
    try:
        text = source_text(match["path"], match["region"])
    except Missing as error:
        missing.append(str(error))
        return match[0]
    if match["lang"]:
        text = f"```{match['lang']}\n{text}```\n"
    return match["head"] + text + match["tail"]


def main():
    """Check or rewrite each page; the exit status says whether all are fresh."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when stale")
    check = parser.parse_args().check
    status = 0
    for page in sorted(p for pattern in PAGES for p in TOP.glob(pattern)):
        name = page.relative_to(TOP)
        old = page.read_text()
        missing = []
        new = BLOCK.sub(functools.partial(fill, missing=missing), old)
        for error in missing:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
        if new == old:
            continue
        if check:
            print(f"{name}: stale, run tools/readme.py", file=sys.stderr)
            status = 1
        else:
            page.write_text(new)
            print(f"{name}: rewritten")
    return status


if __name__ == "__main__":
    sys.exit(main())
