/* SPDX-License-Identifier: Apache-2.0 */
/* Stealing: a searching worker visits the others from a random one on and takes half of a ring. On
 * the last of four passes it may also take what sits in a LIFO slot, if it saw the same task there
 * at least 5 us ago and its owner has not started a slice since: the owner is busy, and the task
 * would wait for it. The thief reads the clock, the owner never does. */
#include "sched/worker.h"

#include "arch/probe.h"
#include "base/assert.h"
#include "base/rng.h"

#define PASSES 4

static struct ae__task *steal_lifo(struct ae__worker *w, struct ae__worker *victim)
{
    struct ae__lifo_sight *sight = &w->sights[victim->index];
    struct ae__task *task = atomic_load_explicit(&victim->lifo, memory_order_relaxed);
    uint64_t slices = atomic_load_explicit(&victim->counters.slices, memory_order_relaxed);

    if (!task) return NULL;
    int64_t now_ns = ae__os_now();
    if (sight->task != task || sight->slices != slices) {
        *sight = (struct ae__lifo_sight){ task, slices, now_ns };
        return NULL;
    }
    if (now_ns - sight->since_ns < AE__LIFO_STEAL_NS) return NULL;
    sight->task = NULL;
    return atomic_compare_exchange_strong_explicit(&victim->lifo, &task, NULL,
                                                   memory_order_acquire, memory_order_relaxed)
               ? task
               : NULL;
}

static struct ae__task *visit(struct ae__worker *w, struct ae__worker *victim, bool last)
{
    uint32_t taken = 1;
    struct ae__task *task = ae__runq_steal(&victim->ring, &w->ring, &taken);

    if (!task && last) task = steal_lifo(w, victim);
    if (!task) return NULL;
    AE_ASSERT(task->rt == w->rt);
    ae__count(&w->counters.steals, 1);
    ae__count(&w->counters.stolen, taken);
    AE_PROBE3(steal, w->index, victim->index, taken);
    ae__record_now(w, AE__EVENT_STEAL, victim->index, taken);
    return task;
}

/* Is there a LIFO slot that might be ripe a little later? */
static bool saw_lifo(struct ae__worker *w)
{
    for (uint32_t i = 0; i < ae__slots(w->rt); i++) {
        if (w->sights[i].task &&
            atomic_load_explicit(&w->rt->workers[i]->lifo, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static struct ae__task *one_pass(struct ae__worker *w, bool last)
{
    uint32_t count = ae__slots(w->rt);
    uint32_t first = ae__rng_below(&w->rng, count);

    for (uint32_t i = 0; i < count; i++) {
        struct ae__worker *victim = w->rt->workers[(first + i) % count];
        struct ae__task *task = victim == w ? NULL : visit(w, victim, last);
        if (task) return task;
    }
    return NULL;
}

struct ae__task *ae__steal(struct ae__worker *w)
{
    struct ae__task *task = NULL;

    AE_ASSERT(w->searching);
    if (!w->rt->steals || ae__slots(w->rt) == 1) return NULL;
    for (int pass = 1; pass <= PASSES && !task; pass++) {
        task = one_pass(w, pass == PASSES);
    }
    if (task || !saw_lifo(w)) return task;
    /* Worth a few microseconds: nobody is woken for a LIFO slot, so nobody else will come. */
    int64_t until_ns = ae__os_now() + AE__LIFO_STEAL_NS + 1000;
    while (!task && saw_lifo(w) && ae__os_now() < until_ns) {
        ae__cpu_relax();
        task = one_pass(w, true);
    }
    return task;
}
