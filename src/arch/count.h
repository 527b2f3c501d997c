/* SPDX-License-Identifier: Apache-2.0 */
/* A counter that one thread adds to and any thread may read: relaxed, never locked. Compilers make
 * three instructions of the load, the sum and the store (gcc 12 merges no atomics); x86-64 has one
 * for them. Some of these stand in every slice. */
#ifndef AE_ARCH_COUNT_H
#define AE_ARCH_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"

static inline void ae__count(_Atomic(uint64_t) *counter, uint64_t n)
{
    if (!AE_WATCHED) return;
#if defined(__x86_64__) && defined(__LP64__) && !AE_TSAN
    /* An aligned store of eight bytes is whole, and no other thread stores. */
    __asm__("addq %1, %0" : "+m"(*(uint64_t *)counter) : "er"(n) : "cc");
#else
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
#endif
}

#endif
