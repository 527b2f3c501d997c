#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copy a source with one planted bug: plant.py IN OUT OLD NEW. OLD is literal text that must occur
exactly once, so that a source that was rewritten stops the build and not the test's meaning."""
import pathlib
import sys

source, out, old, new = sys.argv[1:]
text = pathlib.Path(source).read_text(encoding="utf-8")
if text.count(old) != 1:
    sys.exit(f"plant: {source}: {text.count(old)} times, not once: {old!r}")
pathlib.Path(out).write_text(f'#line 1 "{source}"\n' + text.replace(old, new), encoding="utf-8")
