/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor: one thread a runtime that watches the workers, so that they need not watch
 * themselves. See monitor.c. */
#ifndef AE_SCHED_MONITOR_H
#define AE_SCHED_MONITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/os.h"
#include "base/compiler.h"
#include "sched/stall.h"

struct ae_runtime;
struct ae__task;
struct ae__worker;

/* What other code, a signal handler as well, has done on the monitor's thread: see `answer` in
 * monitor.c. Add one? Also add its call there. */
enum ae__ask {
    AE__ASK_LOOK = 1u, /* look at the workers now; tests */
    AE__ASK_STOP = 2u, /* the runtime ends */
    AE__ASK_DUMP = 4u, /* write a dump to stderr */
};

/* What the monitor knows of one worker. */
struct ae__watch {
    struct ae__task *task; /* whose slice it is in; NULL: none */
    uint64_t slices;       /* the worker's count then */
    int64_t looked_ns;     /* the clock at the last look */
    int64_t cpu_ns;        /* of the worker's thread then */
    int64_t queued_ns;     /* how long that thread had waited for a CPU; < 0: not read yet */
    int64_t ran_ns;        /* running time seen of this slice */
    bool blocked;          /* at the last look it slept in the kernel */
    bool in_place;         /* at the last look it was inside ae_blocking_begin and _end */
    bool known;            /* `who` is */
    bool counted, logged;  /* this slice was */
    bool stuck;            /* it is drained by others */
    uint8_t tries;         /* to catch it in the act */
    struct ae__worker *spare; /* which runs in its place */
    struct ae__culprit who;
};

struct ae__monitor {
    /* set at start */
    ae__os_thread os;
    bool started;
    bool samples;         /* there is something to sample for */
    int64_t period_ns;    /* between two looks */

    /* the monitor's thread only */
    struct ae__watch *watches; /* one a slot */
    uint32_t rounds;
    int64_t looked_ns;

    /* shared */
    AE_CACHE_ALIGNED _Atomic(uint32_t) word;   /* the futex it sleeps on; changed by each wake */
    _Atomic(uint32_t) asleep; /* 1: without an end, so who begins to work wakes it */
    _Atomic(uint32_t) asked;  /* enum ae__ask */
    struct ae__stalls *stalls; /* set at start */
    _Atomic(uint64_t) rescues;
    bool may_be_alone;         /* set at start: a single worker is, until it is rescued */
};

/* After the workers' threads. 0, -ENOMEM or -EAGAIN. stop: before them; accepts one that was never
 * started. */
int ae__monitor_start(struct ae_runtime *rt);
void ae__monitor_stop(struct ae_runtime *rt);

/* Have something done on the monitor's thread, soon. Any thread, also a signal handler. (A
 * current-thread runtime that is not watched, and not of ae_run, has none: nothing happens.) */
void ae__monitor_ask(struct ae_runtime *rt, uint32_t what);

/* A worker begins to work again: is it watched? Cheap if it is. */
void ae__monitor_stir(struct ae_runtime *rt);

#endif
