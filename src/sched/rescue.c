/* SPDX-License-Identifier: Apache-2.0 */
/* Rescue: while a task does not give its worker back, others do what waits there.
 *
 * A stuck slot is drained, not handed over: its task goes on where it is and finds all as it left
 * it. Others steal from its ring and LIFO slot, the monitor advances its wheel, and a spare slot
 * runs in its place: a worker like any other, with thread, queue, wheel and driver of its own, that
 * takes part only while it is called. Pinned tasks stay, they may run nowhere else. A spare polls
 * the stuck slot's epoll as well (it is in its own, as a descriptor), and what its tasks register
 * goes there, not into the spare's, so nothing stays behind when it leaves. A ring can be entered
 * by its own thread alone: requests in flight on a stuck worker's ring wait for it.
 *
 * X1  duty: RESTS -> CALLED and CALLED -> LEAVES by the monitor; LEAVES -> RESTS by the spare,
 *     between two slices, when its ring and LIFO slot are empty. Release and acquire on both sides:
 *     `called_for`, set before the call, is the spare's to read from then on, until it rests.
 * X2  A spare that RESTS takes nothing from others, is no sleeper of idle.h and no searcher.
 * X3  A single worker takes from its queues by plain loads and stores while it is `alone`. The
 *     monitor ends that before it calls a spare: alone = false, then a full barrier in all threads
 *     (membarrier), then it looks whether the owner is between at_queue = 1 and at_queue = 0. If
 *     not: who began before the barrier has ended (acquire), and who begins after it sees that it
 *     is not alone. Else the monitor comes back later. alone = true again (release, the owner
 *     acquires) when all spares rest (X1), as then nobody else takes from the queues. The owner may
 *     be taking just then: it asks whether it is alone before it looks at what there is, for what
 *     it saw before the answer may have been stolen.
 * X4  A wake of the covered driver is a latch that the spare's poll may have taken from its owner.
 *     If the owner is AWAKE afterwards, it belonged to a sleep that is over. Else the owner has
 *     returned: the spare lets its driver go and makes the wake again. No slice lies in between.
 * X5  A spare that rests sleeps in its own driver: it runs tasks that are pinned to it, fires
 *     timers that were armed there, lands what its ring has in flight, and hands all other tasks to
 *     the shared queue. */
#include "sched/rescue.h"

#include <stdio.h>

#include "aether/log.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/worker.h"

uint32_t ae__rescue_spares(const struct ae_runtime *rt)
{
    if (rt->config.flavor == AE_CURRENT_THREAD) return 0; /* its tasks run on one thread */
    if (!rt->steals || rt->config.rescue_ns <= 0 || ae__os_simulated) return 0;
    return rt->workers_count < AE__SPARES_MAX ? rt->workers_count : AE__SPARES_MAX;
}

static uint32_t duty_of(struct ae__worker *w)
{
    return atomic_load_explicit(&w->duty, memory_order_acquire); /* X1 */
}

/* ---- the monitor's side ---- */

/* X3. False: not yet. */
static bool open_queues(struct ae__worker *w)
{
    if (!atomic_load_explicit(&w->ring.alone, memory_order_relaxed)) return true;
    atomic_store_explicit(&w->ring.alone, false, memory_order_relaxed);
    bool done = ae__os_barrier_all();
    AE_ASSERT(done); /* it worked at start, else there is no spare */
    return atomic_load_explicit(&w->at_queue, memory_order_acquire) == 0;
}

static struct ae__worker *find_spare(struct ae_runtime *rt)
{
    for (uint32_t i = rt->workers_count; i < rt->slots_count; i++) {
        if (duty_of(rt->workers[i]) == AE__RESTS) return rt->workers[i];
    }
    return NULL;
}

static bool start_thread(struct ae__worker *spare)
{
    char name[32];
    uint32_t number = spare->index - spare->rt->workers_count;

    snprintf(name, sizeof name, "%.7s-spare%u", spare->rt->config.name, number);
    spare->started = ae__os_thread_start(&spare->os, name, ae__worker_main, spare) == 0;
    return spare->started;
}

/* The worker whose I/O waits: the stuck one, or who it runs in place of. A spare's own epoll has
 * nothing registered. */
static struct ae__worker *io_of(struct ae_runtime *rt, struct ae__worker *w)
{
    for (uint32_t i = 0; i < rt->slots_count && w->index >= rt->workers_count; i++) {
        if (rt->monitor.watches[i].spare != w) continue;
        w = rt->workers[i];
        i = UINT32_MAX; /* from the first again */
    }
    return w->index < rt->workers_count ? w : NULL;
}

/* X1 */
static bool call_spare(struct ae__worker *spare, struct ae__worker *w)
{
    struct ae_runtime *rt = w->rt;

    spare->called_for = io_of(rt, w);
    if (spare->index >= ae__slots(rt)) atomic_store(&rt->slots_live, spare->index + 1);
    atomic_store_explicit(&spare->duty, AE__CALLED, memory_order_release);
    if (spare->started) {
        ae__worker_unpark(spare);
    } else if (!start_thread(spare)) {
        atomic_store_explicit(&spare->duty, AE__RESTS, memory_order_release);
        return false;
    }
    return true;
}

void ae__rescue_begin(struct ae_runtime *rt, struct ae__worker *w, struct ae__watch *watch)
{
    AE_ASSERT(!watch->stuck);
    AE_ASSERT(!watch->spare);
    if (!open_queues(w)) return;
    struct ae__worker *spare = find_spare(rt);
    watch->stuck = true;
    if (spare && call_spare(spare, w)) watch->spare = spare;
    atomic_fetch_add_explicit(&rt->monitor.rescues, 1, memory_order_relaxed);
    ae__rescue_help(rt, w);
}

/* What nobody is told of: timers that come due in a wheel whose owner is busy, and tasks in a queue
 * whose owner looks into it next, as everybody else thinks. */
void ae__rescue_help(struct ae_runtime *rt, struct ae__worker *w)
{
    int64_t now_ns = ae__os_now();
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    if (ae__wheel_next(&w->wheel) <= now_ns) ae__wheel_advance(&w->wheel, now_ns, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
    if (ae__runq_length(&w->ring) > 0 || atomic_load_explicit(&w->lifo, memory_order_relaxed)) {
        ae__wake_one(rt);
    }
}

void ae__rescue_end(struct ae_runtime *rt, struct ae__watch *watch)
{
    struct ae__worker *spare = watch->spare;

    (void)rt;
    watch->stuck = false;
    watch->spare = NULL;
    if (!spare) return;
    AE_ASSERT(duty_of(spare) == AE__CALLED); /* X1 */
    atomic_store_explicit(&spare->duty, AE__LEAVES, memory_order_release);
    ae__worker_unpark(spare);
}

/* X3 */
void ae__rescue_settle(struct ae_runtime *rt)
{
    struct ae__runq *ring = &rt->workers[0]->ring;

    if (!rt->monitor.may_be_alone || rt->monitor.watches[0].stuck) return;
    if (atomic_load_explicit(&ring->alone, memory_order_relaxed)) return;
    for (uint32_t i = 1; i < rt->slots_count; i++) {
        if (duty_of(rt->workers[i]) != AE__RESTS) return;
    }
    atomic_store_explicit(&ring->alone, true, memory_order_release);
}

/* ---- the spare's side ---- */

static void cover(struct ae__worker *w)
{
    AE_ASSERT(!w->covers);
    w->covering = true;
    w->covers = w->called_for; /* X1 */
    if (!w->covers) return;
    if (ae__parts.driver->cover && ae__parts.driver->cover(w->driver, w->covers->driver)) {
        w->home = w->covers->driver;
    }
}

static void uncover(struct ae__worker *w)
{
    if (ae__parts.driver->cover) (void)ae__parts.driver->cover(w->driver, NULL);
    w->covers = NULL;
}

/* X4 */
void ae__spare_polled(struct ae__worker *w)
{
    struct ae__worker *of = w->covers;

    if (!ae__parts.driver->cover_woken || !ae__parts.driver->cover_woken(w->driver)) return;
    if (atomic_load(&of->park) == AE__AWAKE) return;
    uncover(w);
    ae__parts.driver->wake(of->driver);
}

/* X1, X5: ring and LIFO slot are empty then. */
static void hand_over(struct ae__worker *w)
{
    struct ae__wakes batch;
    struct ae__task *task;

    ae__wakes_init(&batch);
    while ((task = ae__queue_pop(w))) {
        ae__wakes_push(&batch, &task->actor);
    }
    if (!batch.head) return;
    ae__inject_push_all(&w->rt->inject, &batch);
    ae__wake_one(w->rt);
}

static void leave(struct ae__worker *w)
{
    AE_ASSERT(!w->thread.current);
    hand_over(w);
    if (w->covers) uncover(w);
    w->covering = false;
    ae__stack_cache_drain(&w->rt->stacks, &w->stacks); /* nobody else could use them */
    if (w->searching) { /* X2: what it was to find another one finds (I3) */
        w->searching = false;
        if (ae__idle_end_search(&w->rt->idle)) ae__wake_one(w->rt);
    }
    atomic_store_explicit(&w->duty, AE__RESTS, memory_order_release); /* X1 */
}

/* X5 */
static void rest(struct ae__worker *w)
{
    AE_ASSERT(!w->searching);
    hand_over(w);
    struct ae__task *task = ae__worker_take_pinned(w);
    if (task) {
        ae__slice_start(w, task);
    } else {
        ae__worker_rest(w);
    }
}

void ae__spare_step(struct ae__worker *w)
{
    switch ((enum ae__duty)duty_of(w)) {
    case AE__CALLED:
        if (!w->covering) cover(w);
        ae__worker_step(w);
        break;
    case AE__LEAVES:
        leave(w);
        break;
    case AE__RESTS:
        rest(w);
        break;
    }
}
