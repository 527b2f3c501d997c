/* SPDX-License-Identifier: Apache-2.0 */
/* Switching, yielding, spawning and joining. */
#include "micro.h"

#include <stdlib.h>

enum {
    TASKS_MAX = 10000,
    SPAWN_SEQ = 200000,
    SPAWN_MANY = 1000000,
};

static int yielder(void *arg)
{
    for (uintptr_t left = (uintptr_t)arg; left > 0; left--)
        ae_yield();
    return 0;
}

static double yields(unsigned tasks, unsigned each)
{
    static ae_task *handles[TASKS_MAX];
    int64_t start = ae_now();

    for (unsigned i = 0; i < tasks; i++)
        handles[i] = micro_spawn(yielder, (void *)(uintptr_t)each);
    for (unsigned i = 0; i < tasks; i++)
        micro_ok(ae_join(handles[i]), "join");
    return micro_per_op(start, (uint64_t)tasks * each);
}

/* Two tasks on one worker: each yield is one switch to the other, through the scheduler. */
static double switch_two(void)
{
    return yields(2, 500000);
}

static double yield_1(void)
{
    return yields(1, 1000000);
}

static double yield_16(void)
{
    return yields(16, 100000);
}

static double yield_10k(void)
{
    return yields(TASKS_MAX, 200);
}

static int low_bit(void *arg)
{
    return (int)((uintptr_t)arg & 1);
}

static double spawn_join_seq(void)
{
    int64_t start = ae_now();
    unsigned sum = 0;

    for (uintptr_t i = 0; i < SPAWN_SEQ; i++)
        sum += (unsigned)ae_join(micro_spawn(low_bit, (void *)i));
    micro_check(sum == SPAWN_SEQ / 2, "spawn-join-seq: a result was lost");
    return micro_per_op(start, SPAWN_SEQ);
}

/* A million handles alive before the first is joined. */
static double spawn_join_many(void)
{
    int64_t start = ae_now();
    ae_task **handles = malloc(SPAWN_MANY * sizeof(handles[0]));
    unsigned sum = 0;

    micro_check(handles != NULL, "no memory");
    for (uintptr_t i = 0; i < SPAWN_MANY; i++)
        handles[i] = micro_spawn(low_bit, (void *)i);
    for (size_t i = 0; i < SPAWN_MANY; i++)
        sum += (unsigned)ae_join(handles[i]);
    free(handles);
    micro_check(sum == SPAWN_MANY / 2, "spawn-join-many: a result was lost");
    return micro_per_op(start, SPAWN_MANY);
}

const struct micro micro_tasks[] = {
    {"switch", switch_two, MICRO_TIMED},
    {"yield-1", yield_1, MICRO_TIMED},
    {"yield-16", yield_16, MICRO_TIMED},
    {"yield-10k", yield_10k, MICRO_TIMED},
    {"spawn-join-seq", spawn_join_seq, MICRO_TIMED},
    {"spawn-join-many", spawn_join_many, MICRO_TIMED},
    {0},
};
