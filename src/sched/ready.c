/* SPDX-License-Identifier: Apache-2.0 */
/* Where a woken actor goes.
 *
 *   a thread                               its futex
 *   a pinned task                          the queue of its worker that nobody steals from
 *   a task, woken by a task of its runtime the waker's LIFO slot
 *   a new task                             the same if it is empty, else the ring of its spawner
 *   a batch (driver, timers, broadcast)    the ring of the worker that fires it
 *   a task, woken from anywhere else       the runtime's shared queue
 *
 * Once its task is queued, the runtime may end while the waker still looks for a worker to wake:
 * who is no worker of it says so in `outside` first, and the end waits for that. */
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/seam.h"
#include "sched/spawn.h"
#include "sched/worker.h"

static void wake_thread(struct ae__thread *thread)
{
    /* release pairs with the acquire in thread.c. The record may go as soon as this is stored; the
     * futex call then touches an address only, which the kernel checks. */
    atomic_store_explicit(&thread->token, 1, memory_order_release);
    ae__os_futex_wake(&thread->token, 1);
}

static void ready_pinned(struct ae_runtime *rt, struct ae__task *task)
{
    uint32_t index = task->actor.last_worker;

    atomic_fetch_add_explicit(&rt->outside, 1, memory_order_relaxed);

    if (task->actor.pins == 0) index = (index + 1) % rt->workers_count; /* AE_CHAOS=migrate */
    AE_ASSERT(index < rt->slots_count);
    ae__inject_push(&rt->workers[index]->pinned, &task->actor);
    ae__worker_unpark(rt->workers[index]);
    atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_release);
}

/* True if it is a task that any worker may run. */
static bool is_free_task(struct ae__actor *actor)
{
    if (actor->kind == AE__ACTOR_THREAD) {
        wake_thread(ae__thread_of(actor));
        return false;
    }
    AE_DEBUG_ASSERT(actor->kind == AE__ACTOR_TASK);
    struct ae__task *task = ae__task_of(actor);
    atomic_store_explicit(&task->state, AE__TASK_READY, memory_order_relaxed);
    if (AE_UNLIKELY(actor->pins > 0 || task->rt->migrates)) {
        ready_pinned(task->rt, task);
        return false;
    }
    return true;
}

static void ready_outside(struct ae_runtime *rt, struct ae__wakes *batch)
{
    /* relaxed: ordered before the end by the task itself, which cannot end before it is queued */
    atomic_fetch_add_explicit(&rt->outside, 1, memory_order_relaxed);
    ae__inject_push_all(&rt->inject, batch);
    ae__wake_one(rt);
    atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_release); /* rt may be gone now */
}

static void ready_task(struct ae__task *task, void (*push)(struct ae__worker *, struct ae__task *))
{
    struct ae__worker *w = ae__worker_self();
    struct ae__wakes one;

    if (AE_LIKELY(w && w->rt == task->rt)) {
        push(w, task);
        return;
    }
    ae__wakes_init(&one);
    ae__wakes_push(&one, &task->actor);
    ready_outside(task->rt, &one);
}

void ae__ready(struct ae__actor *actor)
{
    if (is_free_task(actor)) ready_task(ae__task_of(actor), ae__queue_push_lifo);
}

void ae__ready_new(struct ae__task *task)
{
    if (is_free_task(&task->actor)) ready_task(task, ae__queue_push_new);
}

/* The batch into the ring, with one decision to wake. */
static void ready_local(struct ae__worker *w, struct ae__wakes *batch)
{
    struct ae__actor *next;
    uint32_t left = batch->count;

    AE_DEBUG_ASSERT(left > 0);
    bool tell = left > 1 || ae__worker_is_busy(w) || ae__queue_has_any(w);

    for (struct ae__actor *actor = batch->head; actor; actor = next) {
        next = actor->next;
        /* The worker runs one itself; the last push tells the others if there are more. */
        ae__queue_push(w, ae__task_of(actor), --left == 0 && tell);
    }
}

void ae__ready_all(struct ae__wakes *wakes)
{
    struct ae__worker *w = ae__worker_self();
    struct ae__actor *actor = wakes->head, *next;
    struct ae__wakes mine, other;

    if (actor && !actor->next && !(w && !w->thread.current)) {
        ae__wakes_init(wakes);
        ae__ready(actor);
        return;
    }
    ae__wakes_init(wakes);
    ae__wakes_init(&mine);
    for (; actor; actor = next) {
        next = actor->next;
        if (!is_free_task(actor)) continue;
        if (w && w->rt == ae__task_of(actor)->rt) {
            ae__wakes_push(&mine, actor);
            continue;
        }
        ae__wakes_init(&other);
        ae__wakes_push(&other, actor);
        ready_outside(ae__task_of(actor)->rt, &other);
    }
    if (mine.head) ready_local(w, &mine);
}
