#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documentation is true: included code is fresh, links lead somewhere, every public function
is explained, used somewhere, and has a man page that troff accepts."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(os.environ.get("AE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))


def tool(*args):
    """Run one of tools/; what it said if it failed, else nothing."""
    done = subprocess.run([sys.executable, TOP / "tools" / args[0], *args[1:]], text=True,
                          capture_output=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def check_included_code_is_fresh():
    """README and docs show the files of examples/ as they are."""
    return tool("readme.py", "--check")


def check_functions_are_explained_and_used():
    """Each public function has a comment and stands in an example or a test."""
    return tool("docgen.py", "--check")


def check_links_lead_somewhere():
    """Relative links of the pages name files that exist."""
    bad = []
    for page in [*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in link and not (page.parent / link).exists():
                bad.append(f"{page.relative_to(TOP)}: no {link}")
    return "\n".join(bad)


def check_server_in_readme_is_short():
    """The server on the first screen has at most 20 lines."""
    page = (TOP / "README.md").read_text()
    code = re.search(r"02_accept_loop.c#accept-loop as c -->\n```c\n(.*?)```", page, re.S)
    if not code:
        return "README.md does not include the accept loop"
    lines = code[1].count("\n")
    return "" if lines <= 20 else f"{lines} lines"


def check_man_pages():
    """A page for each header and a name for each function, without troff warnings."""
    with tempfile.TemporaryDirectory() as folder:
        said = tool("docgen.py", folder)
        pages = list(pathlib.Path(folder).glob("aether-*.3"))
        headers = [p for p in (TOP / "include/aether").glob("*.h") if p.name != "aether.h"]
        if len(pages) != len(headers):
            said += f"{len(pages)} pages for {len(headers)} headers\n"
        if shutil.which("groff"):
            for page in pages:
                said += subprocess.run(["groff", "-man", "-ww", "-z", page], text=True,
                                       capture_output=True, check=False).stderr
    return said


def main():
    """Run every check."""
    failed = passed = 0
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            said = check()
            passed += not said
            failed += bool(said)
            if said:
                print(f"{name}: FAILED\n{said.rstrip()}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
