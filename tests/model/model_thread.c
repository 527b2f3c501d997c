/* SPDX-License-Identifier: Apache-2.0 */
/* Plain threads as actors (sched/thread.c, ready.c), sleeping on futexes that may wake for no
 * reason, with timers of their own; and the spin lock (task/lock.c). All unmodified. */
#include "environment.h"

#include <string.h>

#include "arch/os.h"
#include "arch/thread.h"
#include "base/mem.h"
#include "sched/driver.h"
#include "sched/timer.h"
#include "sched/worker.h"

static struct ae__lock lock;
static struct ae__waitq queue;
static struct ae__waiter waiter;
static struct ae__timer timer;
static uint16_t reason;
static int item, fired, total;
static _Atomic(int) waiting;
static _Atomic(int64_t) now_ns;

/* ---- what is played ---- */

int64_t ae__os_now(void)
{
    return atomic_load_explicit(&now_ns, memory_order_relaxed);
}

void ae__os_thread_yield(void)
{
    model_spin();
}

void ae__os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX)
        model_futex_wait((const uint32_t *)word, expected);
    else if (!model_futex_wait_timed((const uint32_t *)word, expected))
        atomic_store_explicit(&now_ns, deadline_ns, memory_order_relaxed);
}

void ae__slice_leave(struct ae__task *self, enum ae__commit commit)
{
    (void)self;
    (void)commit;
    model_fail("no task runs here");
}

void ae__os_fault_stack_drop(void *stack)
{
    (void)stack;
}

void *ae__mem_zalloc(size_t size)
{
    (void)size;
    model_fail("a thread without a record");
}

void ae__mem_free(void *ptr)
{
    (void)ptr;
}

void ae__os_futex_wake(_Atomic(uint32_t) *word, int count)
{
    model_futex_wake((const uint32_t *)word, count);
}

const struct ae__parts ae__parts;

/* ---- set-up ---- */

static void reset(void)
{
    env_reset();
    memset(&lock, 0, sizeof lock);
    memset(&queue, 0, sizeof queue);
    memset(&waiter, 0, sizeof waiter);
    memset(&timer, 0, sizeof timer);
    atomic_init(&waiting, 0);
    reason = 0;
    item = fired = total = 0;
    atomic_init(&now_ns, 0);
    model_name(&lock, "lock");
    model_name(&waiter, "waiter");
    model_name(&timer, "timer");
    model_name(&total, "total");
}

static void fire(struct ae__timer *t, struct ae__wakes *wakes)
{
    (void)t;
    fired++;
    (void)ae__wait_wake(&env_threads[1].actor, waiter.sequence, AE__REASON_TIME, wakes);
}

static void sleep_in_queue(bool timed)
{
    struct ae__actor *self = ae__actor_self();

    ae__lock_acquire(&lock);
    ae__waiter_init(&waiter, self, ae__wait_begin(self, true, AE__WAIT_EVENT, &queue),
                    AE__REASON_DONE);
    ae__waitq_push(&queue, &waiter);
    ae__lock_release(&lock);
    if (timed) ae__timer_arm(NULL, &timer, 50, fire);
    reason = ae__wait_park(self);
    ae__waitq_settle(&lock, &queue, &waiter);
    if (timed) ae__timer_disarm(&timer);
    if (reason == AE__REASON_DONE) model_assert(item == 7);
}

static void sleeper(void *arg)
{
    sleep_in_queue(arg != NULL);
    model_assert(env_threads[1].timers == NULL);
}

static void sleep_twice(void *arg)
{
    sleep_in_queue(false);
    atomic_store_explicit(&waiting, 1, memory_order_relaxed);
    sleep_in_queue(false);
    (void)arg;
}

static void wake_once(void)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&lock);
    item = 7;
    ae__waitq_claim_all(&queue, &wakes);
    ae__lock_release(&lock);
    if (wakes.head) ae__ready_all(&wakes);
}

static bool has_waiter(void *arg)
{
    (void)arg;
    return queue.head != NULL || reason != 0;
}

static void waker(void *arg)
{
    model_block(has_waiter, arg, "a waiter");
    wake_once();
}

static bool second_waits(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&waiting, memory_order_relaxed) && queue.head;
}

static void waker_again(void *arg)
{
    model_block(second_waits, arg, "the second wait");
    wake_once();
}

static void canceller(void *arg)
{
    (void)arg;
    env_cancel(1);
}

/* ---- parking ---- */

static void park_setup(void)
{
    reset();
    model_thread(sleep_twice, NULL);
    model_thread(waker, NULL);
    model_thread(waker_again, NULL);
}

static void park_check(void)
{
    model_assert(reason == AE__REASON_DONE);
    model_assert(env_threads[1].token == 0);
}

MODEL(thread_park, "two waits in a row: no token is lost or left", park_setup, park_check, 4, 1)

static void timed_setup(void)
{
    reset();
    model_thread(sleeper, &timer);
    model_thread(waker, NULL);
    model_thread(canceller, NULL);
}

static void timed_check(void)
{
    model_assert(reason == AE__REASON_DONE || reason == AE__REASON_TIME ||
                 reason == AE__REASON_CANCEL);
    model_assert(reason != AE__REASON_TIME || fired == 1);
    model_assert(env_threads[1].token == 0);
    model_assert(!queue.head);
}

MODEL(thread_timer, "its own timer against a wake and a cancel", timed_setup, timed_check, 3, 2)

/* Who is cancelled in its sleep, or just before, sees what the canceller wrote. */
static void sleep_until_cancelled(void *arg)
{
    sleep_in_queue(false);
    (void)arg;
    model_assert(reason == AE__REASON_CANCEL && total == 7); /* plain */
}

static void tell_and_cancel(void *arg)
{
    (void)arg;
    total = 7;
    env_cancel(1);
}

static void cancel_setup(void)
{
    reset();
    model_thread(sleep_until_cancelled, NULL);
    model_thread(tell_and_cancel, NULL);
}

static void cancel_check(void)
{
    model_assert(!queue.head);
}

MODEL(thread_cancel, "a cancelled sleeper sees what the canceller wrote", cancel_setup,
      cancel_check, 6, 3)

/* ---- the lock ---- */

static void locker(void *arg)
{
    ae__lock_acquire(&lock);
    total += (int)(intptr_t)arg; /* plain: a race if two are in */
    ae__lock_release(&lock);
}

static void lock_setup(void)
{
    reset();
    model_thread(locker, (void *)1);
    model_thread(locker, (void *)2);
    model_thread(locker, (void *)4);
}

static void lock_check(void)
{
    model_assert(total == 7);
}

MODEL(lock_spin, "three take it, one is in, all get it", lock_setup, lock_check, 5, 2)
