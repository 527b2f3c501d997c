/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks of parallel loops share. */
#ifndef AETHER_BENCH_PAR_H
#define AETHER_BENCH_PAR_H

#include <aether/aether.h>

struct par_bench {
    const char *name;
    double per;               /* ns are divided by this */
    void (*prepare)(void);    /* before each pass, not timed; NULL: nothing */
    int (*parallel)(void);    /* on the pool */
    void (*serial)(void);     /* NULL: none */
    void (*verify)(void);     /* after each pass, not timed; NULL: nothing */
};

extern const struct par_bench par_forks[]; /* each table ends with a NULL name */
extern const struct par_bench par_sorts[];
extern const struct par_bench par_loops[];

/* Ends the process with a message unless `ok`. */
void par_check(bool ok, const char *what);

uint64_t par_random(uint64_t *state);  /* xorshift64, the same numbers in every language */
void *par_alloc(size_t bytes);         /* cleared and touched */

#endif
