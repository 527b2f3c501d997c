#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copy a source with one planted bug: mutate.py IN OUT OLD NEW [OLD NEW]...

OLD is literal text that must occur exactly once. If it does not (the source was rewritten), the
copy is left as it is, so the test that expects the bug to be found goes red and says which."""
import sys


def main():
    source, out, *pairs = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        text = f.read()
    for old, new in zip(pairs[::2], pairs[1::2]):
        if text.count(old) == 1:
            text = text.replace(old, new)
        else:
            print(f"mutate: {source}: {text.count(old)} times, not once: {old!r}",
                  file=sys.stderr)
            break
    with open(out, "w", encoding="utf-8") as f:
        f.write(f'#line 1 "{source}"\n' + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
