/* SPDX-License-Identifier: Apache-2.0 */
/* Wait queues: the FIFO of waiting frames that every synchronisation object embeds. Links live in
 * the waiters' frames, so waiting allocates nothing and leaving is O(1). The invariants Q1..Q4 are
 * in wait.h; every function here is called with the object's lock held. */
#include "sched/wait.h"

#include "base/assert.h"

void ae__waitq_push(struct ae__waitq *queue, struct ae__waiter *waiter)
{
    AE_ASSERT(!waiter->queued);
    waiter->queued = true;
    waiter->next = NULL;
    waiter->prev = queue->tail;
    if (queue->tail) {
        queue->tail->next = waiter;
    } else {
        queue->head = waiter;
    }
    queue->tail = waiter;
}

void ae__waitq_remove(struct ae__waitq *queue, struct ae__waiter *waiter)
{
    if (!waiter->queued) return;
    if (waiter->prev) {
        waiter->prev->next = waiter->next;
    } else {
        AE_ASSERT(queue->head == waiter);
        queue->head = waiter->next;
    }
    if (waiter->next) {
        waiter->next->prev = waiter->prev;
    } else {
        AE_ASSERT(queue->tail == waiter);
        queue->tail = waiter->prev;
    }
    waiter->queued = false;
}

/* Q2: out of the queue first, so that a lost one is never met again. */
static bool claim_one(struct ae__waitq *queue, struct ae__waiter *waiter, struct ae__wakes *wakes)
{
    ae__waitq_remove(queue, waiter);
    AE_DEBUG_ASSERT(!waiter->handed);
    switch (ae__wait_claim(waiter->actor, waiter->sequence, waiter->reason)) {
    case AE__CLAIM_PARKED:
        waiter->handed = true; /* Q4: nobody but us can make it run */
        ae__wakes_push(wakes, waiter->actor);
        return true;
    case AE__CLAIM_ARMED:
        return true;
    case AE__CLAIM_LOST:
        break;
    }
    return false;
}

struct ae__waiter *ae__waitq_claim_head(struct ae__waitq *queue, struct ae__wakes *wakes)
{
    struct ae__waiter *head = queue->head;

    AE_ASSERT(head);
    return claim_one(queue, head, wakes) ? head : NULL;
}

struct ae__waiter *ae__waitq_claim(struct ae__waitq *queue, const struct ae__actor *except,
                                   struct ae__wakes *wakes)
{
    struct ae__waiter *next;

    for (struct ae__waiter *waiter = queue->head; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->actor != except && claim_one(queue, waiter, wakes)) return waiter;
    }
    return NULL;
}

void ae__waitq_claim_all(struct ae__waitq *queue, struct ae__wakes *wakes)
{
    while (queue->head) {
        claim_one(queue, queue->head, wakes);
    }
}
