/* SPDX-License-Identifier: Apache-2.0 */
/* See inject.h. */
#include "sched/inject.h"

#include "base/assert.h"

void ae__inject_init(struct ae__inject *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

void ae__inject_push(struct ae__inject *q, struct ae__actor *actor)
{
    struct ae__wakes one;

    ae__wakes_init(&one);
    ae__wakes_push(&one, actor);
    ae__inject_push_all(q, &one);
}

void ae__inject_push_all(struct ae__inject *q, struct ae__wakes *batch)
{
    AE_ASSERT(batch->count > 0);
    ae__lock_acquire(&q->lock);
    *q->tail = batch->head;
    q->tail = batch->tail;
    atomic_fetch_add_explicit(&q->length, batch->count, memory_order_seq_cst); /* J1 */
    ae__lock_release(&q->lock);
    ae__wakes_init(batch);
}

void ae__inject_pop(struct ae__inject *q, uint32_t max, struct ae__wakes *out)
{
    uint32_t count = 0;

    if (ae__inject_hint(q) == 0) return;
    ae__lock_acquire(&q->lock);
    while (count < max && q->head) {
        struct ae__actor *actor = q->head;
        q->head = actor->next;
        if (!q->head) q->tail = &q->head;
        if (actor->kind == AE__ACTOR_TASK) ae__prefetch_task(actor->wait_object);
        ae__wakes_push(out, actor);
        count++;
    }
    AE_ASSERT(q->head || q->tail == &q->head);
    atomic_fetch_sub_explicit(&q->length, count, memory_order_relaxed); /* only pushes are seen */
    ae__lock_release(&q->lock);
}
