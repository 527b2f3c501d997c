/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking pool: what happens when its queue is full, its lanes, calls in place.
 * Covers: src/blocking/lanes.c src/sched/inplace.c */
#include <stdlib.h>

#include "aether/metrics.h"
#include "pool_test.h"

/* ---- a full queue, by choice ---- */

static const ae_job_opts refusing = { .full = AE_FULL_REFUSE };
static const ae_job_opts waiting = { .full = AE_FULL_WAIT, .name = "waiting" };

static int call_refusing(void *arg)
{
    return ae_blocking_opts(&refusing, mark, arg);
}

/* One job runs, `queued` wait; all stand at the gate. */
static void fill(ae_task **tasks, int queued)
{
    gate_close();
    tasks[0] = ae_spawn_blocking(pass_gate, NULL);
    until(&gate.inside, 1);
    for (int i = 1; i <= queued; i++) {
        tasks[i] = ae_spawn_blocking(pass_gate, NULL);
        REQUIRE(tasks[i]);
    }
}

static void drain(ae_task **tasks, int queued)
{
    ae_event_set(&gate.open);
    for (int i = 0; i <= queued; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
}

static int refused(void *arg)
{
    ae_task *tasks[3];
    _Atomic(int) ran = 0;

    (void)arg;
    EXPECT_EQ(call_refusing(&ran), 0); /* there is room */
    fill(tasks, 2);
    EXPECT_EQ(call_refusing(&ran), -EAGAIN);
    EXPECT_NULL(ae_spawn_blocking_opts(&refusing, mark, &ran));
    EXPECT_EQ(atomic_load(&ran), 1);
    EXPECT_EQ(stats().refused, 2);
    drain(tasks, 2);
    EXPECT_EQ(call_refusing(&ran), 0);
    return 0;
}

TEST(a_full_queue_refuses_whom_it_shall_refuse)
{
    ae_config config = { .blocking_threads_max = 1, .blocking_queue_max = 2 };
    EXPECT_EQ(run_config(config, refused, NULL), 0);
}

static _Atomic(int) order;

static int note_order(void *arg)
{
    *(int *)arg = atomic_fetch_add(&order, 1);
    return 0;
}

/* A spawner that suspends until there is room, then joins. */
static int spawn_waiting(void *arg)
{
    ae_task *task = ae_spawn_blocking_opts(&waiting, note_order, arg);

    if (!task) return -ENOBUFS;
    ae_outcome outcome;
    EXPECT_EQ(ae_join_outcome(task, &outcome), 0);
    EXPECT_STREQ(outcome.name, "waiting");
    return outcome.status;
}

static int wait_in_turn(void *arg)
{
    enum { MANY = 5 };
    const enum who *who = arg;
    ae_task *tasks[2];
    struct one ones[MANY];
    int places[MANY];
    ae_scope scope;

    atomic_store(&order, 0);
    fill(tasks, 1);
    ae_scope_begin(&scope);
    for (int i = 0; i < MANY; i++) {
        one_start_parked(&ones[i], *who, spawn_waiting, &places[i]);
    }
    EXPECT_EQ(stats().queued, 1);
    EXPECT_EQ(stats().refused, 0);
    drain(tasks, 1);
    for (int i = 0; i < MANY; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
        EXPECT_EQ(places[i], i); /* one thread: they ran in the order they came in */
    }
    return ae_scope_end(&scope, 0);
}

TEST(who_waits_for_room_comes_in_in_turn)
{
    ae_config config = { .blocking_threads_max = 1, .blocking_queue_max = 1 };
    enum who who = A_TASK;
    EXPECT_EQ(run_config(config, wait_in_turn, &who), 0);
}

static int cancelled_for_room(void *arg)
{
    ae_task *tasks[2];
    struct one first, second;
    int places[2] = { -1, -1 };

    (void)arg;
    atomic_store(&order, 0);
    fill(tasks, 1);
    one_start_parked(&first, A_TASK, spawn_waiting, &places[0]);
    one_start_parked(&second, A_TASK, spawn_waiting, &places[1]);
    ae_cancel(first.task);
    EXPECT_EQ(one_end(&first), -ENOBUFS);
    drain(tasks, 1);
    EXPECT_EQ(one_end(&second), 0);
    EXPECT_EQ(places[0], -1);
    EXPECT_EQ(places[1], 0);
    return 0;
}

TEST(a_cancelled_one_waits_for_room_no_more)
{
    ae_config config = { .blocking_threads_max = 1, .blocking_queue_max = 1 };
    EXPECT_EQ(run_config(config, cancelled_for_room, NULL), 0);
}

static int spawn_many_waiting(void *arg)
{
    for (int i = 0; i < 500; i++) {
        ae_task *task = ae_spawn_blocking_opts(&waiting, mark, arg);
        REQUIRE(task);
        if (i % 3) {
            ae_detach(task);
        } else {
            EXPECT_EQ(ae_join(task), 0);
        }
        if (i % 7 == 0) EXPECT_EQ(ae_blocking(mark, arg), 0);
    }
    return 0;
}

static int many_wait(void *arg)
{
    enum { SPAWNERS = 12 };
    _Atomic(int) ran = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < SPAWNERS; i++) {
        EXPECT_EQ(ae_go(spawn_many_waiting, &ran), 0);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load(&ran), SPAWNERS * (500 + 72));
    EXPECT_EQ(stats().refused, 0);
    return 0;
}

TEST(a_small_queue_holds_back_many_spawners_and_loses_nothing)
{
    ae_config config = { .blocking_threads_max = 3, .blocking_queue_max = 4 };
    EXPECT_EQ(run_config(config, many_wait, NULL), 0);
}

/* The only thread of the lane would wait for itself. */
static int job_that_fills(void *arg)
{
    ae_task *first = ae_spawn_blocking_opts(&waiting, mark, arg);

    EXPECT_NULL(ae_spawn_blocking_opts(&waiting, mark, arg));
    EXPECT_EQ(stats().refused, 1);
    ae_detach(first);
    return first ? 0 : -ENOBUFS;
}

static int fills_from_inside(void *arg)
{
    _Atomic(int) ran = 0;

    (void)arg;
    EXPECT_EQ(ae_join(ae_spawn_blocking(job_that_fills, &ran)), 0);
    until(&ran, 1);
    EXPECT_EQ(ae_join(ae_spawn_blocking(mark, &ran)), 0);
    EXPECT_EQ(atomic_load(&ran), 2);
    return 0;
}

TEST(a_job_that_would_wait_for_room_that_only_it_can_make_is_refused)
{
    ae_config config = { .blocking_threads_max = 1, .blocking_queue_max = 1 };
    EXPECT_EQ(run_config(config, fills_from_inside, NULL), 0);
}

/* A tree of jobs, each of which spawns two more in its own lane. */
enum { TREE_DEPTH = 9 };

static _Atomic(int) leaves;
static char depths[TREE_DEPTH + 1];

static int branch(void *arg)
{
    char *depth = arg;

    if (depth == &depths[TREE_DEPTH]) {
        atomic_fetch_add(&leaves, 1);
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        ae_task *task = ae_spawn_blocking_opts(&waiting, branch, depth + 1);
        if (task) {
            ae_detach(task);
        } else {
            EXPECT_EQ(branch(depth + 1), 0); /* in place */
        }
    }
    return 0;
}

static int grow_tree(void *arg)
{
    (void)arg;
    atomic_store(&leaves, 0);
    EXPECT_EQ(ae_join(ae_spawn_blocking(branch, &depths[0])), 0);
    until(&leaves, 1 << TREE_DEPTH);
    return 0;
}

TEST(jobs_that_spawn_into_their_own_full_lane_all_come_to_an_end)
{
    for (unsigned threads = 1; threads <= 3; threads++) {
        ae_config config = { .blocking_threads_max = threads, .blocking_queue_max = 2 };
        EXPECT_EQ(run_config(config, grow_tree, NULL), 0);
        EXPECT_EQ(atomic_load(&leaves), 1 << TREE_DEPTH);
    }
}

/* ---- lanes ---- */

static int call_in(void *arg)
{
    const ae_job_opts opts = { .lane = *(enum ae_lane *)arg };
    uint64_t thread;
    return ae_blocking_opts(&opts, thread_of, &thread);
}

static int fill_and_use_others(enum ae_lane filled)
{
    const ae_job_opts opts = { .lane = filled };
    ae_task *jobs[8];
    ae_metrics m = { .size = sizeof m };

    gate_close();
    for (int i = 0; i < 8; i++) {
        jobs[i] = ae_spawn_blocking_opts(&opts, pass_gate, NULL);
        REQUIRE(jobs[i]);
    }
    until(&gate.inside, 2); /* all its threads */
    for (int i = 0; i < AE_LANES; i++) {
        enum ae_lane lane = (enum ae_lane)i;
        if (lane != filled) EXPECT_EQ(call_in(&lane), 5);
    }
    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    EXPECT_EQ(m.lanes[filled].threads, 2);
    EXPECT_EQ(m.lanes[filled].queued, 6);
    EXPECT_EQ(m.blocking_queued, 6);
    ae_event_set(&gate.open);
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(ae_join(jobs[i]), 0);
    }
    return 0;
}

static int fill_each(void *arg)
{
    ae_file *file;

    (void)arg;
    for (int i = 0; i < AE_LANES; i++) {
        EXPECT_EQ(fill_and_use_others((enum ae_lane)i), 0);
    }
    gate_close();
    ae_task *jobs[2] = { ae_spawn_blocking(pass_gate, NULL), ae_spawn_blocking(pass_gate, NULL) };
    until(&gate.inside, 2);
    EXPECT_EQ(ae_file_open("/dev/null", 0, 0, &file), 0); /* the library's own files */
    ae_file_close(file);
    ae_event_set(&gate.open);
    EXPECT_EQ(ae_join(jobs[0]), 0);
    EXPECT_EQ(ae_join(jobs[1]), 0);
    return 0;
}

TEST(a_lane_that_is_full_delays_no_other)
{
    ae_config config = { .blocking_threads_max = 2, .files_threads_max = 2,
                         .names_threads_max = 2 };
    EXPECT_EQ(run_config(config, fill_each, NULL), 0);
}

static int counts(void *arg)
{
    ae_metrics m = { .size = sizeof m };
    struct one waiter;
    ae_task *tasks[2];
    _Atomic(int) ran = 0;

    (void)arg;
    fill(tasks, 1);
    one_start_parked(&waiter, A_TASK, calls_mark, &ran);
    ae_cancel(waiter.task);
    EXPECT_EQ(one_end(&waiter), -ECANCELED);
    EXPECT_NULL(ae_spawn_blocking(mark, &ran));
    drain(tasks, 1);
    ae__os_thread_fail_after(1);
    const ae_job_opts names = { .lane = AE_LANE_NAMES };
    EXPECT_EQ(ae_blocking_opts(&names, mark, &ran), -EAGAIN);
    ae__os_thread_fail_after(0);
    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    EXPECT_EQ(m.lanes[AE_LANE_USER].cancelled, 1);
    EXPECT_EQ(m.lanes[AE_LANE_USER].refused, 1);
    EXPECT_EQ(m.lanes[AE_LANE_USER].start_failures, 0);
    EXPECT_EQ(m.lanes[AE_LANE_NAMES].refused, 1);
    EXPECT_EQ(m.lanes[AE_LANE_NAMES].start_failures, 1);
    EXPECT_EQ(m.lanes[AE_LANE_NAMES].threads, 0);
    return 0;
}

TEST(what_did_not_run_is_counted)
{
    ae_config config = { .blocking_threads_max = 1, .blocking_queue_max = 1 };
    EXPECT_EQ(run_config(config, counts, NULL), 0);
}

/* ---- in place ---- */

static uint32_t in_place(void)
{
    struct ae__worker *w = ae__thread_self()->worker;

    return atomic_load(&w->in_place);
}

static int mark_in_place(void *arg)
{
    (void)arg;
    EXPECT_EQ(in_place(), 0);
    ae_blocking_begin();
    EXPECT_EQ(in_place(), 1);
    ae_blocking_begin(); /* a library's own pair */
    EXPECT_EQ(in_place(), 2);
    ae_blocking_end();
    EXPECT_EQ(in_place(), 1);
    ae_blocking_end();
    EXPECT_EQ(in_place(), 0);
    ae_yield();
    return 0;
}

TEST(a_call_in_place_marks_its_worker)
{
    ae_blocking_begin(); /* a plain thread: nothing */
    ae_blocking_end();
    EXPECT_EQ(run_config((ae_config){ 0 }, mark_in_place, NULL), 0);
}

static int let_go(void *arg)
{
    ae_event_set(arg);
    return 0;
}

/* Blocks the thread until the other task of the only worker has run. */
static int block_until_other_ran(void *arg)
{
    ae_event *event = arg;
    int64_t end_ns = ae_now() + 30 * AE_SEC;
    ae_metrics m = { .size = sizeof m };

    ae_task *other = ae_spawn(let_go, event);
    ae_blocking_begin();
    while (!ae_event_is_set(event) && ae_now() < end_ns) {
        sched_yield();
    }
    EXPECT_TRUE(ae_event_is_set(event));
    do { /* it is counted after the spare was called */
        EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    } while (m.rescues == 0 && ae_now() < end_ns);
    ae_blocking_end();
    EXPECT_GE(m.rescues, 1);
    EXPECT_EQ(m.stall_reports, 0);
    return ae_join(other);
}

TEST(a_call_in_place_that_lasts_hands_the_other_tasks_over_and_is_no_stall)
{
    ae_config config = { .workers = 1, .rescue_ns = 3600 * AE_SEC, .stall_log_ns = AE_MS };
    ae_event event = { 0 };

    if (getenv("AE_FLAVOR")) test_skip("a current-thread runtime has nobody to hand over to");
    EXPECT_EQ(run_config(config, block_until_other_ran, &event), 0);
}

static int end_without_begin(void *arg)
{
    (void)arg;
    ae_blocking_end();
    return 0;
}

static int suspend_in_place(void *arg)
{
    (void)arg;
    ae_blocking_begin();
    ae_yield();
    return 0;
}

TEST(a_call_in_place_that_does_not_pair_up_asserts)
{
    EXPECT_DEATH(run_config((ae_config){ 0 }, end_without_begin, NULL), "depth_of");
#ifdef AE_DEBUG
    EXPECT_DEATH(run_config((ae_config){ 0 }, suspend_in_place, NULL), "in_place");
#else
    (void)suspend_in_place;
#endif
}
