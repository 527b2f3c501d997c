/* SPDX-License-Identifier: Apache-2.0 */
/* A lock for critical sections of a few dozen instructions, none of which suspends. Taken and
 * released by the same thread. One read-modify-write to take, a plain store to release. */
#ifndef AE_TASK_LOCK_H
#define AE_TASK_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"

struct ae__lock {
    _Atomic(uint32_t) word; /* 1 = held */
};

/* Waits, spinning first and then giving up its time slices: the holder may be descheduled. */
void ae__lock_slow(struct ae__lock *lock);

static inline void ae__lock_acquire(struct ae__lock *lock)
{
    /* acquire pairs with the release in ae__lock_release */
    if (AE_UNLIKELY(atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) != 0)) {
        ae__lock_slow(lock);
    }
}

static inline void ae__lock_release(struct ae__lock *lock)
{
    atomic_store_explicit(&lock->word, 0, memory_order_release);
}

#endif
