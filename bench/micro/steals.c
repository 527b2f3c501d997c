/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is stealing real? One task spawns 20,000 jobs of 10 to 1,000 us of work; the figure is the time
 * they took, divided by what they would take if shared evenly: 1 is ideal, and with AE_STEAL=off
 * it is the number of workers.
 */
#include "micro.h"

enum {
    JOBS = 20000,
};

static int64_t job_us(unsigned number)
{
    return 10 + (int64_t)number * 7919 % 991;
}

static int job(void *arg)
{
    int64_t end = ae_now() + job_us((unsigned)(uintptr_t)arg) * AE_US;

    while (ae_now() < end)
        ;
    return 0;
}

static uint64_t steals_now(void)
{
    ae_metrics metrics = {.size = sizeof(metrics)};

    micro_ok(ae_metrics_get(NULL, &metrics), "metrics");
    return metrics.steals;
}

static double steal(void)
{
    static ae_task *handles[JOBS];
    uint64_t steals = steals_now();
    int64_t start = ae_now();
    int64_t sum_ns = 0;
    double result;

    for (unsigned i = 0; i < JOBS; i++) {
        sum_ns += job_us(i) * AE_US;
        handles[i] = micro_spawn(job, (void *)(uintptr_t)i);
    }
    for (unsigned i = 0; i < JOBS; i++)
        micro_ok(ae_join(handles[i]), "join");
    result = (double)(ae_now() - start) / ((double)sum_ns / micro_workers());
    micro_note("steals", (double)(steals_now() - steals));
    return result;
}

const struct micro micro_steals[] = {
    {"steal", steal, MICRO_COLD},
    {0},
};
