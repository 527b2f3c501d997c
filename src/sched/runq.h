/* SPDX-License-Identifier: Apache-2.0 */
/* The local run queue: a ring of 256 that its owner pushes to and pops from, and others steal half
 * of. After Tokio's queue (2019), which took the two-headed index from Go's.
 *
 *   head  uint64: [ steal : 32 | real : 32 ]; real = next to pop. While a thief copies, steal
 *         stays behind at what it took: those slots may not be overwritten yet. Else steal == real.
 *   tail  next to push; written by the owner only.
 *
 * R1  Slots [real, tail) hold tasks, each owned by the ring; [steal, real) are being copied by the
 *     one thief that moved real past them. tail - steal <= 256.
 * R2  Taking is a compare-and-swap on head that moves real: exactly one of owner and thieves gets a
 *     task.
 * R3  The owner's store to a slot comes before its store to tail (release); a thief reads tail
 *     (acquire) before it reads slots.
 * R4  Only one thief at a time copies (steal != real tells the others); it ends by moving steal up
 *     to real (release), which lets the owner use the slots again (acquire in push).
 * R5  The push that makes the ring visible to sleepers is an exchange on tail (sequentially
 *     consistent): pusher "tail, then who sleeps", parker "I sleep, then tail". One sees the
 *     other. */
#ifndef AE_SCHED_RUNQ_H
#define AE_SCHED_RUNQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct ae__task;
struct ae__inject;

#ifndef AE__RUNQ_SIZE
#define AE__RUNQ_SIZE 256u /* a power of two; tests make it small */
#endif

struct ae__runq {
    AE_CACHE_ALIGNED _Atomic(uint64_t) head;
    AE_CACHE_ALIGNED _Atomic(uint32_t) tail;
    _Atomic(uint64_t) overflows; /* how often it was full; the owner counts, any thread reads */
    _Atomic(bool) alone; /* nobody steals here: taking needs no read-modify-write (X3, rescue.c) */
    _Atomic(struct ae__task *) slots[AE__RUNQ_SIZE];
};

/* Owner: add at the tail. Full: half of the ring and the task go to `overflow` in order, which is
 * counted here: who calls this last can jump to it. announce: others may sleep (R5). */
void ae__runq_push(struct ae__runq *q, struct ae__task *task, struct ae__inject *overflow,
                   bool announce);

/* Owner: take from the head. NULL: empty. */
struct ae__task *ae__runq_pop(struct ae__runq *q);

/* Owner: take `task` if it is at the head. */
bool ae__runq_take(struct ae__runq *q, struct ae__task *task);

/* Owner of `into` (which is empty): take half of `from`; one of it is returned, the rest is in
 * `into`. NULL: nothing to have. *taken: how many. */
struct ae__task *ae__runq_steal(struct ae__runq *from, struct ae__runq *into, uint32_t *taken);

/* Any thread; not empty if a push that was announced came before, for re-scans (R5). */
bool ae__runq_is_empty(struct ae__runq *q);

/* Owner, as a hint: the task that is `ahead` places from the head, or NULL. */
struct ae__task *ae__runq_peek(struct ae__runq *q, uint32_t ahead);

/* Owner: how many more fit without overflow (at least). */
uint32_t ae__runq_room(struct ae__runq *q);

/* Any thread, about. */
static inline uint32_t ae__runq_length(struct ae__runq *q)
{
    uint32_t real = (uint32_t)atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t length = atomic_load_explicit(&q->tail, memory_order_relaxed) - real;

    return length <= AE__RUNQ_SIZE ? length : 0;
}

#endif
