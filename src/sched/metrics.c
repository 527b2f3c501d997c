/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a runtime, summed over its workers, and of each of them; its histograms. */
#include "aether/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sched/look.h"
#include "sched/recorder.h"
#include "sched/runtime.h"
#include "sched/sched.h"

static uint64_t read_counter(_Atomic(uint64_t) *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t queued(struct ae__worker *w)
{
    bool lifo = atomic_load_explicit(&w->lifo, memory_order_relaxed) != NULL;

    return ae__runq_length(&w->ring) + ae__inject_hint(&w->pinned) + lifo;
}

static uint64_t asleep_ns(struct ae__worker *w, const struct ae__tick_scale *scale)
{
    uint64_t from = read_counter(&w->recorder->slept_from);
    uint64_t ticks = read_counter(&w->recorder->asleep);

    if (from && scale->ticks > from) ticks += scale->ticks - from;
    return (uint64_t)((double)ticks * scale->ns_per_tick);
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
    m->overflows += read_counter(&w->ring.overflows);
    m->parks += read_counter(&c->parks);
    m->wakes += read_counter(&c->wakes);
    m->timers_fired += read_counter(&w->wheel.fired);
    m->budget_yields += read_counter(&c->budget_yields);
    m->queued_local += queued(w);
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
    struct ae__tick_scale scale;
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
    ae__recorder_scale(rt, &scale);
    for (uint32_t i = 0; i < rt->workers_count; i++) {
        m.asleep_ns += asleep_ns(rt->workers[i], &scale);
    }
    m.up_ns = (uint64_t)(scale.ns - rt->began_ns);
    m.queued_shared = ae__inject_hint(&rt->inject);
    add_memory(&m, rt);
    add_stalls(&m, rt);
    m.tasks_live = ae__tasks_live(rt);
    m.size = size;
    memcpy(out, &m, size < sizeof m ? size : sizeof m);
    return 0;
}

static uint64_t current_id(const struct ae__worker *w)
{
    const struct ae__task *task = ae__look_current(w);
    uint32_t index = ae__look_index(w->rt, task);

    if (!task || index == UINT32_MAX) return 0;
    return (uint64_t)ae__task_generation(ae__slab_at(&w->rt->slab, index)) << 32 | index;
}

int ae_metrics_worker(ae_runtime *rt, unsigned worker, ae_worker_metrics *out)
{
    size_t size = out->size;
    ae_metrics m = { 0 };
    struct ae__tick_scale scale;

    if (!rt) rt = ae__runtime_self();
    if (!rt || size == 0 || worker >= rt->workers_count) return -EINVAL;
    struct ae__worker *w = rt->workers[worker];
    add_worker(&m, w);
    ae__recorder_scale(rt, &scale);
    ae_worker_metrics one = {
        .size = size, .slices = m.slices, .yields = m.yields, .steals = m.steals,
        .tasks_stolen = m.tasks_stolen, .overflows = m.overflows, .parks = m.parks,
        .timers_fired = m.timers_fired, .io_polls = m.io_polls, .io_events = m.io_events,
        .io_syscalls = m.io_syscalls, .asleep_ns = asleep_ns(w, &scale), .queued = m.queued_local,
        .task_id = current_id(w),
        .asleep = atomic_load_explicit(&w->recorder->slept_from, memory_order_relaxed) != 0,
    };
    memcpy(out, &one, size < sizeof one ? size : sizeof one);
    return 0;
}

int ae_histogram_get(ae_runtime *rt, enum ae_histogram_kind kind, ae_histogram *out)
{
    struct ae__tick_scale scale;

    if (!rt) rt = ae__runtime_self();
    if (!rt || out->size < sizeof *out) return -EINVAL;
    AE_ASSERT(kind == AE_HISTOGRAM_SLICE || kind == AE_HISTOGRAM_WAIT);
    memset(out->count, 0, sizeof out->count);
    ae__recorder_scale(rt, &scale);
    for (uint32_t i = 0; i < ae__slots(rt); i++) {
        struct ae__recorder *r = rt->workers[i]->recorder;
        ae__recorder_add(kind == AE_HISTOGRAM_SLICE ? r->slices : r->waits, &scale, out->count);
    }
    return 0;
}

int64_t ae_histogram_quantile(const ae_histogram *histogram, double q)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < AE_HISTOGRAM_BUCKETS; i++) total += histogram->count[i];
    if (total == 0) return 0;
    uint64_t rank = (uint64_t)(q * (double)(total - 1));
    for (unsigned i = 0; i < AE_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->count[i];
        if (seen > rank) return (ae_histogram_ns(i) + ae_histogram_ns(i + 1)) / 2;
    }
    return ae_histogram_ns(AE_HISTOGRAM_BUCKETS);
}
