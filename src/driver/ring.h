/* SPDX-License-Identifier: Apache-2.0 */
/* A thin layer over io_uring's three system calls: set up, restrict, submit, wait, reap. It knows
 * rings, not tasks. The packaged liburing and kernel headers lack much of what matters, so what is
 * newer than Linux 6.1 has its constants in ring.c. */
#ifndef AE_DRIVER_RING_H
#define AE_DRIVER_RING_H

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ae__ring {
    /* set once */
    int fd;                       /* -1: not open */
    unsigned setup_flags;
    uint32_t features;
    const char *lost;             /* what the kernel had no flag for; NULL: nothing */
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    uint32_t sq_entries, sq_mask, cq_mask;
    void *map;
    size_t map_bytes, sqes_bytes;

    /* owner thread */
    int enter_fd;                 /* fd, or its index among the thread's registered rings */
    unsigned enter_flags;
    bool enabled;
    uint32_t sq_tail;             /* prepared so far; the kernel may not know yet */

    /* shared with the kernel */
    _Atomic(uint32_t) *ksq_head, *ksq_tail, *ksq_flags;
    _Atomic(uint32_t) *kcq_head, *kcq_tail, *kcq_overflow;
};

/* Make a ring that is still disabled. 0 or an errno value (negative); `why` then says what failed,
 * for people. ENOSYS: no io_uring; EPERM: forbidden; EINVAL: kernel before 6.1. */
int ae__ring_open(struct ae__ring *ring, unsigned entries, unsigned cq_entries, const char **why);
void ae__ring_close(struct ae__ring *ring);

/* Has the kernel all of these opcodes? Disabled or not. 0, -EOPNOTSUPP, or the error of asking. */
int ae__ring_probe(const struct ae__ring *ring, const uint8_t *ops, unsigned count);
/* From ae__ring_enable on nothing but these opcodes is accepted. 0 or an error. */
int ae__ring_restrict(const struct ae__ring *ring, const uint8_t *ops, unsigned count);
/* The calling thread becomes the owner, the only one that may enter. 0 or an error. stays: it keeps
 * the ring to its own end. */
int ae__ring_enable(struct ae__ring *ring, bool stays);

/* The rest: the owner only. */

/* Buffers that the kernel chooses from, of group 0: a ring of so many (a power of two), page
 * aligned and cleared. 0 or an error. */
int ae__ring_provide(struct ae__ring *ring, struct io_uring_buf_ring *buffers, unsigned count);

/* A cleared entry to fill in, with its place among the entries; NULL: the queue is full. */
struct io_uring_sqe *ae__ring_next(struct ae__ring *ring, uint32_t *place);
/* Submit what was prepared. wait: until a completion is there, or rest_ns is over (< 0: no end).
 * reap: let the kernel post what is ready. 0 or an errno value; what was not taken stays. */
int ae__ring_submit(struct ae__ring *ring);
int ae__ring_reap(struct ae__ring *ring);
int ae__ring_wait(struct ae__ring *ring, int64_t rest_ns);
/* The same until `wanted` are there: those that the submission itself completes count. */
int ae__ring_wait_for(struct ae__ring *ring, unsigned wanted, int64_t rest_ns);
/* The same, but once patience_us are over any number will do, also if it came before (Linux 6.12:
 * ask first). rest_ns: at least 0. */
bool ae__ring_has_patience(const struct ae__ring *ring);
int ae__ring_wait_some(struct ae__ring *ring, unsigned wanted, uint32_t patience_us,
                       int64_t rest_ns);

/* Entries that the kernel has not seen yet. */
static inline uint32_t ae__ring_pending(const struct ae__ring *ring)
{
    /* acquire: the kernel has read an entry when it moves past it */
    return ring->sq_tail - atomic_load_explicit(ring->ksq_head, memory_order_acquire);
}

/* Has the kernel completions that it posts only when it is entered? */
static inline bool ae__ring_kernel_has_more(const struct ae__ring *ring)
{
    unsigned flags = atomic_load_explicit(ring->ksq_flags, memory_order_relaxed);
    return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Completions that are there and not taken. */
static inline uint32_t ae__ring_ready(const struct ae__ring *ring)
{
    return atomic_load_explicit(ring->kcq_tail, memory_order_relaxed) -
           atomic_load_explicit(ring->kcq_head, memory_order_relaxed);
}

/* Take one completion. False: none is there. */
static inline bool ae__ring_pop(struct ae__ring *ring, struct io_uring_cqe *out)
{
    uint32_t head = atomic_load_explicit(ring->kcq_head, memory_order_relaxed);

    /* acquire pairs with the kernel's release after it wrote the entry */
    if (head == atomic_load_explicit(ring->kcq_tail, memory_order_acquire)) return false;
    *out = ring->cqes[head & ring->cq_mask];
    /* release: the entry was read before the kernel may use it again */
    atomic_store_explicit(ring->kcq_head, head + 1, memory_order_release);
    return true;
}

#endif
