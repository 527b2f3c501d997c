/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor sees tasks that hold their worker, and only those; and costs an idle process nothing.
 * Covers: src/sched/monitor.c src/arch/watch_linux.c src/sched/stall.c */
#include "sched/monitor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aether/log.h"
#include "aether/metrics.h"
#include "aether/run.h"
#include "aether/task.h"
#include "aether/time.h"
#include "arch/os.h"
#include "arch/watch.h"
#include "sched/config.h"
#include "sched/types.h"
#include "test.h"

/* ---- what was logged ---- */

static char lines[8][1024];
static _Atomic(int) logged;

static void keep_line(void *context, enum ae_log_level level, const char *line)
{
    (void)context;
    (void)level;
    int i = atomic_load(&logged);
    if (i < 8) snprintf(lines[i], sizeof lines[i], "%s", line);
    atomic_store(&logged, i + 1);
}

/* Hold the worker until the monitor has said so. */
static int compute_until_logged(void *arg)
{
    (void)arg;
    while (atomic_load(&logged) == 0) {
    }
    return 0;
}

static int call_named(void *arg)
{
    ae_task_opts opts = { .name = "the hog" };

    (void)arg;
    return ae_join(ae_spawn_opts(&opts, compute_until_logged, NULL));
}

static ae_config watched(void)
{
    return (ae_config){ AE_CONFIG, .workers = 2, .rescue_ns = -1, .stall_count_ns = AE_MS / 10,
                        .stall_log_ns = 2 * AE_MS };
}

TEST(a_task_that_computes_is_logged_by_its_name)
{
    ae_config config = watched();

    ae_log_set_sink(keep_line, NULL);
    EXPECT_EQ(ae_run(&config, call_named, NULL), 0);
    EXPECT_NOT_NULL(strstr(lines[0], "(the hog) has held worker"));
    EXPECT_NOT_NULL(strstr(lines[0], "and computes"));
}

/* ---- blocked in the kernel ---- */

static int gate[2];

static void open_gate(void *context, enum ae_log_level level, const char *line)
{
    keep_line(context, level, line);
    if (write(gate[1], "x", 1) != 1) abort();
}

static int block_in_read(void *arg)
{
    char byte;

    (void)arg;
    return read(gate[0], &byte, 1) == 1 ? 0 : -errno;
}

TEST(a_task_that_sleeps_in_a_system_call_is_logged_and_not_interrupted)
{
    ae_config config = watched();

    REQUIRE(pipe(gate) == 0);
    ae_log_set_sink(open_gate, NULL);
    EXPECT_EQ(ae_run(&config, block_in_read, NULL), 0);
    EXPECT_NOT_NULL(strstr(lines[0], "and sleeps in the kernel"));
    close(gate[0]);
    close(gate[1]);
}

TEST(a_current_thread_runtime_is_watched_too)
{
    ae_config config = watched();

    config.flavor = AE_CURRENT_THREAD;
    ae_log_set_sink(keep_line, NULL);
    EXPECT_EQ(ae_run(&config, call_named, NULL), 0);
    EXPECT_NOT_NULL(strstr(lines[0], "(the hog)"));
}

static int hold_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
    }
    return 0;
}

TEST(a_stall_can_be_made_fatal)
{
    ae_config config = watched();

    config.stall = AE_STALL_ABORT;
    EXPECT_DEATH((void)!ae_run(&config, hold_for_ever, NULL), "a task held its worker");
}

/* ---- counted ---- */

static uint64_t stalls_of(const ae_metrics *m)
{
    uint64_t sum = 0;

    for (int i = 0; i < 6; i++) {
        sum += m->stalls[i];
    }
    return sum;
}

static void compute_for(int64_t ns)
{
    int64_t until_ns = ae__os_thread_cpu(ae__os_thread_id()) + ns;

    while (ae__os_thread_cpu(ae__os_thread_id()) < until_ns) {
    }
}

/* Slices of half a millisecond of CPU time, until one of them was counted. */
static int compute_until_counted(void *arg)
{
    ae_metrics m = { .size = sizeof m };

    (void)arg;
    while (stalls_of(&m) == 0) {
        compute_for(AE_MS / 2);
        ae_yield();
        EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    }
    return 0;
}

TEST(slices_that_are_too_short_for_a_report_are_counted)
{
    ae_config config = watched();

    config.stall_log_ns = -1;
    ae_log_set_sink(keep_line, NULL);
    EXPECT_EQ(ae_run(&config, compute_until_counted, NULL), 0);
    EXPECT_EQ(logged, 0);
}

/* ---- nothing to see ---- */

static int sleep_once(void *arg)
{
    (void)arg;
    return ae_sleep(AE_MS);
}

static void await_sleep(ae_runtime *rt)
{
    while (atomic_load(&rt->monitor.asleep) == 0) {
        ae__os_thread_yield();
    }
}

TEST(while_all_workers_sleep_the_monitor_sleeps)
{
    ae_config config = watched();
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    await_sleep(rt);
    EXPECT_EQ(ae_block_on(rt, sleep_once, NULL), 0);
    await_sleep(rt);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}

TEST(between_calls_of_a_current_thread_runtime_the_monitor_sleeps)
{
    ae_config config = watched();
    ae_runtime *rt;

    config.flavor = AE_CURRENT_THREAD;
    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    EXPECT_EQ(ae_block_on(rt, call_named, (atomic_store(&logged, 1), NULL)), 0);
    await_sleep(rt);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}

TEST(with_everything_off_it_never_looks)
{
    ae_config config = { AE_CONFIG, .workers = 1, .rescue_ns = -1, .stall = AE_STALL_OFF };
    ae_runtime *rt;

    REQUIRE(ae_runtime_create(&config, &rt) == 0);
    EXPECT_FALSE(rt->monitor.samples);
    atomic_store(&logged, 1);
    EXPECT_EQ(ae_block_on(rt, call_named, NULL), 0);
    EXPECT_EQ(rt->monitor.rounds, 0);
    EXPECT_EQ(ae_runtime_destroy(rt), 0);
}

/* ---- who waits for a CPU is not stuck ---- */

enum { LOOPS = 6, SLICES = 300 };

static int compute_in_turns(void *arg)
{
    (void)arg;
    for (int i = 0; i < SLICES; i++) {
        compute_for(AE_MS / 5);
        ae_yield();
    }
    return 0;
}

static int four_tasks(void *arg)
{
    ae_task *tasks[4];
    int rc = 0;

    for (int i = 0; i < 4; i++) {
        tasks[i] = ae_spawn(compute_in_turns, arg);
    }
    for (int i = 0; i < 4; i++) {
        int one = ae_join(tasks[i]);
        if (one < 0) rc = one;
    }
    return rc;
}

static pid_t busy_loop(void)
{
    pid_t child = fork();

    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
    }
}

/* Other processes compute as well, so a slice of a fifth of a millisecond waits for a CPU for many
 * of them now and then. None of them has lasted. */
TEST(a_worker_that_waits_for_a_cpu_is_not_stuck)
{
    ae_config config = watched();
    pid_t loops[LOOPS];

    config.rescue_ns = config.stall_log_ns = 10 * AE_MS;
    for (int i = 0; i < LOOPS; i++) {
        loops[i] = busy_loop();
    }
    ae_log_set_sink(keep_line, NULL);
    EXPECT_EQ(ae_run(&config, four_tasks, NULL), 0);
    EXPECT_EQ(logged, 0);
    if (logged) test_note("%s", lines[0]);
    for (int i = 0; i < LOOPS; i++) {
        kill(loops[i], SIGKILL);
        waitpid(loops[i], NULL, 0);
    }
}

/* ---- thresholds ---- */

static ae_config read_with(const char *stall, const char *rescue)
{
    ae_config out, in = { AE_CONFIG, .workers = 1 };

    setenv("AE_STALL", stall, 1);
    setenv("AE_RESCUE", rescue, 1);
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    return out;
}

TEST(the_environment_sets_the_thresholds)
{
    unsetenv("AE_STALL_LOG_US"); /* the runner has set it */
    EXPECT_EQ(read_with("off", "").stall_log_ns, -1);
    EXPECT_EQ(read_with("off", "").stall_count_ns, -1);
    EXPECT_GT(read_with("off", "").rescue_ns, 0);
    EXPECT_EQ(read_with("", "off").rescue_ns, -1);
    EXPECT_GT(read_with("", "off").stall_log_ns, 0);
    EXPECT_EQ(read_with("abort", "").stall, AE_STALL_ABORT);
    EXPECT_LT(read_with("warn", "").stall_log_ns, read_with("abort", "").stall_log_ns);
    setenv("AE_STALL_LOG_US", "77", 1);
    setenv("AE_STALL_COUNT_US", "7", 1);
    setenv("AE_RESCUE_US", "700", 1);
    EXPECT_EQ(read_with("", "").stall_log_ns, 77000);
    EXPECT_EQ(read_with("", "").stall_count_ns, 7000);
    EXPECT_EQ(read_with("", "").rescue_ns, 700000);
}
