/* SPDX-License-Identifier: Apache-2.0 */
/* The event. */
#include <stdlib.h>

#include "actors.h"

enum { WAITERS = 5 };

static ae_event event;

static int wait_event(void *arg)
{
    return ae_event_wait(arg);
}

TEST(a_zeroed_one_is_not_set_and_reset_undoes_set)
{
    ae_event zero = { { NULL } };

    EXPECT_FALSE(ae_event_is_set(&zero));
    ae_event_set(&zero);
    ae_event_set(&zero);
    EXPECT_TRUE(ae_event_is_set(&zero));
    EXPECT_EQ(ae_event_wait(&zero), 0);
    ae_event_reset(&zero);
    EXPECT_FALSE(ae_event_is_set(&zero));
}

static int wakes_all(void *arg)
{
    struct one ones[WAITERS], late;

    ae_event_reset(&event);
    for (int i = 0; i < WAITERS; i++) {
        one_start_parked(&ones[i], *(enum who *)arg, wait_event, &event);
    }
    ae_event_set(&event);
    for (int i = 0; i < WAITERS; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    EXPECT_EQ(ae_event_wait(&event), 0);
    ae_event_reset(&event);
    one_start_parked(&late, *(enum who *)arg, wait_event, &event); /* waits again */
    ae_event_set(&event);
    ae_event_reset(&event); /* those let go stay let go */
    return one_end(&late);
}

TEST(set_lets_all_go_and_after_reset_one_waits_again)
{
    run_for_all(wakes_all);
}

static int cancelled(void *arg)
{
    struct one first, second;
    enum who who = *(enum who *)arg;

    if (who == A_THREAD) return 0;
    ae_event_reset(&event);
    one_start_parked(&first, who, wait_event, &event);
    one_start_parked(&second, who, wait_event, &event);
    ae_cancel(first.task);
    EXPECT_EQ(one_end(&first), -ECANCELED);
    EXPECT_FALSE(atomic_load(&second.ended));
    ae_event_set(&event);
    return one_end(&second);
}

TEST(a_cancelled_waiter_goes_alone)
{
    run_for_all(cancelled);
}

static int cancelled_before(void *arg)
{
    ae_scope scope;

    (void)arg;
    ae_event_set(&event);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_event_wait(&event), -ECANCELED);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancelled_one_is_told_so_even_if_the_event_is_set)
{
    EXPECT_EQ(run_with(1, cancelled_before, NULL), 0);
    EXPECT_EQ(cancelled_before(NULL), 0);
}

/* ---- stress ---- */

static int set_event(void *arg)
{
    ae_event_set(arg);
    return 0;
}

/* The event dies the moment its waiter sees it set: the setter must have let go of it by then. */
static int short_lived(void *arg)
{
    int rounds = rounds_of(40000);

    (void)arg;
    for (int i = 0; i < rounds; i++) {
        ae_event *done = calloc(1, sizeof *done);
        REQUIRE(done);
        EXPECT_EQ(ae_go(set_event, done), 0);
        stagger(i);
        if (i % 3 == 0) {
            while (!ae_event_is_set(done)) ae_yield();
        }
        EXPECT_EQ(ae_event_wait(done), 0);
        memset(done, 0xff, sizeof *done);
        free(done);
    }
    return 0;
}

TEST(an_event_may_be_freed_as_soon_as_it_was_seen_set)
{
    EXPECT_EQ(run_with(1, short_lived, NULL), 0);
    EXPECT_EQ(run_with(3, short_lived, NULL), 0);
}
