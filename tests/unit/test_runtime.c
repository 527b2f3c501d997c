/* SPDX-License-Identifier: Apache-2.0 */
/* Runtimes: start, configuration, running from outside, signals, metrics, the end.
 * Covers: src/sched/config.c src/sched/shutdown.c src/sched/metrics.c src/sched/thread.c
 * Covers: src/arch/os_linux.c src/arch/signals_linux.c src/arch/thread.c */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aether/aether.h"
#include "base/compiler.h"
#include "test.h"

static bool one_worker_only(void)
{
    return getenv("AE_FLAVOR") != NULL; /* the suite runs on a current-thread runtime */
}

static int nothing(void *arg)
{
    (void)arg;
    return 3;
}

static unsigned workers_of(const ae_config *config)
{
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(config, &rt) == 0);
    unsigned workers = ae_runtime_workers(rt);
    EXPECT_EQ(ae_block_on(rt, nothing, NULL), 3);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    return workers;
}

TEST(workers_are_as_asked_else_AE_WORKERS_else_the_usable_processors)
{
    ae_config four = { AE_CONFIG, .workers = 4 };
    cpu_set_t one;

    if (one_worker_only()) return;
    EXPECT_EQ(workers_of(&four), 4);
    setenv("AE_WORKERS", "3", 1);
    EXPECT_EQ(workers_of(NULL), 3);
    EXPECT_EQ(workers_of(&four), 4);
    setenv("AE_WORKERS", "many", 1);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    EXPECT_EQ(workers_of(NULL), 1);
    unsetenv("AE_WORKERS");
    EXPECT_EQ(workers_of(NULL), 1);
}

TEST(a_config_that_makes_no_sense_is_refused)
{
    ae_config no_size = { .workers = 2 };
    ae_config big_stack = { AE_CONFIG, .stack_bytes = 1 << 30 };
    ae_config many = { AE_CONFIG, .workers = 100000 };
    ae_runtime *rt;

    EXPECT_EQ(ae_runtime_create(&no_size, &rt), -EINVAL);
    EXPECT_EQ(ae_runtime_create(&big_stack, &rt), -EINVAL);
    EXPECT_EQ(ae_runtime_create(&many, &rt), -EINVAL);
    EXPECT_EQ(ae_run(&no_size, nothing, NULL), -EINVAL);
}

static int refuse(void *context)
{
    ++*(int *)context;
    return -EPERM;
}

TEST(before_start_can_refuse)
{
    int called = 0;
    ae_config config = { AE_CONFIG, .before_start = refuse, .context = &called };

    EXPECT_EQ(ae_run(&config, nothing, NULL), -EPERM);
    EXPECT_EQ(called, 1);
}

static int thread_count(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;

    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count - 2;
}

static int main_counts(void *arg)
{
    *(int *)arg = thread_count();
    return ae_sleep(AE_MS);
}

TEST(a_current_thread_runtime_that_is_not_watched_makes_no_thread)
{
    ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD, .stall = AE_STALL_OFF };
    int before = thread_count(), during = 0;
    ae_runtime *rt;

    EXPECT_EQ(ae_runtime_create(&config, &rt), 0);
    EXPECT_EQ(ae_block_on(rt, main_counts, &during), 0);
    EXPECT_EQ(during, before);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
    /* One that takes signals does: it answers SIGQUIT while its only worker computes. */
    EXPECT_EQ(ae_run(&config, main_counts, &during), 0);
    EXPECT_EQ(during, before + 1 + AE_TSAN); /* which adds one of its own to the first */
}

struct caller {
    ae_runtime *rt;
    int rounds;
    int failed;
};

static int main_rounds(void *arg)
{
    _Atomic(int) *count = arg;

    for (int i = 0; i < 5; i++) {
        if (ae_sleep(20 * AE_US) < 0) return -EIO;
        ae_yield();
    }
    atomic_fetch_add(count, 1);
    return 9;
}

static void *call_rounds(void *arg)
{
    struct caller *caller = arg;
    _Atomic(int) count = 0;

    for (int i = 0; i < caller->rounds; i++) {
        if (ae_block_on(caller->rt, main_rounds, &count) != 9) caller->failed++;
    }
    if (count != caller->rounds) caller->failed++;
    return NULL;
}

static void several_callers(enum ae_flavor flavor)
{
    ae_config config = { AE_CONFIG, .flavor = flavor, .workers = 2 };
    struct caller callers[4];
    pthread_t threads[4];
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){ rt, 50, 0 };
        REQUIRE(pthread_create(&threads[i], NULL, call_rounds, &callers[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_EQ(callers[i].failed, 0);
    }
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}

TEST(several_threads_call_into_one_runtime)
{
    several_callers(AE_MULTI_THREAD);
}

TEST(several_threads_share_the_driving_of_a_current_thread_runtime)
{
    several_callers(AE_CURRENT_THREAD);
}

static int runs_another(void *arg)
{
    (void)arg;
    return ae_yield(), 5;
}

TEST(two_runtimes_live_side_by_side)
{
    ae_runtime *a, *b;

    REQUIRE(ae_runtime_create(NULL, &a) == 0);
    REQUIRE(ae_runtime_create(NULL, &b) == 0);
    EXPECT_EQ(ae_block_on(a, runs_another, NULL), 5);
    EXPECT_EQ(ae_block_on(b, runs_another, NULL), 5);
    EXPECT_EQ(ae_runtime_destroy(a), 0);
    EXPECT_EQ(ae_block_on(b, runs_another, NULL), 5);
    EXPECT_EQ(ae_runtime_destroy(b), 0);
    EXPECT_EQ(ae_runtime_destroy(NULL), 0);
}

static int until_cancelled(void *arg)
{
    int rc;

    (void)arg;
    kill(getpid(), SIGTERM);
    do {
        rc = ae_sleep(AE_SEC);
    } while (rc == 0);
    return rc == -ECANCELED ? 77 : rc;
}

TEST(a_signal_cancels_the_root_and_ae_run_returns)
{
    EXPECT_EQ(ae_run(NULL, until_cancelled, NULL), 77);
}

static int ignores_the_first(void *arg)
{
    ae_shield shield;

    (void)arg;
    ae_shield_begin(&shield, -1);
    kill(getpid(), SIGTERM);
    while (ae_sleep(5 * AE_MS) == 0) {
        kill(getpid(), SIGTERM);
    }
    ae_shield_end(&shield);
    return 0;
}

TEST(a_second_signal_kills)
{
    EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, ignores_the_first, NULL), 0), "");
}

static int never_ends(void *arg)
{
    ae_shield shield;

    (void)arg;
    ae_self_set_name("the stubborn one");
    ae_shield_begin(&shield, -1);
    int rc = ae_sleep_until(AE_FOREVER);
    ae_shield_end(&shield);
    return rc;
}

static int leaves_one(void *arg)
{
    (void)arg;
    int rc = ae_go_in(NULL, never_ends, NULL);
    ae_yield();
    return rc;
}

TEST(survivors_of_the_shutdown_time_are_named)
{
    ae_config config = { AE_CONFIG, .shutdown_ns = 20 * AE_MS };

    EXPECT_DEATH(EXPECT_EQ(ae_run(&config, leaves_one, NULL), 0), "the stubborn one");
    ae_runtime *rt;
    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    EXPECT_EQ(ae_block_on(rt, leaves_one, NULL), 0);
    EXPECT_EQ(ae_runtime_destroy(rt), -ETIMEDOUT);
    EXPECT_EQ(ae_block_on(rt, nothing, NULL), -ESHUTDOWN);
    _exit(0); /* it is there for good */
}

static _Atomic(int) suspends, resumes;

static void on_suspend(void *context, uint64_t id)
{
    (void)context;
    (void)id;
    atomic_fetch_add(&suspends, 1);
}

static void on_resume(void *context, uint64_t id)
{
    (void)context;
    (void)id;
    atomic_fetch_add(&resumes, 1);
}

static int main_yields(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        ae_yield();
    }
    return 0;
}

TEST(hooks_see_each_suspend_and_resume)
{
    ae_config config = { AE_CONFIG, .on_suspend = on_suspend, .on_resume = on_resume };

    EXPECT_EQ(ae_run(&config, main_yields, NULL), 0);
    EXPECT_EQ(resumes, suspends);
    EXPECT_GE(resumes, 11);
}

static int main_metrics(void *arg)
{
    ae_metrics m = { .size = sizeof m };

    (void)arg;
    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    EXPECT_GE(m.tasks_live, 1);
    EXPECT_GE(m.stacks_live, 1);
    EXPECT_TRUE(strcmp(m.driver, "epoll") == 0 || strcmp(m.driver, "uring") == 0);
    return 0;
}

TEST(metrics_tell_what_lives)
{
    ae_metrics none = { .size = sizeof none };

    EXPECT_EQ(ae_metrics_get(NULL, &none), -EINVAL);
    EXPECT_EQ(ae_run(NULL, main_metrics, NULL), 0);
}

static int reads_thread(void *arg)
{
    const long *seen = arg;

    /* pthread_self() is declared const: a compiler asks it once for all turns. */
    for (int i = 0; i < 200; i++) {
        ae_yield();
        if (syscall(SYS_gettid) != *seen) return 1;
    }
    return 0;
}

static int main_moves(void *arg)
{
    long here = syscall(SYS_gettid);

    (void)arg;
    return ae_join(ae_spawn(reads_thread, &here)); /* > 0 when it ran on another thread */
}

TEST(forced_migration_moves_a_task_at_every_wake)
{
    ae_config config = { AE_CONFIG, .workers = 2 };

    if (one_worker_only()) return;
    setenv("AE_CHAOS", "migrate", 1);
    EXPECT_EQ(ae_run(&config, main_moves, NULL), 1);
}

/* ---- the end, and threads that come from outside ---- */

struct outside_wake {
    ae_event event;
    _Atomic(bool) waits;
};

static void *sets_event(void *arg)
{
    struct outside_wake *wake = arg;

    while (!atomic_load(&wake->waits)) {
    }
    ae_event_set(&wake->event);
    return NULL;
}

static int waits_event(void *arg)
{
    struct outside_wake *wake = arg;

    atomic_store(&wake->waits, true);
    return ae_event_wait(&wake->event);
}

TEST(a_thread_that_wakes_the_last_task_does_not_outlive_the_runtime)
{
    for (int i = 0; i < 300; i++) {
        struct outside_wake wake = { 0 };
        ae_config config = { AE_CONFIG, .workers = 2 };
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, sets_event, &wake) == 0);
        EXPECT_EQ(ae_run(&config, waits_event, &wake), 0);
        pthread_join(thread, NULL);
    }
}

static int sleeps_a_while(void *arg)
{
    (void)arg;
    int rc = ae_sleep(20 * AE_MS);
    return rc == -ECANCELED ? 0 : rc;
}

static int leaves_sleeper(void *arg)
{
    (void)arg;
    return ae_go_in(NULL, sleeps_a_while, NULL);
}

TEST(a_shutdown_time_of_for_ever_does_not_overflow)
{
    ae_config config = { AE_CONFIG, .shutdown_ns = AE_FOREVER };

    EXPECT_EQ(ae_run(&config, leaves_sleeper, NULL), 0);
}

static int sleeps_for_ever(void *arg)
{
    atomic_store((_Atomic(bool) *)arg, true);
    return ae_sleep(AE_FOREVER);
}

struct caller_of {
    ae_runtime *rt;
    _Atomic(bool) in;
    int rc;
};

static void *calls_for_ever(void *arg)
{
    struct caller_of *caller = arg;

    caller->rc = ae_block_on(caller->rt, sleeps_for_ever, &caller->in);
    return NULL;
}

TEST(the_end_of_a_current_thread_runtime_waits_for_who_drives_it)
{
    for (int i = 0; i < 50; i++) {
        ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD };
        struct caller_of callers[2] = { { 0 }, { 0 } };
        pthread_t threads[2];
        ae_runtime *rt;
        REQUIRE(ae_runtime_create(&config, &rt) == 0);
        for (int k = 0; k < 2; k++) {
            callers[k].rt = rt;
            REQUIRE(pthread_create(&threads[k], NULL, calls_for_ever, &callers[k]) == 0);
        }
        for (int k = 0; k < 2; k++) {
            while (!atomic_load(&callers[k].in)) {
                sched_yield();
            }
        }
        EXPECT_EQ(ae_runtime_destroy(rt), 0);
        for (int k = 0; k < 2; k++) {
            pthread_join(threads[k], NULL);
            EXPECT_EQ(callers[k].rc, -ECANCELED);
        }
    }
}

/* ---- what a thread leaves behind ---- */

static void *call_once(void *arg)
{
    stack_t stack = { .ss_sp = NULL };

    EXPECT_EQ(ae_block_on(arg, nothing, NULL), 3);
    REQUIRE(sigaltstack(NULL, &stack) == 0);
    return stack.ss_sp;
}

static void *own_signal_stack(void *arg)
{
    stack_t stack = { .ss_sp = NULL };

    (void)arg;
    REQUIRE(sigaltstack(NULL, &stack) == 0);
    return stack.ss_flags & SS_DISABLE ? NULL : stack.ss_sp;
}

static void *in_a_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    void *result;

    REQUIRE(pthread_create(&thread, NULL, fn, arg) == 0);
    REQUIRE(pthread_join(thread, &result) == 0);
    return result;
}

TEST(a_thread_that_drove_a_runtime_takes_its_signal_stack_along)
{
    ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD };
    ae_runtime *rt;

    if (in_a_thread(own_signal_stack, NULL)) test_skip("the sanitizer gives threads a stack");
    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    char *stack = in_a_thread(call_once, rt);
    REQUIRE(stack != NULL);
    EXPECT_EQ(msync(stack, 1, MS_ASYNC), -1); /* the page is gone */
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}
