/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: spawning, joining, cancelling, yielding, names, ids, locals, pins.
 * Covers: src/sched/task.c
 * Covers: src/sched/spawn.c
 * Covers: src/sched/slice.c
 * Covers: src/sched/queue.c
 * Covers: src/sched/ready.c
 * Covers: src/sched/worker.c
 * Covers: src/sched/wait.c
 * Covers: src/task/switch.c
 * Covers: src/task/slab.c
 * Covers: src/task/locals.c
 * Covers: src/task/lock.c
 * Covers: src/task/names.c */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "aether/aether.h"
#include "arch/os.h"
#include "test.h"

static int run(const ae_config *config, ae_fn *fn, void *arg)
{
    return ae_run(config, fn, arg);
}

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 42;
}

static int main_joins(void *arg)
{
    EXPECT_EQ(ae_join(ae_spawn(add_one, arg)), 42);
    EXPECT_EQ(ae_join(NULL), -ENOMEM);
    return 7;
}

TEST(join_gives_what_the_function_returned)
{
    int count = 0;

    EXPECT_EQ(run(NULL, main_joins, &count), 7);
    EXPECT_EQ(count, 1);
}

enum { MANY = 20000 };

static int count_up(void *arg)
{
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return 0;
}

static int main_many(void *arg)
{
    ae_task **tasks = malloc(MANY * sizeof(ae_task *));

    for (int i = 0; i < MANY; i++) {
        tasks[i] = ae_spawn(count_up, arg);
    }
    for (int i = 0; i < MANY; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    free(tasks);
    return 0;
}

TEST(each_of_many_tasks_runs_exactly_once)
{
    ae_config config = { AE_CONFIG, .workers = 4 };
    _Atomic(int) count = 0;

    EXPECT_EQ(run(&config, main_many, &count), 0);
    EXPECT_EQ(count, MANY);
}

static int sleep_forever(void *arg)
{
    int rc = ae_sleep_until(AE_FOREVER);

    if (arg) ++*(int *)arg;
    return rc;
}

static int main_cancels(void *arg)
{
    ae_task *task = ae_spawn(sleep_forever, arg);
    ae_outcome outcome;

    ae_yield();
    ae_cancel(task);
    ae_cancel(task);
    EXPECT_EQ(ae_join_outcome(task, &outcome), -ECANCELED);
    EXPECT_TRUE(outcome.cancelled);
    task = ae_spawn(sleep_forever, arg); /* cancelled before its first run: fn runs all the same */
    ae_cancel(task);
    EXPECT_EQ(ae_join(task), -ECANCELED);
    return 0;
}

TEST(a_cancelled_task_ends_and_was_called_once_also_when_it_had_not_begun)
{
    int ended = 0;

    EXPECT_EQ(run(NULL, main_cancels, &ended), 0);
    EXPECT_EQ(ended, 2);
}

static int join_inside(void *arg)
{
    return ae_join(ae_spawn(sleep_forever, arg));
}

static int main_join_cancelled(void *arg)
{
    ae_task *outer = ae_spawn(join_inside, arg);

    ae_yield();
    ae_cancel(outer);
    return ae_join(outer);
}

TEST(a_cancelled_joiner_cancels_the_task_and_still_waits_for_it)
{
    int ended = 0;

    EXPECT_EQ(run(NULL, main_join_cancelled, &ended), -ECANCELED);
    EXPECT_EQ(ended, 1);
}

static void need_second_worker(void)
{
    if (getenv("AE_FLAVOR") || getenv("AE_STEAL") || getenv("AE_CHAOS")) {
        test_skip("takes a second worker that steals");
    }
}

static _Atomic(bool) computing;

static int computes_until_cancelled(void *arg)
{
    int64_t until_ns = ae_now() + 10 * AE_SEC;

    (void)arg;
    atomic_store(&computing, true);
    while (!ae_cancelled()) { /* never leaves the worker */
        if (ae_now() > until_ns) return -ETIME;
    }
    return 7;
}

static int joins_computing(void *arg)
{
    return ae_join(ae_spawn(computes_until_cancelled, arg));
}

static int joins_joiner(void *arg)
{
    return ae_join(ae_spawn(joins_computing, arg));
}

static int main_cancels_joiner(void *arg)
{
    ae_task *outer = ae_spawn(joins_joiner, arg);

    while (!atomic_load(&computing)) {
        ae_yield();
    }
    ae_cancel(outer);
    return ae_join(outer);
}

TEST(the_cancel_of_a_joiner_reaches_a_task_that_only_computes)
{
    ae_config config = { AE_CONFIG, .workers = 2 };

    need_second_worker();
    EXPECT_EQ(run(&config, main_cancels_joiner, NULL), 7);
}

static int waits_for_computing(void *arg)
{
    ae_task *task = ae_spawn(computes_until_cancelled, arg);

    EXPECT_EQ(ae_task_wait(task), -ECANCELED); /* although the task goes on */
    ae_cancel(task);
    return ae_join(task);
}

static int main_cancels_waiter(void *arg)
{
    ae_task *waiter = ae_spawn(waits_for_computing, arg);

    while (!atomic_load(&computing)) {
        ae_yield();
    }
    ae_cancel(waiter);
    return ae_join(waiter);
}

TEST(a_wait_can_be_cancelled_although_the_task_computes_on)
{
    ae_config config = { AE_CONFIG, .workers = 2 };

    need_second_worker();
    EXPECT_EQ(run(&config, main_cancels_waiter, NULL), 7);
}

static int main_ids(void *arg)
{
    (void)arg;
    ae_runtime *rt = ae_runtime_current();
    ae_task *task = ae_spawn(sleep_forever, NULL);
    ae_task_id id = ae_task_get_id(task);

    EXPECT_NE(id, 0);
    EXPECT_NE(id, ae_self_id());
    EXPECT_EQ(ae_cancel_id(rt, id), 0);
    EXPECT_EQ(ae_join(task), -ECANCELED);
    EXPECT_EQ(ae_cancel_id(rt, id), -ESRCH);
    EXPECT_EQ(ae_cancel_id(rt, ~UINT64_C(0)), -ESRCH);
    return 0;
}

TEST(an_id_names_one_task_and_none_after_it)
{
    EXPECT_EQ(run(NULL, main_ids, NULL), 0);
}

static int main_stale(void *arg)
{
    (void)arg;
    int count = 0;
    ae_task *task = ae_spawn(add_one, &count);

    (void)ae_join(task);
    return ae_join(task);
}

TEST(a_handle_used_twice_dies)
{
    EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, main_stale, NULL), 0), "generation");
}

static int open_scope(void *arg)
{
    ae_scope_begin(arg);
    return 0;
}

static int main_leaves_scope(void *arg)
{
    return ae_join(ae_spawn(open_scope, arg));
}

TEST(a_task_that_returns_with_an_open_scope_dies)
{
    ae_scope scope;

    EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, main_leaves_scope, &scope), 0), "assertion failed");
}

static int main_limit(void *arg)
{
    (void)arg;
    ae_task *tasks[16];
    int started = 0;

    while (started < 16 && (tasks[started] = ae_spawn(sleep_forever, NULL))) {
        started++;
    }
    EXPECT_EQ(started, 7); /* this task is the eighth */
    EXPECT_EQ(ae_go(sleep_forever, NULL), -ENOMEM);
    ae_cancel(tasks[0]);
    EXPECT_EQ(ae_join(tasks[0]), -ECANCELED);
    tasks[0] = ae_spawn(sleep_forever, NULL);
    EXPECT_NOT_NULL(tasks[0]);
    for (int i = 0; i < started; i++) {
        ae_cancel(tasks[i]);
        EXPECT_EQ(ae_join(tasks[i]), -ECANCELED);
    }
    return 0;
}

TEST(spawn_fails_at_the_limit_and_works_again_below)
{
    ae_config config = { AE_CONFIG, .tasks_max = 8 };

    EXPECT_EQ(run(&config, main_limit, NULL), 0);
}

struct steps {
    int chunks, others;
    bool alternates, done;
};

static int other(void *arg)
{
    struct steps *steps = arg;

    while (!steps->done) {
        steps->others++;
        ae_yield();
    }
    return 0;
}

static int main_chunks(void *arg)
{
    struct steps *steps = arg;
    ae_task *task = ae_spawn(other, steps);

    steps->alternates = true;
    for (int done = 0; done < 10 << 20; done += 1024) {
        int before = steps->others;
        ae_yield();
        if (steps->others == before) steps->alternates = false;
        steps->chunks++;
    }
    steps->done = true;
    return ae_join(task);
}

TEST(with_one_worker_another_task_runs_between_every_two_yields)
{
    ae_config config = { AE_CONFIG, .workers = 1 };
    struct steps steps = { 0 };

    EXPECT_EQ(run(&config, main_chunks, &steps), 0);
    EXPECT_TRUE(steps.alternates);
    EXPECT_EQ(steps.chunks, 10240);
}

static int errno_stays(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        errno = *(int *)arg;
        ae_yield();
        if (errno != *(int *)arg) return -EINVAL;
    }
    return 0;
}

static int main_errno(void *arg)
{
    (void)arg;
    int values[4] = { 1, 2, 3, 4 };
    ae_task *tasks[4];

    for (int i = 0; i < 4; i++) {
        tasks[i] = ae_spawn(errno_stays, &values[i]);
    }
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    return 0;
}

TEST(errno_belongs_to_the_task)
{
    ae_config config = { AE_CONFIG, .workers = 1 };

    EXPECT_EQ(run(&config, main_errno, NULL), 0);
}

static _Atomic(int) destroyed;

static void destroy_value(void *value)
{
    atomic_fetch_add(&destroyed, *(int *)value);
}

static const ae_local key_a = { destroy_value };
static const ae_local key_b = { NULL };

static int uses_locals(void *arg)
{
    static int one = 1;

    (void)arg;
    EXPECT_NULL(ae_local_get(&key_a));
    EXPECT_EQ(ae_local_set(&key_a, &one), 0);
    EXPECT_EQ(ae_local_set(&key_b, &one), 0);
    ae_yield();
    EXPECT_PTR_EQ(ae_local_get(&key_a), &one);
    static const ae_local more[6] = { { NULL } };
    for (int i = 0; i < 6; i++) {
        EXPECT_EQ(ae_local_set(&more[i], &one), 0);
    }
    EXPECT_PTR_EQ(ae_local_get(&more[0]), &one);
    return 0;
}

static int main_locals(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_join(ae_spawn(uses_locals, NULL)), 0);
    EXPECT_EQ(ae_join(ae_spawn(uses_locals, NULL)), 0);
    return 0;
}

TEST(locals_are_the_tasks_own_and_destroyed_at_its_end)
{
    EXPECT_EQ(run(NULL, main_locals, NULL), 0);
    EXPECT_EQ(destroyed, 2);
}

static int pinned(void *arg)
{
    (void)arg;
    ae_pin();
    uint64_t thread = ae__os_thread_id();
    for (int i = 0; i < 200; i++) {
        ae_yield();
        if (ae__os_thread_id() != thread) return -EINVAL;
        if (i % 50 == 0 && ae_sleep(100 * AE_US) < 0) return -EINVAL;
    }
    ae_unpin();
    return 0;
}

static int main_pins(void *arg)
{
    (void)arg;
    ae_task *tasks[8];

    for (int i = 0; i < 8; i++) {
        tasks[i] = ae_spawn(pinned, NULL);
    }
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    return 0;
}

TEST(a_pinned_task_stays_on_its_thread)
{
    ae_config config = { AE_CONFIG, .workers = 3 };

    EXPECT_EQ(run(&config, main_pins, NULL), 0);
}

static int named(void *arg)
{
    (void)arg;
    EXPECT_STREQ(ae_self_name(), "worker bee");
    ae_self_set_name("queen");
    return -EIO;
}

static int main_names(void *arg)
{
    (void)arg;
    ae_task_opts opts = { .name = "worker bee", .stack_bytes = 1 << 20 };
    ae_outcome outcome;

    EXPECT_STREQ(ae_self_name(), "");
    EXPECT_EQ(ae_join_outcome(ae_spawn_opts(&opts, named, NULL), &outcome), -EIO);
    EXPECT_STREQ(outcome.name, "queen");
    EXPECT_FALSE(outcome.cancelled);
    return 0;
}

TEST(a_task_has_a_name_that_its_outcome_tells)
{
    EXPECT_EQ(run(NULL, main_names, NULL), 0);
}

struct seen {
    _Atomic(int) errors, status;
};

static void on_error(void *context, uint64_t id, const char *name, int status)
{
    struct seen *seen = context;

    (void)id;
    (void)name;
    atomic_fetch_add(&seen->errors, 1);
    seen->status = status;
}

static int fails(void *arg)
{
    return *(int *)arg;
}

static int main_unjoined(void *arg)
{
    (void)arg;
    static int io = -EIO, cancelled = -ECANCELED;
    ae_scope scope;

    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go(fails, &io), 0);
    EXPECT_EQ(ae_go(fails, &cancelled), 0);
    ae_detach(ae_spawn(fails, &io));
    ae_task *kept = ae_spawn(fails, &io); /* ends with the scope */
    EXPECT_NOT_NULL(kept);
    return ae_scope_end(&scope, 0);
}

TEST(a_failure_that_nobody_joins_is_told_and_a_cancelled_end_is_none)
{
    struct seen seen = { 0 };
    ae_config config = { AE_CONFIG, .on_task_error = on_error, .context = &seen };

    EXPECT_EQ(run(&config, main_unjoined, NULL), 0);
    EXPECT_EQ(seen.errors, 3);
    EXPECT_EQ(seen.status, -EIO);
}

static int sets_flag(void *arg)
{
    atomic_store((_Atomic(bool) *)arg, true);
    return 0;
}

static int main_pinned_yields(void *arg)
{
    _Atomic(bool) flag = false;

    (void)arg;
    ae_pin();
    ae_task *other = ae_spawn(sets_flag, &flag);
    int rounds = 0;
    while (!atomic_load(&flag) && rounds < 1000) {
        ae_yield();
        rounds++;
    }
    EXPECT_LT(rounds, 1000);
    ae_unpin();
    return ae_join(other);
}

TEST(a_pinned_task_that_yields_starves_nobody)
{
    ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD };

    EXPECT_EQ(ae_run(&config, main_pinned_yields, NULL), 0);
}

static int gives_seven(void *arg)
{
    (void)arg;
    return 7;
}

static int main_cancels_late(void *arg)
{
    ae_outcome outcome;
    ae_task *task = ae_spawn(gives_seven, NULL);

    (void)arg;
    EXPECT_EQ(ae_task_wait(task), 0);
    ae_cancel(task);
    EXPECT_EQ(ae_join_outcome(task, &outcome), 7);
    EXPECT_FALSE(outcome.cancelled);
    return 0;
}

TEST(a_cancel_after_the_end_leaves_the_outcome)
{
    EXPECT_EQ(ae_run(NULL, main_cancels_late, NULL), 0);
}

static int sleeps_short(void *arg)
{
    (void)arg;
    return ae_sleep(1000);
}

static int main_reuses_job_blocks(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(ae_join(ae_spawn_blocking(gives_seven, NULL)), 7);
        EXPECT_EQ(ae_join(ae_spawn(sleeps_short, NULL)), 0);
    }
    return 0;
}

TEST(a_control_block_that_was_a_pool_job_can_sleep)
{
    EXPECT_EQ(ae_run(NULL, main_reuses_job_blocks, NULL), 0);
}
