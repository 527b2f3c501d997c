/* SPDX-License-Identifier: Apache-2.0 */
/* Counting semaphore, first come, first served whatever the amounts: who asks for many permits is
 * not starved by those who ask for one.
 *
 * S1  Permits are taken out by whoever grants them, under the lock, in the waiter's name.
 * S2  At every release of the lock the first waiter that can still be claimed asks for more than
 *     there are. Whatever could break that grants: a release, and a cancelled waiter that leaves
 *     (those behind it may ask for less). */
#include "aether/sync.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"

struct sem {
    struct ae__lock lock; /* guards all below */
    size_t permits;       /* free ones */
    struct ae__waitq waiters;
};

_Static_assert(sizeof(struct sem) <= sizeof(ae_sem), "grow ae_sem");

static struct sem *sem_of(ae_sem *sem)
{
    AE_ASSERT(sem);
    return (struct sem *)sem;
}

void ae_sem_init(ae_sem *sem, size_t permits)
{
    *sem_of(sem) = (struct sem){ .permits = permits };
}

/* S2. Under the lock. */
static void grant(struct sem *s, struct ae__wakes *wakes)
{
    while (s->waiters.head && s->waiters.head->amount <= s->permits) {
        size_t amount = s->waiters.head->amount;
        if (ae__waitq_claim_head(&s->waiters, wakes)) s->permits -= amount;
    }
}

static bool take_now(struct sem *s, size_t permits)
{
    if (s->waiters.head || s->permits < permits) return false;
    s->permits -= permits;
    return true;
}

/* A cancelled waiter goes; S2. */
static void leave(struct sem *s, struct ae__waiter *waiter)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&s->lock);
    ae__waitq_remove(&s->waiters, waiter);
    grant(s, &wakes);
    ae__lock_release(&s->lock);
    if (wakes.head) ae__ready_all(&wakes);
}

/* Entered with the lock held, which it releases. */
AE_NOINLINE static int wait_turn(struct sem *s, struct ae__actor *self, size_t permits)
{
    struct ae__waiter waiter;

    ae__waiter_init(&waiter, self, ae__wait_begin(self, true, AE__WAIT_SEM, s), AE__REASON_DONE);
    waiter.amount = permits;
    ae__waitq_push(&s->waiters, &waiter);
    ae__lock_release(&s->lock);
    uint16_t reason = ae__wait_park(self);
    if (reason == AE__REASON_DONE) {
        ae__waitq_settle(&s->lock, &s->waiters, &waiter);
        return 0;
    }
    AE_ASSERT(reason == AE__REASON_CANCEL);
    leave(s, &waiter);
    return -ECANCELED;
}

int ae_sem_acquire(ae_sem *sem, size_t permits)
{
    struct sem *s = sem_of(sem);
    struct ae__actor *self = ae__actor_self();

    if (ae__actor_cancelled(self)) return -ECANCELED;
    ae__lock_acquire(&s->lock);
    if (AE_UNLIKELY(!take_now(s, permits))) return wait_turn(s, self, permits);
    ae__lock_release(&s->lock);
    ae__charge();
    return 0;
}

bool ae_sem_try(ae_sem *sem, size_t permits)
{
    struct sem *s = sem_of(sem);

    ae__lock_acquire(&s->lock);
    bool taken = take_now(s, permits);
    ae__lock_release(&s->lock);
    return taken;
}

void ae_sem_release(ae_sem *sem, size_t permits)
{
    struct sem *s = sem_of(sem);
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&s->lock);
    AE_ASSERT(permits <= SIZE_MAX - s->permits);
    s->permits += permits;
    grant(s, &wakes);
    ae__lock_release(&s->lock);
    if (wakes.head) ae__ready_all(&wakes);
}

size_t ae_sem_available(ae_sem *sem)
{
    struct sem *s = sem_of(sem);

    ae__lock_acquire(&s->lock);
    size_t permits = s->permits;
    ae__lock_release(&s->lock);
    return permits;
}
