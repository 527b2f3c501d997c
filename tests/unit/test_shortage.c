/* SPDX-License-Identifier: Apache-2.0 */
/* Too few stacks: starts wait for one, whoever has it; when no task can run, the process says so
 * and dies. The number of stacks is limited by the pool's own limit, which is there for this. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "aether/aether.h"
#include "sched/runtime.h"
#include "test.h"

static int run_with(unsigned workers, size_t stacks, ae_fn *fn)
{
    ae_config config = { AE_CONFIG, .workers = workers };
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    rt->stacks.slots_max = stacks;
    rt->shortage.patience_ns = 100 * AE_MS;
    int rc = ae_block_on(rt, fn, rt);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    return rc;
}

static _Atomic(int) ran;

static int waits_a_little(void *arg)
{
    (void)arg;
    int rc = ae_sleep(100 * AE_US);
    ae_yield();
    atomic_fetch_add(&ran, 1);
    return rc;
}

static int main_many(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    for (int i = 0; i < 3000; i++) {
        EXPECT_EQ(ae_go(waits_a_little, arg), 0);
        if (i % 7 == 0) ae_yield();
    }
    return ae_scope_end(&scope, 0);
}

TEST(three_thousand_tasks_take_turns_on_four_stacks)
{
    EXPECT_EQ(run_with(3, 4, main_many), 0);
    EXPECT_EQ(ran, 3000);
}

TEST(also_on_one_worker_and_two_stacks)
{
    EXPECT_EQ(run_with(1, 2, main_many), 0);
    EXPECT_EQ(ran, 3000);
}

/* ---- the cache of a worker that sleeps ---- */

enum { STACKS = 40 };

static _Atomic(int) busy;

static int keeps_busy(void *arg)
{
    atomic_fetch_add(&busy, 1);
    for (int64_t until = ae_now() + 20 * AE_US; ae_now() < until;) {
    }
    return arg != NULL;
}

static struct ae__worker *sleeping_with_stacks(struct ae_runtime *rt)
{
    ae_metrics metrics = { .size = sizeof metrics };

    if (ae_metrics_get(rt, &metrics) < 0 || metrics.workers_parked == 0) return NULL;
    struct ae__worker *other = rt->workers[ae__worker_self() == rt->workers[0]];
    return ae__shortage_holds(other) ? other : NULL;
}

static int holds_on(void *event)
{
    atomic_fetch_add(&ran, 1);
    return ae_event_wait(event);
}

struct holders {
    ae_sem started;
    ae_event all_run;
};

static int holds_on_alone(void *arg)
{
    struct holders *holders = arg;

    atomic_fetch_add(&ran, 1);
    ae_sem_release(&holders->started, 1);
    return ae_event_wait(&holders->all_run);
}

static int main_needs_all(void *arg)
{
    struct ae_runtime *rt = arg;
    struct ae__worker *sleeper = NULL;
    struct holders holders = { .all_run = { { NULL } } };
    ae_scope scope;

    ae_sem_init(&holders.started, 0);

    while (!sleeper) { /* let the other worker steal some, and go to sleep with their stacks */
        ae_scope_begin(&scope);
        for (int i = 0; i < STACKS - 1; i++) {
            EXPECT_EQ(ae_go(keeps_busy, NULL), 0);
        }
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        for (int i = 0; i < 10000 && !(sleeper = sleeping_with_stacks(rt)); i++) {
            sched_yield(); /* keeps this worker */
        }
    }
    ae_scope_begin(&scope);
    for (int i = 0; i < STACKS - 1; i++) { /* one by one, by the LIFO slot: that wakes nobody */
        EXPECT_EQ(ae_go(holds_on_alone, &holders), 0);
        EXPECT_EQ(ae_sem_acquire(&holders.started, 1), 0);
    }
    ae_event_set(&holders.all_run);
    return ae_scope_end(&scope, 0);
}

TEST(a_worker_that_sleeps_gives_its_stacks_up)
{
    if (getenv("AE_FLAVOR") || getenv("AE_STEAL")) test_skip("takes two workers that steal");
    EXPECT_EQ(run_with(2, STACKS, main_needs_all), 0);
    EXPECT_EQ(ran, STACKS - 1);
}

/* ---- classes ---- */

static int main_mixed(void *arg)
{
    ae_task_opts large = { .stack_bytes = 1 << 20 }, small = { .stack_bytes = 64 << 10 };

    for (int i = 0; i < 10; i++) {
        ae_task *a = ae_spawn_opts(&large, waits_a_little, arg);
        EXPECT_EQ(ae_join(a), 0);
        ae_task *b = ae_spawn_opts(&small, waits_a_little, arg);
        EXPECT_EQ(ae_join(b), 0);
    }
    return 0;
}

TEST(a_small_task_takes_a_large_stack_when_there_is_no_other)
{
    EXPECT_EQ(run_with(2, 2, main_mixed), 0);
    EXPECT_EQ(ran, 20);
}

/* ---- no way on ---- */

static int sets(void *event)
{
    ae_event_set(event);
    return 0;
}

static int main_stuck(void *arg)
{
    ae_event event = { { NULL } };
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(ae_go(holds_on, &event), 0);
    }
    while (atomic_load(&ran) < 7) {
        ae_yield();
    }
    EXPECT_EQ(ae_go(sets, &event), 0);
    return ae_scope_end(&scope, 0);
}

TEST(when_no_task_can_run_the_process_names_the_limit_and_dies)
{
    EXPECT_DEATH(run_with(2, 8, main_stuck), "no task can run: 2 starts wait for a task stack");
    EXPECT_DEATH(run_with(1, 8, main_stuck), "ulimit -v");
    EXPECT_DEATH(run_with(2, 0, main_stuck), "vm.max_map_count");
}

struct late {
    int pipe[2];
    _Atomic(bool) reading;
    ae_event event;
};

static int reads(void *arg)
{
    struct late *late = arg;

    atomic_store(&late->reading, true);
    int events = ae_fd_wait(late->pipe[0], AE_READABLE);

    if (events > 0) ae_event_set(&late->event);
    atomic_fetch_add(&ran, 1);
    return events < 0 ? events : 0;
}

static int holds_on_late(void *arg)
{
    struct late *late = arg;

    return ae_event_wait(&late->event);
}

static void *writes_late(void *arg)
{
    struct late *late = arg;

    EXPECT_EQ(ae_sleep(600 * AE_MS), 0); /* far more than the patience that was set */
    EXPECT_EQ(write(late->pipe[1], "x", 1), 1);
    return NULL;
}

static int main_waits_for_world(void *arg)
{
    struct late late = { .pipe = { -1, -1 } };
    pthread_t thread;
    ae_scope scope;

    REQUIRE(pipe(late.pipe) == 0);
    REQUIRE(pthread_create(&thread, NULL, writes_late, &late) == 0);
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go(reads, &late), 0);
    while (!atomic_load(&late.reading)) {
        ae_yield();
    }
    for (int i = 0; i < 6; i++) {
        EXPECT_EQ(ae_go(holds_on_late, &late), 0);
    }
    int rc = ae_scope_end(&scope, 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    close(late.pipe[0]);
    close(late.pipe[1]);
    return arg ? rc : -1;
}

TEST(who_waits_for_a_descriptor_may_still_run)
{
    EXPECT_EQ(run_with(2, 3, main_waits_for_world), 0);
    EXPECT_EQ(ran, 1);
}

/* ---- the limit of the kernel ---- */

static int main_under_limit(void *arg)
{
    struct rlimit limit;
    char line[256] = "";
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    REQUIRE(file && fgets(line, sizeof line, file));
    fclose(file);
    pages = strtoul(line, NULL, 10);
    limit.rlim_cur = limit.rlim_max = pages * 4096 + ((rlim_t)200 << 20); /* three mappings more */
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    return main_many(arg);
}

TEST(starts_wait_under_a_limit_of_address_space)
{
    if (test_under_asan() || test_under_tsan()) test_skip("the sanitizer needs the address space");
    EXPECT_EQ(run_with(2, SIZE_MAX, main_under_limit), 0);
    EXPECT_EQ(ran, 3000);
}
