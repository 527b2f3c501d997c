/* SPDX-License-Identifier: Apache-2.0 */
/* The wait group. */
#include <stdlib.h>

#include "actors.h"

static int wait_group(void *arg)
{
    return ae_wait_group_wait(arg);
}

TEST(waiting_for_nothing_returns_at_once)
{
    ae_wait_group group = { { NULL } };

    EXPECT_EQ(ae_wait_group_wait(&group), 0);
    ae_wait_group_add(&group, 0);
    EXPECT_EQ(ae_wait_group_wait(&group), 0);
    ae_wait_group_add(&group, 2);
    ae_wait_group_done(&group);
    ae_wait_group_done(&group);
    EXPECT_EQ(ae_wait_group_wait(&group), 0);
}

static int last_done(void *arg)
{
    ae_wait_group group = { { NULL } };
    struct one ones[3];

    ae_wait_group_add(&group, 2);
    for (int i = 0; i < 3; i++) {
        one_start_parked(&ones[i], *(enum who *)arg, wait_group, &group);
    }
    ae_wait_group_add(&group, 1);
    ae_wait_group_done(&group);
    ae_wait_group_done(&group);
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(is_parked(atomic_load(&ones[i].actor)));
    }
    ae_wait_group_done(&group);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    return 0;
}

TEST(the_last_done_lets_all_waiters_go)
{
    run_for_all(last_done);
}

static int cancelled(void *arg)
{
    ae_wait_group group = { { NULL } };
    struct one first, second;
    enum who who = *(enum who *)arg;

    if (who == A_THREAD) return 0;
    ae_wait_group_add(&group, 1);
    one_start_parked(&first, who, wait_group, &group);
    one_start_parked(&second, who, wait_group, &group);
    ae_cancel(first.task);
    EXPECT_EQ(one_end(&first), -ECANCELED);
    ae_wait_group_done(&group);
    return one_end(&second);
}

TEST(a_cancelled_waiter_goes_alone)
{
    run_for_all(cancelled);
}

static int cancelled_before(void *arg)
{
    ae_wait_group group = { { NULL } };
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_wait_group_wait(&group), -ECANCELED);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancelled_one_is_told_so_even_if_the_count_is_0)
{
    EXPECT_EQ(run_with(1, cancelled_before, NULL), 0);
    EXPECT_EQ(cancelled_before(NULL), 0);
}

static int call_done(void *arg)
{
    ae_wait_group_done(arg);
    return 0;
}

static int short_lived(void *arg)
{
    int rounds = rounds_of(10000);

    (void)arg;
    for (int i = 0; i < rounds; i++) {
        ae_wait_group *group = calloc(1, sizeof *group);
        REQUIRE(group);
        ae_wait_group_add(group, 4);
        for (int j = 0; j < 4; j++) {
            EXPECT_EQ(ae_go(call_done, group), 0);
        }
        stagger(i);
        EXPECT_EQ(ae_wait_group_wait(group), 0);
        memset(group, 0xff, sizeof *group);
        free(group);
    }
    return 0;
}

TEST(a_group_may_be_freed_as_soon_as_its_wait_returned)
{
    EXPECT_EQ(run_with(1, short_lived, NULL), 0);
    EXPECT_EQ(run_with(3, short_lived, NULL), 0);
}

TEST(more_done_than_added_asserts)
{
    ae_wait_group group = { { NULL } };
    EXPECT_DEATH(ae_wait_group_done(&group), "count > 0");
}

TEST(more_work_than_a_size_holds_asserts)
{
    ae_wait_group group = { { NULL } };
    ae_wait_group_add(&group, SIZE_MAX);
    EXPECT_DEATH(ae_wait_group_add(&group, 1), "count");
}
