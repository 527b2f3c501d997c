/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a radix sort, for those that sort words (radix.c) and items by key (bykey.c). */
#ifndef AE_PAR_RADIX_H
#define AE_PAR_RADIX_H

#include "par/sort.h"

#define AE__RADIX_BITS 11
#define AE__RADIX_BUCKETS (1 << AE__RADIX_BITS)
#define AE__RADIX_PARALLEL (1 << 17) /* fewer items are sorted by one thread */

/* How a step cuts the keys up. */
struct ae__cut {
    uint64_t low;
    unsigned shift, buckets;
};

/* For n keys in [low, high], low < high. */
struct ae__cut ae__cut_for(size_t n, uint64_t low, uint64_t high);

static inline unsigned ae__bucket_of(const struct ae__cut *cut, uint64_t key)
{
    return (unsigned)((key - cut->low) >> cut->shift);
}

/* Of the keys in a stretch of items. */
struct ae__range {
    uint64_t low, high;
    uint64_t first, last;
    bool any, sorted;
};

void ae__merge_range(void *arg, void *left, const void *right);

/* Where each block of items puts those of each bucket. */
struct ae__places {
    size_t n, blocks, block_items;
    uint32_t *at;            /* for each block and bucket: the count, then the place */
    uint32_t *starts;        /* of buckets; one more than there are */
};

bool ae__places_make(struct ae__places *places, size_t n); /* false: no memory */
/* From counts to places: buckets in order, in each of them the blocks in order. */
void ae__places_set(struct ae__places *places, unsigned buckets);

static inline uint32_t *ae__block_at(const struct ae__places *places, size_t block)
{
    return places->at + block * AE__RADIX_BUCKETS;
}

static inline size_t ae__block_end(const struct ae__places *places, size_t block)
{
    return block + 1 == places->blocks ? places->n : (block + 1) * places->block_items;
}

#endif
