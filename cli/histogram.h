/* SPDX-License-Identifier: Apache-2.0 */
/* A latency histogram that any thread may add to: 8 steps per doubling, so a quantile is off by at
 * most 1/8. Readers subtract two snapshots to see what came between them. */
#ifndef AETHER_CLI_HISTOGRAM_H
#define AETHER_CLI_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 320 /* to 2^41 ns, which is 36 minutes */

struct histogram {
    _Atomic uint64_t count[HISTOGRAM_BUCKETS];
};

struct histogram_counts {
    uint64_t count[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, int64_t ns);
void histogram_read(struct histogram *histogram, struct histogram_counts *out);

/* The q-quantile (0 to 1) in ns of what was added after `from` and until `to`; 0 if nothing was. */
double histogram_quantile(const struct histogram_counts *from, const struct histogram_counts *to,
                          double q);

#endif
