/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the task benchmarks share. A benchmark is a pass: it runs in the runtime's first task,
 * does a fixed amount of work, checks that none was lost, and returns nanoseconds per operation
 * (or bytes per task). The sizes are the same in bench/peers: change them together.
 */
#ifndef AETHER_BENCH_MICRO_H
#define AETHER_BENCH_MICRO_H

#include <aether/aether.h>

enum micro_kind {
    MICRO_TIMED, /* a warm-up pass comes before the pass that is reported */
    MICRO_COLD,  /* it does not: it would fill free lists and hide the memory */
};

struct micro {
    const char *name;
    double (*pass)(void);
    enum micro_kind kind;
};

extern const struct micro micro_tasks[];    /* each table ends with a NULL name */
extern const struct micro micro_channels[];
extern const struct micro micro_waits[];
extern const struct micro micro_memory[];
extern const struct micro micro_steals[];

/* The workers of the runtime that runs the pass. */
unsigned micro_workers(void);

/* Nanoseconds since `start_ns`, divided by the operations done. */
double micro_per_op(int64_t start_ns, uint64_t ops);

/* Ends the process with a message unless `ok`; a lost task or item must not look like speed. */
void micro_check(bool ok, const char *what);

/* The same for a result of 0 or -errno. */
void micro_ok(int rc, const char *what);

/* Spawns or ends the process. */
ae_task *micro_spawn(ae_fn *fn, void *arg);

/* Adds `"key": value` to the line that is printed. */
void micro_note(const char *key, double value);

/* A line of /proc/self/status, in bytes. */
double micro_status(const char *key);

#endif
