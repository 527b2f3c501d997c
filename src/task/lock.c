/* SPDX-License-Identifier: Apache-2.0 */
/* See lock.h. */
#include "task/lock.h"

#include "arch/os.h"

#ifndef AE__LOCK_SPINS
#define AE__LOCK_SPINS 100 /* tests make it small */
#endif

void ae__lock_slow(struct ae__lock *lock)
{
    for (unsigned i = 0;; i++) {
        while (atomic_load_explicit(&lock->word, memory_order_relaxed) != 0) {
            if (++i % AE__LOCK_SPINS == 0) {
                ae__os_thread_yield();
            } else {
                ae__cpu_relax();
            }
        }
        /* acquire pairs with the release in ae__lock_release */
        if (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) == 0) return;
    }
}
