/* SPDX-License-Identifier: Apache-2.0 */
/* The wait word: how an actor sleeps and how exactly one waker wins it.
 *
 *   uint64_t: [ sequence : 32 | reason : 16 | flags : 8 | state : 8 ]
 *
 *   IDLE     not waiting                      owner -> ARMED (begin: sequence + 1)
 *   ARMED    about to sleep, may be claimed   owner's commit -> PARKED; a waker -> CLAIMED;
 *                                             owner -> IDLE (abort)
 *   PARKED   sleeps; its registers are saved  a waker -> CLAIMED
 *   CLAIMED  one waker has won                owner -> IDLE (it reads the reason)
 *
 * W1  A claim is one compare-and-swap that names the sequence, so a late waker of an earlier wait
 *     always loses. Actors are type-stable, so it may try at any time.
 * W2  Whoever claims a PARKED actor, and nobody else, must hand it to ae__ready (once). A claim of
 *     an ARMED one needs no more: the owner finds it when it commits.
 * W3  A waker keeps the object's lock from finding the waiter until the claim is done, and touches
 *     neither waiter nor object after ae__ready: their memory may be gone.
 * W4  A cancel sets the node's flag, then raises the actor's count of cancels, then tries to
 *     claim. A sleeper reads the count, then the flag, and after it became PARKED the count again
 *     (which is in the type-stable actor: the node may be gone by then). Raising and parking are
 *     read-modify-writes, and they, the canceller's first look and the sleeper's last one are
 *     sequentially consistent: either the cancel finds the wait, or the sleeper finds the flag or
 *     a raised count and claims for it. */
#ifndef AE_SCHED_WAIT_H
#define AE_SCHED_WAIT_H

#include "task/types.h"

enum ae__wait_state {
    AE__WAIT_IDLE = 0,
    AE__WAIT_ARMED = 1,
    AE__WAIT_PARKED = 2,
    AE__WAIT_CLAIMED = 3,
};

#define AE__WAIT_CANCELLABLE (UINT64_C(1) << 8)

/* Reasons. Objects with several outcomes use AE__REASON_FIRST + index. */
enum ae__wait_reason {
    AE__REASON_NONE = 0,
    AE__REASON_DONE = 1,   /* the object did what was waited for */
    AE__REASON_CANCEL = 2,
    AE__REASON_CLOSED = 3, /* the object ended */
    AE__REASON_TIME = 4,
    AE__REASON_FIRST = 16,
};

/* Actors that were claimed PARKED and now must be made ready, in order. Linked through next. */
struct ae__wakes {
    struct ae__actor *head, **tail;
    uint32_t count;
};

static inline void ae__wakes_init(struct ae__wakes *wakes)
{
    wakes->head = NULL;
    wakes->tail = &wakes->head;
    wakes->count = 0;
}

static inline void ae__wakes_push(struct ae__wakes *wakes, struct ae__actor *actor)
{
    actor->next = NULL;
    *wakes->tail = actor;
    wakes->tail = &actor->next;
    wakes->count++;
}

/* ---- the waiting side; called by the actor itself ---- */

/* The calling task or thread (a plain thread gets its record here). Never keep a thread's or
 * worker's address across a suspension; an actor's may be kept by the actor itself. */
struct ae__actor *ae__actor_self(void);

/* Is the caller cancelled by an enclosing scope or itself? Every suspending call asks first. */
static inline bool ae__actor_cancelled(const struct ae__actor *actor)
{
    return atomic_load_explicit(&actor->node->cancelled, memory_order_acquire) & AE__CANCELLED;
}

/* Begin a wait: from now on wakers may claim it by the sequence returned. */
uint32_t ae__wait_begin(struct ae__actor *self, bool cancellable, enum ae__wait_kind kind,
                        const void *object);

/* Sleep until claimed; returns the reason. May continue on another worker. */
uint16_t ae__wait_park(struct ae__actor *self);

/* Do not sleep after all. 0: taken back; else the reason of a claim that came before. */
uint16_t ae__wait_abort(struct ae__actor *self);

/* ---- the waking side; any thread ---- */

enum ae__claim {
    AE__CLAIM_LOST,  /* somebody else won, or the wait is over */
    AE__CLAIM_ARMED, /* won; nothing more to do */
    AE__CLAIM_PARKED /* won; the caller must make it ready */
};
enum ae__claim ae__wait_claim(struct ae__actor *actor, uint32_t sequence, uint16_t reason);

/* Claim; true if won; a PARKED one is put on `wakes`. */
bool ae__wait_wake(struct ae__actor *actor, uint32_t sequence, uint16_t reason,
                   struct ae__wakes *wakes);

/* Claim whatever cancellable wait it is in, for a cancel. */
void ae__wait_cancel(struct ae__actor *actor, struct ae__wakes *wakes);

/* ---- wait queues: FIFO lists of waiting frames, inside synchronisation objects ----
 *
 * Q1  Links and `queued` are guarded by the object's lock.
 * Q2  A waker takes a waiter out of the queue, then tries to claim it. When it loses (to a cancel,
 *     or to another case of a select) the object has given nothing away: it looks at the next.
 * Q3  Hand-over data (item, amount) is written after the claim was won, before the unlock.
 * Q4  The owner lets its frame go only when no waker can be at it any more: either `handed` is set
 *     (the claim found it PARKED, so it runs only after ae__ready, which follows the unlock), or it
 *     has taken the object's lock once more and removed itself (ae__waitq_settle). */

struct ae__waiter {
    struct ae__waiter *next, *prev;
    struct ae__actor *actor;
    uint32_t sequence;
    uint16_t reason;                 /* that a wake gives */
    bool queued;
    bool handed;                     /* written by the waker that won it PARKED, else by nobody */
    void *item;                      /* for hand-over: channel value, ... */
    size_t amount;                   /* permits, ... */
};

/* struct ae__waitq is in task/types.h; all of these under the object's lock */
void ae__waitq_push(struct ae__waitq *queue, struct ae__waiter *waiter);
void ae__waitq_remove(struct ae__waitq *queue, struct ae__waiter *waiter); /* no-op if not queued */

static inline bool ae__waitq_is_empty(const struct ae__waitq *queue)
{
    return queue->head == NULL;
}

/* Fill in a waiter for the wait that the caller just began. */
static inline void ae__waiter_init(struct ae__waiter *waiter, struct ae__actor *self,
                                   uint32_t sequence, uint16_t reason)
{
    waiter->next = waiter->prev = NULL;
    waiter->actor = self;
    waiter->sequence = sequence;
    waiter->reason = reason;
    waiter->queued = waiter->handed = false;
    waiter->item = NULL;
    waiter->amount = 0;
}

/* Take the first waiter out of the queue and claim it. NULL: somebody else had claimed it, look at
 * the next. Otherwise its frame stays until the caller releases the object's lock (Q4). */
struct ae__waiter *ae__waitq_claim_head(struct ae__waitq *queue, struct ae__wakes *wakes);

/* The same, until one is won; waiters of `except` (may be NULL) keep their places. NULL: none. */
struct ae__waiter *ae__waitq_claim(struct ae__waitq *queue, const struct ae__actor *except,
                                   struct ae__wakes *wakes);

/* Claim them all. */
void ae__waitq_claim_all(struct ae__waitq *queue, struct ae__wakes *wakes);

/* After the wait, before the waiter's memory goes (Q4). Not under the lock. */
static inline void ae__waitq_settle(struct ae__lock *lock, struct ae__waitq *queue,
                                    struct ae__waiter *waiter)
{
    if (AE_LIKELY(waiter->handed)) return;
    ae__lock_acquire(lock);
    ae__waitq_remove(queue, waiter);
    ae__lock_release(lock);
}

#endif
