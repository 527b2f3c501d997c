/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sorting share. */
#ifndef AE_PAR_SORT_H
#define AE_PAR_SORT_H

#include "par/pool.h"

/* A sort moves items to and fro, so it must not be left in the middle: it runs behind a shield, and
 * a cancel makes it put the items down, in whatever order they have, wherever it is. */
struct ae__sort_stop {
    const struct ae__node *node;   /* of the caller, before the shield */
    _Atomic(bool) stopped;
};

static inline bool ae__sort_stopped(struct ae__sort_stop *stop)
{
    uint32_t bits = atomic_load_explicit(&stop->node->cancelled, memory_order_relaxed);

    if (AE_LIKELY(!(bits & AE__CANCELLED))) return false;
    atomic_store_explicit(&stop->stopped, true, memory_order_relaxed);
    return true;
}

#define AE__RADIX_MAX UINT32_MAX /* items at most: places are 32 bits wide */

/* radix.c: sort n items of `words` words (1 or 2) by the first one, stable; `other` has room for as
 * many. On a par worker, behind a shield. */
void ae__par_radix_sort(struct ae__sort_stop *stop, uint64_t *a, uint64_t *other, size_t n,
                        unsigned words);

/* merge.c: the same by a comparison, of any size. */
struct ae__order {
    ae_par_compare *compare;
    void *arg;
    size_t item_bytes;
};
void ae__par_merge_sort(struct ae__sort_stop *stop, const struct ae__order *order, void *a,
                        void *other, size_t n);

#endif
