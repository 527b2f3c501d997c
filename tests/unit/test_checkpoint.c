/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of loops that never wait. Covers: src/sched/task.c */
#include <unistd.h>

#include "aether/aether.h"
#include "test.h"

enum { TURNS = 40 }; /* fewer than a budget, and than the slices between two looks outside */

static void compute(int64_t ns)
{
    for (int64_t end = ae_now() + ns; ae_now() < end;) {
    }
}

static int run_on_one(ae_fn *fn, void *arg)
{
    ae_config config = { AE_CONFIG, .workers = 1 };

    return ae_run(&config, fn, arg);
}

static int set_flag(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

/* A loop of long turns; how many it takes until the flag is set. */
static int turns_until(const bool *flag)
{
    int turns = 0;

    while (!*flag && turns < TURNS) {
        compute(200 * AE_US);
        if (ae_checkpoint() < 0) return -1;
        turns++;
    }
    return turns;
}

static int beside_a_task(void *arg)
{
    bool ran = false;

    (void)arg;
    ae_task *task = ae_spawn(set_flag, &ran);
    int turns = turns_until(&ran);
    EXPECT_LE(turns, 3);
    test_note("the other task ran after %d long turns", turns);
    return ae_join(task);
}

TEST(long_turns_give_way_before_the_budget_is_used_up)
{
    EXPECT_EQ(run_on_one(beside_a_task, NULL), 0);
}

struct reader {
    int fd;
    bool has_read;
};

static int read_byte(void *arg)
{
    struct reader *r = arg;
    char byte;

    if (ae_fd_wait(r->fd, AE_READABLE) < 0) return -EIO;
    r->has_read = read(r->fd, &byte, 1) == 1;
    return 0;
}

static int beside_a_descriptor(void *arg)
{
    struct reader r = { .has_read = false };
    int ends[2];

    (void)arg;
    REQUIRE(pipe(ends) == 0);
    r.fd = ends[0];
    ae_task *task = ae_spawn(read_byte, &r);
    ae_yield(); /* it waits now */
    REQUIRE(write(ends[1], "x", 1) == 1);
    int turns = turns_until(&r.has_read);
    EXPECT_LE(turns, 8);
    test_note("the reader ran after %d long turns", turns);
    int rc = ae_join(task);
    close(ends[0]);
    close(ends[1]);
    return rc;
}

TEST(long_turns_let_the_worker_look_at_its_descriptors)
{
    EXPECT_EQ(run_on_one(beside_a_descriptor, NULL), 0);
}

static int sleep_short(void *arg)
{
    int rc = ae_sleep(AE_US);

    return rc < 0 ? rc : set_flag(arg);
}

static int beside_a_timer(void *arg)
{
    bool woken = false;

    (void)arg;
    ae_task *task = ae_spawn(sleep_short, &woken);
    ae_yield();
    EXPECT_LE(turns_until(&woken), 8);
    return ae_join(task);
}

TEST(long_turns_let_the_worker_look_at_its_timers)
{
    EXPECT_EQ(run_on_one(beside_a_timer, NULL), 0);
}

static int short_turns(void *arg)
{
    ae_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    enum { CHECKPOINTS = 128 * 10 };

    (void)arg;
    EXPECT_EQ(ae_metrics_get(NULL, &before), 0);
    for (int i = 0; i < CHECKPOINTS; i++) {
        EXPECT_EQ(ae_checkpoint(), 0);
    }
    EXPECT_EQ(ae_metrics_get(NULL, &after), 0);
    EXPECT_GE(after.yields - before.yields, 10); /* more if the machine was busy meanwhile */
    return 0;
}

TEST(short_turns_use_up_the_budget)
{
    EXPECT_EQ(run_on_one(short_turns, NULL), 0);
}

static int cancelled(void *arg)
{
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_checkpoint(), 0);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_checkpoint(), -ECANCELED);
    compute(200 * AE_US);
    EXPECT_EQ(ae_checkpoint(), -ECANCELED);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_checkpoint_tells_of_a_cancel)
{
    EXPECT_EQ(run_on_one(cancelled, NULL), 0);
    EXPECT_EQ(cancelled(NULL), 0); /* on a plain thread, too */
}
