/* SPDX-License-Identifier: Apache-2.0 */
/* The figures that `aether top` draws, as lines of words: programs read them as easily as a person
 * who has only a shell. One name and its values in a line; names that are not known are skipped, so
 * that an older `aether` can watch a newer program. */
#include <stdio.h>
#include <string.h>

#include "aether/metrics.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/look.h"
#include "sched/sched.h"
#include "sched/stall.h"
#include "task/names.h"

#define SITES_MAX 256 /* spawn sites that are told apart; a power of two */
#define SITES_SHOWN 20

/* Tasks that were spawned at one place to run one function. */
struct site {
    uintptr_t spawn_site, fn;
    const char *name;
    uint64_t tasks, parked, ready, running;
};

struct census {
    uint64_t states[AE__TASK_DONE + 1];
    uint64_t waits[AE__WAIT_KINDS];
    uint64_t elsewhere; /* tasks of sites that found no place in the table */
    struct site sites[SITES_MAX];
};

static struct site *find_site(struct census *census, const struct ae__task *task)
{
    uintptr_t spawn_site = (uintptr_t)task->spawn_site, fn = (uintptr_t)task->fn;
    size_t at = (spawn_site ^ fn >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 56;

    _Static_assert(SITES_MAX == 256, "eight bits of the hash");
    for (size_t i = 0; i < SITES_MAX; i++) {
        struct site *site = &census->sites[(at + i) % SITES_MAX];
        if (site->tasks == 0) *site = (struct site){ spawn_site, fn, task->name, 0, 0, 0, 0 };
        if (site->spawn_site == spawn_site && site->fn == fn) return site;
    }
    return NULL;
}

static void count_task(struct census *census, const struct ae__task *task)
{
    struct site *site = find_site(census, task);
    bool waits = task->state == AE__TASK_PARKED || task->state == AE__TASK_DEFERRED;

    if (task->state <= AE__TASK_DONE) census->states[task->state]++;
    if (waits && task->actor.wait_kind < AE__WAIT_KINDS) census->waits[task->actor.wait_kind]++;
    if (!site) {
        census->elsewhere++;
        return;
    }
    site->tasks++;
    site->parked += waits;
    site->ready += task->state == AE__TASK_READY;
    site->running += task->state == AE__TASK_RUNNING;
}

static void line(struct ae__text *text, const char *name, uint64_t value)
{
    ae__out_text(text->out, name);
    ae__out_text(text->out, " ");
    ae__out_number(text->out, value);
    ae__out_text(text->out, "\n");
}

static void write_sites(struct ae__text *text, struct census *census)
{
    char name[AE__LOOK_NAME];

    for (int shown = 0; shown < SITES_SHOWN; shown++) {
        struct site *most = &census->sites[0];
        for (int i = 1; i < SITES_MAX; i++) {
            if (census->sites[i].tasks > most->tasks) most = &census->sites[i];
        }
        if (most->tasks == 0) break;
        ae__look_text(text->modules, most->name, name);
        ae__out_format(text->out, "site %llu %llu %llu %llu ", (unsigned long long)most->tasks,
                       (unsigned long long)most->parked, (unsigned long long)most->ready,
                       (unsigned long long)most->running);
        ae__text_place(text, most->fn);
        ae__out_text(text->out, " spawned at ");
        ae__text_place(text, most->spawn_site - 1);
        ae__out_format(text->out, " name %s\n", name);
        most->tasks = 0;
    }
}

static void write_census(struct ae__text *text)
{
    struct census *census = ae__mem_zalloc(sizeof *census);
    uint32_t count = ae__look_count(text->rt);
    struct ae__sight sight;

    for (uint32_t i = 0; census && i < count; i++) {
        if (ae__look(text->rt, i, false, &sight)) count_task(census, &sight.task);
    }
    for (unsigned i = AE__TASK_FREE + 1; census && i <= AE__TASK_DONE; i++) {
        ae__out_format(text->out, "state %llu %s\n", (unsigned long long)census->states[i],
                       ae__state_name(i));
    }
    for (unsigned i = AE__WAIT_NONE + 1; census && i < AE__WAIT_KINDS; i++) {
        if (!census->waits[i]) continue;
        ae__out_format(text->out, "wait %llu %s\n", (unsigned long long)census->waits[i],
                       ae__wait_name(i));
    }
    if (census) write_sites(text, census);
    ae__mem_free(census);
}

static void write_stalls(struct ae__text *text)
{
    struct ae__stalls *stalls = text->rt->monitor.stalls;

    for (unsigned i = 0; stalls && i < AE__SITES_MAX; i++) {
        struct ae__site *site = &stalls->sites[i];
        /* acquire: the name comes before it */
        uintptr_t spawned = atomic_load_explicit(&site->spawn_site, memory_order_acquire);
        if (!spawned) continue;
        ae__out_format(text->out, "stall %llu %llu %lld ",
                       (unsigned long long)atomic_load(&site->stalls),
                       (unsigned long long)atomic_load(&site->total_ns),
                       (long long)atomic_load(&site->longest_ns));
        ae__text_place(text, spawned - 1);
        ae__out_format(text->out, " name %s\n", site->name);
    }
}

static void write_metrics(struct ae__text *text, const ae_metrics *m)
{
    line(text, "up_ns", (uint64_t)(ae__os_now() - text->rt->began_ns));
    ae__out_format(text->out, "driver %.15s\n", m->driver);
    line(text, "tasks_live", m->tasks_live);
    line(text, "tasks_spawned", m->tasks_spawned);
    line(text, "slices", m->slices);
    line(text, "yields", m->yields);
    line(text, "steals", m->steals);
    line(text, "tasks_stolen", m->tasks_stolen);
    line(text, "overflows", m->overflows);
    line(text, "parks", m->parks);
    line(text, "wakes", m->wakes);
    line(text, "io_polls", m->io_polls);
    line(text, "io_events", m->io_events);
    line(text, "io_syscalls", m->io_syscalls);
    line(text, "timers_fired", m->timers_fired);
    line(text, "stacks_live", m->stacks_live);
    line(text, "stacks_cached", m->stacks_cached);
    line(text, "blocking_threads", m->blocking_threads);
    line(text, "blocking_idle", m->blocking_idle);
    line(text, "blocking_queued", m->blocking_queued);
    line(text, "blocking_jobs", m->blocking_jobs);
    line(text, "queued_shared", m->queued_shared);
    line(text, "stall_reports", m->stall_reports);
    line(text, "rescues", m->rescues);
}

static void write_worker(struct ae__text *text, unsigned index)
{
    ae_worker_metrics m = { .size = sizeof m };

    if (ae_metrics_worker(text->rt, index, &m) < 0) return;
    ae__out_format(text->out, "worker %u %s task %lld slices %llu steals %llu parks %llu",
                   index, m.asleep ? "asleep" : m.task_id ? "running" : "looking",
                   m.task_id ? (long long)(uint32_t)m.task_id : -1LL,
                   (unsigned long long)m.slices, (unsigned long long)m.steals,
                   (unsigned long long)m.parks);
    ae__out_format(text->out, " queued %llu asleep_ns %llu io_syscalls %llu\n",
                   (unsigned long long)m.queued, (unsigned long long)m.asleep_ns,
                   (unsigned long long)m.io_syscalls);
}

static void write_histogram(struct ae__text *text, const char *name, enum ae_histogram_kind kind)
{
    ae_histogram h = { .size = sizeof h };

    if (ae_histogram_get(text->rt, kind, &h) < 0) return;
    ae__out_text(text->out, name);
    for (unsigned i = 0; i < AE_HISTOGRAM_BUCKETS; i++) {
        if (!h.count[i]) continue;
        ae__out_format(text->out, " %lld:%llu", (long long)ae_histogram_ns(i),
                       (unsigned long long)h.count[i]);
    }
    ae__out_text(text->out, "\n");
}

void ae__stats_write(struct ae__text *text)
{
    struct ae_runtime *rt = text->rt;
    ae_metrics m = { .size = sizeof m };

    AE_ASSERT(rt->workers_count > 0);
    ae__out_format(text->out, "aether %s\n", AE_VERSION);
    line(text, "pid", ae__os_pid());
    ae__out_format(text->out, "name %.32s\n", rt->config.name);
    if (ae_metrics_get(rt, &m) == 0) write_metrics(text, &m);
    for (unsigned i = 0; i < rt->workers_count; i++) write_worker(text, i);
    write_histogram(text, "slice_ns", AE_HISTOGRAM_SLICE);
    write_histogram(text, "wait_ns", AE_HISTOGRAM_WAIT);
    write_census(text);
    write_stalls(text);
    ae__out_text(text->out, "end\n");
}
