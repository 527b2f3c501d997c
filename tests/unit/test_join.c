/* SPDX-License-Identifier: Apache-2.0 */
/* Joins that run their task as a call, and scopes whose children have handles.
 * Covers: src/sched/slice.c src/sched/spawn.c src/sched/scope.c */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "aether/aether.h"
#include "test.h"

/* A compiler may keep errno's address across a suspension, after which it is another thread's. */
__attribute__((noinline)) static int swap_errno(int value)
{
    int before = errno;

    __asm__ volatile("" ::: "memory");
    errno = value;
    return before;
}

static int leaf(void *arg)
{
    (void)swap_errno(77);
    return (int)(intptr_t)arg;
}

static int fib(void *arg)
{
    intptr_t n = (intptr_t)arg;

    if (n < 2) return (int)n;
    ae_task *one = ae_spawn(fib, (void *)(n - 1));
    ae_task *two = ae_spawn(fib, (void *)(n - 2));
    return ae_join(one) + ae_join(two);
}

static int main_nested(void *arg)
{
    (void)arg;
    EXPECT_EQ(fib((void *)(intptr_t)17), 1597);
    return 0;
}

TEST(calls_nest)
{
    EXPECT_EQ(ae_run(NULL, main_nested, NULL), 0);
}

static int sleeps(void *arg)
{
    for (int i = 0; i < 3; i++) {
        ae_yield();
        EXPECT_EQ(ae_sleep(100 * AE_US), 0);
    }
    return leaf(arg);
}

static int main_leaves(void *arg)
{
    (void)arg;
    for (intptr_t i = 0; i < 200; i++) {
        ae_task *a = ae_spawn(sleeps, (void *)i), *b = ae_spawn(leaf, (void *)(i + 1));
        (void)swap_errno(5);
        EXPECT_EQ(ae_join(a), i);
        EXPECT_EQ(swap_errno(5), 5);
        EXPECT_EQ(ae_join(b), i + 1);
        EXPECT_EQ(swap_errno(0), 5);
    }
    return 0;
}

TEST(a_called_task_may_suspend_and_its_caller_waits)
{
    EXPECT_EQ(ae_run(NULL, main_leaves, NULL), 0);
}

static int joins_one(void *arg)
{
    ae_task *inner = ae_spawn(sleeps, arg);

    return ae_join(inner) + 1;
}

static int main_inner_leaves(void *arg)
{
    (void)arg;
    for (intptr_t i = 0; i < 100; i++) {
        EXPECT_EQ(ae_join(ae_spawn(joins_one, (void *)i)), i + 1);
    }
    return 0;
}

TEST(a_callee_of_a_callee_may_suspend)
{
    EXPECT_EQ(ae_run(NULL, main_inner_leaves, NULL), 0);
}

static int ticks(void *arg)
{
    _Atomic(int) *count = arg;

    while (!ae_cancelled()) {
        atomic_fetch_add(count, 1);
        ae_yield();
    }
    return 0;
}

static int main_fair(void *arg)
{
    static _Atomic(int) count;
    ae_task *ticker = ae_spawn(ticks, &count);

    (void)arg;
    for (intptr_t i = 0; i < 20000; i++) {
        EXPECT_EQ(ae_join(ae_spawn(leaf, (void *)i)), i);
    }
    EXPECT_GE(atomic_load(&count), 20000 / 256); /* a slice is 128 operations */
    ae_cancel(ticker);
    return ae_join(ticker);
}

TEST(who_calls_all_the_time_still_gives_way)
{
    ae_config config = { AE_CONFIG, .workers = 1 };

    EXPECT_EQ(ae_run(&config, main_fair, NULL), 0);
}

static int cancels_its_joiner(void *arg)
{
    EXPECT_EQ(ae_cancel_id(ae_runtime_current(), *(ae_task_id *)arg), 0);
    return ae_yield(), ae_sleep(AE_SEC) == -ECANCELED ? 3 : 4;
}

static int joins_and_is_cancelled(void *arg)
{
    ae_task_id self = ae_self_id();

    (void)arg;
    EXPECT_EQ(ae_join(ae_spawn(cancels_its_joiner, &self)), 3); /* cancelled with its joiner */
    EXPECT_TRUE(ae_cancelled());
    return 0;
}

static int main_cancelled(void *arg)
{
    (void)arg;
    return ae_join(ae_spawn(joins_and_is_cancelled, NULL));
}

TEST(a_cancel_that_comes_during_the_call_reaches_both)
{
    EXPECT_EQ(ae_run(NULL, main_cancelled, NULL), 0);
}

/* ---- scopes ---- */

static _Atomic(int) ended;

static int naps_and_counts(void *arg)
{
    int rc = ae_sleep((1 + (intptr_t)arg % 7) * AE_MS / 4);

    atomic_fetch_add(&ended, 1);
    return rc;
}

static int main_scope_with_handles(void *arg)
{
    ae_scope scope;
    ae_task *kept[64];

    (void)arg;
    ae_scope_begin(&scope);
    for (intptr_t i = 0; i < 64; i++) {
        kept[i] = ae_spawn(naps_and_counts, (void *)i);
        EXPECT_EQ(ae_go(naps_and_counts, (void *)i), 0);
    }
    EXPECT_LE(ae_scope_live(&scope), 128);
    EXPECT_EQ(ae_scope_wait(&scope), 0);
    EXPECT_EQ(atomic_load(&ended), 128);
    EXPECT_EQ(ae_scope_live(&scope), 0);
    EXPECT_EQ(ae_join(kept[5]), 0); /* waiting consumed nothing */
    ae_detach(kept[6]);
    ae_detach(ae_spawn(naps_and_counts, NULL));
    EXPECT_EQ(ae_scope_live(&scope), 1);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(atomic_load(&ended), 129);
    return 0;
}

TEST(a_scope_waits_for_children_with_handles)
{
    EXPECT_EQ(ae_run(NULL, main_scope_with_handles, NULL), 0);
}

static int joins_a_sibling(void *arg)
{
    return ae_join(*(ae_task **)arg);
}

/* Two wait for the same child at once: its joiner, and the scope's owner. */
static int main_both_wait(void *arg)
{
    (void)arg;
    for (intptr_t i = 0; i < 200; i++) {
        ae_scope scope;
        ae_scope_begin(&scope);
        ae_task *child = ae_spawn(i % 2 ? naps_and_counts : leaf, (void *)(i % 3));
        EXPECT_EQ(ae_go(joins_a_sibling, &child), 0);
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    }
    return 0;
}

TEST(a_child_is_joined_by_a_sibling_while_the_scope_ends)
{
    EXPECT_EQ(ae_run(NULL, main_both_wait, NULL), 0);
}
