/* SPDX-License-Identifier: Apache-2.0 */
/* What waits at a worker whose task does not give it back is done by others. Each test here would
 * hang without: the task that holds the worker waits for what only others can do.
 * Covers: src/sched/rescue.c */
#include "sched/rescue.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aether/aether.h"
#include "arch/os.h"
#include "sched/types.h"
#include "test.h"

static _Atomic(int) done, wanted;

static ae_config with_workers(unsigned workers)
{
    /* The suite may run with these. With one thread, or without stealing, there is no rescue; and
     * what migrates goes through queues that are one worker's alone. */
    unsetenv("AE_FLAVOR");
    unsetenv("AE_STEAL");
    unsetenv("AE_CHAOS");
    return (ae_config){ AE_CONFIG, .workers = workers, .stall = AE_STALL_OFF };
}

static void run(unsigned workers, ae_fn *fn, void *arg)
{
    ae_config config = with_workers(workers);

    atomic_store(&done, 0);
    EXPECT_EQ(ae_run(&config, fn, arg), 0);
}

/* Hold the worker, and never call the runtime, until the others have done their part. */
static void hold(void)
{
    while (atomic_load(&done) < atomic_load(&wanted)) {
    }
}

static int count_one(void *arg)
{
    (void)arg;
    atomic_fetch_add(&done, 1);
    return 0;
}

/* ---- queued tasks ---- */

/* The first is in the LIFO slot, the others are in the ring. */
static int hold_before(void *arg)
{
    int tasks = (int)(intptr_t)arg;

    atomic_store(&wanted, tasks);
    for (int i = 0; i < tasks; i++) {
        if (ae_go(count_one, NULL) < 0) return -ENOMEM;
    }
    hold();
    return 0;
}

TEST(the_task_that_would_run_next_is_run_by_a_spare)
{
    run(1, hold_before, (void *)1);
}

TEST(a_whole_ring_is_run_by_others)
{
    run(1, hold_before, (void *)200);
    run(2, hold_before, (void *)200);
}

static int hold_and_feed(void *arg)
{
    (void)arg;
    for (int i = 1; i <= 20; i++) {
        atomic_store(&wanted, 10 * i);
        for (int j = 0; j < 10; j++) {
            if (ae_go(count_one, NULL) < 0) return -ENOMEM;
        }
        hold();
    }
    return 0;
}

TEST(what_it_starts_while_it_holds_its_worker_is_run_by_others)
{
    run(1, hold_and_feed, NULL);
    run(2, hold_and_feed, NULL);
}

/* ---- all workers at once ---- */

static _Atomic(int) holders;

static int hold_together(void *arg)
{
    atomic_fetch_add(&holders, 1);
    while (atomic_load(&holders) < (int)(intptr_t)arg) {
    }
    hold();
    return 0;
}

static int hold_all(void *arg)
{
    int many = (int)(intptr_t)arg;

    atomic_store(&wanted, 50);
    atomic_store(&holders, 0);
    for (int i = 0; i < many; i++) {
        if (ae_go(hold_together, (void *)(intptr_t)many) < 0) return -ENOMEM;
    }
    for (int i = 0; i < 50; i++) {
        if (ae_go(count_one, NULL) < 0) return -ENOMEM;
    }
    return 0;
}

TEST(two_of_two_workers_are_held)
{
    run(2, hold_all, (void *)2);
}

/* Two workers, two spares: the third holds the first spare. */
TEST(a_spare_that_is_held_is_rescued_by_the_next)
{
    run(2, hold_all, (void *)3);
}

/* ---- timers ---- */

static int sleep_shortly(void *arg)
{
    (void)arg;
    if (ae_sleep(3 * AE_MS) == 0) atomic_fetch_add(&done, 1);
    return 0;
}

static int hold_timer(void *arg)
{
    (void)arg;
    atomic_store(&wanted, 1);
    if (ae_go(sleep_shortly, NULL) < 0) return -ENOMEM;
    ae_yield(); /* it arms its timer here */
    hold();
    return 0;
}

TEST(a_timer_of_a_held_worker_fires)
{
    run(1, hold_timer, NULL);
    run(2, hold_timer, NULL);
}

static int hold_while_timer_is_armed(void *arg)
{
    (void)arg;
    atomic_store(&wanted, 1);
    hold(); /* for the first one; the spare sleeps then */
    atomic_store(&wanted, 2);
    if (ae_go_at(ae_now() + 2 * AE_MS, count_one, NULL) < 0) return -ENOMEM;
    hold();
    return 0;
}

static int start_late_timer(void *arg)
{
    if (ae_go(hold_while_timer_is_armed, arg) < 0) return -ENOMEM;
    return ae_go(count_one, NULL);
}

TEST(a_timer_that_is_armed_by_the_task_that_holds_its_worker_fires)
{
    run(1, start_late_timer, NULL);
}

/* ---- descriptors ---- */

static int pair[2];

static int echo(void *arg)
{
    char byte;
    int rounds = (int)(intptr_t)arg;

    for (int i = 0; i < rounds; i++) {
        int rc = ae_fd_wait(pair[0], AE_READABLE);
        if (rc < 0) return rc;
        if (read(pair[0], &byte, 1) != 1) return -EIO;
        atomic_fetch_add(&done, 1);
    }
    return 0;
}

static int hold_descriptor(void *arg)
{
    int rounds = (int)(intptr_t)arg;

    ae_task *reader = ae_spawn(echo, arg);
    ae_yield(); /* it registers its end here */
    for (int i = 1; i <= rounds; i++) {
        atomic_store(&wanted, i);
        if (write(pair[1], "x", 1) != 1) return -EIO;
        hold();
    }
    return ae_join(reader);
}

static void with_pair(unsigned workers, ae_fn *fn, void *arg)
{
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    run(workers, fn, arg);
    close(pair[0]);
    close(pair[1]);
}

TEST(events_of_a_held_worker_are_collected)
{
    if (getenv("AE_DRIVER") && strcmp(getenv("AE_DRIVER"), "uring") == 0) {
        test_skip("a ring can be entered by its own thread alone");
    }
    with_pair(1, hold_descriptor, (void *)100);
    with_pair(2, hold_descriptor, (void *)100);
}

/* What is registered by a task that a spare runs is served after the spare has left. */
static int outlive_spare(void *arg)
{
    struct ae_runtime *rt = ae_runtime_current();
    ae_task *reader = ae_spawn(echo, (void *)20);

    (void)arg;
    atomic_store(&wanted, 1);
    if (write(pair[1], "x", 1) != 1) return -EIO;
    hold(); /* a spare has run the reader by now */
    EXPECT_EQ(ae__slots(rt), 2);
    while (atomic_load(&rt->workers[1]->duty) != AE__RESTS) {
        int rc = ae_sleep(AE_MS);
        if (rc < 0) return rc;
    }
    for (int i = 2; i <= 20; i++) {
        if (write(pair[1], "x", 1) != 1) return -EIO;
        while (atomic_load(&done) < i) {
            ae_yield();
        }
    }
    return ae_join(reader);
}

TEST(a_descriptor_that_was_registered_on_a_spare_is_not_forgotten)
{
    with_pair(1, outlive_spare, NULL);
}

/* ---- system calls ---- */

static int block_until_told(void *arg)
{
    char byte;

    if (ae_go(count_one, NULL) < 0) return -ENOMEM;
    return read(*(int *)arg, &byte, 1) == 1 ? 0 : -EIO;
}

static int tell(void *arg)
{
    return write(*(int *)arg, "x", 1) == 1 ? 0 : -EIO;
}

static int block_and_tell(void *arg)
{
    int *ends = arg;

    if (ae_go(tell, &ends[1]) < 0) return -ENOMEM;
    return block_until_told(&ends[0]);
}

TEST(a_worker_that_sleeps_in_a_system_call_is_rescued)
{
    int ends[2];

    REQUIRE(pipe(ends) == 0);
    run(1, block_and_tell, ends);
    EXPECT_EQ(done, 1);
    close(ends[0]);
    close(ends[1]);
}

/* ---- pinned tasks, and the way back ---- */

static _Atomic(uint64_t) home_thread;

static int stay(void *arg)
{
    uint64_t thread = ae__os_thread_id();

    (void)arg;
    ae_pin();
    atomic_fetch_add(&done, 1);
    for (int i = 0; i < 100; i++) {
        ae_yield();
        EXPECT_EQ(ae__os_thread_id(), thread);
    }
    atomic_store(&home_thread, thread);
    ae_unpin();
    return 0;
}

static int pin_on_spare(void *arg)
{
    uint64_t held = ae__os_thread_id(); /* behind the join the spare may run this one, too */

    (void)arg;
    atomic_store(&wanted, 1);
    ae_task *task = ae_spawn(stay, NULL);
    hold();
    int rc = ae_join(task);
    EXPECT_NE(atomic_load(&home_thread), held);
    return rc;
}

TEST(a_task_that_pins_itself_to_a_spare_ends_there)
{
    run(1, pin_on_spare, NULL);
}

static bool all_at_rest(struct ae_runtime *rt)
{
    for (uint32_t i = rt->workers_count; i < rt->slots_count; i++) {
        if (atomic_load(&rt->workers[i]->duty) != AE__RESTS) return false;
    }
    return true;
}

static int hold_often(void *arg)
{
    struct ae_runtime *rt = ae_runtime_current();
    bool single = rt->workers_count == 1;

    (void)arg;
    for (int i = 1; i <= 30; i++) {
        atomic_store(&done, 0);
        if (hold_before((void *)(intptr_t)(1 + i % 3)) < 0) return -ENOMEM;
        while (!all_at_rest(rt) || (single && !atomic_load(&rt->workers[0]->ring.alone))) {
            int rc = ae_sleep(AE_MS / 10);
            if (rc < 0) return rc;
        }
    }
    if (single) EXPECT_GE(rt->monitor.rescues, 30);
    return 0;
}

TEST(when_the_worker_is_back_the_spare_rests_and_a_single_worker_is_alone_again)
{
    run(1, hold_often, NULL);
    run(2, hold_often, NULL);
}

/* Tasks that yield, wake each other and wait, while one after the other holds its worker. */
static int pass_on(void *arg)
{
    ae_sem *sems = arg;

    for (int i = 0; i < 200; i++) {
        int rc = ae_sem_acquire(&sems[0], 1);
        if (rc < 0) return rc;
        if (i % 40 == 0) {
            int64_t until_ns = ae_now() + 3 * AE_MS;
            while (ae_now() < until_ns) {
            }
        }
        ae_sem_release(&sems[1], 1);
        if (i % 3 == 0) ae_yield();
    }
    atomic_fetch_add(&done, 1);
    return 0;
}

static int circle(void *arg)
{
    static ae_sem sems[9];
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < 9; i++) {
        ae_sem_init(&sems[i], i == 0 ? 4 : 0);
    }
    int rc = 0;
    for (int i = 0; i < 8 && rc == 0; i++) {
        rc = ae_go(pass_on, &sems[i]);
    }
    while (rc == 0 && atomic_load(&done) < 8) {
        while (ae_sem_try(&sems[8], 1)) {
            ae_sem_release(&sems[0], 1);
        }
        rc = ae_sleep(AE_MS / 20);
    }
    return ae_scope_end(&scope, rc);
}

TEST(work_goes_round_while_workers_are_held_and_come_back)
{
    run(1, circle, NULL);
    EXPECT_EQ(done, 8);
    run(2, circle, NULL);
    EXPECT_EQ(done, 8);
}

/* ---- who has none ---- */

static int look_for_spares(void *arg)
{
    struct ae_runtime *rt = ae_runtime_current();

    (void)arg;
    EXPECT_EQ(rt->slots_count, rt->workers_count);
    return 0;
}

TEST(without_rescue_or_threads_there_are_no_spares)
{
    ae_config config = with_workers(2);

    config.rescue_ns = -1;
    EXPECT_EQ(ae_run(&config, look_for_spares, NULL), 0);
    config = with_workers(1);
    config.flavor = AE_CURRENT_THREAD;
    EXPECT_EQ(ae_run(&config, look_for_spares, NULL), 0);
}
