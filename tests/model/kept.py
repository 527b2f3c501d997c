# SPDX-License-Identifier: Apache-2.0
"""Memory orders that no model can show to be needed, and why they stay. At most ten.

An entry is the file, a part of the line, the order, what it may become, and the argument."""

LOAD_BUFFERING = ('a thief reads slots, then releases head; the owner acquires head, then '
                  'overwrites them. Without the pair C11 lets the thief read what is written '
                  'later; the checker, like RC11, has no such load buffering')

KEPT = [
    ('src/sched/runq.c', 'uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);',
     'acquire', 'relaxed', 'in push: ' + LOAD_BUFFERING),
    ('src/sched/runq.c', 'uint64_t own = atomic_load_explicit(&into->head, memory_order_acquire);',
     'acquire', 'relaxed', 'in steal: ' + LOAD_BUFFERING),
    ('src/sched/idle.c', 'uint32_t state = atomic_load_explicit(&idle->state, '
     'memory_order_acquire);', 'acquire', 'relaxed',
     'for shortage.c, which no model has: it reads what parked workers wrote'),
]


def reason(path, code, old, new):
    """Why this order stays as it is; '' if nothing is said of it."""
    for file, part, was, becomes, why in KEPT:
        if path == file and part in code and (was, becomes) == (old, new):
            return why
    return ''
