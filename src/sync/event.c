/* SPDX-License-Identifier: Apache-2.0 */
/* Event: a flag to wait for. Even a look at the flag takes the lock: who sees it set may free the
 * event at once, so the setter must have let go of it by then.
 *
 * E1  While the flag is set nobody that can still be claimed is in the queue. */
#include "aether/sync.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"

struct event {
    struct ae__lock lock; /* guards all below */
    bool set;
    struct ae__waitq waiters;
};

_Static_assert(sizeof(struct event) <= sizeof(ae_event), "grow ae_event");

static struct event *event_of(ae_event *event)
{
    AE_ASSERT(event);
    return (struct event *)event;
}

void ae_event_set(ae_event *event)
{
    struct event *e = event_of(event);
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&e->lock);
    AE_ASSERT(!e->set || ae__waitq_is_empty(&e->waiters)); /* E1: set() left nobody */
    e->set = true;
    ae__waitq_claim_all(&e->waiters, &wakes);
    ae__lock_release(&e->lock);
    if (wakes.head) ae__ready_all(&wakes);
}

void ae_event_reset(ae_event *event)
{
    struct event *e = event_of(event);

    ae__lock_acquire(&e->lock);
    e->set = false;
    ae__lock_release(&e->lock);
}

bool ae_event_is_set(ae_event *event)
{
    struct event *e = event_of(event);

    ae__lock_acquire(&e->lock);
    bool set = e->set;
    ae__lock_release(&e->lock);
    return set;
}

/* Entered with the lock held, which it releases. */
AE_NOINLINE static int wait_set(struct event *e, struct ae__actor *self)
{
    struct ae__waiter waiter;

    ae__waiter_init(&waiter, self, ae__wait_begin(self, true, AE__WAIT_EVENT, e), AE__REASON_DONE);
    ae__waitq_push(&e->waiters, &waiter);
    ae__lock_release(&e->lock);
    uint16_t reason = ae__wait_park(self);
    ae__waitq_settle(&e->lock, &e->waiters, &waiter);
    return reason == AE__REASON_DONE ? 0 : -ECANCELED;
}

int ae_event_wait(ae_event *event)
{
    struct event *e = event_of(event);
    struct ae__actor *self = ae__actor_self();

    if (ae__actor_cancelled(self)) return -ECANCELED;
    ae__lock_acquire(&e->lock);
    if (!e->set) return wait_set(e, self);
    ae__lock_release(&e->lock);
    ae__charge();
    return 0;
}
