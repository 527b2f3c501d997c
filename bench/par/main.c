/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aether's side of the benchmarks of parallel loops: `aether_par BENCH WORKERS`, and the same work
 * without any library: `aether_par BENCH 0`.
 *
 * A warm-up pass, then five; their median is printed as one JSON object. Every pass checks its
 * result. The sizes are the same in bench/peers/rust/src/bin/rayon_par.rs: change them together.
 */
#include "par.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 5 };

static const struct par_bench *const tables[] = { par_forks, par_sorts, par_loops };

void par_check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "aether_par: %s\n", what);
    exit(1);
}

uint64_t par_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}

void *par_alloc(size_t bytes)
{
    void *memory = malloc(bytes);

    par_check(memory != NULL, "no memory");
    memset(memory, 0, bytes);
    return memory;
}

static const struct par_bench *find(const char *name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct par_bench *bench = tables[i]; bench->name; bench++) {
            if (strcmp(bench->name, name) == 0) return bench;
        }
    }
    return NULL;
}

struct run {
    const struct par_bench *bench;
    ae_par_pool *pool; /* NULL: serial */
    double taken[PASSES];
};

static int pass(void *arg)
{
    const struct par_bench *bench = arg;

    return bench->parallel();
}

static double timed(struct run *run)
{
    const struct par_bench *bench = run->bench;
    int rc = 0;

    if (bench->prepare) bench->prepare();
    int64_t start_ns = ae_now();
    if (run->pool) {
        rc = ae_par_run(run->pool, pass, (void *)bench);
    } else {
        bench->serial();
    }
    int64_t taken_ns = ae_now() - start_ns;
    par_check(rc == 0, ae_strerror(rc));
    if (bench->verify) bench->verify();
    return (double)taken_ns / bench->per;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The first task of a runtime, so that the calls are those of a task: it is suspended meanwhile. */
static int run_passes(void *arg)
{
    struct run *run = arg;

    (void)timed(run);
    for (int i = 0; i < PASSES; i++) {
        run->taken[i] = timed(run);
    }
    qsort(run->taken, PASSES, sizeof(run->taken[0]), compare);
    printf("{\"value\": %.4f}\n", run->taken[PASSES / 2]);
    return 0;
}

int main(int argc, char **argv)
{
    struct run run = { .bench = argc == 3 ? find(argv[1]) : NULL };
    ae_config config = { AE_CONFIG, .workers = 1 };
    ae_par_config par = { .size = sizeof(par) };

    if (!run.bench) {
        fprintf(stderr, "usage: aether_par BENCH WORKERS\n");
        return 2;
    }
    par.workers = (unsigned)strtoul(argv[2], NULL, 10);
    if (par.workers) {
        par_check(ae_par_pool_create(&par, &run.pool) == 0, "no pool");
    } else {
        par_check(run.bench->serial != NULL, "no serial form");
    }
    int rc = ae_run(&config, run_passes, &run);
    ae_par_pool_destroy(run.pool);
    return rc ? 1 : 0;
}
