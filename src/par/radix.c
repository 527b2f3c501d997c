/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting by a number: radix sort from the most significant bits down.
 *
 * Each step looks at the range that the keys really have, cuts it into up to 2048 buckets, and
 * leaves buckets that are as small as the square of that or less to the next one; small ones are
 * finished by insertion. So two steps sort twenty million random keys, keys of few bits take fewer,
 * and a step that separates little (keys of very unequal size) has at least narrowed the range: no
 * input takes more than sixteen. The first step, over everything, is done by blocks in parallel;
 * then every bucket is a piece of work of its own, and one that is too large for that is done by
 * blocks again.
 *
 * Items are one word, the key, or two, the key and what came with it. Every step is stable. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "par/radix.h"

enum {
    BITS_MIN = 4,
    INSERTION_MAX = 24,        /* items sorted by insertion */
    BLOCK_ITEMS = 1 << 15,     /* at least, of a parallel step */
    BLOCKS_PER_THREAD = 4,
};

#define AE__ALWAYS_INLINE inline __attribute__((always_inline))

static unsigned bits_of(uint64_t x)
{
    return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

struct ae__cut ae__cut_for(size_t n, uint64_t low, uint64_t high)
{
    unsigned bits = bits_of(n) > 2 ? bits_of(n) - 2 : 0, width = bits_of(high - low);

    if (bits < BITS_MIN) bits = BITS_MIN;
    if (bits > AE__RADIX_BITS) bits = AE__RADIX_BITS;
    unsigned shift = width > bits ? width - bits : 0;
    return (struct ae__cut){ low, shift, (unsigned)((high - low) >> shift) + 1 };
}

/* ---- by one thread; W is the words of an item, a constant in each caller ---- */

static AE__ALWAYS_INLINE void copy_item(uint64_t *to, const uint64_t *from, const unsigned W)
{
    to[0] = from[0];
    if (W == 2) to[1] = from[1];
}

static AE__ALWAYS_INLINE void insertion(uint64_t *a, size_t n, const unsigned W)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t key = a[i * W], with = W == 2 ? a[i * W + 1] : 0;
        size_t at = i;
        for (; at > 0 && a[(at - 1) * W] > key; at--) {
            copy_item(&a[at * W], &a[(at - 1) * W], W);
        }
        a[at * W] = key;
        if (W == 2) a[at * W + 1] = with;
    }
}

static AE__ALWAYS_INLINE void range_of(const uint64_t *a, size_t n, uint64_t *low, uint64_t *high,
                                       const unsigned W)
{
    uint64_t min = a[0], max = a[0];

    for (size_t i = 1; i < n; i++) {
        uint64_t key = a[i * W];
        min = key < min ? key : min;
        max = key > max ? key : max;
    }
    *low = min;
    *high = max;
}

static AE__ALWAYS_INLINE void count_items(const struct ae__cut *cut, const uint64_t *a, size_t n,
                                          uint32_t *counts, const unsigned W)
{
    for (size_t i = 0; i < n; i++) {
        counts[ae__bucket_of(cut, a[i * W])]++;
    }
}

static AE__ALWAYS_INLINE void move_items(const struct ae__cut *cut, const uint64_t *from, size_t n,
                                         uint64_t *to, uint32_t *at, const unsigned W)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t place = at[ae__bucket_of(cut, from[i * W])]++;
        copy_item(&to[(size_t)place * W], &from[i * W], W);
    }
}

/* counts -> starts; the largest count. */
static uint32_t starts_of(uint32_t *counts, unsigned buckets)
{
    uint32_t start = 0, largest = 0;

    for (unsigned i = 0; i < buckets; i++) {
        uint32_t count = counts[i];
        counts[i] = start;
        start += count;
        if (count > largest) largest = count;
    }
    return largest;
}

static void sort_words_1(uint64_t *a, uint64_t *other, size_t n, bool to_other);
static void sort_words_2(uint64_t *a, uint64_t *other, size_t n, bool to_other);

static void sort_words(uint64_t *a, uint64_t *other, size_t n, bool to_other, unsigned W)
{
    if (W == 1) {
        sort_words_1(a, other, n, to_other);
    } else {
        sort_words_2(a, other, n, to_other);
    }
}

/* After a step the buckets stand in `now`, and their ends in `ends`; the result shall be in `now`
 * or in `other`. */
static AE__ALWAYS_INLINE void finish_buckets(uint64_t *now, uint64_t *other, const uint32_t *ends,
                                             unsigned buckets, bool to_other, const unsigned W)
{
    uint32_t start = 0;

    for (unsigned i = 0; i < buckets; start = ends[i++]) {
        size_t count = ends[i] - start;
        if (count > 1 || (count == 1 && to_other)) {
            sort_words(now + (size_t)start * W, other + (size_t)start * W, count, to_other, W);
        }
    }
}

/* Sort a, with `other` as room for as much; the result stands in `other` if to_other. */
static AE__ALWAYS_INLINE void sort_step(uint64_t *a, uint64_t *other, size_t n, bool to_other,
                                        const unsigned W)
{
    uint32_t at[AE__RADIX_BUCKETS];
    uint64_t low = 0, high = 0;

    if (n > INSERTION_MAX) range_of(a, n, &low, &high, W);
    if (low == high) { /* few, or all the same */
        if (n <= INSERTION_MAX) insertion(a, n, W);
        if (to_other) memcpy(other, a, n * W * sizeof *a);
        return;
    }
    struct ae__cut cut = ae__cut_for(n, low, high);
    memset(at, 0, cut.buckets * sizeof *at);
    count_items(&cut, a, n, at, W);
    uint32_t largest = starts_of(at, cut.buckets);
    move_items(&cut, a, n, other, at, W);
    if (cut.shift == 0) { /* one key a bucket */
        if (!to_other) memcpy(a, other, n * W * sizeof *a);
    } else if (largest <= INSERTION_MAX) {
        if (!to_other) memcpy(a, other, n * W * sizeof *a);
        insertion(to_other ? other : a, n, W); /* nothing moves beyond its bucket */
    } else {
        finish_buckets(other, a, at, cut.buckets, !to_other, W);
    }
}

static void sort_words_1(uint64_t *a, uint64_t *other, size_t n, bool to_other)
{
    sort_step(a, other, n, to_other, 1);
}

static void sort_words_2(uint64_t *a, uint64_t *other, size_t n, bool to_other)
{
    sort_step(a, other, n, to_other, 2);
}

/* ---- by all ---- */

struct step {
    struct ae__sort_stop *stop;
    uint64_t *a, *other;
    size_t n;
    unsigned W;
    bool to_other;
    struct ae__cut cut;
    struct ae__places places;
};

static int fold_range(void *arg, void *acc, size_t begin, size_t end)
{
    const struct step *step = arg;
    struct ae__range *r = acc;
    const uint64_t *a = step->a;
    uint64_t low = r->any ? r->low : a[begin * step->W], high = r->any ? r->high : low;
    uint64_t before = r->any ? r->last : low;
    bool sorted = r->any ? r->sorted : true;

    if (!r->any) r->first = low;
    for (size_t i = begin; i < end; i++) {
        uint64_t key = a[i * step->W];
        low = key < low ? key : low;
        high = key > high ? key : high;
        sorted &= before <= key;
        before = key;
    }
    *r = (struct ae__range){ low, high, r->first, before, true, sorted };
    return 0;
}

void ae__merge_range(void *arg, void *left, const void *right)
{
    const struct ae__range *r = right;
    struct ae__range *l = left;

    (void)arg;
    if (!r->any) return;
    l->low = r->low < l->low ? r->low : l->low;
    l->high = r->high > l->high ? r->high : l->high;
    l->sorted = l->sorted && r->sorted && l->last <= r->first;
    l->last = r->last;
}

bool ae__places_make(struct ae__places *places, size_t n)
{
    size_t blocks = n / BLOCK_ITEMS, most = BLOCKS_PER_THREAD * ae_par_workers();

    places->n = n;
    places->blocks = blocks < most ? blocks : most;
    places->block_items = n / places->blocks;
    size_t words = places->blocks * AE__RADIX_BUCKETS + AE__RADIX_BUCKETS + 1;
    places->at = ae__mem_alloc(words * sizeof *places->at);
    places->starts = places->at ? places->at + places->blocks * AE__RADIX_BUCKETS : NULL;
    return places->at != NULL;
}

void ae__places_set(struct ae__places *places, unsigned buckets)
{
    uint32_t start = 0;

    for (unsigned bucket = 0; bucket < buckets; bucket++) {
        places->starts[bucket] = start;
        for (size_t i = 0; i < places->blocks; i++) {
            uint32_t *at = &places->at[i * AE__RADIX_BUCKETS + bucket], count = *at;
            *at = start;
            start += count;
        }
    }
    places->starts[buckets] = start;
}

static int count_blocks(void *arg, size_t begin, size_t end)
{
    const struct step *step = arg;

    for (size_t i = begin; i < end; i++) {
        size_t first = i * step->places.block_items, n = ae__block_end(&step->places, i) - first;
        uint32_t *counts = ae__block_at(&step->places, i);
        const uint64_t *a = step->a + first * step->W;
        memset(counts, 0, AE__RADIX_BUCKETS * sizeof *counts);
        if (step->W == 1) {
            count_items(&step->cut, a, n, counts, 1);
        } else {
            count_items(&step->cut, a, n, counts, 2);
        }
    }
    return 0;
}

static int move_blocks(void *arg, size_t begin, size_t end)
{
    const struct step *step = arg;

    for (size_t i = begin; i < end; i++) {
        size_t first = i * step->places.block_items, n = ae__block_end(&step->places, i) - first;
        uint32_t *at = ae__block_at(&step->places, i);
        const uint64_t *a = step->a + first * step->W;
        if (step->W == 1) {
            move_items(&step->cut, a, n, step->other, at, 1);
        } else {
            move_items(&step->cut, a, n, step->other, at, 2);
        }
    }
    return 0;
}

static void sort_all(struct ae__sort_stop *stop, uint64_t *a, uint64_t *other, size_t n,
                     bool to_other, unsigned W);

/* The buckets stand in `other` now. */
static int sort_buckets(void *arg, size_t begin, size_t end)
{
    const struct step *step = arg;

    for (size_t i = begin; i < end; i++) {
        size_t start = step->places.starts[i], n = step->places.starts[i + 1] - start;
        if (n > 0) {
            sort_all(step->stop, step->other + start * step->W, step->a + start * step->W, n,
                     !step->to_other, step->W);
        }
    }
    return 0;
}

/* Nothing in here fails: the bodies return 0, and cancels are shielded off (sort.c). */
static void sort_by_blocks(struct step *step)
{
    size_t blocks = step->places.blocks;
    int rc = ae_par_for_grain(0, blocks, 1, 1, count_blocks, step);

    ae__places_set(&step->places, step->cut.buckets);
    if (rc == 0) rc = ae_par_for_grain(0, blocks, 1, 1, move_blocks, step);
    if (rc == 0) rc = ae_par_for(0, step->cut.buckets, sort_buckets, step);
    AE_ASSERT(rc == 0);
    ae__mem_free(step->places.at);
}

static void sort_all(struct ae__sort_stop *stop, uint64_t *a, uint64_t *other, size_t n,
                     bool to_other, unsigned W)
{
    struct step step = { .stop = stop, .a = a, .other = other, .n = n, .W = W };
    struct ae__range range = { .any = false };

    step.to_other = to_other;
    if (ae__sort_stopped(stop)) {
        if (to_other) memcpy(other, a, n * W * sizeof *a);
        return;
    }
    if (n >= AE__RADIX_PARALLEL) {
        int rc = ae_par_reduce(0, n, &range, sizeof range, fold_range, ae__merge_range, &step);
        AE_ASSERT(rc == 0);
    }
    if (range.sorted) {
        if (to_other) memcpy(other, a, n * W * sizeof *a);
    } else if (n < AE__RADIX_PARALLEL || !ae__places_make(&step.places, n)) {
        sort_words(a, other, n, to_other, W);
    } else {
        step.cut = ae__cut_for(n, range.low, range.high);
        sort_by_blocks(&step);
    }
}

void ae__par_radix_sort(struct ae__sort_stop *stop, uint64_t *a, uint64_t *other, size_t n,
                        unsigned words)
{
    AE_ASSERT(words == 1 || words == 2);
    AE_ASSERT(n <= AE__RADIX_MAX);
    if (n > 1) sort_all(stop, a, other, n, false, words);
}
