/* SPDX-License-Identifier: Apache-2.0 */
/* The mutex, held and waited for by tasks, plain threads and pool jobs. */
#include "actors.h"

enum { WAITERS = 6 };

static ae_mutex mutex;
static int order[WAITERS], arrived;
static _Atomic(bool) tried;

static int lock_and_note(void *arg)
{
    ae_mutex_lock(&mutex);
    order[arrived++] = (int)(intptr_t)arg;
    ae_mutex_unlock(&mutex);
    return 0;
}

static int try_once(void *arg)
{
    (void)arg;
    atomic_store(&tried, ae_mutex_try(&mutex));
    if (atomic_load(&tried)) ae_mutex_unlock(&mutex);
    return 0;
}

static int acquire_once(void *arg)
{
    int rc = ae_mutex_acquire(&mutex);
    if (rc == 0) {
        if (arg) ++*(int *)arg;
        ae_mutex_unlock(&mutex);
    }
    return rc;
}

static int held_by_one(void *arg)
{
    struct one other;

    EXPECT_TRUE(ae_mutex_try(&mutex));
    one_start(&other, *(enum who *)arg, try_once, NULL);
    one_end(&other);
    EXPECT_FALSE(atomic_load(&tried));
    ae_mutex_unlock(&mutex);
    one_start(&other, *(enum who *)arg, try_once, NULL);
    one_end(&other);
    EXPECT_TRUE(atomic_load(&tried));
    return 0;
}

TEST(a_held_mutex_cannot_be_taken_by_try_and_a_free_one_can)
{
    run_for_all(held_by_one);
}

static int fifo(void *arg)
{
    struct one ones[WAITERS];
    enum who who = *(enum who *)arg;

    arrived = 0;
    ae_mutex_lock(&mutex);
    for (int i = 0; i < WAITERS; i++) {
        one_start_parked(&ones[i], who, lock_and_note, (void *)(intptr_t)i);
    }
    ae_mutex_unlock(&mutex);
    for (int i = 0; i < WAITERS; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        EXPECT_EQ(order[i], i);
    }
    return 0;
}

TEST(waiters_get_it_in_the_order_of_their_arrival)
{
    run_for_all(fifo);
}

static int mixed_fifo(void *arg)
{
    struct one ones[WAITERS];

    (void)arg;
    arrived = 0;
    ae_mutex_lock(&mutex);
    for (int i = 0; i < WAITERS; i++) {
        one_start_parked(&ones[i], (enum who)(i % WHO_KINDS), lock_and_note, (void *)(intptr_t)i);
    }
    ae_mutex_unlock(&mutex);
    for (int i = 0; i < WAITERS; i++) {
        one_end(&ones[i]);
        EXPECT_EQ(order[i], i);
    }
    return 0;
}

TEST(tasks_threads_and_jobs_wait_in_one_line)
{
    EXPECT_EQ(run_with(2, mixed_fifo, NULL), 0);
}

static int handed_over(void *arg)
{
    struct one waiter;

    ae_mutex_lock(&mutex);
    arrived = 0;
    one_start_parked(&waiter, *(enum who *)arg, lock_and_note, NULL);
    ae_mutex_unlock(&mutex);
    /* Not by overtaking: whoever gets it now, the waiter had it before. */
    ae_mutex_lock(&mutex);
    EXPECT_EQ(arrived, 1);
    ae_mutex_unlock(&mutex);
    return one_end(&waiter);
}

TEST(unlock_hands_over_so_that_nobody_overtakes)
{
    run_for_all(handed_over);
}

static int cancel_waiting(void *arg)
{
    struct one first, second;
    enum who who = *(enum who *)arg;

    if (who == A_THREAD) return 0; /* has no handle to cancel it by */
    arrived = 0;
    ae_mutex_lock(&mutex);
    one_start_parked(&first, who, acquire_once, NULL);
    one_start_parked(&second, who, lock_and_note, NULL);
    ae_cancel(first.task);
    EXPECT_EQ(one_end(&first), -ECANCELED);
    EXPECT_EQ(arrived, 0);
    ae_mutex_unlock(&mutex);
    EXPECT_EQ(one_end(&second), 0);
    EXPECT_EQ(arrived, 1);
    return 0;
}

TEST(a_cancelled_waiter_leaves_the_line_and_the_next_gets_it)
{
    run_for_all(cancel_waiting);
}

static int cancel_lock(void *arg)
{
    struct one waiter;
    enum who who = *(enum who *)arg;

    if (who == A_THREAD) return 0;
    arrived = 0;
    ae_mutex_lock(&mutex);
    one_start_parked(&waiter, who, lock_and_note, NULL);
    ae_cancel(waiter.task);
    for (int i = 0; i < 100; i++) {
        give_way();
    }
    EXPECT_FALSE(atomic_load(&waiter.ended));
    ae_mutex_unlock(&mutex);
    EXPECT_EQ(one_end(&waiter), 0);
    EXPECT_EQ(arrived, 1);
    return 0;
}

TEST(lock_is_not_cancellable)
{
    run_for_all(cancel_lock);
}

static int cancelled_before(void *arg)
{
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_mutex_acquire(&mutex), -ECANCELED);
    EXPECT_TRUE(ae_mutex_try(&mutex)); /* it had no effect; try does not ask */
    ae_mutex_unlock(&mutex);
    ae_mutex_lock(&mutex);
    ae_mutex_unlock(&mutex);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(acquire_by_a_cancelled_one_fails_though_the_mutex_is_free)
{
    EXPECT_EQ(run_with(1, cancelled_before, NULL), 0);
    EXPECT_EQ(cancelled_before(NULL), 0); /* a plain thread, outside any runtime */
}

static int cancel_against_unlock(void *arg)
{
    struct canceller canceller;
    int got = 0, rounds = rounds_of(20000);

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        struct one waiter;
        int mine = 0;
        ae_mutex_lock(&mutex);
        one_start(&waiter, A_TASK, acquire_once, &mine);
        if (i % 4) one_until_parked(&waiter);
        canceller_tell(&canceller, waiter.task);
        stagger(i);
        ae_mutex_unlock(&mutex);
        canceller_wait(&canceller);
        int rc = one_end(&waiter);
        EXPECT_TRUE(rc == -ECANCELED || rc == 0);
        EXPECT_EQ(mine, rc == 0);
        got += rc == 0;
        REQUIRE(ae_mutex_try(&mutex)); /* never lost */
        ae_mutex_unlock(&mutex);
    }
    canceller_end(&canceller);
    test_note("cancel against unlock: got it in %d of %d rounds", got, rounds);
    return 0;
}

TEST(cancel_against_unlock_never_loses_the_mutex)
{
    EXPECT_EQ(run_with(1, cancel_against_unlock, NULL), 0);
    EXPECT_EQ(run_with(3, cancel_against_unlock, NULL), 0);
}

/* ---- stress ---- */

static long counter;
static _Atomic(long) counted;

static int count_up(void *arg)
{
    long each = rounds_of(20000);

    (void)arg;
    for (long i = 0; i < each; i++) {
        ae_mutex_lock(&mutex);
        counter++;
        if (i % 64 == 0 && ae__in_task()) ae_yield(); /* held across a suspension */
        ae_mutex_unlock(&mutex);
        atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
    }
    return 0;
}

static int stress(void *arg)
{
    struct one ones[6];

    (void)arg;
    counter = 0;
    atomic_store(&counted, 0);
    for (int i = 0; i < 6; i++) {
        one_start(&ones[i], i < 4 ? A_TASK : i == 4 ? A_THREAD : A_JOB, count_up, NULL);
    }
    for (int i = 0; i < 6; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    EXPECT_EQ(counter, atomic_load(&counted));
    return 0;
}

TEST(what_it_guards_is_seen_by_one_at_a_time)
{
    EXPECT_EQ(run_with(1, stress, NULL), 0);
    EXPECT_EQ(run_with(3, stress, NULL), 0);
}

/* ---- misuse ---- */

TEST(unlocking_a_free_mutex_asserts)
{
    EXPECT_DEATH(ae_mutex_unlock(&mutex), "owner");
}

TEST(locking_it_twice_asserts)
{
    ae_mutex_lock(&mutex);
    EXPECT_DEATH(ae_mutex_lock(&mutex), "owner != self");
    ae_mutex_unlock(&mutex);
}

static int unlock_it(void *arg)
{
    (void)arg;
    ae_mutex_unlock(&mutex);
    return 0;
}

static int unlock_in_a_child(void *arg)
{
    (void)arg;
    ae_mutex_lock(&mutex);
    return ae_join(ae_spawn(unlock_it, NULL));
}

TEST(unlocking_what_another_task_locked_asserts)
{
    EXPECT_DEATH(run_with(1, unlock_in_a_child, NULL), "owner == self");
}
