/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a runtime, summed over its workers. */
#include "aether/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/sched.h"
#include "sched/runtime.h"

static uint64_t read_counter(_Atomic(uint64_t) *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_worker(ae_metrics *m, struct ae__worker *w)
{
    struct ae__counters *c = &w->counters;
    struct ae__driver_stats io = { 0 };

    m->tasks_spawned += read_counter(&c->spawned);
    m->slices += read_counter(&c->slices);
    m->yields += read_counter(&c->yields);
    m->steals += read_counter(&c->steals);
    m->tasks_stolen += read_counter(&c->stolen);
    m->overflows += read_counter(&c->overflows);
    m->parks += read_counter(&c->parks);
    m->wakes += read_counter(&c->wakes);
    m->timers_fired += read_counter(&w->wheel.fired);
    ae__parts.driver->stats(w->driver, &io);
    snprintf(m->driver, sizeof m->driver, "%s", io.driver);
    m->io_polls += io.polls;
    m->io_events += io.events;
    m->io_syscalls += io.syscalls;
}

static void add_lane(ae_metrics *m, struct ae_runtime *rt, enum ae_lane lane)
{
    struct ae__pool_stats pool = { 0 };

    ae__parts.lanes_stats(rt->lanes, lane, &pool);
    m->blocking_threads += pool.threads;
    m->blocking_idle += pool.idle;
    m->blocking_queued += pool.queued;
    m->blocking_jobs += pool.jobs;
    m->lanes[lane] = (ae_lane_metrics){ pool.threads, pool.idle,      pool.queued,        pool.jobs,
                                        pool.refused, pool.cancelled, pool.start_failures };
}

static void add_memory(ae_metrics *m, struct ae_runtime *rt)
{
    uint64_t cached = 0;

    ae__lock_acquire(&rt->stacks.lock);
    for (int class = 0; class < AE__STACK_CLASSES; class++) {
        cached += rt->stacks.free_count[class];
    }
    uint64_t all = ae__stack_count(&rt->stacks);
    ae__lock_release(&rt->stacks.lock);
    m->stacks_cached = cached;
    m->stacks_live = all > cached ? all - cached : 0;
    m->control_bytes = (uint64_t)atomic_load(&rt->slab.used) * AE__TASK_BYTES;
}

static void add_stalls(ae_metrics *m, struct ae_runtime *rt)
{
    struct ae__stalls *stalls = rt->monitor.stalls;

    _Static_assert(sizeof m->stalls / sizeof m->stalls[0] == AE__SLOW_BUCKETS, "a field each");
    for (int i = 0; i < AE__SLOW_BUCKETS; i++) {
        m->stalls[i] = read_counter(&stalls->slow[i]);
    }
    m->stall_reports = read_counter(&stalls->reports);
    m->rescues = read_counter(&rt->monitor.rescues);
}

int ae_metrics_get(ae_runtime *rt, ae_metrics *out)
{
    ae_metrics m = { 0 };
    size_t size = out->size;

    if (!rt) rt = ae__runtime_self();
    if (!rt || size == 0) return -EINVAL;
    m.workers = rt->workers_count;
    m.tasks_spawned = read_counter(&rt->spawned_outside);
    m.workers_parked = ae__idle_parked(&rt->idle);
    for (uint32_t i = 0; i < ae__slots(rt); i++) {
        add_worker(&m, rt->workers[i]);
    }
    for (int lane = 0; lane < AE_LANES; lane++) {
        add_lane(&m, rt, (enum ae_lane)lane);
    }
    add_memory(&m, rt);
    add_stalls(&m, rt);
    m.tasks_live = ae__tasks_live(rt);
    m.size = size;
    memcpy(out, &m, size < sizeof m ? size : sizeof m);
    return 0;
}
