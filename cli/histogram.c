/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram of histogram.h. Bucket 8 k + s holds values from 2^k + s 2^k/8 on, below 8 ns one
 * bucket each. Counts are independent of each other, hence relaxed. */
#include "histogram.h"

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 8) return (unsigned)ns;
    unsigned doubling = 63u - (unsigned)__builtin_clzll(ns);
    unsigned step = (unsigned)(ns >> (doubling - 3)) & 7;
    unsigned bucket = (doubling - 2) * 8 + step;

    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The middle of a bucket. */
static double value_of(unsigned bucket)
{
    if (bucket < 8) return bucket;
    double width = (double)(UINT64_C(1) << (bucket / 8 - 1));
    return width * (8 + bucket % 8) + width / 2;
}

void histogram_add(struct histogram *histogram, int64_t ns)
{
    unsigned bucket = bucket_of(ns > 0 ? (uint64_t)ns : 0);

    atomic_fetch_add_explicit(&histogram->count[bucket], 1, memory_order_relaxed);
}

void histogram_read(struct histogram *histogram, struct histogram_counts *out)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        out->count[i] = atomic_load_explicit(&histogram->count[i], memory_order_relaxed);
    }
}

double histogram_quantile(const struct histogram_counts *from, const struct histogram_counts *to,
                          double q)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) total += to->count[i] - from->count[i];
    if (total == 0) return 0;

    uint64_t rank = (uint64_t)(q * (double)(total - 1));
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += to->count[i] - from->count[i];
        if (seen > rank) return value_of(i);
    }
    return value_of(HISTOGRAM_BUCKETS - 1);
}
