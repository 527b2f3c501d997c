/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking pool. Covers: src/blocking/blocking.c */
#include <stdlib.h>

#include "pool_test.h"

/* ---- ae_blocking ---- */

static int call_twice(void *arg)
{
    uint64_t thread = 0;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(ae_blocking(thread_of, &thread), 5);
        EXPECT_NE(thread, 0);
        EXPECT_NE(thread, ae__os_thread_id());
    }
    return 0;
}

TEST(a_call_runs_on_another_thread_and_gives_its_result)
{
    EXPECT_EQ(run_config((ae_config){ .workers = 1 }, call_twice, NULL), 0);
    EXPECT_EQ(run_config((ae_config){ .flavor = AE_CURRENT_THREAD }, call_twice, NULL), 0);
}

static int nested(void *arg)
{
    uint64_t thread = 0;

    (void)arg;
    EXPECT_FALSE(ae__in_task());
    EXPECT_NOT_NULL(ae_runtime_current());
    EXPECT_EQ(ae_blocking(thread_of, &thread), 5);
    EXPECT_EQ(thread, ae__os_thread_id());
    return 0;
}

static int call_nested(void *arg)
{
    (void)arg;
    return ae_blocking(nested, NULL);
}

TEST(on_a_plain_thread_the_function_is_simply_called)
{
    uint64_t thread = 0;

    EXPECT_EQ(ae_blocking(thread_of, &thread), 5);
    EXPECT_EQ(thread, ae__os_thread_id());
    EXPECT_EQ(run_config((ae_config){ 0 }, call_nested, NULL), 0);
}

static int cancelled_before(void *arg)
{
    _Atomic(int) ran = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_blocking(mark, &ran), -ECANCELED);
    EXPECT_EQ(atomic_load(&ran), 0);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancelled_caller_does_not_begin)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, cancelled_before, NULL), 0);
    EXPECT_EQ(cancelled_before(NULL), 0);
}

static int call_gate(void *arg)
{
    return ae_blocking(pass_gate, arg);
}

static int cancelled_queued(void *arg)
{
    struct one running, waiting;
    _Atomic(int) ran = 0;

    (void)arg;
    gate_close();
    one_start(&running, A_TASK, call_gate, NULL);
    until(&gate.inside, 1);
    one_start_parked(&waiting, A_TASK, calls_mark, &ran);
    EXPECT_EQ(stats().queued, 1);
    ae_cancel(waiting.task);
    EXPECT_EQ(one_end(&waiting), -ECANCELED);
    EXPECT_EQ(stats().queued, 0);
    EXPECT_EQ(atomic_load(&ran), 0);

    ae_cancel(running.task); /* has begun: waited for */
    for (int i = 0; i < 100; i++) {
        give_way();
    }
    EXPECT_FALSE(atomic_load(&running.ended));
    ae_event_set(&gate.open);
    EXPECT_EQ(one_end(&running), 0);
    EXPECT_EQ(atomic_load(&gate.ran), 1);
    return 0;
}

TEST(a_call_is_cancellable_until_it_begins)
{
    ae_config config = { .blocking_threads_max = 1 };
    EXPECT_EQ(run_config(config, cancelled_queued, NULL), 0);
}

/* ---- what a job inherits ---- */

static int wait_for_ever(void *arg)
{
    atomic_store((_Atomic(int) *)arg, 1);
    return ae_sleep_until(AE_FOREVER);
}

static int deadline_reaches(void *arg)
{
    _Atomic(int) began = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 5 * AE_MS);
    int rc = ae_blocking(wait_for_ever, &began);
    EXPECT_EQ(rc, -ECANCELED);
    return ae_scope_end(&scope, rc);
}

TEST(the_callers_deadline_reaches_the_job)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, deadline_reaches, NULL), -ETIMEDOUT);
}

static int cancel_reaches(void *arg)
{
    _Atomic(int) began = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_task *task = ae_spawn_blocking(wait_for_ever, &began);
    REQUIRE(task);
    until(&began, 1);
    ae_scope_cancel(&scope, -EINTR);
    EXPECT_EQ(ae_join(task), -ECANCELED);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), -EINTR);

    atomic_store(&began, 0);
    task = ae_spawn_blocking(wait_for_ever, &began);
    REQUIRE(task);
    until(&began, 1);
    ae_cancel(task);
    EXPECT_EQ(ae_join(task), -ECANCELED);
    return 0;
}

TEST(cancelling_the_scope_or_the_handle_reaches_a_running_job)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, cancel_reaches, NULL), 0);
}

static int spawns(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_task *task = ae_spawn(mark, arg);
    EXPECT_NOT_NULL(task);
    EXPECT_EQ(ae_join(task), 0);
    EXPECT_EQ(ae_go(mark, arg), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load((_Atomic(int) *)arg), 2);
    return ae_go(mark, arg); /* owned by the scope it was called in */
}

static int jobs_spawn(void *arg)
{
    _Atomic(int) ran = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_blocking(spawns, &ran), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load(&ran), 3);

    atomic_store(&ran, 0);
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_join(ae_spawn_blocking(spawns, &ran)), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load(&ran), 3);
    return 0;
}

TEST(a_job_may_open_scopes_and_spawn_tasks)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, jobs_spawn, NULL), 0);
}

/* ---- ae_spawn_blocking ---- */

static int joins(void *arg)
{
    uint64_t thread = 0;
    _Atomic(int) ran = 0;
    ae_scope scope;

    (void)arg;
    EXPECT_EQ(ae_join(ae_spawn_blocking(thread_of, &thread)), 5);
    EXPECT_NE(thread, ae__os_thread_id());
    ae_detach(ae_spawn_blocking(mark, &ran));
    until(&ran, 1);

    ae_scope_begin(&scope);
    ae_task *unjoined = ae_spawn_blocking(mark, &ran);
    EXPECT_NOT_NULL(unjoined);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0); /* waits, and frees the handle */
    EXPECT_EQ(atomic_load(&ran), 2);

    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_join(ae_spawn_blocking(mark, &ran)), 0); /* called exactly once all the same */
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load(&ran), 3);
    return 0;
}

TEST(a_spawned_job_is_joined_detached_and_owned_like_a_task)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, joins, NULL), 0);
}

static int full_queue(void *arg)
{
    ae_task *tasks[4];
    struct one caller;
    _Atomic(int) ran = 0;

    (void)arg;
    gate_close();
    tasks[0] = ae_spawn_blocking(pass_gate, NULL);
    until(&gate.inside, 1);
    tasks[1] = ae_spawn_blocking(pass_gate, NULL);
    tasks[2] = ae_spawn_blocking(pass_gate, NULL);
    EXPECT_TRUE(tasks[1] && tasks[2]);
    tasks[3] = ae_spawn_blocking(mark, &ran);
    EXPECT_NULL(tasks[3]);
    one_start_parked(&caller, A_TASK, calls_mark, &ran); /* a call waits instead */
    EXPECT_EQ(atomic_load(&ran), 0);
    ae_event_set(&gate.open);
    EXPECT_EQ(one_end(&caller), 0);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    EXPECT_EQ(atomic_load(&ran), 1);
    return 0;
}

TEST(a_full_queue_refuses_a_spawn_and_makes_a_call_wait)
{
    ae_config config = { .blocking_threads_max = 1, .blocking_queue_max = 2 };
    EXPECT_EQ(run_config(config, full_queue, NULL), 0);
}

/* ---- how many threads ---- */

static int hold_600(void *arg)
{
    enum { JOBS = 600 };
    int most = *(int *)arg;
    ae_task **tasks = calloc(JOBS, sizeof *tasks);

    REQUIRE(tasks);
    gate_close();
    for (int i = 0; i < JOBS; i++) {
        tasks[i] = ae_spawn_blocking(pass_gate, NULL);
        REQUIRE(tasks[i]);
    }
    until(&gate.inside, most);
    for (int i = 0; i < 200; i++) {
        give_way();
    }
    EXPECT_EQ(atomic_load(&gate.inside), most);
    EXPECT_EQ(stats().threads, most);
    EXPECT_EQ(stats().queued, JOBS - most);
    ae_event_set(&gate.open);
    for (int i = 0; i < JOBS; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    EXPECT_EQ(atomic_load(&gate.ran), JOBS);
    EXPECT_EQ(stats().queued, 0);
    free(tasks);
    return 0;
}

TEST(of_600_sleeping_jobs_512_run_88_wait_and_none_is_lost)
{
    int most = 512;
    EXPECT_EQ(run_config((ae_config){ 0 }, hold_600, &most), 0);
}

static int hold_600_failing(void *arg)
{
    uint64_t thread;

    EXPECT_EQ(ae_blocking(thread_of, &thread), 5); /* the first thread */
    ae__os_thread_fail_after(99);
    int rc = hold_600(arg);
    ae__os_thread_fail_after(0);
    return rc;
}

TEST(no_job_is_lost_when_thread_creation_fails_from_the_100th_on)
{
    int most = 99;
    EXPECT_EQ(run_config((ae_config){ 0 }, hold_600_failing, &most), 0);
}

static int no_thread(void *arg)
{
    _Atomic(int) ran = 0;

    (void)arg;
    ae__os_thread_fail_after(1);
    EXPECT_NULL(ae_spawn_blocking(mark, &ran));
    EXPECT_EQ(ae_blocking(mark, &ran), -EAGAIN);
    ae__os_thread_fail_after(0);
    EXPECT_EQ(atomic_load(&ran), 0);
    EXPECT_EQ(ae_blocking(mark, &ran), 0);
    EXPECT_EQ(atomic_load(&ran), 1);
    return 0;
}

TEST(without_any_thread_work_is_refused_not_queued)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, no_thread, NULL), 0);
}

static int shrink(void *arg)
{
    enum { JOBS = 40 };
    ae_task *tasks[JOBS];
    uint64_t thread;

    (void)arg;
    for (int round = 0; round < 3; round++) {
        gate_close();
        for (int i = 0; i < JOBS; i++) {
            tasks[i] = ae_spawn_blocking(pass_gate, NULL);
            REQUIRE(tasks[i]);
        }
        until(&gate.inside, JOBS);
        EXPECT_GE(stats().threads, JOBS); /* one more may have come for a job that was taken */
        ae_event_set(&gate.open);
        for (int i = 0; i < JOBS; i++) {
            EXPECT_EQ(ae_join(tasks[i]), 0);
        }
        while (stats().threads > 0) {
            EXPECT_EQ(ae_sleep(AE_MS), 0);
        }
        EXPECT_EQ(ae_blocking(thread_of, &thread), 5); /* and it grows again */
    }
    return 0;
}

TEST(idle_threads_end_after_their_keep_alive)
{
    ae_config config = { .blocking_keep_alive_ns = 2 * AE_MS };
    EXPECT_EQ(run_config(config, shrink, NULL), 0);
}

static int reuse(void *arg)
{
    uint64_t first = 0, later = 0;

    (void)arg;
    EXPECT_EQ(ae_blocking(thread_of, &first), 5);
    for (int i = 0; i < 100; i++) {
        while (stats().idle == 0) {
            give_way();
        }
        EXPECT_EQ(ae_blocking(thread_of, &later), 5);
        EXPECT_EQ(later, first);
    }
    EXPECT_EQ(stats().threads, 1);
    return 0;
}

TEST(an_idle_thread_is_used_before_another_is_made)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, reuse, NULL), 0);
}

/* ---- the end of the runtime ---- */

static int leave_work(void *arg)
{
    for (int i = 0; i < 10; i++) {
        ae_task *task = ae_spawn_blocking(mark, arg);
        EXPECT_NOT_NULL(task);
        ae_detach(task);
    }
    return 0;
}

TEST(work_left_behind_is_finished_before_the_runtime_ends)
{
    for (int i = 0; i < 20; i++) {
        _Atomic(int) ran = 0;
        ae_config config = { .blocking_threads_max = 1 + (unsigned)i % 3 };
        EXPECT_EQ(run_config(config, leave_work, &ran), 0);
        EXPECT_EQ(atomic_load(&ran), 10);
    }
}

/* ---- stress ---- */

static _Atomic(int) not_plain;

static int tiny(void *arg)
{
    if (ae__in_task()) atomic_fetch_add(&not_plain, 1);
    return (int)(intptr_t)arg & 1;
}

static int many(void *arg)
{
    int jobs = rounds_of(100000), sum = 0;
    ae_task **tasks = calloc((size_t)jobs, sizeof *tasks);

    (void)arg;
    REQUIRE(tasks);
    for (int i = 0; i < jobs; i++) {
        tasks[i] = ae_spawn_blocking(tiny, (void *)(intptr_t)i);
        REQUIRE(tasks[i]);
    }
    for (int i = 0; i < jobs; i++) {
        sum += ae_join(tasks[i]);
    }
    EXPECT_EQ(sum, jobs / 2);
    EXPECT_EQ(atomic_load(&not_plain), 0);
    test_note("%d jobs on %d threads", jobs, (int)stats().threads);
    free(tasks);
    return 0;
}

TEST(very_many_short_jobs_all_run_on_plain_threads)
{
    EXPECT_EQ(run_config((ae_config){ .workers = 1 }, many, NULL), 0);
    EXPECT_EQ(run_config((ae_config){ .workers = 2 }, many, NULL), 0);
}

static int calls_many(void *arg)
{
    int sum = 0;

    for (int i = 0; i < 500; i++) {
        sum += ae_blocking(tiny, (void *)(intptr_t)i);
    }
    atomic_fetch_add((_Atomic(int) *)arg, sum);
    return 0;
}

static int calls_from_many(void *arg)
{
    enum { TASKS = 16 };
    _Atomic(int) sum = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < TASKS; i++) {
        EXPECT_EQ(ae_go(calls_many, &sum), 0);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load(&sum), TASKS * 250);
    return 0;
}

TEST(calls_from_many_tasks_all_return_with_threads_coming_and_going)
{
    ae_config config = { .blocking_keep_alive_ns = 20 * AE_US, .blocking_threads_max = 5 };
    EXPECT_EQ(run_config(config, calls_from_many, NULL), 0);
}

static int cancel_against_begin(void *arg)
{
    struct canceller canceller;
    int rounds = rounds_of(8000), began = 0;

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        struct one one;
        _Atomic(int) ran = 0;
        one_start(&one, A_TASK, calls_mark, &ran);
        if (i % 2) one_until_parked(&one);
        canceller_tell(&canceller, one.task);
        stagger(i);
        canceller_wait(&canceller);
        int rc = one_end(&one);
        REQUIRE(atomic_load(&ran) == (rc == 0));
        began += rc == 0;
    }
    canceller_end(&canceller);
    test_note("cancel against begin: began in %d of %d rounds", began, rounds);
    return 0;
}

TEST(a_cancelled_call_has_either_run_or_not)
{
    EXPECT_EQ(run_config((ae_config){ 0 }, cancel_against_begin, NULL), 0);
}

/* ---- misuse ---- */

static ae_scope left_open;

static int leaves_scope_open(void *arg)
{
    (void)arg;
    ae_scope_begin(&left_open);
    return 0;
}

static int job_leaves_scope_open(void *arg)
{
    (void)arg;
    return ae_join(ae_spawn_blocking(leaves_scope_open, NULL));
}

TEST(a_job_that_leaves_a_scope_open_asserts)
{
    EXPECT_DEATH(run_config((ae_config){ 0 }, job_leaves_scope_open, NULL), "node");
}

TEST(spawning_outside_any_runtime_asserts)
{
    EXPECT_DEATH((void)!ae_spawn_blocking(tiny, NULL), "rt");
}
