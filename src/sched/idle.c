/* SPDX-License-Identifier: Apache-2.0 */
/* See idle.h for the invariants cited here. */
#include "sched/idle.h"

#include "base/assert.h"

#define PARKED_ONE (1u << 16)
#define SEARCHING_ONE 1u

static uint32_t searching(uint32_t state)
{
    return state & 0xffff;
}

static uint32_t parked(uint32_t state)
{
    return state >> 16;
}

void ae__idle_init(struct ae__idle *idle, uint32_t workers, uint16_t *sleepers)
{
    AE_ASSERT(workers > 0 && workers <= AE__WORKERS_MAX);
    idle->workers = workers;
    idle->sleeping = 0;
    idle->sleepers = sleepers;
    atomic_init(&idle->state, 0);
}

static bool should_wake(uint32_t state)
{
    return searching(state) == 0 && parked(state) > 0;
}

int ae__idle_notify(struct ae__idle *idle)
{
    int chosen = -1;

    /* I2: the caller's RMW on the queue orders this load after its publication */
    if (!should_wake(atomic_load_explicit(&idle->state, memory_order_seq_cst))) return -1;
    ae__lock_acquire(&idle->lock);
    /* relaxed: not older than what was read above */
    uint32_t state = atomic_load_explicit(&idle->state, memory_order_relaxed);
    if (should_wake(state) && idle->sleeping > 0) {
        /* relaxed, as all that begins or ends a search: see I1 */
        atomic_fetch_sub_explicit(&idle->state, PARKED_ONE - SEARCHING_ONE,
                                  memory_order_relaxed);
        chosen = idle->sleepers[--idle->sleeping];
    }
    ae__lock_release(&idle->lock);
    return chosen;
}

bool ae__idle_begin_search(struct ae__idle *idle)
{
    uint32_t state = atomic_load_explicit(&idle->state, memory_order_relaxed);

    if (2 * searching(state) >= idle->workers) return false; /* I4, about: a hint is enough */
    atomic_fetch_add_explicit(&idle->state, SEARCHING_ONE, memory_order_relaxed);
    return true;
}

bool ae__idle_end_search(struct ae__idle *idle)
{
    uint32_t before =
        atomic_fetch_sub_explicit(&idle->state, SEARCHING_ONE, memory_order_relaxed);

    AE_ASSERT(searching(before) > 0);
    return searching(before) == 1;
}

bool ae__idle_park(struct ae__idle *idle, uint32_t index, bool was_searching)
{
    uint32_t change = PARKED_ONE - (was_searching ? SEARCHING_ONE : 0);

    ae__lock_acquire(&idle->lock);
    uint32_t before = atomic_fetch_add_explicit(&idle->state, change, memory_order_seq_cst);
    AE_ASSERT(parked(before) == idle->sleeping); /* I1 */
    idle->sleepers[idle->sleeping++] = (uint16_t)index;
    ae__lock_release(&idle->lock);
    return was_searching && searching(before) == 1;
}

bool ae__idle_unpark(struct ae__idle *idle, uint32_t index)
{
    bool chosen = true;

    ae__lock_acquire(&idle->lock);
    for (uint32_t i = 0; i < idle->sleeping; i++) {
        if (idle->sleepers[i] != index) continue;
        idle->sleepers[i] = idle->sleepers[--idle->sleeping];
        atomic_fetch_sub_explicit(&idle->state, PARKED_ONE, memory_order_relaxed);
        chosen = false;
        break;
    }
    ae__lock_release(&idle->lock);
    return chosen;
}

uint32_t ae__idle_parked(struct ae__idle *idle)
{
    uint32_t state = atomic_load_explicit(&idle->state, memory_order_acquire);

    return parked(state);
}

bool ae__idle_all_parked(struct ae__idle *idle)
{
    uint32_t state = atomic_fetch_add_explicit(&idle->state, 0, memory_order_acq_rel);

    return parked(state) == idle->workers;
}
