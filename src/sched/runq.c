/* SPDX-License-Identifier: Apache-2.0 */
/* See runq.h for the invariants cited here. */
#include "sched/runq.h"

#include "arch/count.h"
#include "base/assert.h"
#include "sched/inject.h"
#include "task/types.h"

#define MASK (AE__RUNQ_SIZE - 1)

static uint64_t pack(uint32_t steal, uint32_t real)
{
    return (uint64_t)steal << 32 | real;
}

static uint32_t steal_of(uint64_t head)
{
    return (uint32_t)(head >> 32);
}

static uint32_t real_of(uint64_t head)
{
    return (uint32_t)head;
}

static struct ae__task *slot_get(struct ae__runq *q, uint32_t at)
{
    return atomic_load_explicit(&q->slots[at & MASK], memory_order_relaxed);
}

static void slot_put(struct ae__runq *q, uint32_t at, struct ae__task *task)
{
    atomic_store_explicit(&q->slots[at & MASK], task, memory_order_relaxed);
}

/* Move the older half and `task` to the shared queue. False: a thief was faster, there is room. */
static bool overflow_half(struct ae__runq *q, uint64_t head, uint32_t tail, struct ae__task *task,
                          struct ae__inject *overflow)
{
    const uint32_t half = AE__RUNQ_SIZE / 2;
    uint32_t from = real_of(head);
    uint64_t next = pack(from + half, from + half);
    struct ae__wakes batch;

    AE_ASSERT(tail - from == AE__RUNQ_SIZE);
    /* R2; release: our reads of the slots below come after owning them, so acquire is not needed */
    if (!atomic_compare_exchange_strong_explicit(&q->head, &head, next, memory_order_release,
                                                 memory_order_relaxed)) {
        return false;
    }
    ae__wakes_init(&batch);
    for (uint32_t i = 0; i < half; i++) {
        struct ae__actor *actor = &slot_get(q, from + i)->actor;
        /* A hint for who walks the chain when all this has left the cache (inject.c). */
        actor->wait_object = slot_get(q, from + i + AE__INJECT_AHEAD);
        ae__wakes_push(&batch, actor);
    }
    ae__wakes_push(&batch, &task->actor);
    ae__inject_push_all(overflow, &batch);
    ae__count(&q->overflows, 1);
    return true;
}

void ae__runq_push(struct ae__runq *q, struct ae__task *task, struct ae__inject *overflow,
                   bool announce)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed); /* ours */

    for (;;) {
        /* R4: acquire pairs with the thief's release of steal */
        uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);
        if (AE_LIKELY(tail - steal_of(head) < AE__RUNQ_SIZE)) break;
        if (steal_of(head) != real_of(head)) { /* a thief is making room, but has not yet */
            ae__inject_push(overflow, &task->actor);
            ae__count(&q->overflows, 1);
            return;
        }
        if (overflow_half(q, head, tail, task, overflow)) return;
    }
    slot_put(q, tail, task);
    if (announce) {
        atomic_exchange_explicit(&q->tail, tail + 1, memory_order_seq_cst); /* R3, R5 */
    } else {
        atomic_store_explicit(&q->tail, tail + 1, memory_order_release); /* R3 */
    }
}

/* X3 in rescue.c; before head is looked at: if it says yes, thieves' last moves of it are seen. */
static bool is_alone(struct ae__runq *q)
{
    return atomic_load_explicit(&q->alone, memory_order_acquire);
}

/* R2: one task is ours. False: `head` was not the newest, and now is. */
static bool claim_one(struct ae__runq *q, uint64_t *head, bool alone)
{
    uint32_t steal = steal_of(*head), real = real_of(*head);
    uint64_t next = steal == real ? pack(real + 1, real + 1) : pack(steal, real + 1);

    if (alone) {
        atomic_store_explicit(&q->head, next, memory_order_relaxed);
        return true;
    }
    /* release: who sees the new head sees no tail from before it; no acquire, as only the owner
     * writes to these slots */
    return atomic_compare_exchange_weak_explicit(&q->head, head, next, memory_order_release,
                                                 memory_order_relaxed);
}

struct ae__task *ae__runq_pop(struct ae__runq *q)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed); /* ours */
    bool alone = is_alone(q);
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

    do {
        if (real_of(head) == tail) return NULL;
    } while (!claim_one(q, &head, alone));
    return slot_get(q, real_of(head));
}

bool ae__runq_take(struct ae__runq *q, struct ae__task *task)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed); /* ours */
    bool alone = is_alone(q);
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

    do {
        if (real_of(head) == tail || slot_get(q, real_of(head)) != task) return false;
    } while (!claim_one(q, &head, alone));
    return true;
}

/* R1, R4: own half of `from`: its real moves, its steal stays. 0: nothing to have. */
static uint32_t claim_half(struct ae__runq *from, uint32_t *first)
{
    uint64_t head, next;
    uint32_t count;

    do {
        /* acquire: this look must see no tail from before the head */
        head = atomic_load_explicit(&from->head, memory_order_acquire);
        /* R3: acquire pairs with the release in push */
        uint32_t tail = atomic_load_explicit(&from->tail, memory_order_acquire);
        if (steal_of(head) != real_of(head)) return 0; /* another thief is at it */
        count = tail - real_of(head);
        count -= count / 2;
        if (count == 0) return 0;
        next = pack(steal_of(head), real_of(head) + count);
        /* A stale head with a newer tail can give nonsense counts; then the exchange fails. */
        /* relaxed: others keep away until finish_steal, which releases */
    } while (!atomic_compare_exchange_weak_explicit(&from->head, &head, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    AE_ASSERT(count <= AE__RUNQ_SIZE);
    *first = real_of(head);
    return count;
}

/* R4: give the slots back to the owner; release as in claim_one, too. */
static void finish_steal(struct ae__runq *from)
{
    uint64_t head = atomic_load_explicit(&from->head, memory_order_relaxed);
    uint64_t next;

    do {
        next = pack(real_of(head), real_of(head));
    } while (!atomic_compare_exchange_weak_explicit(&from->head, &head, next,
                                                    memory_order_release, memory_order_relaxed));
}

struct ae__task *ae__runq_steal(struct ae__runq *from, struct ae__runq *into, uint32_t *taken)
{
    uint32_t tail = atomic_load_explicit(&into->tail, memory_order_relaxed); /* ours */
    uint64_t own = atomic_load_explicit(&into->head, memory_order_acquire);
    uint32_t first, count;

    /* A thief may still be copying from ours: then there might be no room. */
    if (tail - steal_of(own) > AE__RUNQ_SIZE / 2) return NULL;
    count = claim_half(from, &first);
    if (count == 0) return NULL;
    for (uint32_t i = 0; i + 1 < count; i++) {
        slot_put(into, tail + i, slot_get(from, first + i));
    }
    struct ae__task *task = slot_get(from, first + count - 1);
    finish_steal(from);
    atomic_store_explicit(&into->tail, tail + count - 1, memory_order_release); /* R3 */
    *taken = count;
    return task;
}

bool ae__runq_is_empty(struct ae__runq *q)
{
    /* relaxed: an old head only makes it look as if there were something */
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_seq_cst); /* R5 */

    return real_of(head) == tail;
}

uint32_t ae__runq_room(struct ae__runq *q)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

    return AE__RUNQ_SIZE - (tail - steal_of(head));
}

struct ae__task *ae__runq_peek(struct ae__runq *q, uint32_t ahead)
{
    uint32_t real = real_of(atomic_load_explicit(&q->head, memory_order_relaxed));
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

    return tail - real - 1 - ahead < AE__RUNQ_SIZE ? slot_get(q, real + ahead) : NULL;
}
