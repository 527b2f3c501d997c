/* SPDX-License-Identifier: Apache-2.0 */
/* The compute pool: its threads, its callers, cancelling.
 * Covers: src/par/pool.c src/par/enter.c */
#include <stdlib.h>

#include "arch/os.h"
#include "base/mem.h"
#include "par_test.h"

/* ---- broadcast, index ---- */

struct roll_call {
    _Atomic(int) calls[64];
};

static int answer(void *arg, unsigned index)
{
    struct roll_call *call = arg;

    EXPECT_EQ(ae_par_index(), (int)index);
    atomic_fetch_add(&call->calls[index], 1);
    return index == 0 ? -EIO : 0;
}

static int broadcasts(void *arg)
{
    struct roll_call call = { 0 };
    unsigned workers = ae_par_workers();

    (void)arg;
    EXPECT_EQ(ae_par_broadcast(answer, &call), -EIO);
    for (unsigned i = 0; i < 64; i++) {
        EXPECT_EQ(atomic_load(&call.calls[i]), i < workers ? 1 : 0);
    }
    return 0;
}

TEST(a_broadcast_runs_once_on_each_thread)
{
    everywhere(broadcasts, NULL);
}

static int broadcast_range(void *arg, size_t begin, size_t end)
{
    struct roll_call call = { 0 };

    for (size_t i = begin; i < end; i++) {
        EXPECT_EQ(ae_par_broadcast(answer, &call), -EIO);
    }
    atomic_fetch_add((_Atomic(long) *)arg, atomic_load(&call.calls[0]));
    return 0;
}

static int broadcasts_meet(void *arg)
{
    _Atomic(long) calls = 0;

    (void)arg;
    EXPECT_EQ(ae_par_for_grain(0, 20, 1, 1, broadcast_range, &calls), 0);
    EXPECT_EQ(atomic_load(&calls), 20);
    return 0;
}

TEST(broadcasts_of_several_threads_wait_for_each_other_without_deadlock)
{
    everywhere(broadcasts_meet, NULL);
}

static void note_start(void *context, unsigned index)
{
    atomic_fetch_add(&((_Atomic(int) *)context)[0], 1 << (8 * index));
}

static void note_stop(void *context, unsigned index)
{
    atomic_fetch_add(&((_Atomic(int) *)context)[1], 1 << (8 * index));
}

static int threads_are(void *arg)
{
    EXPECT_EQ(ae_par_workers(), (unsigned)(intptr_t)arg);
    return 0;
}

TEST(a_pool_has_the_threads_it_was_asked_for_and_calls_its_hooks_on_each)
{
    _Atomic(int) noted[2] = { 0, 0 };
    ae_par_config config = { sizeof config, 3, "mine", note_start, note_stop, (void *)noted };
    ae_par_pool *pool;

    REQUIRE(ae_par_pool_create(&config, &pool) == 0);
    EXPECT_EQ(ae_par_run(pool, threads_are, (void *)3), 0);
    ae_par_pool_destroy(pool);
    EXPECT_EQ(atomic_load(&noted[0]), 0x010101);
    EXPECT_EQ(atomic_load(&noted[1]), 0x010101);
    EXPECT_EQ(ae_par_index(), -1);
    config.size = 3;
    EXPECT_EQ(ae_par_pool_create(&config, &pool), -EINVAL);
    ae_par_pool_destroy(NULL);
}

TEST(a_pool_that_finds_no_memory_or_threads_is_refused)
{
    ae_par_config config = { .size = sizeof config, .workers = 2 };
    ae_par_pool *pool;
    int n = 0, rc;

    do {
        ae__mem_fail_after(++n);
        rc = ae_par_pool_create(&config, &pool);
        EXPECT_TRUE(rc == 0 || rc == -ENOMEM || rc == -EAGAIN); /* a start needs memory too */
    } while (rc < 0);
    ae__mem_fail_after(0);
    EXPECT_GT(n, 3);
    ae_par_pool_destroy(pool);
    ae__os_thread_fail_after(1);
    EXPECT_EQ(ae_par_pool_create(&config, &pool), -EAGAIN);
    ae__os_thread_fail_after(2); /* one is enough */
    EXPECT_EQ(ae_par_pool_create(&config, &pool), 0);
    ae__os_thread_fail_after(0);
    EXPECT_EQ(ae_par_run(pool, threads_are, (void *)1), 0);
    ae_par_pool_destroy(pool);
}

/* ---- cancelling ---- */

struct endless {
    _Atomic(int) bodies;
    _Atomic(bool) cancelled;
    _Atomic(long) late; /* bodies that began well after the cancel */
};

static int endless_body(void *arg, size_t begin, size_t end)
{
    struct endless *e = arg;

    (void)begin;
    (void)end;
    if (atomic_load(&e->cancelled)) atomic_fetch_add(&e->late, 1);
    atomic_fetch_add(&e->bodies, 1);
    return 0;
}

static int endless_loop(void *arg)
{
    return ae_par_for_grain(0, SIZE_MAX, 1, 1, endless_body, arg);
}

static int cancels(void *arg)
{
    struct endless e = { 0 };
    struct one one;

    (void)arg;
    one_start(&one, A_TASK, endless_loop, &e);
    while (atomic_load(&e.bodies) < 1000) {
        give_way();
    }
    ae_cancel(one.task);
    atomic_store(&e.cancelled, true);
    EXPECT_EQ(one_end(&one), -ECANCELED);
    EXPECT_LE(atomic_load(&e.late), 64); /* those that had looked before */
    return 0;
}

TEST(cancelling_the_caller_ends_its_loop_within_a_grain)
{
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(run_with(2, cancels, NULL), 0);
    }
}

static int deadline_ends(void *arg)
{
    struct endless e = { 0 };
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 3 * AE_MS);
    int rc = ae_scope_end(&scope, endless_loop(&e));
    EXPECT_EQ(rc, -ETIMEDOUT);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, -EINTR);
    int before = atomic_load(&e.bodies);
    rc = ae_scope_end(&scope, endless_loop(&e));
    EXPECT_EQ(rc, -EINTR);
    EXPECT_EQ(atomic_load(&e.bodies), before);
    return 0;
}

TEST(a_deadline_ends_a_loop_and_a_cancelled_caller_begins_none)
{
    EXPECT_EQ(run_with(2, deadline_ends, NULL), 0);
}

static int until_cancelled(void *arg)
{
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return ae_sleep_until(AE_FOREVER);
}

static int sleeping_join(void *arg)
{
    return ae_par_join(until_cancelled, arg, until_cancelled, arg);
}

static int cancel_sleepers(void *arg)
{
    struct one one;
    _Atomic(int) began = 0;

    (void)arg;
    one_start(&one, A_TASK, sleeping_join, &began);
    while (atomic_load(&began) < 2) {
        give_way();
    }
    ae_cancel(one.task);
    EXPECT_EQ(one_end(&one), -ECANCELED);
    return 0;
}

TEST(a_cancel_reaches_what_a_stolen_half_waits_for)
{
    EXPECT_EQ(setenv("AE_PAR_WORKERS", "2", 1), 0);
    EXPECT_EQ(run_with(2, cancel_sleepers, NULL), 0);
}

static int spawns_task(void *arg, size_t begin, size_t end)
{
    int rc = 0;

    for (size_t i = begin; i < end && rc == 0; i++) {
        rc = ae_join(ae_spawn(count_call, arg));
    }
    return rc;
}

static int tasks_from_bodies(void *arg)
{
    _Atomic(long) calls = 0;

    (void)arg;
    EXPECT_EQ(ae_par_for(0, 2000, spawns_task, &calls), 0);
    EXPECT_EQ(atomic_load(&calls), 2000);
    return 0;
}

TEST(a_body_may_spawn_tasks_of_its_callers_runtime_and_join_them)
{
    EXPECT_EQ(run_with(2, tasks_from_bodies, NULL), 0);
}

/* ---- many callers ---- */

static int small_loops(void *arg)
{
    for (int i = 0; i < 100; i++) {
        _Atomic(long) items = 0;
        int rc = ae_par_for(0, 100, count_items, &items);
        if (rc < 0 || atomic_load(&items) != 100) return rc < 0 ? rc : -EIO;
    }
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return 0;
}

static int many_callers(void *arg)
{
    _Atomic(int) done = 0;
    struct one ones[24];

    (void)arg;
    for (int i = 0; i < 24; i++) {
        one_start(&ones[i], (enum who)(i % WHO_KINDS), small_loops, &done);
    }
    for (int i = 0; i < 24; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    EXPECT_EQ(atomic_load(&done), 24);
    return 0;
}

TEST(tasks_jobs_and_more_threads_than_seats_share_the_pool)
{
    EXPECT_EQ(run_with(2, many_callers, NULL), 0);
}

static int cancel_race(void *arg)
{
    struct canceller canceller;
    int rounds = rounds_of(2000), ended = 0;

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        _Atomic(int) done = 0;
        struct one one;
        one_start(&one, A_TASK, small_loops, &done);
        if (i % 2) one_until_parked(&one);
        canceller_tell(&canceller, one.task);
        stagger(i);
        canceller_wait(&canceller);
        int rc = one_end(&one);
        REQUIRE(rc == 0 || rc == -ECANCELED);
        ended += rc == 0;
    }
    canceller_end(&canceller);
    test_note("cancel against a loop: %d of %d ended", ended, rounds);
    return 0;
}

TEST(a_cancel_at_any_moment_loses_no_caller)
{
    EXPECT_EQ(run_with(2, cancel_race, NULL), 0);
}

TEST(spawning_outside_any_parallel_work_asserts)
{
    EXPECT_DEATH(ae_par_spawn(count_call, NULL), "w");
}
