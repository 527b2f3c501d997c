/* SPDX-License-Identifier: Apache-2.0 */
/* What `aether top` knows of a program at one moment (top_read.c), and its drawing (top_draw.c). */
#ifndef AETHER_CLI_TOP_H
#define AETHER_CLI_TOP_H

#include "places.h"

#include <aether/metrics.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TOP_WORKERS 128
#define TOP_VALUES  48
#define TOP_WORDS   32
#define TOP_SITES   64

struct top_value {
    char name[32];
    uint64_t value;
};

struct top_worker {
    char state[16];
    long long task; /* -1: none */
    uint64_t slices, steals, parks, queued, asleep_ns, io_syscalls;
};

struct top_site {
    uint64_t tasks, parked, ready, running;
    char function[512], spawned[512], name[64];
};

/* A spawn site whose tasks held their worker for too long. */
struct top_stall {
    uint64_t count, total_ns, longest_ns;
    char spawned[512], name[64];
};

struct top_frame {
    char version[32], program[64], driver[32];
    struct top_value values[TOP_VALUES];
    struct top_value states[TOP_WORDS], waits[TOP_WORDS];
    struct top_worker workers[TOP_WORKERS];
    struct top_site sites[TOP_SITES];
    struct top_stall stalls[TOP_SITES];
    unsigned values_count, states_count, waits_count, workers_count, sites_count, stalls_count;
    ae_histogram slice, wait;
    bool whole; /* its last line was there */
};

/* Read an answer to `stats`. Places are gathered, to be resolved. */
void top_read(FILE *from, struct places *places, struct top_frame *out);
uint64_t top_get(const struct top_frame *frame, const char *name); /* 0 if it is not there */

/* One picture: what is now, and what happened since `before`. `colour`: with escape sequences. */
void top_draw(const struct top_frame *before, const struct top_frame *now,
              const struct places *places, bool colour, FILE *out);

#endif
