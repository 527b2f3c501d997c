/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping and intervals. Covers: src/sched/time.c src/sched/timer.c */
#include <errno.h>
#include <stdatomic.h>

#include "aether/aether.h"
#include "test.h"

static int main_sleeps(void *arg)
{
    (void)arg;
    int64_t before_ns = ae_now();
    EXPECT_EQ(ae_sleep(300 * AE_US), 0);
    EXPECT_GE(ae_now() - before_ns, 300 * AE_US);
    EXPECT_EQ(ae_sleep(-1), 0);
    EXPECT_EQ(ae_sleep_until(0), 0);
    return 0;
}

TEST(a_sleep_never_ends_early)
{
    EXPECT_EQ(ae_run(NULL, main_sleeps, NULL), 0);
    EXPECT_EQ(main_sleeps(NULL), 0); /* on a plain thread */
}

static int short_sleep(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int64_t until_ns = ae_now() + (*(int *)arg % 13) * 97 * AE_US;
        if (ae_sleep_until(until_ns) < 0) return -EIO;
        if (ae_now() < until_ns) return -ERANGE;
    }
    return 0;
}

enum { SLEEPERS = 500 };

static int main_many(void *arg)
{
    static int seeds[SLEEPERS];
    ae_task *tasks[SLEEPERS];

    (void)arg;
    for (int i = 0; i < SLEEPERS; i++) {
        seeds[i] = i;
        tasks[i] = ae_spawn(short_sleep, &seeds[i]);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    return 0;
}

TEST(many_sleepers_all_wake_and_none_early)
{
    ae_config config = { AE_CONFIG, .workers = 3 };

    EXPECT_EQ(ae_run(&config, main_many, NULL), 0);
}

static int main_intervals(void *arg)
{
    ae_interval interval;

    (void)arg;
    ae_interval_init(&interval, 100 * AE_US, AE_MISSED_BURST);
    int64_t first_ns = interval.next_ns;
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(ae_interval_tick(&interval), 0);
    }
    EXPECT_EQ(interval.next_ns, first_ns + 500 * AE_US);
    interval.next_ns = ae_now() - 1050 * AE_US; /* ten ticks were missed */
    interval.missed = AE_MISSED_SKIP;
    int64_t late_ns = interval.next_ns;
    EXPECT_EQ(ae_interval_tick(&interval), 0);
    EXPECT_EQ((interval.next_ns - late_ns) % (100 * AE_US), 0);
    EXPECT_GE(interval.next_ns - late_ns, 1100 * AE_US);
    interval.next_ns = ae_now() - 1050 * AE_US;
    interval.missed = AE_MISSED_DELAY;
    int64_t now_ns = ae_now();
    EXPECT_EQ(ae_interval_tick(&interval), 0);
    EXPECT_GE(interval.next_ns, now_ns + 100 * AE_US);
    return 0;
}

TEST(an_interval_ticks_and_does_with_missed_ones_as_told)
{
    EXPECT_EQ(ae_run(NULL, main_intervals, NULL), 0);
}

static int main_cancelled(void *arg)
{
    ae_scope scope;
    ae_interval interval;

    (void)arg;
    ae_scope_begin(&scope);
    ae_interval_init(&interval, AE_SEC, AE_MISSED_BURST);
    int64_t next_ns = interval.next_ns;
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_interval_tick(&interval), -ECANCELED);
    EXPECT_EQ(interval.next_ns, next_ns);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancelled_tick_is_not_consumed)
{
    EXPECT_EQ(ae_run(NULL, main_cancelled, NULL), 0);
}
