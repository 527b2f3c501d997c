/* SPDX-License-Identifier: Apache-2.0 */
/* The shared queue: what comes from outside the workers, and what overflows from them.
 *
 * J1  Chain and length change under the lock; length is also read without it, as a hint that is
 *     exact for whoever pushed (sequentially consistent, so "push, then who sleeps" and "I sleep,
 *     then length" cannot both miss). */
#ifndef AE_SCHED_INJECT_H
#define AE_SCHED_INJECT_H

#include "sched/wait.h"

#define AE__INJECT_AHEAD 32

struct ae__inject {
    AE_CACHE_ALIGNED struct ae__lock lock;
    _Atomic(uint32_t) length;
    struct ae__actor *head, **tail;
};

void ae__inject_init(struct ae__inject *q);
void ae__inject_push(struct ae__inject *q, struct ae__actor *actor);
void ae__inject_push_all(struct ae__inject *q, struct ae__wakes *batch); /* empties batch */

/* Up to `max` from the front onto `out` (initialised). */
void ae__inject_pop(struct ae__inject *q, uint32_t max, struct ae__wakes *out);

static inline uint32_t ae__inject_length(struct ae__inject *q)
{
    return atomic_load_explicit(&q->length, memory_order_seq_cst);
}

static inline uint32_t ae__inject_hint(struct ae__inject *q)
{
    return atomic_load_explicit(&q->length, memory_order_relaxed);
}

#endif
