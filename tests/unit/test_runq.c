/* SPDX-License-Identifier: Apache-2.0 */
/* The local run queue, the shared queue, who sleeps. Interleavings are the models' business.
 * Covers: src/sched/inject.c src/sched/idle.c src/sched/steal.c src/sched/park.c */
#include "sched/runq.h"

#include <pthread.h>
#include <stdlib.h>

#include "aether/aether.h"
#include "base/rng.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "test.h"

static struct ae__task tasks[2 * AE__RUNQ_SIZE];

TEST(the_ring_is_first_in_first_out)
{
    static struct ae__runq ring;
    static struct ae__inject overflow;

    ae__inject_init(&overflow);
    EXPECT_NULL(ae__runq_pop(&ring));
    for (unsigned i = 0; i < AE__RUNQ_SIZE; i++) {
        ae__runq_push(&ring, &tasks[i], &overflow, i % 2);
        EXPECT_EQ(ring.overflows, 0);
    }
    for (unsigned i = 0; i < AE__RUNQ_SIZE; i++) {
        EXPECT_PTR_EQ(ae__runq_pop(&ring), &tasks[i]);
    }
    EXPECT_TRUE(ae__runq_is_empty(&ring));
}

TEST(a_full_ring_spills_its_older_half_and_the_new_one_in_order)
{
    static struct ae__runq ring;
    static struct ae__inject overflow;
    struct ae__wakes out;

    ae__inject_init(&overflow);
    for (unsigned i = 0; i <= AE__RUNQ_SIZE; i++) {
        ae__runq_push(&ring, &tasks[i], &overflow, true);
        EXPECT_EQ(ring.overflows, i == AE__RUNQ_SIZE);
    }
    EXPECT_EQ(ae__inject_length(&overflow), AE__RUNQ_SIZE / 2 + 1);
    ae__wakes_init(&out);
    ae__inject_pop(&overflow, AE__RUNQ_SIZE, &out);
    struct ae__actor *actor = out.head;
    for (unsigned i = 0; i < AE__RUNQ_SIZE / 2; i++, actor = actor->next) {
        EXPECT_PTR_EQ(ae__task_of(actor), &tasks[i]);
    }
    EXPECT_PTR_EQ(ae__task_of(actor), &tasks[AE__RUNQ_SIZE]);
    EXPECT_PTR_EQ(ae__runq_pop(&ring), &tasks[AE__RUNQ_SIZE / 2]);
}

TEST(a_thief_takes_half)
{
    static struct ae__runq from, into;
    static struct ae__inject overflow;
    uint32_t taken = 0;

    ae__inject_init(&overflow);
    EXPECT_NULL(ae__runq_steal(&from, &into, &taken));
    for (unsigned i = 0; i < 9; i++) {
        ae__runq_push(&from, &tasks[i], &overflow, true);
    }
    EXPECT_NOT_NULL(ae__runq_steal(&from, &into, &taken));
    EXPECT_EQ(taken, 5);
    EXPECT_EQ(ae__runq_length(&from), 4);
    EXPECT_EQ(ae__runq_length(&into), 4);
    EXPECT_PTR_EQ(ae__runq_pop(&into), &tasks[0]);
}

TEST(one_sleeper_is_chosen_at_a_time_and_the_last_searcher_is_told)
{
    static struct ae__idle idle;
    uint16_t sleepers[4];

    ae__idle_init(&idle, 4, sleepers);
    EXPECT_EQ(ae__idle_notify(&idle), -1); /* nobody sleeps */
    EXPECT_TRUE(ae__idle_begin_search(&idle));
    EXPECT_TRUE(ae__idle_begin_search(&idle));
    EXPECT_FALSE(ae__idle_begin_search(&idle)); /* at most half */
    EXPECT_FALSE(ae__idle_park(&idle, 0, true));
    EXPECT_EQ(ae__idle_notify(&idle), -1); /* somebody searches */
    EXPECT_TRUE(ae__idle_park(&idle, 1, true));
    EXPECT_EQ(ae__idle_parked(&idle), 2);
    EXPECT_EQ(ae__idle_notify(&idle), 1); /* the last to sleep; it searches from now on */
    EXPECT_EQ(ae__idle_notify(&idle), -1);
    EXPECT_TRUE(ae__idle_unpark(&idle, 1));
    EXPECT_TRUE(ae__idle_end_search(&idle));
    EXPECT_FALSE(ae__idle_unpark(&idle, 0)); /* woke by itself */
    EXPECT_EQ(ae__idle_parked(&idle), 0);
}

static int spin(void *arg)
{
    uint64_t rng = 1;

    while (ae__rng_next(&rng) % 16384 != 0) {
    }
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return 0;
}

static int main_steals(void *arg)
{
    ae_metrics metrics = { .size = sizeof metrics };
    ae_scope scope;

    do { /* until the others have started, and found nothing */
        ae_yield();
        EXPECT_EQ(ae_metrics_get(NULL, &metrics), 0);
    } while (metrics.workers_parked < metrics.workers - 1);
    ae_scope_begin(&scope);
    for (int i = 0; i < 2000; i++) {
        EXPECT_EQ(ae_go(spin, arg), 0);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(ae_metrics_get(NULL, &metrics), 0);
    EXPECT_EQ(metrics.tasks_spawned, 2001); /* and this one */
    EXPECT_GT(metrics.steals + metrics.wakes, 0);
    return 0;
}

TEST(work_of_one_worker_is_taken_by_others_and_none_is_lost)
{
    ae_config config = { AE_CONFIG, .workers = 4 };
    _Atomic(int) done = 0;

    /* A single worker has nobody to steal from; forced migration goes by queues of its own. */
    if (getenv("AE_FLAVOR") || getenv("AE_CHAOS") || getenv("AE_STEAL")) {
        test_skip("takes workers that steal");
    }
    EXPECT_EQ(ae_run(&config, main_steals, &done), 0);
    EXPECT_EQ(done, 2000);
}
