/* SPDX-License-Identifier: Apache-2.0 */
/* The wait word: see wait.h for its states and the invariants W1..W4 cited here. How a claimed or
 * parked actor gets on and off a worker is in worker.c and thread.c, behind seam.h. */
#include "sched/wait.h"

#include "base/assert.h"
#include "sched/seam.h"

#define STATE_MASK UINT64_C(0xff)
#define REASON_SHIFT 16
#define SEQUENCE_SHIFT 32

static unsigned state_of(uint64_t word)
{
    return (unsigned)(word & STATE_MASK);
}

static uint32_t sequence_of(uint64_t word)
{
    return (uint32_t)(word >> SEQUENCE_SHIFT);
}

static uint16_t reason_of(uint64_t word)
{
    return (uint16_t)(word >> REASON_SHIFT);
}

uint32_t ae__wait_begin(struct ae__actor *self, bool cancellable, enum ae__wait_kind kind,
                        const void *object)
{
    uint64_t old = atomic_load_explicit(&self->wait, memory_order_relaxed);
    uint32_t sequence = sequence_of(old) + 1;

    AE_ASSERT(state_of(old) == AE__WAIT_IDLE);
    self->wait_kind = (uint8_t)kind;
    self->wait_object = object;
    uint64_t word = (uint64_t)sequence << SEQUENCE_SHIFT |
                    (cancellable ? AE__WAIT_CANCELLABLE : 0) | AE__WAIT_ARMED;
    /* relaxed: a waker has the sequence from the object's lock, which orders what was written for
     * the wait; a cancel touches none of that. Late claims of the wait before fail by the sequence
     * (W1). */
    atomic_store_explicit(&self->wait, word, memory_order_relaxed);
    return sequence;
}

static uint64_t claimed(uint64_t word, uint16_t reason)
{
    return (word & ~STATE_MASK) | (uint64_t)reason << REASON_SHIFT | AE__WAIT_CLAIMED;
}

/* Claim the word if `want` still holds of it. */
static enum ae__claim claim_word(struct ae__actor *actor, uint64_t word, uint16_t reason,
                                 bool any_sequence, uint32_t sequence)
{
    for (;;) {
        unsigned state = state_of(word);
        if (state != AE__WAIT_ARMED && state != AE__WAIT_PARKED) return AE__CLAIM_LOST;
        if (any_sequence ? !(word & AE__WAIT_CANCELLABLE) : sequence_of(word) != sequence) {
            return AE__CLAIM_LOST;
        }
        /* acquire sees the saved registers of a PARKED one (its commit released them); release
         * hands over what the waker wrote. For W4 the first look is enough: what a failed exchange
         * reads is never older. */
        if (atomic_compare_exchange_weak_explicit(&actor->wait, &word, claimed(word, reason),
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            return state == AE__WAIT_PARKED ? AE__CLAIM_PARKED : AE__CLAIM_ARMED;
        }
    }
}

enum ae__claim ae__wait_claim(struct ae__actor *actor, uint32_t sequence, uint16_t reason)
{
    uint64_t word = atomic_load_explicit(&actor->wait, memory_order_relaxed);

    AE_DEBUG_ASSERT(reason != AE__REASON_NONE);
    return claim_word(actor, word, reason, false, sequence);
}

bool ae__wait_wake(struct ae__actor *actor, uint32_t sequence, uint16_t reason,
                   struct ae__wakes *wakes)
{
    enum ae__claim claim = ae__wait_claim(actor, sequence, reason);

    if (claim == AE__CLAIM_PARKED) ae__wakes_push(wakes, actor);
    return claim != AE__CLAIM_LOST;
}

void ae__wait_cancel(struct ae__actor *actor, struct ae__wakes *wakes)
{
    atomic_fetch_add_explicit(&actor->cancels, 1, memory_order_seq_cst); /* W4 */
    uint64_t word = atomic_load_explicit(&actor->wait, memory_order_seq_cst); /* W4 */

    if (claim_word(actor, word, AE__REASON_CANCEL, true, 0) == AE__CLAIM_PARKED) {
        ae__wakes_push(wakes, actor);
    }
}

uint16_t ae__wait_finish(struct ae__actor *self)
{
    /* acquire pairs with the claim */
    uint64_t word = atomic_load_explicit(&self->wait, memory_order_acquire);

    AE_ASSERT(state_of(word) == AE__WAIT_CLAIMED);
    atomic_store_explicit(&self->wait, (word & ~UINT64_C(0xffffffff)) | AE__WAIT_IDLE,
                          memory_order_relaxed);
    self->wait_kind = AE__WAIT_NONE;
    return reason_of(word);
}

uint16_t ae__wait_abort(struct ae__actor *self)
{
    uint64_t word = atomic_load_explicit(&self->wait, memory_order_relaxed);

    while (state_of(word) == AE__WAIT_ARMED) {
        uint64_t idle = (word & ~UINT64_C(0xffffffff)) | AE__WAIT_IDLE;
        /* relaxed: nobody learns anything from IDLE, and a claim is read again below */
        if (atomic_compare_exchange_weak_explicit(&self->wait, &word, idle, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            self->wait_kind = AE__WAIT_NONE;
            return AE__REASON_NONE;
        }
    }
    return ae__wait_finish(self);
}

/* W4; the actor is PARKED. True: this claimed it for the cancel, the caller makes it ready. */
static bool cancelled_meanwhile(struct ae__actor *actor, uint64_t word, uint32_t seen)
{
    if (AE_LIKELY(atomic_load_explicit(&actor->cancels, memory_order_seq_cst) == seen)) {
        return false;
    }
    return ae__wait_claim(actor, sequence_of(word), AE__REASON_CANCEL) == AE__CLAIM_PARKED;
}

bool ae__wait_commit(struct ae__actor *actor)
{
    uint64_t word = atomic_load_explicit(&actor->wait, memory_order_relaxed);
    uint32_t seen = actor->cancels_seen; /* once PARKED the actor may be in its next wait */

    while (state_of(word) == AE__WAIT_ARMED) {
        /* release: the saved registers, for whoever claims; seq_cst for W4; relaxed when claimed:
         * the owner acquires as it finishes the wait */
        if (atomic_compare_exchange_weak_explicit(&actor->wait, &word,
                                                  (word & ~STATE_MASK) | AE__WAIT_PARKED,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
            return !(word & AE__WAIT_CANCELLABLE) || !cancelled_meanwhile(actor, word, seen);
        }
    }
    AE_ASSERT(state_of(word) == AE__WAIT_CLAIMED);
    return false;
}

void ae__wait_look(struct ae__actor *self)
{
    uint64_t word = atomic_load_explicit(&self->wait, memory_order_relaxed);

    /* W4: the count before the flag; acquire: who sees the count sees the flag */
    self->cancels_seen = atomic_load_explicit(&self->cancels, memory_order_acquire);
    if (AE_UNLIKELY(ae__seam_cancelled(self))) {
        (void)ae__wait_claim(self, sequence_of(word), AE__REASON_CANCEL); /* or it was before */
    }
}

uint16_t ae__wait_park(struct ae__actor *self)
{
    uint64_t word = atomic_load_explicit(&self->wait, memory_order_relaxed);

    AE_DEBUG_ASSERT(state_of(word) != AE__WAIT_IDLE);
    if (word & AE__WAIT_CANCELLABLE) ae__wait_look(self);
    word = atomic_load_explicit(&self->wait, memory_order_relaxed);
    /* Claimed meanwhile: no need to give the worker up. */
    if (state_of(word) != AE__WAIT_CLAIMED) ae__seam_park(self);
    return ae__wait_finish(self);
}
