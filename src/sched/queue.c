/* SPDX-License-Identifier: Apache-2.0 */
/* The local queues of a worker, and the decision to wake another one.
 *
 * A woken task goes into the LIFO slot: what it needs is in the cache, and who woke it is likely to
 * wait next. The one it displaces goes to the ring's tail. A new task displaces nobody. Filling
 * only the LIFO slot wakes nobody. */
#include "arch/watch.h"
#include "base/assert.h"
#include "sched/worker.h"

#define PREFETCH_FROM 24 /* tasks in the ring; fewer are warm */
#define STACK_LINES 8

/* X3 in rescue.c */
static bool is_alone(struct ae__worker *w)
{
    return atomic_load_explicit(&w->ring.alone, memory_order_acquire);
}

/* X3: between the two the owner may take without a read-modify-write. The barrier that a monitor
 * makes in all threads stands where the compiler's does here. */
static void begin_take(struct ae__worker *w)
{
    atomic_store_explicit(&w->at_queue, 1, memory_order_relaxed);
    ae__compiler_barrier();
}

static void end_take(struct ae__worker *w)
{
    atomic_store_explicit(&w->at_queue, 0, memory_order_release);
}

/* What is in the slot, before it is `next`. */
static struct ae__task *lifo_swap(struct ae__worker *w, struct ae__task *next,
                                  memory_order order)
{
    if (!is_alone(w)) return atomic_exchange_explicit(&w->lifo, next, order);
    struct ae__task *task = atomic_load_explicit(&w->lifo, memory_order_relaxed);
    atomic_store_explicit(&w->lifo, next, memory_order_relaxed);
    return task;
}

static struct ae__task *lifo_take(struct ae__worker *w)
{
    if (!atomic_load_explicit(&w->lifo, memory_order_relaxed)) return NULL;
    /* relaxed: what is in it the owner has put there, unless a thief was faster */
    return lifo_swap(w, NULL, memory_order_relaxed);
}

/* With many tasks each is cold when its turn comes: fetch the control block of one that comes later
 * and the stack of one that comes soon, as deep as a wait usually is: returning through its frames
 * would wait for one line after the other. Hints only: they may be stolen meanwhile. */
static void prefetch_coming(struct ae__worker *w)
{
    if (ae__runq_length(&w->ring) < PREFETCH_FROM) return;
    struct ae__task *later = ae__runq_peek(&w->ring, 8), *soon = ae__runq_peek(&w->ring, 2);
    if (later) ae__prefetch_task(later);
#if !AE_TSAN
    if (!soon) return;
    /* One that has not begun has a stack that is warm, and an argument that it will look at. */
    uintptr_t sp = (uintptr_t)(soon->stack ? soon->sp : soon->arg);
    for (uintptr_t line = 0; line < STACK_LINES; line++) {
        __builtin_prefetch((const void *)(sp + line * AE_CACHE_LINE), 1);
    }
#else
    (void)soon;
#endif
}

static struct ae__task *pop(struct ae__worker *w)
{
    struct ae__task *task;

    if (w->lifo_run < AE__LIFO_RUNS && (task = lifo_take(w))) {
        w->lifo_run++;
        return task;
    }
    w->lifo_run = 0;
    task = ae__runq_pop(&w->ring);
    if (task) prefetch_coming(w);
    return task ? task : lifo_take(w);
}

struct ae__task *ae__queue_pop(struct ae__worker *w)
{
    begin_take(w);
    struct ae__task *task = pop(w);
    end_take(w);
    return task;
}

static bool take(struct ae__worker *w, struct ae__task *task)
{
    struct ae__task *first = atomic_load_explicit(&w->lifo, memory_order_relaxed);

    if (first == task) return lifo_take(w) == task;
    if (first || !ae__runq_take(&w->ring, task)) return false;
    prefetch_coming(w);
    return true;
}

bool ae__queue_take(struct ae__worker *w, struct ae__task *task)
{
    begin_take(w);
    bool taken = take(w, task);
    end_take(w);
    return taken;
}

void ae__queue_push(struct ae__worker *w, struct ae__task *task, bool announce)
{
    struct ae_runtime *rt = w->rt;

    AE_DEBUG_ASSERT(task->rt == rt);
    AE_DEBUG_ASSERT(task->actor.pins == 0); /* others may steal it */
    /* Without stealing nobody else may get what this worker could not hold. */
    struct ae__inject *overflow = rt->steals ? &rt->inject : &w->pinned;

    announce = announce && !is_alone(w);
    ae__runq_push(&w->ring, task, overflow, announce);
    if (announce) ae__wake_one(rt);
}

bool ae__queue_has_any(struct ae__worker *w)
{
    return ae__runq_length(&w->ring) > 0 || ae__inject_hint(&w->pinned) > 0 ||
           atomic_load_explicit(&w->lifo, memory_order_relaxed);
}

void ae__queue_push_lifo(struct ae__worker *w, struct ae__task *task)
{
    AE_DEBUG_ASSERT(task->actor.pins == 0);
    /* Only the owner fills the slot; thieves empty it. */
    if (!atomic_load_explicit(&w->lifo, memory_order_relaxed)) {
        atomic_store_explicit(&w->lifo, task, memory_order_release);
        return;
    }
    begin_take(w);
    struct ae__task *old = lifo_swap(w, task, memory_order_release);
    end_take(w);
    if (old) ae__queue_push(w, old, true);
}

void ae__queue_push_new(struct ae__worker *w, struct ae__task *task)
{
    if (!atomic_load_explicit(&w->lifo, memory_order_relaxed)) {
        atomic_store_explicit(&w->lifo, task, memory_order_release);
    } else {
        ae__queue_push(w, task, true);
    }
}

void ae__worker_unpark(struct ae__worker *w)
{
    /* P2; release: who wakes sees what was written before */
    if (atomic_exchange_explicit(&w->park, AE__NOTIFIED, memory_order_release) == AE__ASLEEP) {
        ae__parts.driver->wake(w->driver);
    }
}

void ae__wake_one(struct ae_runtime *rt)
{
    int index = ae__idle_notify(&rt->idle);
    struct ae__worker *self = ae__worker_self();

    if (index < 0) return;
    AE_ASSERT((uint32_t)index < rt->slots_count);
    if (self) ae__count(&self->counters.wakes, 1);
    ae__worker_unpark(rt->workers[index]);
}
