/* SPDX-License-Identifier: Apache-2.0 */
/* The wait word (W1..W4 of sched/wait.h) and a bare wait queue: wake against cancel against time
 * limit. One wins; the sleeper wakes, once, with the winner's reason; its frame is not touched
 * after it returned. */
#include "environment.h"

#include <string.h>

static struct ae__lock lock;
static struct ae__waitq queue;
static struct ae__waiter waiters[3];
static _Atomic(uint32_t) timed_sequence;
static uint16_t reason;
static int won[4], item, given;
static bool served;

enum { BY_WAKE, BY_CANCEL, BY_TIME };

static void reset(void)
{
    env_reset();
    memset(&lock, 0, sizeof lock);
    memset(&queue, 0, sizeof queue);
    model_revive(waiters, sizeof waiters);
    memset(waiters, 0, sizeof waiters);
    memset(won, 0, sizeof won);
    atomic_init(&timed_sequence, 0);
    reason = 0;
    item = given = 0;
    served = false;
    model_name(&lock, "lock");
    model_name(&queue, "queue");
    model_name(&waiters, "waiter");
    model_name(&item, "item");
}

/* Wait in the queue once. */
static uint16_t wait_in_queue(struct ae__waiter *waiter, bool cancellable)
{
    struct ae__actor *self = ae__actor_self();
    uint16_t got;

    ae__lock_acquire(&lock);
    uint32_t sequence = ae__wait_begin(self, cancellable, AE__WAIT_EVENT, &queue);
    ae__waiter_init(waiter, self, sequence, AE__REASON_DONE);
    ae__waitq_push(&queue, waiter);
    atomic_store_explicit(&timed_sequence, sequence, memory_order_release);
    ae__lock_release(&lock);
    got = ae__wait_park(self);
    ae__waitq_settle(&lock, &queue, waiter);
    if (got == AE__REASON_DONE) model_assert(waiter->item == &item && item == 7);
    return got;
}

static void sleeper(void *arg)
{
    (void)arg;
    reason = wait_in_queue(&waiters[0], true);
    model_free(&waiters[0], sizeof waiters[0]);
}

static void wake_first(void)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&lock);
    while (queue.head) {
        struct ae__waiter *waiter = ae__waitq_claim_head(&queue, &wakes);
        if (!waiter) continue;
        waiter->item = &item; /* Q3 */
        won[BY_WAKE]++;
        break;
    }
    ae__lock_release(&lock);
    if (wakes.head) ae__ready_all(&wakes);
}

static void waker(void *arg)
{
    (void)arg;
    item = 7;
    wake_first();
}

static void canceller(void *arg)
{
    (void)arg;
    env_cancel(1);
}

/* As a timer's fire: it knows the sequence that it was armed with. */
static void timer(void *arg)
{
    uint32_t sequence = atomic_load_explicit(&timed_sequence, memory_order_acquire);
    struct ae__wakes wakes;

    (void)arg;
    if (sequence == 0) return;
    ae__wakes_init(&wakes);
    won[BY_TIME] += ae__wait_wake(&env_threads[1].actor, sequence, AE__REASON_TIME, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

static void one_winner(void)
{
    model_assert(won[BY_WAKE] + won[BY_TIME] <= 1);
    model_assert((reason == AE__REASON_DONE) == (won[BY_WAKE] == 1));
    model_assert((reason == AE__REASON_TIME) == (won[BY_TIME] == 1));
    model_assert(reason == AE__REASON_DONE || reason == AE__REASON_TIME ||
                 reason == AE__REASON_CANCEL);
    model_assert(!queue.head && !queue.tail);
}

static void race_setup(void)
{
    reset();
    model_thread(sleeper, NULL);
    model_thread(waker, NULL);
    model_thread(canceller, NULL);
    model_thread(timer, NULL);
}

MODEL(wake_cancel_time, "waker, canceller and timer: one wins", race_setup, one_winner, 3, 1)

static void cancel_setup(void)
{
    reset();
    model_thread(sleeper, NULL);
    model_thread(waker, NULL);
    model_thread(canceller, NULL);
}

MODEL(wake_cancel, "waker against canceller", cancel_setup, one_winner, 4, 2)

/* Nobody else wakes it: the cancel must not be lost (W4). */
static void only_cancel_setup(void)
{
    reset();
    model_thread(sleeper, NULL);
    model_thread(canceller, NULL);
}

static void cancelled(void)
{
    model_assert(reason == AE__REASON_CANCEL);
}

MODEL(cancel_alone, "a cancel is never lost", only_cancel_setup, cancelled, 7, 3)

/* Two waits in a row: a late claim of the first must not end the second (W1). */
static void sleep_twice(void *arg)
{
    struct ae__actor *self = ae__actor_self();

    (void)arg;
    uint32_t sequence = ae__wait_begin(self, true, AE__WAIT_EVENT, NULL);
    atomic_store_explicit(&timed_sequence, sequence, memory_order_release);
    if (ae__wait_abort(self) == AE__REASON_TIME) won[BY_CANCEL]++;
    reason = wait_in_queue(&waiters[0], false);
    model_free(&waiters[0], sizeof waiters[0]);
}

static void late_timer(void *arg)
{
    struct ae__wakes wakes;
    uint32_t sequence = atomic_load_explicit(&timed_sequence, memory_order_acquire);

    (void)arg;
    if (sequence != 1) return;
    ae__wakes_init(&wakes);
    won[BY_TIME] += ae__wait_wake(&env_threads[1].actor, 1, AE__REASON_TIME, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

static bool second_began(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&timed_sequence, memory_order_relaxed) == 2;
}

static void late_waker(void *arg)
{
    model_block(second_began, NULL, "the second wait");
    waker(arg);
}

static void sequence_setup(void)
{
    reset();
    model_thread(sleep_twice, NULL);
    model_thread(late_timer, NULL);
    model_thread(late_waker, NULL);
}

static void sequence_check(void)
{
    model_assert(reason == AE__REASON_DONE);
    model_assert(won[BY_TIME] == won[BY_CANCEL]); /* it won the first, or none */
    model_assert(won[BY_WAKE] == 1);
}

MODEL(late_claim, "a late claim of an earlier wait loses", sequence_setup, sequence_check, 4, 1)

/* Nothing but the claim orders what the waker wrote; as for an operation's result. */
static void sleep_for_item(void *arg)
{
    struct ae__actor *self = ae__actor_self();

    (void)arg;
    uint32_t sequence = ae__wait_begin(self, false, AE__WAIT_EVENT, NULL);
    atomic_store_explicit(&timed_sequence, sequence, memory_order_release);
    reason = ae__wait_park(self);
    model_assert(item == 7);
}

static bool first_began(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&timed_sequence, memory_order_relaxed) == 1;
}

static void item_waker(void *arg)
{
    struct ae__wakes wakes;

    (void)arg;
    model_block(first_began, NULL, "the wait");
    uint32_t sequence = atomic_fetch_add_explicit(&timed_sequence, 0, memory_order_acquire);
    item = 7;
    ae__wakes_init(&wakes);
    won[BY_WAKE] += ae__wait_wake(&env_threads[1].actor, sequence, AE__REASON_DONE, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

static void item_canceller(void *arg)
{
    (void)arg;
    env_cancel(1);
}

static void item_setup(void)
{
    reset();
    model_thread(sleep_for_item, NULL);
    model_thread(item_waker, NULL);
    model_thread(item_canceller, NULL); /* of no effect: it only makes words move */
}

static void item_check(void)
{
    model_assert(reason == AE__REASON_DONE && won[BY_WAKE] == 1);
}

MODEL(wake_tells, "who is woken sees what the waker wrote", item_setup, item_check, 5, 2)

/* Two waiters, one permit: a cancelled head passes it on (Q2). */
static void second_sleeper(void *arg)
{
    (void)arg;
    given += wait_in_queue(&waiters[1], false) == AE__REASON_DONE;
    model_free(&waiters[1], sizeof waiters[1]);
}

static bool both_wait(void *arg)
{
    (void)arg;
    return env_threads[1].actor.wait != 0 && env_threads[2].actor.wait != 0;
}

static void wake_until_second(void *arg)
{
    model_block(both_wait, NULL, "two waiters");
    waker(arg);
    wake_first();
}

static void pass_on_setup(void)
{
    reset();
    model_thread(sleeper, NULL);
    model_thread(second_sleeper, NULL);
    model_thread(wake_until_second, NULL);
    model_thread(canceller, NULL);
}

static void pass_on_check(void)
{
    model_assert(given == 1);
    model_assert(reason == AE__REASON_DONE || reason == AE__REASON_CANCEL);
    model_assert(won[BY_WAKE] == given + (reason == AE__REASON_DONE));
}

MODEL(pass_on, "a cancelled head takes nothing", pass_on_setup, pass_on_check, 3, 0)
