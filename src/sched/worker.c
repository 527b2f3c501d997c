/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's loop, a step at a time (so that a simulator can run several on one thread):
 * pinned tasks, local queues, shared queue, driver and timers, other workers' queues, sleep. */
#include "sched/worker.h"

#include "aether/log.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "sched/runtime.h"
#include "sched/sched.h"

#define BATCH_NOTED 4

/* A batch of the shared queue: one to run, the rest into the ring. */
static struct ae__task *take_shared(struct ae__worker *w, struct ae__inject *from, uint32_t share)
{
    uint32_t length = ae__inject_hint(from);
    uint32_t room = ae__runq_room(&w->ring) / 2;
    uint32_t want = length / share + 1;
    struct ae__wakes batch;

    if (length == 0) return NULL;
    ae__wakes_init(&batch);
    ae__inject_pop(from, want < room ? want : room + 1, &batch);
    struct ae__actor *first = batch.head;
    if (!first) return NULL;
    for (struct ae__actor *actor = first->next, *next; actor; actor = next) {
        next = actor->next;
        /* A searcher wakes the next one when it ends its search; others do it here. */
        ae__queue_push(w, ae__task_of(actor), !next && !w->searching);
    }
    return ae__task_of(first);
}

struct ae__task *ae__worker_take_pinned(struct ae__worker *w)
{
    struct ae__wakes one;

    if (ae__inject_hint(&w->pinned) == 0) return NULL;
    ae__wakes_init(&one);
    ae__inject_pop(&w->pinned, 1, &one);
    return one.head ? ae__task_of(one.head) : NULL;
}

/* Large batches are worth an entry, small ones are not. */
static void note_wakes(struct ae__worker *w, uint32_t timers, uint32_t events)
{
    if (AE_UNLIKELY(timers >= BATCH_NOTED)) {
        ae__record_now(w, AE__EVENT_TIMERS, 0, timers);
    }
    if (AE_UNLIKELY(events >= BATCH_NOTED)) ae__record_now(w, AE__EVENT_IO, 0, events);
}

/* Timers and I/O that are due, without waiting. */
static void look_outside(struct ae__worker *w, int64_t deadline_ns)
{
    struct ae__wakes wakes;

    if (AE_UNLIKELY(atomic_load_explicit(&w->rt->signalled, memory_order_relaxed))) {
        ae__runtime_signalled(w->rt);
    }
    ae__wakes_init(&wakes);
    if (ae__wheel_next(&w->wheel) != INT64_MAX) {
        ae__wheel_advance(&w->wheel, ae__os_now(), &wakes);
    }
    uint32_t timers = wakes.count;
    ae__worker_poll(w, deadline_ns, &wakes);
    note_wakes(w, timers, wakes.count - timers);
    if (wakes.head) ae__ready_all(&wakes);
}

/* Pinned tasks and the others take turns, so that one that only yields starves nobody. */
static struct ae__task *find_local(struct ae__worker *w)
{
    bool pinned_first = w->tick % 2 == 0;
    struct ae__task *task = pinned_first ? ae__worker_take_pinned(w) : ae__queue_pop(w);

    if (task) return task;
    return pinned_first ? ae__queue_pop(w) : ae__worker_take_pinned(w);
}

/* Every 61 slices what comes from outside goes first, so that a busy worker starves nobody. */
static struct ae__task *find_fairly(struct ae__worker *w)
{
    ae__recorder_left(w);
    look_outside(w, 0);
    struct ae__task *task = take_shared(w, &w->rt->inject, w->rt->workers_count);
    return task ? task : find_local(w);
}

static struct ae__task *find_elsewhere(struct ae__worker *w)
{
    ae__recorder_left(w);
    struct ae__task *task = take_shared(w, &w->rt->inject, w->rt->workers_count);

    if (task) return task;
    look_outside(w, AE__POLL_PEEK);
    if ((task = find_local(w))) return task;
    if (!w->searching) w->searching = ae__idle_begin_search(&w->rt->idle);
    if (w->searching) task = ae__steal(w);
    return task ? task : take_shared(w, &w->rt->inject, w->rt->workers_count);
}

/* A searcher found work: if it was the last, another one takes over the search. */
static void end_search(struct ae__worker *w)
{
    AE_ASSERT(w->searching);
    w->searching = false;
    if (ae__idle_end_search(&w->rt->idle)) ae__wake_one(w->rt);
}

void ae__worker_step(struct ae__worker *w)
{
    struct ae__task *task = w->tick % AE__TICKS == 0 ? find_fairly(w) : find_local(w);

    if (!task) task = find_elsewhere(w);
    if (!task) {
        ae__worker_park(w);
        return;
    }
    if (w->searching) end_search(w);
    if (w->tick % AE__TICKS == 0) w->tick++;
    ae__slice_start(w, task);
}

void ae__worker_enter(struct ae__worker *w)
{
    AE_ASSERT(!w->thread.current);
    w->thread.errno_at = ae__thread_errno();
    ae__san_native(&w->native_san);
    w->thread.fault_stack = ae__os_fault_stack_set();
    ae__thread_set(&w->thread);
    atomic_store(&w->tid, (uint32_t)ae__os_thread_id());
    ae__monitor_stir(w->rt);
}

void ae__worker_leave(struct ae__worker *w)
{
    AE_ASSERT(!w->thread.current);
    atomic_store(&w->tid, 0);
    ae__thread_set(NULL);
}

void ae__worker_main(void *arg)
{
    struct ae__worker *w = arg;

    ae__os_look_allow();
    ae__worker_enter(w);
    while (atomic_load_explicit(&w->rt->stopping, memory_order_relaxed) < 2) {
        if (AE_UNLIKELY(w->spare)) {
            ae__spare_step(w);
        } else {
            ae__worker_step(w);
        }
    }
    ae__parts.driver->flush(w->driver); /* what the last tasks wrote behind */
    ae__worker_leave(w);
    ae__os_fault_stack_drop(w->thread.fault_stack);
}
