/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a running runtime. Totals since its start unless called "now". */
#ifndef AETHER_METRICS_H
#define AETHER_METRICS_H

#include <aether/blocking.h>
#include <aether/defs.h>
#include <aether/run.h>

AE_EXTERN_C_BEGIN

/* One lane of the blocking pool. */
typedef struct ae_lane_metrics {
    uint64_t threads;        /* now */
    uint64_t idle;           /* now */
    uint64_t queued;         /* now */
    uint64_t jobs;           /* finished */
    uint64_t refused;        /* the queue was full, or there was no thread */
    uint64_t cancelled;      /* before they began */
    uint64_t start_failures; /* threads that could not be made; what was queued ran on others */
} ae_lane_metrics;

typedef struct ae_metrics {
    size_t size;              /* in: sizeof(ae_metrics), set by the caller */
    uint64_t workers;         /* worker slots */
    uint64_t workers_parked;  /* now */
    uint64_t tasks_live;      /* now */
    uint64_t tasks_spawned;
    uint64_t slices;          /* times a task was given a worker */
    uint64_t yields;
    uint64_t steals;          /* successful ones */
    uint64_t tasks_stolen;
    uint64_t overflows;       /* full local queues that spilled into the shared one */
    uint64_t parks;           /* of workers */
    uint64_t wakes;           /* of workers */
    uint64_t io_polls;
    uint64_t io_events;
    uint64_t io_syscalls;     /* all system calls the driver made */
    uint64_t timers_fired;
    uint64_t stacks_live;     /* now, in use by tasks */
    uint64_t stacks_cached;   /* now, waiting for one */
    uint64_t blocking_threads; /* now; this and the next three are sums over the lanes */
    uint64_t blocking_idle;   /* now */
    uint64_t blocking_queued; /* now */
    uint64_t blocking_jobs;   /* finished */
    uint64_t control_bytes;   /* memory of control blocks, touched so far */
    char driver[16];          /* "epoll", "uring" */
    uint64_t stalls[6];       /* slices seen to last 0.1, 1, 10, 100 ms, 1, 10 s; sampled, and ten
                               * times as long each with another ae_config.stall_count_ns */
    uint64_t stall_reports;   /* spawn sites that were logged for it */
    uint64_t rescues;         /* times that others did the work of a worker */
    ae_lane_metrics lanes[AE_LANES]; /* by enum ae_lane */
    uint64_t budget_yields;   /* slices that ended because their budget was used up */
    uint64_t queued_local;    /* now: ready tasks in the queues of workers */
    uint64_t queued_shared;   /* now: in the queue of all */
    uint64_t asleep_ns;       /* of all workers together */
    uint64_t up_ns;           /* since the runtime was created */
} ae_metrics;

/* Fill `out`; rt NULL = the caller's. Each number is read alone, so sums may be off by what happens
 * meanwhile. 0, or -EINVAL without a runtime. Colour: any thread. */
AE_API int ae_metrics_get(ae_runtime *rt, ae_metrics *out);

/* The same of one worker. */
typedef struct ae_worker_metrics {
    size_t size;              /* in: sizeof(ae_worker_metrics) */
    uint64_t slices;
    uint64_t yields;
    uint64_t steals;
    uint64_t tasks_stolen;
    uint64_t overflows;
    uint64_t parks;
    uint64_t timers_fired;
    uint64_t io_polls;
    uint64_t io_events;
    uint64_t io_syscalls;
    uint64_t asleep_ns;       /* with the sleep that it is in */
    uint64_t queued;          /* now: ready tasks that wait for it */
    uint64_t task_id;         /* now: what it runs; 0: none */
    bool asleep;              /* now */
} ae_worker_metrics;

/* `worker` counts from 0. 0; -EINVAL without a runtime or such a worker. Colour: any thread. */
AE_API int ae_metrics_worker(ae_runtime *rt, unsigned worker, ae_worker_metrics *out);

/* How long things take, sampled: up to about a thousand a second and worker, all if there are
 * fewer. Bucket i counts what took from ae_histogram_ns(i) until ae_histogram_ns(i + 1); there are
 * eight buckets in a doubling. */
#define AE_HISTOGRAM_BUCKETS 320 /* to 36 minutes */
typedef struct ae_histogram {
    size_t size;              /* in: sizeof(ae_histogram) */
    uint64_t count[AE_HISTOGRAM_BUCKETS];
} ae_histogram;

enum ae_histogram_kind {
    AE_HISTOGRAM_SLICE, /* how long tasks keep their worker (descheduled time included) */
    AE_HISTOGRAM_WAIT,  /* how long a task that becomes ready waits in its worker's queue */
};

/* 0; -EINVAL without a runtime. Colour: any thread. */
AE_API int ae_histogram_get(ae_runtime *rt, enum ae_histogram_kind kind, ae_histogram *out);
AE_API int64_t ae_histogram_ns(unsigned bucket);
/* The q-quantile (0 to 1) in ns, at most 1/8 off; 0 if nothing was counted. Colour: any thread. */
AE_API int64_t ae_histogram_quantile(const ae_histogram *histogram, double q);

AE_EXTERN_C_END
#endif
