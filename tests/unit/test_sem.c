/* SPDX-License-Identifier: Apache-2.0 */
/* The semaphore: permits are neither lost nor made, and nobody overtakes. */
#include "actors.h"

enum { WAITERS = 6 };

static ae_sem sem;
static _Atomic(int) arrived;
static int order[WAITERS];

struct wish {
    size_t permits;
    int index;
};

static int acquire(void *arg)
{
    struct wish *wish = arg;
    int rc = ae_sem_acquire(&sem, wish->permits);

    if (rc == 0) order[atomic_fetch_add(&arrived, 1)] = wish->index;
    return rc;
}

static void begin(size_t permits)
{
    ae_sem_init(&sem, permits);
    atomic_store(&arrived, 0);
}

TEST(permits_are_taken_and_given_back)
{
    begin(3);
    EXPECT_EQ(ae_sem_acquire(&sem, 2), 0);
    EXPECT_EQ(ae_sem_available(&sem), 1);
    EXPECT_FALSE(ae_sem_try(&sem, 2));
    EXPECT_TRUE(ae_sem_try(&sem, 1));
    EXPECT_TRUE(ae_sem_try(&sem, 0));
    EXPECT_EQ(ae_sem_acquire(&sem, 0), 0);
    ae_sem_release(&sem, 3);
    EXPECT_EQ(ae_sem_available(&sem), 3);
}

TEST(a_zeroed_one_has_no_permits)
{
    ae_sem zero = { { NULL } };
    EXPECT_EQ(ae_sem_available(&zero), 0);
    EXPECT_FALSE(ae_sem_try(&zero, 1));
}

static int fifo(void *arg)
{
    struct one ones[WAITERS];
    struct wish wishes[WAITERS];

    begin(0);
    for (int i = 0; i < WAITERS; i++) {
        wishes[i] = (struct wish){ 1, i };
        one_start_parked(&ones[i], *(enum who *)arg, acquire, &wishes[i]);
    }
    for (int i = 0; i < WAITERS; i++) {
        ae_sem_release(&sem, 1);
        EXPECT_EQ(one_end(&ones[i]), 0);
        EXPECT_EQ(order[i], i);
        EXPECT_EQ(ae_sem_available(&sem), 0); /* handed over, not up for grabs */
    }
    return 0;
}

TEST(each_permit_goes_to_the_one_who_waits_longest)
{
    run_for_all(fifo);
}

static int several(void *arg)
{
    struct one ones[3];
    struct wish wishes[3] = { { 2, 0 }, { 3, 1 }, { 1, 2 } };

    begin(0);
    for (int i = 0; i < 3; i++) {
        one_start_parked(&ones[i], *(enum who *)arg, acquire, &wishes[i]);
    }
    ae_sem_release(&sem, 5);
    EXPECT_EQ(one_end(&ones[0]), 0);
    EXPECT_EQ(one_end(&ones[1]), 0);
    EXPECT_FALSE(atomic_load(&ones[2].ended));
    ae_sem_release(&sem, 4);
    EXPECT_EQ(one_end(&ones[2]), 0);
    EXPECT_EQ(ae_sem_available(&sem), 3);
    return 0;
}

TEST(one_release_serves_as_many_as_it_is_enough_for)
{
    run_for_all(several);
}

static int not_overtaken(void *arg)
{
    struct one many, few;
    struct wish wishes[2] = { { 3, 0 }, { 1, 1 } };

    begin(2);
    one_start_parked(&many, *(enum who *)arg, acquire, &wishes[0]);
    one_start_parked(&few, *(enum who *)arg, acquire, &wishes[1]);
    EXPECT_FALSE(ae_sem_try(&sem, 1));
    EXPECT_EQ(ae_sem_available(&sem), 2);
    ae_sem_release(&sem, 1);
    EXPECT_EQ(one_end(&many), 0);
    EXPECT_FALSE(atomic_load(&few.ended));
    ae_sem_release(&sem, 1);
    EXPECT_EQ(one_end(&few), 0);
    return 0;
}

TEST(who_waits_for_many_is_not_overtaken_by_who_wants_few)
{
    run_for_all(not_overtaken);
}

static int cancelled_head(void *arg)
{
    struct one many, few;
    struct wish wishes[2] = { { 3, 0 }, { 1, 1 } };
    enum who who = *(enum who *)arg;

    if (who == A_THREAD) return 0;
    begin(2);
    one_start_parked(&many, who, acquire, &wishes[0]);
    one_start_parked(&few, who, acquire, &wishes[1]);
    ae_cancel(many.task);
    EXPECT_EQ(one_end(&many), -ECANCELED);
    EXPECT_EQ(one_end(&few), 0);
    EXPECT_EQ(ae_sem_available(&sem), 1);
    return 0;
}

TEST(when_a_cancelled_one_leaves_those_behind_it_are_served)
{
    run_for_all(cancelled_head);
}

static int cancelled_before(void *arg)
{
    ae_scope scope;

    (void)arg;
    begin(1);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, -EINTR);
    EXPECT_EQ(ae_sem_acquire(&sem, 1), -ECANCELED);
    EXPECT_EQ(ae_sem_available(&sem), 1);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancelled_one_takes_nothing_though_permits_are_there)
{
    EXPECT_EQ(run_with(1, cancelled_before, NULL), -EINTR);
    EXPECT_EQ(cancelled_before(NULL), -EINTR);
}

static int cancel_against_release(void *arg)
{
    struct canceller canceller;
    int rounds = rounds_of(20000), served = 0;

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        struct one waiter;
        struct wish wish = { 1, 0 };
        begin(0);
        one_start(&waiter, A_TASK, acquire, &wish);
        if (i % 4) one_until_parked(&waiter);
        canceller_tell(&canceller, waiter.task);
        stagger(i);
        ae_sem_release(&sem, 1);
        canceller_wait(&canceller);
        int rc = one_end(&waiter);
        REQUIRE(ae_sem_available(&sem) == (rc == 0 ? 0 : 1));
        served += rc == 0;
    }
    canceller_end(&canceller);
    test_note("cancel against release: served in %d of %d rounds", served, rounds);
    return 0;
}

TEST(cancel_against_release_never_loses_a_permit)
{
    EXPECT_EQ(run_with(1, cancel_against_release, NULL), 0);
    EXPECT_EQ(run_with(3, cancel_against_release, NULL), 0);
}

/* ---- stress ---- */

static _Atomic(int) inside;

static int in_and_out(void *arg)
{
    int each = rounds_of(10000);
    int permits = (int)(intptr_t)arg;

    for (int i = 0; i < each; i++) {
        int rc = ae_sem_acquire(&sem, (size_t)permits);
        EXPECT_EQ(rc, 0);
        EXPECT_LE(atomic_fetch_add(&inside, permits) + permits, 4);
        if (i % 16 == 0 && ae__in_task()) ae_yield();
        atomic_fetch_sub(&inside, permits);
        ae_sem_release(&sem, (size_t)permits);
    }
    return 0;
}

static int stress(void *arg)
{
    struct one ones[7];

    (void)arg;
    begin(4);
    for (int i = 0; i < 7; i++) {
        one_start(&ones[i], i < 5 ? A_TASK : i == 5 ? A_THREAD : A_JOB, in_and_out,
                  (void *)(intptr_t)(1 + i % 3));
    }
    for (int i = 0; i < 7; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    EXPECT_EQ(ae_sem_available(&sem), 4);
    return 0;
}

TEST(never_more_inside_than_there_are_permits)
{
    EXPECT_EQ(run_with(1, stress, NULL), 0);
    EXPECT_EQ(run_with(3, stress, NULL), 0);
}

TEST(more_permits_than_a_size_holds_asserts)
{
    begin(SIZE_MAX);
    EXPECT_DEATH(ae_sem_release(&sem, 1), "permits");
}
