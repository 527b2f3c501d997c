/* SPDX-License-Identifier: Apache-2.0 */
/* worker   a slot with a thread of its own: ring, LIFO slot, wheel, driver, caches.
 * runtime  the workers, the shared queue, the tree of scopes from its root, the pool. */
#ifndef AE_SCHED_TYPES_H
#define AE_SCHED_TYPES_H

#include "arch/count.h"
#include "arch/os.h"
#include "sched/driver.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/monitor.h"
#include "sched/rescue.h"
#include "sched/recorder.h"
#include "sched/runq.h"
#include "sched/shortage.h"
#include "sched/wheel.h"
#include "task/slab.h"
#include "task/stack.h"
#include "task/types.h"

#define AE__BUDGET 128      /* operations per slice */
#define AE__CHECKPOINT_NS 100000 /* of a slice, as the checkpoints in it see it */
#define AE__TICKS 61        /* slices between looks at the shared queue and the driver */
#define AE__LIFO_RUNS 3     /* slices in a row from the LIFO slot */
#define AE__LIFO_STEAL_NS 5000

/* What the context that gains the CPU must do for the one that left (the commit hook). */
enum ae__commit {
    AE__COMMIT_NONE,
    AE__COMMIT_PARK,  /* publish it as PARKED, or make it ready if it was claimed meanwhile */
    AE__COMMIT_YIELD, /* queue it */
    AE__COMMIT_EXIT,  /* take its stack back and complete it */
};

/* Where a searching worker saw a task sit in somebody's LIFO slot. */
struct ae__lifo_sight {
    struct ae__task *task;
    uint64_t slices;
    int64_t since_ns;
};

/* Written by their owner only (ae__count), read by anyone. */
struct ae__counters {
    _Atomic(uint64_t) spawned, completed, slices, yields, steals, stolen, parks, wakes;
    _Atomic(uint64_t) budget_yields;
};

enum ae__signalled {
    AE__SIGNALLED_END = 1u,    /* a signal asked for the end */
    AE__SIGNALLED_STACKS = 2u, /* starts wait for a stack */
};

enum ae__park_state { AE__AWAKE, AE__ASLEEP, AE__NOTIFIED };

struct ae__worker {
    /* set at start, then read by anyone */
    struct ae__thread thread;    /* first: the thread-local record of its thread */
    struct ae_runtime *rt;
    uint32_t index;
    struct ae__driver *driver;
    ae__os_thread os;
    struct ae__driver *home;     /* where its tasks' descriptors are registered: driver, or of the
                                  * worker that a spare ran in place of; its owner's */
    bool spare;
    struct ae__recorder *recorder;   /* of what it does; see recorder.h */

    /* owner thread only */
    enum ae__commit commit;
    struct ae__task *commit_task;
    struct ae__task *caller;         /* waits in ae__slice_call for the current task, or NULL */
    uint32_t tick;
    uint32_t sample_in;              /* the recorder looks at the slice that makes it 0 */
    uint32_t lifo_run;
    uint32_t budget;
    bool searching;
    uint64_t checkpoint_slices;      /* the slice that checkpoint_ns is of */
    int64_t checkpoint_ns;           /* the first checkpoint in it */
    uint64_t rng;
    void *native_sp;
    struct ae__san native_san;
    struct ae__slab_cache slab;
    struct ae__stack_cache stacks;
    struct ae__lifo_sight *sights;   /* one per slot */
    struct ae__worker *covers;       /* a spare's: whose driver and wheel it looks after */
    bool covering;                   /* it has begun to */
    struct ae__worker *called_for;   /* what it shall cover; the monitor's while it rests (X1) */
    bool started;                    /* a spare's, the monitor's: it has a thread */

    /* shared: owner and thieves */
    struct ae__runq ring;
    AE_CACHE_ALIGNED _Atomic(struct ae__task *) lifo;
    AE_CACHE_ALIGNED struct ae__counters counters;
    _Atomic(struct ae__task *) running; /* in whose slice the owner is, or NULL; for the monitor */
    _Atomic(uint32_t) tid;              /* of the owner thread; 0: none has it now */
    _Atomic(uint32_t) at_queue;         /* 1: the owner takes from its queues (X3 in rescue.c) */
    _Atomic(uint32_t) in_place;      /* calls of ae_blocking_begin that are open in its slice */

    /* shared: any thread */
    AE_CACHE_ALIGNED _Atomic(uint32_t) park;  /* enum ae__park_state */
    _Atomic(uint32_t) duty;                   /* enum ae__duty: a spare's (X1) */
    struct ae__inject pinned;                 /* tasks that may run here only; nobody steals */
    struct ae__wheel wheel;
};

struct ae_runtime {
    ae_config config;                /* defaults filled in */
    bool attended;                   /* of ae_run: SIGQUIT asks the monitor's thread for a dump */
    uint32_t workers_count;
    uint32_t slots_count;            /* workers and spares */
    struct ae__worker **workers;     /* all slots, spares last */
    uint32_t workers_started;        /* threads */
    bool steals;                     /* AE_STEAL=off turns it off */
    bool migrates;                   /* AE_CHAOS=migrate: every wake changes the worker */
    bool counts_tasks;               /* tasks_max is kept exactly (below the default) */
    struct ae__inject inject;
    struct ae__idle idle;
    struct ae__slab slab;
    struct ae__stack_pool stacks;
    struct ae__shortage shortage;
    struct ae__monitor monitor;
    struct ae__scope root;
    struct ae__lanes *lanes;         /* the blocking pool */
    void *io;
    void *control;                   /* the control socket's thread, or NULL */
    struct ae__recorder *recorder;   /* of what one who watches the workers sees; one writer */
    int64_t began_ns;
    uint64_t began_ticks;            /* ae__cpu_ticks at began_ns */

    _Atomic(uint32_t) slots_live;    /* workers, and spares that were ever called */
    _Atomic(uint32_t) tasks_counted; /* live ones, if counts_tasks */
    _Atomic(uint64_t) spawned_outside; /* not by its workers */
    _Atomic(uint32_t) stopping;      /* 1: block_on refuses; 2: workers end */
    _Atomic(uint32_t) signalled;     /* enum ae__signalled: workers look now and then */
    _Atomic(uint32_t) outside;       /* other threads that are in the middle of a wake */

    /* a current-thread runtime: who drives it */
    struct ae__lock drive_lock;
    bool driven;
    uint32_t callers;                /* threads inside ae_block_on */
    struct ae__waitq drive_queue;
};

/* How many slots have, or had, a thread: all that can hold tasks, timers and descriptors. */
static inline uint32_t ae__slots(struct ae_runtime *rt)
{
    return atomic_load_explicit(&rt->slots_live, memory_order_seq_cst);
}

static inline uint64_t ae__slices_of(const struct ae__worker *w)
{
    return atomic_load_explicit(&w->counters.slices, memory_order_acquire);
}

#endif
