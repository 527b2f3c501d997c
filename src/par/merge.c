/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting by a comparison: merge sort, stable, with merges that work from both ends.
 *
 * What a comparison costs is mostly the wrong guess of the branch that follows it, and waiting for
 * its result before the next one can begin. So a merge takes no branch: the result picks the item
 * by arithmetic; and it fills its output from the front and from the back in turn, which are two
 * chains that do not wait for each other. As long as both inputs have k items left, k steps from
 * each end need no check for an end. (Parity merging, as in van den Hoven's quadsort, 2020.)
 *
 * Halves are sorted by two threads at once, and large merges are cut in two where the middle of the
 * longer input belongs in the shorter one. The item size is a constant in the common cases.
 *
 * A comparison that is no order gives some permutation: no step looks beyond its inputs. */
#include <string.h>

#include "base/assert.h"
#include "par/sort.h"

enum {
    RUN = 8,              /* items sorted by insertion */
    SERIAL_ITEMS = 4096,  /* fewer are sorted by one thread */
    MERGE_ITEMS = 16384,  /* fewer are merged by one thread */
};

#define AE__ALWAYS_INLINE inline __attribute__((always_inline))

/* S is the size of an item, a constant but in the last one of the SIZED functions. */

static AE__ALWAYS_INLINE bool less(const struct ae__order *o, const char *a, const char *b)
{
    return o->compare(a, b, o->arg) < 0;
}

/* All ones if a is less, else 0. Compilers make branches of conditions, but not of masks. */
static AE__ALWAYS_INLINE uintptr_t less_mask(const struct ae__order *o, const char *a,
                                             const char *b)
{
    return (uintptr_t)0 - ((unsigned)o->compare(a, b, o->arg) >> 31);
}

/* b where the mask is set, else a. */
static AE__ALWAYS_INLINE const char *pick(const char *a, const char *b, uintptr_t mask)
{
    return a + ((ptrdiff_t)(((uintptr_t)b - (uintptr_t)a) & mask));
}

/* The right one goes first only if it is less. */
static AE__ALWAYS_INLINE void merge_front(const struct ae__order *o, const char **left,
                                          const char **right, char *out, const size_t S)
{
    const char *l = *left, *r = *right;
    uintptr_t take_right = less_mask(o, r, l);

    memcpy(out, pick(l, r, take_right), S);
    *right = r + (S & take_right);
    *left = l + (S & ~take_right);
}

/* Ends point behind the last item. The left one goes last only if the right one is less. */
static AE__ALWAYS_INLINE void merge_back(const struct ae__order *o, const char **left_end,
                                         const char **right_end, char *out, const size_t S)
{
    const char *l = *left_end - S, *r = *right_end - S;
    uintptr_t take_left = less_mask(o, r, l);

    memcpy(out, pick(r, l, take_left), S);
    *left_end = l + (S & ~take_left);
    *right_end = r + (S & take_left);
}

/* Merge nl + nr items to `out`, which is elsewhere. */
static AE__ALWAYS_INLINE void merge_items(const struct ae__order *o, const char *left, size_t nl,
                                          const char *right, size_t nr, char *out, const size_t S)
{
    const char *left_end = left + nl * S, *right_end = right + nr * S;
    char *out_end = out + (nl + nr) * S;

    while (left < left_end && right < right_end) {
        const char *l = left, *l_end = left_end, *r = right, *r_end = right_end;
        size_t k = (size_t)(left_end - left), kr = (size_t)(right_end - right);
        k = k < kr ? k : kr;
        for (size_t i = 0; i < k; i += S) {
            merge_front(o, &l, &r, out + i, S);
            merge_back(o, &l_end, &r_end, out_end - i - S, S);
        }
        if (AE_UNLIKELY(l > l_end || r > r_end)) break; /* no order: both took the same item */
        out += k;
        out_end -= k;
        left = l, left_end = l_end;
        right = r, right_end = r_end;
    }
    memcpy(out, left, (size_t)(left_end - left));
    memcpy(out + (left_end - left), right, (size_t)(right_end - right));
}

static AE__ALWAYS_INLINE void insertion(const struct ae__order *o, char *a, size_t n, char *item,
                                        const size_t S)
{
    for (size_t i = 1; i < n; i++) {
        char *at = a + i * S;
        if (!less(o, at, at - S)) continue;
        memcpy(item, at, S);
        do {
            memcpy(at, at - S, S);
            at -= S;
        } while (at > a && less(o, item, at - S));
        memcpy(at, item, S);
    }
}

typedef void sort_fn(const struct ae__order *o, char *a, char *other, size_t n, bool to_other);
typedef void merge_fn(const struct ae__order *o, const char *left, size_t nl, const char *right,
                      size_t nr, char *out);

/* In order already? Then nothing is compared. */
static AE__ALWAYS_INLINE void merge_halves(const struct ae__order *o, const char *from, size_t half,
                                           size_t n, char *to, const size_t S)
{
    if (!less(o, from + half * S, from + (half - 1) * S)) {
        memcpy(to, from, n * S);
    } else {
        merge_items(o, from, half, from + half * S, n - half, to, S);
    }
}

/* Sort a, with `other` as room for as much; the result stands in `other` if to_other. */
static AE__ALWAYS_INLINE void sort_items(const struct ae__order *o, char *a, char *other, size_t n,
                                         bool to_other, const size_t S, sort_fn *again)
{
    size_t half = n / 2;

    if (n <= RUN) {
        insertion(o, a, n, other, S);
        if (to_other) memcpy(other, a, n * S);
        return;
    }
    again(o, a, other, half, !to_other);
    again(o, a + half * S, other + half * S, n - half, !to_other);
    merge_halves(o, to_other ? a : other, half, n, to_other ? other : a, S);
}

#define SIZED(name, S)                                                                             \
    static void sort_##name(const struct ae__order *o, char *a, char *other, size_t n,             \
                            bool to_other)                                                         \
    {                                                                                              \
        sort_items(o, a, other, n, to_other, (S), sort_##name);                                    \
    }                                                                                              \
    static void merge_##name(const struct ae__order *o, const char *left, size_t nl,               \
                             const char *right, size_t nr, char *out)                              \
    {                                                                                              \
        merge_items(o, left, nl, right, nr, out, (S));                                             \
    }

SIZED(4, 4)
SIZED(8, 8)
SIZED(16, 16)
SIZED(any, o->item_bytes)

/* ---- in parallel ---- */

struct sort {
    struct ae__sort_stop *stop;
    struct ae__order order;
    sort_fn *sort;
    merge_fn *merge;
};

struct merge_job {
    struct sort *sort;
    const char *left, *right;
    size_t nl, nr;
    char *out;
};

/* How many of n items are less than `item` (or_equal: not greater). */
static size_t count_before(const struct ae__order *o, const char *items, size_t n, const char *item,
                           bool or_equal)
{
    size_t low = 0;

    while (n > 0) {
        size_t half = n / 2;
        const char *at = items + (low + half) * o->item_bytes;
        bool before = or_equal ? !less(o, item, at) : less(o, at, item);
        low += before ? half + 1 : 0;
        n = before ? n - half - 1 : half;
    }
    return low;
}

/* Cut both inputs so that all of the first parts goes before all of the second ones. */
static void cut_merge(const struct merge_job *job, struct merge_job *first,
                      struct merge_job *second)
{
    const struct ae__order *o = &job->sort->order;
    size_t size = o->item_bytes, nl = job->nl / 2, nr = job->nr / 2;

    if (job->nl >= job->nr) {
        nr = count_before(o, job->right, job->nr, job->left + nl * size, false);
    } else {
        nl = count_before(o, job->left, job->nl, job->right + nr * size, true);
    }
    *first = (struct merge_job){ job->sort, job->left, job->right, nl, nr, job->out };
    *second = (struct merge_job){ job->sort,         job->left + nl * size,
                                  job->right + nr * size, job->nl - nl,
                                  job->nr - nr,      job->out + (nl + nr) * size };
}

static int run_merge(void *arg)
{
    struct merge_job *job = arg, first, second;
    const struct sort *sort = job->sort;
    size_t size = sort->order.item_bytes;

    if (ae__sort_stopped(sort->stop)) {
        memcpy(job->out, job->left, job->nl * size);
        memcpy(job->out + job->nl * size, job->right, job->nr * size);
        return 0;
    }
    if (job->nl + job->nr < MERGE_ITEMS) {
        sort->merge(&sort->order, job->left, job->nl, job->right, job->nr, job->out);
        return 0;
    }
    cut_merge(job, &first, &second);
    return ae_par_join(run_merge, &first, run_merge, &second);
}

struct sort_job {
    struct sort *sort;
    char *a, *other;
    size_t n;
    bool to_other;
};

static int run_sort(void *arg)
{
    struct sort_job *job = arg;
    struct sort *sort = job->sort;
    size_t size = sort->order.item_bytes, half = job->n / 2;

    if (ae__sort_stopped(sort->stop)) {
        if (job->to_other) memcpy(job->other, job->a, job->n * size);
        return 0;
    }
    if (job->n <= SERIAL_ITEMS) {
        sort->sort(&sort->order, job->a, job->other, job->n, job->to_other);
        return 0;
    }
    struct sort_job left = { sort, job->a, job->other, half, !job->to_other };
    struct sort_job right = { sort, job->a + half * size, job->other + half * size, job->n - half,
                              !job->to_other };
    int rc = ae_par_join(run_sort, &left, run_sort, &right);
    AE_ASSERT(rc == 0);
    const char *from = job->to_other ? job->a : job->other;
    struct merge_job merge = { sort, from, from + half * size, half, job->n - half,
                               job->to_other ? job->other : job->a };
    return run_merge(&merge);
}

void ae__par_merge_sort(struct ae__sort_stop *stop, const struct ae__order *order, void *a,
                        void *other, size_t n)
{
    struct sort sort = { stop, *order, sort_any, merge_any };
    struct sort_job job = { &sort, a, other, n, false };

    if (order->item_bytes == 4) sort.sort = sort_4, sort.merge = merge_4;
    if (order->item_bytes == 8) sort.sort = sort_8, sort.merge = merge_8;
    if (order->item_bytes == 16) sort.sort = sort_16, sort.merge = merge_16;
    int rc = run_sort(&job);
    AE_ASSERT(rc == 0);
}
