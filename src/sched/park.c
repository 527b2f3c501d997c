/* SPDX-License-Identifier: Apache-2.0 */
/* A worker without work sleeps in its own driver until an event, its next timer, or a wake.
 *
 * P1  It joins the sleepers (idle.h), then re-scans if it was the last searcher (I3), or had not
 *     searched at all (I4): since it looked, the searchers may have found work and a producer may
 *     have seen nobody asleep.
 * P2  It says ASLEEP, and sleeps only if nobody had said NOTIFIED before; who says NOTIFIED over
 *     ASLEEP also kicks the driver, whose wake is a latch. So no wake is lost between the two. All
 *     are read-modify-writes of one word, so this needs no order; what was written before NOTIFIED
 *     is seen after AWAKE.
 * P3  Before it sleeps it fires what is overdue on anybody's wheel.
 * P4  While starts wait for a stack it sleeps without any in its cache, and not for long (K3 in
 *     shortage.c).
 * P5  Idle time is used to give back the memory of stacks that were not used for a while. */
#include "arch/probe.h"
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/worker.h"

static bool anything_queued(struct ae_runtime *rt)
{
    if (ae__inject_length(&rt->inject) > 0) return true;
    for (uint32_t i = 0; i < ae__slots(rt) && rt->steals; i++) {
        if (!ae__runq_is_empty(&rt->workers[i]->ring)) return true;
    }
    return false;
}

/* P3 */
static void fire_overdue(struct ae__worker *w)
{
    struct ae_runtime *rt = w->rt;
    struct ae__wakes wakes;
    int64_t now_ns = 0;

    ae__wakes_init(&wakes);
    for (uint32_t i = 0; i < ae__slots(rt); i++) {
        struct ae__wheel *wheel = &rt->workers[i]->wheel;
        int64_t next_ns = ae__wheel_next(wheel);
        if (next_ns == INT64_MAX) continue;
        if (now_ns == 0) now_ns = ae__os_now();
        if (next_ns <= now_ns) ae__wheel_advance(wheel, now_ns, &wakes);
    }
    if (wakes.head) ae__ready_all(&wakes);
}

static bool has_own_work(struct ae__worker *w)
{
    return ae__inject_length(&w->pinned) > 0 || !ae__runq_is_empty(&w->ring) ||
           atomic_load_explicit(&w->lifo, memory_order_relaxed) ||
           atomic_load_explicit(&w->rt->stopping, memory_order_relaxed) >= 2; /* P2 */
}

/* Its own next timer, and that of the slot that it looks after. */
static int64_t sleeps_until(struct ae__worker *w)
{
    int64_t own_ns = ae__wheel_park(&w->wheel);

    if (AE_LIKELY(!w->covers)) return own_ns;
    int64_t covered_ns = ae__wheel_next(&w->covers->wheel);
    return covered_ns < own_ns ? covered_ns : own_ns;
}

static void sleep_until_woken(struct ae__worker *w, struct ae__wakes *wakes)
{
    uint32_t awake = AE__AWAKE;

    AE_ASSERT(!w->searching); /* it joined the sleepers, who are no searchers */
    int64_t deadline_ns = sleeps_until(w);
    /* P2 */
    if (atomic_compare_exchange_strong_explicit(&w->park, &awake, AE__ASLEEP,
                                                memory_order_relaxed, memory_order_relaxed)) {
        bool shortage = ae__shortage_any(w->rt); /* P4 */
        if (shortage) deadline_ns = ae__shortage_sleep(deadline_ns);
        int64_t trim_ns = ae__stack_trim(&w->rt->stacks); /* P5 */
        if (trim_ns < deadline_ns) deadline_ns = trim_ns;
        if (!has_own_work(w) && !(shortage && ae__shortage_holds(w))) {
            ae__count(&w->counters.parks, 1);
            ae__recorder_sleep(w);
            AE_PROBE1(park, w->index);
            ae__worker_poll(w, deadline_ns, wakes);
            AE_PROBE1(unpark, w->index);
            ae__recorder_wake(w);
        }
    }
    /* acquire pairs with the release in ae__worker_unpark: what it was woken for */
    atomic_exchange_explicit(&w->park, AE__AWAKE, memory_order_acquire);
    ae__wheel_unpark(&w->wheel);
}

static void wake_all(struct ae__worker *w, struct ae__wakes *wakes)
{
    if (ae__wheel_next(&w->wheel) != INT64_MAX) {
        ae__wheel_advance(&w->wheel, ae__os_now(), wakes);
    }
    if (wakes->head) ae__ready_all(wakes);
}

void ae__worker_poll(struct ae__worker *w, int64_t deadline_ns, struct ae__wakes *wakes)
{
    ae__parts.driver->poll(w->driver, deadline_ns, wakes);
    if (AE_UNLIKELY(w->covers != NULL)) ae__spare_polled(w);
}

void ae__worker_rest(struct ae__worker *w)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    sleep_until_woken(w, &wakes);
    wake_all(w, &wakes);
}

void ae__worker_park(struct ae__worker *w)
{
    bool was_searching = w->searching;
    struct ae__wakes wakes;

    AE_ASSERT(!w->thread.current);
    fire_overdue(w);
    if (has_own_work(w)) return;
    w->searching = false;
    if (ae__idle_park(&w->rt->idle, w->index, was_searching) || !was_searching) { /* P1 */
        if (anything_queued(w->rt)) ae__wake_one(w->rt);
    }
    ae__wakes_init(&wakes);
    sleep_until_woken(w, &wakes);
    w->searching = ae__idle_unpark(&w->rt->idle, w->index);
    ae__monitor_stir(w->rt);
    wake_all(w, &wakes);
}
