/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting items by a number that a function gives.
 *
 * The first step of the radix sort moves the items themselves, so that every bucket fits in a
 * cache. There its keys are asked for once more and sorted as pairs of key and place, by which the
 * items go to where they belong. So the keys of all items are never stored at once, and an item of
 * any size moves twice. Stable. */
#include "par/bykey.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "par/radix.h"

struct keyed {
    const struct ae__keyed *items;
    struct ae__sort_stop *stop;
    char *other;
    struct ae__cut cut;
    struct ae__places places;
};

#define AE__ALWAYS_INLINE inline __attribute__((always_inline))

static AE__ALWAYS_INLINE void copy(char *to, const char *from, size_t bytes)
{
    if (bytes == 8) {
        memcpy(to, from, 8);
    } else {
        memcpy(to, from, bytes);
    }
}

static int fold_keys(void *arg, void *acc, size_t begin, size_t end)
{
    const struct ae__keyed *items = arg;
    const char *item = items->base + begin * items->item_bytes;
    struct ae__range *r = acc;
    uint64_t key = items->key(item, items->arg);

    if (!r->any) *r = (struct ae__range){ key, key, key, key, true, true };
    uint64_t low = r->low, high = r->high, before = r->last;
    bool sorted = r->sorted;
    for (size_t i = begin; i < end; i++, item += items->item_bytes) {
        key = items->key(item, items->arg);
        low = key < low ? key : low;
        high = key > high ? key : high;
        sorted &= before <= key;
        before = key;
    }
    *r = (struct ae__range){ low, high, r->first, before, true, sorted };
    return 0;
}

static int count_blocks(void *arg, size_t begin, size_t end)
{
    const struct keyed *k = arg;
    const struct ae__keyed *items = k->items;

    for (size_t block = begin; block < end; block++) {
        uint32_t *counts = ae__block_at(&k->places, block);
        size_t i = block * k->places.block_items, last = ae__block_end(&k->places, block);
        memset(counts, 0, AE__RADIX_BUCKETS * sizeof *counts);
        for (; i < last; i++) {
            uint64_t key = items->key(items->base + i * items->item_bytes, items->arg);
            counts[ae__bucket_of(&k->cut, key)]++;
        }
    }
    return 0;
}

static int move_blocks(void *arg, size_t begin, size_t end)
{
    const struct keyed *k = arg;
    const struct ae__keyed *items = k->items;
    size_t bytes = items->item_bytes;

    for (size_t block = begin; block < end; block++) {
        uint32_t *at = ae__block_at(&k->places, block);
        size_t i = block * k->places.block_items, last = ae__block_end(&k->places, block);
        for (; i < last; i++) {
            const char *item = items->base + i * bytes;
            size_t place = at[ae__bucket_of(&k->cut, items->key(item, items->arg))]++;
            copy(k->other + place * bytes, item, bytes);
        }
    }
    return 0;
}

static int compare_keys(const void *a, const void *b, void *arg)
{
    const struct ae__keyed *items = arg;
    uint64_t x = items->key(a, items->arg), y = items->key(b, items->arg);

    return (x > y) - (x < y);
}

/* Without memory for pairs: slower, in what there is. */
static void sort_in_place(const struct keyed *k, size_t start, size_t n)
{
    size_t bytes = k->items->item_bytes;
    char *to = k->items->base + start * bytes, *from = k->other + start * bytes;
    struct ae__order order = { compare_keys, (void *)k->items, bytes };

    memcpy(to, from, n * bytes);
    ae__par_merge_sort(k->stop, &order, to, from, n);
}

/* n items from `start` of other to the same place of the items. pairs: room for 2 n pairs. */
static void sort_bucket(const struct keyed *k, size_t start, size_t n, uint64_t *pairs)
{
    const struct ae__keyed *items = k->items;
    size_t bytes = items->item_bytes;
    char *to = items->base + start * bytes;
    const char *from = k->other + start * bytes;

    if (n < 2 || ae__sort_stopped(k->stop)) {
        memcpy(to, from, n * bytes);
        return;
    }
    bool carries = bytes <= sizeof *pairs; /* the item itself in place of its place */
    for (size_t i = 0; i < n; i++) {
        pairs[2 * i] = items->key(from + i * bytes, items->arg);
        pairs[2 * i + 1] = i;
        if (carries) copy((char *)&pairs[2 * i + 1], from + i * bytes, bytes);
    }
    ae__par_radix_sort(k->stop, pairs, pairs + 2 * n, n, 2);
    for (size_t i = 0; i < n; i++) {
        const uint64_t *with = &pairs[2 * i + 1];
        copy(to + i * bytes, carries ? (const char *)with : from + *with * bytes, bytes);
    }
}

static size_t largest_of(const struct keyed *k, size_t begin, size_t end)
{
    size_t largest = 1;

    for (size_t i = begin; i < end; i++) {
        size_t n = k->places.starts[i + 1] - k->places.starts[i];
        if (n > largest) largest = n;
    }
    return largest;
}

static int sort_buckets(void *arg, size_t begin, size_t end)
{
    const struct keyed *k = arg;
    uint64_t *pairs = ae__mem_alloc(largest_of(k, begin, end) * 4 * sizeof *pairs);

    for (size_t i = begin; i < end; i++) {
        size_t start = k->places.starts[i], n = k->places.starts[i + 1] - start;
        if (pairs) {
            sort_bucket(k, start, n, pairs);
        } else {
            sort_in_place(k, start, n);
        }
    }
    ae__mem_free(pairs);
    return 0;
}

/* Behind a shield, like all in here: nothing fails. */
static void sort_by_blocks(struct keyed *k)
{
    size_t blocks = k->places.blocks;
    int rc = ae_par_for_grain(0, blocks, 1, 1, count_blocks, k);

    ae__places_set(&k->places, k->cut.buckets);
    if (rc == 0) rc = ae_par_for_grain(0, blocks, 1, 1, move_blocks, k);
    if (rc == 0) rc = ae_par_for(0, k->cut.buckets, sort_buckets, k);
    AE_ASSERT(rc == 0);
}

void ae__par_sort_keyed(struct ae__sort_stop *stop, const struct ae__keyed *items, char *other)
{
    struct keyed k = { .items = items, .stop = stop, .other = other };
    struct ae__range range = { .any = false };
    size_t n = items->n;

    int rc = ae_par_reduce(0, n, &range, sizeof range, fold_keys, ae__merge_range, (void *)items);
    AE_ASSERT(rc == 0);
    if (range.sorted) return;
    if (n < AE__RADIX_PARALLEL || !ae__places_make(&k.places, n)) {
        uint32_t starts[2] = { 0, (uint32_t)n };
        k.places.starts = starts;
        memcpy(other, items->base, n * items->item_bytes);
        (void)sort_buckets(&k, 0, 1);
        return;
    }
    k.cut = ae__cut_for(n, range.low, range.high);
    sort_by_blocks(&k);
    ae__mem_free(k.places.at);
}
