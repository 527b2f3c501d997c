/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping tasks, and jobs on the blocking pool. */
#include "micro.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SLEEPERS = 1000000,
    SLEEP_SPREAD_MS = 100,
    BLOCKING_SEQ = 5000,
    BLOCKING_MANY = 200000,
    WORKERS_MAX = 64,
};

static int sleeper(void *arg)
{
    int64_t ms = 1 + (int64_t)((uintptr_t)arg % SLEEP_SPREAD_MS);

    micro_ok(ae_sleep(ms * AE_MS), "sleep");
    return 1;
}

static double sleep_1m(void)
{
    int64_t start = ae_now();
    ae_task **handles = malloc(SLEEPERS * sizeof(handles[0]));
    int woken = 0;
    double result;

    micro_check(handles != NULL, "no memory");
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        handles[i] = micro_spawn(sleeper, (void *)i);
    for (size_t i = 0; i < SLEEPERS; i++)
        woken += ae_join(handles[i]);
    result = micro_per_op(start, SLEEPERS);
    free(handles);
    micro_check(woken == SLEEPERS, "sleep-1m: a task did not wake");
    micro_note("woken", woken);
    return result;
}

static int low_bit(void *arg)
{
    return (int)((uintptr_t)arg & 1);
}

static double blocking_seq(void)
{
    int64_t start = ae_now();
    unsigned sum = 0;

    for (uintptr_t i = 0; i < BLOCKING_SEQ; i++)
        sum += (unsigned)ae_blocking(low_bit, (void *)i);
    micro_check(sum == BLOCKING_SEQ / 2, "blocking-seq: a result was lost");
    return micro_per_op(start, BLOCKING_SEQ);
}

/* The workers' threads, found by one task for each that holds its worker until all have begun. */
struct census {
    atomic_uint arrived;
    pthread_t threads[WORKERS_MAX];
};

static int stand_up(void *arg)
{
    struct census *census = arg;
    unsigned slot = atomic_fetch_add(&census->arrived, 1);
    int64_t give_up = ae_now() + AE_SEC;

    census->threads[slot] = pthread_self();
    while (atomic_load(&census->arrived) < micro_workers() && ae_now() < give_up)
        ;
    return 0;
}

static void take_census(struct census *census)
{
    ae_task *tasks[WORKERS_MAX];

    micro_check(micro_workers() <= WORKERS_MAX, "too many workers");
    atomic_store(&census->arrived, 0);
    for (unsigned i = 0; i < micro_workers(); i++)
        tasks[i] = micro_spawn(stand_up, census);
    for (unsigned i = 0; i < micro_workers(); i++)
        micro_ok(ae_join(tasks[i]), "join");
}

static int record_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 1;
}

static void check_threads(const struct census *census, const pthread_t *ran_on)
{
    for (size_t i = 0; i < BLOCKING_MANY; i++) {
        for (unsigned w = 0; w < micro_workers(); w++)
            micro_check(!pthread_equal(ran_on[i], census->threads[w]),
                        "blocking-many: a job ran on a worker's thread");
    }
}

static double blocking_many(void)
{
    static struct census census;
    static pthread_t ran_on[BLOCKING_MANY];
    static ae_task *handles[BLOCKING_MANY];
    int64_t start;
    int done = 0;
    double result;

    take_census(&census);
    start = ae_now();
    for (size_t i = 0; i < BLOCKING_MANY; i++) {
        handles[i] = ae_spawn_blocking(record_thread, &ran_on[i]);
        micro_check(handles[i] != NULL, "blocking-many: not taken");
    }
    for (size_t i = 0; i < BLOCKING_MANY; i++)
        done += ae_join(handles[i]);
    result = micro_per_op(start, BLOCKING_MANY);
    micro_check(done == BLOCKING_MANY, "blocking-many: a job was lost");
    check_threads(&census, ran_on);
    return result;
}

const struct micro micro_waits[] = {
    {"sleep-1m", sleep_1m, MICRO_TIMED},
    {"blocking-seq", blocking_seq, MICRO_TIMED},
    {"blocking-many", blocking_many, MICRO_TIMED},
    {0},
};
