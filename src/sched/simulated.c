/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's loop in a simulation: each slice is a step, after which another thread may be next. */
#include "base/assert.h"
#include "sched/runtime.h"
#include "sched/worker.h"

enum { DIRECT = 8 }; /* one turn in so many switches from task to task as it does outside */

/* The tick decides how a slice ends: after 60 and 121 (even, odd: see find_local in worker.c) the
 * task comes back here, after 1 up to 60 follow each other directly; at 61 the worker looks outside
 * first. */
static uint32_t draw_tick(void)
{
    uint32_t random = (uint32_t)ae__os_random();

    if (random % DIRECT == 0) return 1;
    if (random / DIRECT % AE__TICKS == 0) return AE__TICKS;
    return random >> 31 ? AE__TICKS - 1 : 2 * AE__TICKS - 1;
}

void ae__worker_main_simulated(void *arg)
{
    struct ae__worker *w = arg;

    AE_ASSERT(ae__os_simulated);
    ae__worker_enter(w);
    while (atomic_load_explicit(&w->rt->stopping, memory_order_acquire) < 2) {
        w->tick = draw_tick();
        ae__worker_step(w);
        ae__os_thread_yield();
    }
    ae__worker_leave(w);
    ae__os_fault_stack_drop(w->thread.fault_stack);
}
