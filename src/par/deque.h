/* SPDX-License-Identifier: Apache-2.0 */
/* The split deque: a stack of jobs whose oldest ones others may steal.
 *
 * Origin: van Dijk and van de Pol, "Lace: non-blocking split deque for work-stealing" (2014). A
 * Chase-Lev deque makes its owner pay a store-load barrier for each job it takes back, though
 * hardly any is ever stolen. Here the jobs from `split` on are the owner's alone: it pushes and
 * pops them with plain loads and stores. Those below are public; thieves take them at `tail`. The
 * owner moves the split up when somebody has asked, and down when it has nothing else left.
 *
 *       tail ......... split ......... head          (indices of slots)
 *       stolen <- public    | private -> pushed, popped
 *
 * tail and split are the halves of one word, `shared`.
 *
 * D1  Jobs nest: what is pushed above a job is popped before it. So a job that was stolen means
 *     that all older ones were too, and a deque whose owner waits for a stolen job has nothing in
 *     it.
 * D2  head, and the owner's copy of split, are touched by the owner only. Jobs in [split, head) are
 *     read and written by the owner only.
 * D3  A thief takes job `tail` by a compare-and-swap of the whole word that raises tail, and reads
 *     the slot only after that. So it does not matter if the word had changed and come back: what
 *     it took is public now. The slot stays as it is until the owner has seen DONE in it.
 * D4  Every change of the word but reset is a read-modify-write, so all of them form one release
 *     sequence: the thief's acquire sees the slot as it was when split was raised above it
 *     (release).
 * D5  `asked` is set when the public part is or becomes empty (by the owner that takes the last job
 *     back, by the thief that takes the last one, by one that finds nothing), and makes the next
 *     push or pop of the owner publish the older half of what it has. It is a hint without order: a
 *     thief that sleeps has announced itself before it looked for the last time, and the owner
 *     looks for sleepers after it published (pool.c), both sequentially consistent.
 * D6  State of a slot: IDLE (not stolen), a thief's index + 1, STRAY, DONE. Written by the thief
 *     and in the end by the owner; DONE is a release that hands the result over.
 * D7  The first few jobs of a deque are published as soon as they are pushed (`eager`): an owner
 *     that is in a long half of a join looks at nothing, and jobs that lie that low are long. Small
 *     ones, of which there are many, lie higher. */
#ifndef AE_PAR_DEQUE_H
#define AE_PAR_DEQUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define AE__DEQUE_EAGER 6

#define AE__JOB_IDLE 0u
#define AE__JOB_STRAY 0xfffffffeu /* in the pool's list: its thief would not run it */
#define AE__JOB_DONE 0xffffffffu

struct ae__node;

/* A cache line of its own: the thief writes it while the owner pushes beside it. */
struct ae__job_slot {
    AE_CACHE_ALIGNED int (*fn)(void *arg);
    void *arg;
    struct ae__node *node;         /* innermost scope of who pushed it */
    int result;                    /* of fn; guarded by D6 */
    _Atomic(uint32_t) state;       /* D6 */
    struct ae__job_slot *next;     /* in the list of strays */
    uint32_t owner;                /* of a stray: whose deque it is from */
};

struct ae__deque {
    /* owner only */
    struct ae__job_slot *head;
    struct ae__job_slot *split;    /* the owner's copy */
    struct ae__job_slot *base, *end;
    struct ae__job_slot *eager;    /* D7 */

    /* shared */
    AE_CACHE_ALIGNED _Atomic(uint32_t) asked;
    AE_CACHE_ALIGNED _Atomic(uint64_t) shared; /* split << 32 | tail */
};

static inline uint64_t ae__deque_word(uint32_t tail, uint32_t split)
{
    return (uint64_t)split << 32 | tail;
}

static inline uint32_t ae__deque_tail(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint32_t ae__deque_split(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/* `slots` is cleared memory. */
static inline void ae__deque_init(struct ae__deque *d, struct ae__job_slot *slots, uint32_t count)
{
    d->base = d->head = d->split = slots;
    d->end = slots + count;
    d->eager = slots + AE__DEQUE_EAGER;
    atomic_init(&d->asked, 1);
    atomic_init(&d->shared, 0);
}

static inline uint32_t ae__deque_index(const struct ae__deque *d, const struct ae__job_slot *slot)
{
    return (uint32_t)(slot - d->base);
}

/* ---- owner ---- */

static inline bool ae__deque_asked(struct ae__deque *d)
{
    return atomic_load_explicit(&d->asked, memory_order_relaxed) != 0;
}

static inline bool ae__deque_full(const struct ae__deque *d)
{
    return d->head >= d->end;
}

static inline struct ae__job_slot *ae__deque_push(struct ae__deque *d, int (*fn)(void *), void *arg,
                                                  struct ae__node *node)
{
    struct ae__job_slot *slot = d->head;

    slot->fn = fn; /* D2, D3: nobody else reads it yet, or any more */
    slot->arg = arg;
    slot->node = node;
    d->head = slot + 1;
    return slot;
}

/* Shall the job that was just pushed be published? D5, D7 */
static inline bool ae__deque_must_share(struct ae__deque *d, const struct ae__job_slot *slot)
{
    return ae__deque_asked(d) || slot < d->eager;
}

/* Publish the older half of the private jobs (D5). False: there are none. */
static inline bool ae__deque_share(struct ae__deque *d)
{
    uint32_t count = (uint32_t)(d->head - d->split);

    if (count == 0) return false;
    count = (count + 1) / 2;
    atomic_store_explicit(&d->asked, 0, memory_order_relaxed);
    d->split += count;
    /* release: D4. seq_cst: D5 */
    atomic_fetch_add_explicit(&d->shared, (uint64_t)count << 32, memory_order_seq_cst);
    return true;
}

/* Is the newest job, which is `slot`, still private? Then it is taken by lowering head. */
static inline bool ae__deque_is_private(const struct ae__deque *d, const struct ae__job_slot *slot)
{
    return slot >= d->split;
}

/* Take back the newest job, which is public. False: it was stolen. Head is lowered in any case. */
static inline bool ae__deque_reclaim(struct ae__deque *d, struct ae__job_slot *slot)
{
    uint32_t index = ae__deque_index(d, slot);
    uint64_t word = atomic_load_explicit(&d->shared, memory_order_relaxed);

    do {
        if (ae__deque_tail(word) > index) return false;
        /* acq_rel keeps the release sequence (D4) */
    } while (!atomic_compare_exchange_weak_explicit(
        &d->shared, &word, ae__deque_word(ae__deque_tail(word), index), memory_order_acq_rel,
        memory_order_relaxed));
    d->split = slot;
    if (ae__deque_tail(word) == index) {
        atomic_store_explicit(&d->asked, 1, memory_order_relaxed);
    }
    return true;
}

/* The stolen job `slot` was seen DONE: its slot can be used again. Nobody changes the word
 * meanwhile, since tail == split (D1). */
static inline void ae__deque_reset(struct ae__deque *d, struct ae__job_slot *slot)
{
    uint32_t index = ae__deque_index(d, slot);

    atomic_store_explicit(&slot->state, AE__JOB_IDLE, memory_order_relaxed);
    d->head = d->split = slot;
    atomic_store_explicit(&d->asked, 1, memory_order_relaxed);
    atomic_store_explicit(&d->shared, ae__deque_word(index, index), memory_order_release);
}

/* ---- thieves ---- */

static inline bool ae__deque_has_public(struct ae__deque *d)
{
    uint64_t word = atomic_load_explicit(&d->shared, memory_order_seq_cst); /* D5 */

    return ae__deque_tail(word) < ae__deque_split(word);
}

static inline void ae__deque_ask(struct ae__deque *d)
{
    if (!ae__deque_asked(d)) atomic_store_explicit(&d->asked, 1, memory_order_relaxed);
}

/* The oldest job, or NULL: none is public, and one was asked for. */
static inline struct ae__job_slot *ae__deque_steal(struct ae__deque *d)
{
    uint64_t word = atomic_load_explicit(&d->shared, memory_order_relaxed);

    for (;;) {
        uint32_t tail = ae__deque_tail(word), split = ae__deque_split(word);
        if (tail >= split) {
            ae__deque_ask(d);
            return NULL;
        }
        if (atomic_compare_exchange_weak_explicit(&d->shared, &word,
                                                  ae__deque_word(tail + 1, split),
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            if (tail + 1 == split) ae__deque_ask(d);
            return d->base + tail; /* D3 */
        }
    }
}

#endif
