/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that block in place. The mark is all there is: who watches the workers (the monitor) sees
 * that the slice at hand may not end soon, and hands the worker's other tasks over without the
 * patience it has with slices that only compute. So a call that is over at once costs two stores.
 */
#include "aether/blocking.h"
#include "base/assert.h"
#include "sched/worker.h"

enum { NESTED_MAX = 1000 };

static struct ae__worker *worker_of_task(void)
{
    struct ae__worker *w = ae__worker_self();

    return w && w->thread.current ? w : NULL;
}

/* relaxed: the owner alone writes it, and the monitor only acts sooner or later by it */
static uint32_t depth_of(struct ae__worker *w)
{
    return atomic_load_explicit(&w->in_place, memory_order_relaxed);
}

void ae_blocking_begin(void)
{
    struct ae__worker *w = worker_of_task();

    if (!w) return;
    AE_ASSERT(depth_of(w) < NESTED_MAX);
    atomic_store_explicit(&w->in_place, depth_of(w) + 1, memory_order_relaxed);
}

void ae_blocking_end(void)
{
    struct ae__worker *w = worker_of_task();

    if (!w) return;
    AE_ASSERT(depth_of(w) > 0); /* no begin, or the task suspended after it */
    atomic_store_explicit(&w->in_place, depth_of(w) - 1, memory_order_relaxed);
}
