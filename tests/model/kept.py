# SPDX-License-Identifier: Apache-2.0
"""Memory orders that no model can show to be needed, and why they stay. At most ten.

An entry is the file, a part of the line, the order, what it may become, and the argument."""

KEPT = [
]


def reason(path, code, old, new):
    """Why this order stays as it is; '' if nothing is said of it."""
    for file, part, was, becomes, why in KEPT:
        if path == file and part in code and (was, becomes) == (old, new):
            return why
    return ''
