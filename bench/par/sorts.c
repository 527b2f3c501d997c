/* SPDX-License-Identifier: Apache-2.0 */
/* par-sort: 20 million random u64, as numbers, by a key function, and by a comparison. */
#include "par.h"

#include <stdlib.h>

enum { N = 20000000 };

static uint64_t *keys;

static void prepare(void)
{
    uint64_t state = UINT64_C(88172645463325252);

    if (!keys) keys = par_alloc(N * sizeof(*keys));
    for (size_t i = 0; i < N; i++) {
        keys[i] = par_random(&state);
    }
}

static void verify(void)
{
    for (size_t i = 1; i < N; i++) {
        if (keys[i - 1] > keys[i]) par_check(false, "not sorted");
    }
}

static int sort_numbers(void)
{
    return ae_par_sort_u64(keys, N);
}

static uint64_t key_of(const void *item, void *arg)
{
    (void)arg;
    return *(const uint64_t *)item;
}

static int sort_by_key(void)
{
    return ae_par_sort_by_u64(keys, N, sizeof(*keys), key_of, NULL);
}

static int compare(const void *a, const void *b, void *arg)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    (void)arg;
    return (x > y) - (x < y);
}

static int sort_compared(void)
{
    return ae_par_sort_stable(keys, N, sizeof(*keys), compare, NULL);
}

static int compare_plain(const void *a, const void *b)
{
    return compare(a, b, NULL);
}

static void sort_serial(void)
{
    qsort(keys, N, sizeof(*keys), compare_plain);
}

const struct par_bench par_sorts[] = {
    { "par-sort", 1e6, prepare, sort_numbers, NULL, verify },
    { "par-sort-key", 1e6, prepare, sort_by_key, NULL, verify },
    { "par-sort-cmp", 1e6, prepare, sort_compared, sort_serial, verify },
    { NULL, 0, NULL, NULL, NULL, NULL },
};
