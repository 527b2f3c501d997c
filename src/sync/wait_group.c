/* SPDX-License-Identifier: Apache-2.0 */
/* Wait group: a count of work that is under way, and those who wait for 0.
 *
 * G1  While the count is 0 nobody that can still be claimed is in the queue. A count that rises
 *     again does not hold back those who were already let go. */
#include "aether/sync.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"

struct wait_group {
    struct ae__lock lock; /* guards all below */
    size_t count;
    struct ae__waitq waiters;
};

_Static_assert(sizeof(struct wait_group) <= sizeof(ae_wait_group), "grow ae_wait_group");

static struct wait_group *group_of(ae_wait_group *group)
{
    AE_ASSERT(group);
    return (struct wait_group *)group;
}

void ae_wait_group_add(ae_wait_group *group, size_t count)
{
    struct wait_group *g = group_of(group);

    ae__lock_acquire(&g->lock);
    AE_ASSERT(count <= SIZE_MAX - g->count);
    g->count += count;
    ae__lock_release(&g->lock);
}

void ae_wait_group_done(ae_wait_group *group)
{
    struct wait_group *g = group_of(group);
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&g->lock);
    AE_ASSERT(g->count > 0);
    if (--g->count == 0) ae__waitq_claim_all(&g->waiters, &wakes);
    ae__lock_release(&g->lock);
    if (wakes.head) ae__ready_all(&wakes);
}

/* Entered with the lock held, which it releases. */
AE_NOINLINE static int wait_zero(struct wait_group *g, struct ae__actor *self)
{
    struct ae__waiter waiter;

    ae__waiter_init(&waiter, self, ae__wait_begin(self, true, AE__WAIT_GROUP, g), AE__REASON_DONE);
    ae__waitq_push(&g->waiters, &waiter);
    ae__lock_release(&g->lock);
    uint16_t reason = ae__wait_park(self);
    ae__waitq_settle(&g->lock, &g->waiters, &waiter);
    return reason == AE__REASON_DONE ? 0 : -ECANCELED;
}

int ae_wait_group_wait(ae_wait_group *group)
{
    struct wait_group *g = group_of(group);
    struct ae__actor *self = ae__actor_self();

    if (ae__actor_cancelled(self)) return -ECANCELED;
    ae__lock_acquire(&g->lock);
    if (g->count > 0) return wait_zero(g, self);
    ae__lock_release(&g->lock);
    ae__charge();
    return 0;
}
