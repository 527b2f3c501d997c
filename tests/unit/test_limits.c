/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of tasks is exact, and counting is done when somebody may rely on it.
 * Covers: src/task/slab.c src/sched/metrics.c */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

#include "aether/aether.h"
#include "sched/runtime.h"
#include "sched/scope.h"
#include "test.h"

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return ae_sleep_until(AE_FOREVER);
}

static int nothing(void *arg)
{
    (void)arg;
    return 3;
}

/* `arg`: how many tasks fit beside this one. */
static int main_fills(void *arg)
{
    int room = *(int *)arg;
    ae_scope scope;

    for (int round = 0; round < 8; round++) {
        int started = 0;
        ae_scope_begin(&scope);
        while (started <= room && ae_go(sleep_for_ever, NULL) == 0) {
            started++;
            if (started % 64 == 0) ae_yield();
        }
        EXPECT_EQ(started, room);
        EXPECT_NULL(ae_spawn(nothing, NULL));
        ae_scope_cancel(&scope, 0);
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    }
    return 0;
}

TEST(as_many_tasks_as_allowed_and_no_more)
{
    static const uint32_t limits[] = { 1, 2, 70, 4096, 4097, 10000 };

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        ae_config config = { AE_CONFIG, .workers = 3, .tasks_max = limits[i] };
        int room = (int)limits[i] - 1;
        EXPECT_EQ(ae_run(&config, main_fills, &room), 0);
    }
}

static _Atomic(bool) detached, tried;

static int job_that_fails(void *arg)
{
    (void)arg;
    while (!atomic_load(&detached)) {
        sched_yield();
    }
    return -EIO;
}

/* Runs on the pool thread, when the job counts for its scope no more. */
static void hold_back(void *context, uint64_t id, const char *name, int status)
{
    (void)context;
    (void)id;
    (void)name;
    EXPECT_EQ(status, -EIO);
    while (!atomic_load(&tried)) {
        sched_yield();
    }
}

static int main_replaces(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_detach(ae_spawn_blocking(job_that_fails, arg));
    EXPECT_EQ(ae_go(nothing, arg), -ENOMEM);
    atomic_store(&detached, true);
    while (ae_scope_live(&scope) > 0) {
        ae_yield();
    }
    EXPECT_EQ(ae_go(nothing, arg), 0);
    atomic_store(&tried, true);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    return 0;
}

TEST(whoever_sees_a_task_gone_may_start_another_in_its_place)
{
    ae_config config = { AE_CONFIG, .workers = 1, .tasks_max = 2, .on_task_error = hold_back };

    EXPECT_EQ(ae_run(&config, main_replaces, NULL), 0);
}

TEST(tasks_that_are_spawned_from_outside_are_counted)
{
    ae_metrics metrics = { .size = sizeof metrics };
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(NULL, &rt) == 0);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(ae_block_on(rt, nothing, NULL), 3);
    }
    EXPECT_EQ(ae_metrics_get(rt, &metrics), 0);
    EXPECT_EQ(metrics.tasks_spawned, 10);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}

TEST(nobody_gets_into_a_runtime_whose_end_has_begun)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__node *before = self->node;
    struct ae__scope scope;
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(NULL, &rt) == 0);
    atomic_store(&rt->stopping, 1);
    EXPECT_FALSE(ae__scope_open_in_root(&scope, rt, self));
    EXPECT_PTR_EQ(self->node, before);
    EXPECT_EQ(rt->root.live, 0);
    EXPECT_EQ(ae_block_on(rt, nothing, NULL), -ESHUTDOWN);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}
