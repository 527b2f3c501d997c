/* SPDX-License-Identifier: Apache-2.0 */
/* Mutex: strictly first come, first served. unlock hands the mutex to the first waiter (the owner
 * changes under the inner lock), so the woken one needs no second try and nobody overtakes.
 *
 * M1  owner is the actor that holds it, NULL if none does. While actors wait, owner is not NULL,
 *     unless every waiter in the queue has been cancelled.
 * M2  The slice's budget is charged before the mutex is taken, never after: a task that gave way
 *     while holding it would turn every later lock on this worker into a switch. */
#include "aether/sync.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"

struct mutex {
    struct ae__lock lock; /* guards all below */
    struct ae__actor *owner;
    struct ae__waitq waiters;
};

_Static_assert(sizeof(struct mutex) <= sizeof(ae_mutex), "grow ae_mutex");

static struct mutex *mutex_of(ae_mutex *mutex)
{
    AE_ASSERT(mutex);
    return (struct mutex *)mutex;
}

/* Entered with the inner lock held, which it releases. */
AE_NOINLINE static int wait_turn(struct mutex *m, struct ae__actor *self, bool cancellable)
{
    struct ae__waiter waiter;

    AE_ASSERT(m->owner != self); /* locking it twice would wait for ever */
    ae__waiter_init(&waiter, self, ae__wait_begin(self, cancellable, AE__WAIT_MUTEX, m),
                    AE__REASON_DONE);
    ae__waitq_push(&m->waiters, &waiter);
    ae__lock_release(&m->lock);
    uint16_t reason = ae__wait_park(self);
    ae__waitq_settle(&m->lock, &m->waiters, &waiter);
    if (reason != AE__REASON_DONE) {
        AE_ASSERT(cancellable);
        return -ECANCELED;
    }
    AE_ASSERT(m->owner == self); /* pair: unlock() made it so */
    return 0;
}

static int take(struct mutex *m, struct ae__actor *self, bool cancellable)
{
    ae__lock_acquire(&m->lock);
    if (AE_UNLIKELY(m->owner)) return wait_turn(m, self, cancellable);
    m->owner = self;
    ae__lock_release(&m->lock);
    return 0;
}

void ae_mutex_lock(ae_mutex *mutex)
{
    ae__charge();
    int rc = take(mutex_of(mutex), ae__actor_self(), false);
    AE_ASSERT(rc == 0);
}

int ae_mutex_acquire(ae_mutex *mutex)
{
    ae__charge();
    struct ae__actor *self = ae__actor_self();
    if (ae__actor_cancelled(self)) return -ECANCELED;
    return take(mutex_of(mutex), self, true);
}

bool ae_mutex_try(ae_mutex *mutex)
{
    struct mutex *m = mutex_of(mutex);
    struct ae__actor *self = ae__actor_self();

    ae__lock_acquire(&m->lock);
    bool taken = !m->owner;
    if (taken) m->owner = self;
    ae__lock_release(&m->lock);
    return taken;
}

void ae_mutex_unlock(ae_mutex *mutex)
{
    struct mutex *m = mutex_of(mutex);
    struct ae__actor *self = ae__actor_self();
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&m->lock);
    AE_ASSERT(m->owner == self); /* only who locked it may unlock it */
    struct ae__waiter *next = NULL;
    if (m->waiters.head) next = ae__waitq_claim(&m->waiters, NULL, &wakes);
    m->owner = next ? next->actor : NULL;
    ae__lock_release(&m->lock);
    if (wakes.head) ae__ready_all(&wakes);
}
