/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the ring of a busy worker is told to one that sleeps, also when it is the only one.
 * Covers: src/sched/ready.c src/sched/queue.c src/sched/slice.c */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "aether/aether.h"
#include "sched/worker.h"
#include "test.h"

enum { ROUNDS = 20 };

static const int64_t guard_ns = 3 * AE_SEC; /* only who is not told waits so long */

static void need_two_workers(void)
{
    if (getenv("AE_FLAVOR") || getenv("AE_STEAL") || getenv("AE_CHAOS")) {
        test_skip("takes two workers that steal, and tasks that stay");
    }
}

/* Keeps its own worker until the other one sleeps. */
static void wait_until_other_sleeps(void)
{
    ae_metrics metrics = { .size = sizeof metrics };

    do {
        sched_yield();
        EXPECT_EQ(ae_metrics_get(NULL, &metrics), 0);
    } while (metrics.workers_parked == 0);
}

static bool spin_until(_Atomic(bool) *flag)
{
    int64_t until_ns = ae_now() + guard_ns;

    while (!atomic_load(flag)) {
        if (ae_now() > until_ns) return false;
        sched_yield();
    }
    return true;
}

static int holds_the_worker(void *arg)
{
    return spin_until(arg) ? 0 : -1;
}

static int main_yields(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        _Atomic(bool) back = false;
        wait_until_other_sleeps();
        ae_task *task = ae_spawn(holds_the_worker, &back);
        ae_yield(); /* to the task, which keeps the worker until we run again */
        atomic_store(&back, true);
        int rc = ae_join(task);
        EXPECT_EQ(rc, 0);
        if (rc < 0) break;
    }
    return 0;
}

TEST(a_task_that_gave_way_to_a_long_one_goes_on_elsewhere)
{
    ae_config config = { AE_CONFIG, .workers = 2 };

    need_two_workers();
    EXPECT_EQ(ae_run(&config, main_yields, NULL), 0);
}

struct sleeper {
    int64_t until_ns;
    _Atomic(bool) asleep, woke;
};

static int sleeps(void *arg)
{
    struct sleeper *sleeper = arg;

    atomic_store(&sleeper->asleep, true);
    int rc = ae_sleep_until(sleeper->until_ns);
    atomic_store(&sleeper->woke, true);
    return rc;
}

static uint64_t timers_fired(void)
{
    return atomic_load(&ae__worker_self()->wheel.fired);
}

/* 1: it ran elsewhere while we kept the worker; 0: its timer was not on ours, or others were as
 * quick; -1: it had to wait for us. */
static int one_sleeper(void)
{
    struct sleeper sleeper = { .until_ns = ae_now() + 10 * AE_MS };
    ae_task *task = ae_spawn(sleeps, &sleeper);
    int told = 0;

    while (!atomic_load(&sleeper.asleep)) {
        ae_yield();
    }
    wait_until_other_sleeps();
    uint64_t fired = timers_fired();
    while (told == 0 && !atomic_load(&sleeper.woke)) {
        ae_yield();
        if (timers_fired() == fired || atomic_load(&sleeper.woke)) continue;
        told = spin_until(&sleeper.woke) ? 1 : -1;
    }
    EXPECT_EQ(ae_join(task), 0);
    return told;
}

static int main_is_busy(void *arg)
{
    int told = 0;

    (void)arg;
    ae_pin(); /* else the other worker might take us */
    for (int i = 0; i < 200 && told == 0; i++) {
        told = one_sleeper();
    }
    ae_unpin();
    EXPECT_EQ(told, 1);
    return 0;
}

TEST(a_timer_that_fires_on_a_busy_worker_wakes_another)
{
    ae_config config = { AE_CONFIG, .workers = 2 };

    need_two_workers();
    EXPECT_EQ(ae_run(&config, main_is_busy, NULL), 0);
}
