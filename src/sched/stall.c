/* SPDX-License-Identifier: Apache-2.0 */
/* Slices that lasted: whose they were, how long, how often; and the report in the log.
 *
 * All of it runs on the monitor's thread. A control block may be used again while it is read, so it
 * is read by ae__os_peek, which cannot fault, and counts only if its worker is still in the same
 * slice afterwards. */
#include "sched/stall.h"

#include <string.h>

#include "aether/log.h"
#include "aether/time.h"
#include "arch/modules.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "sched/caught.h"
#include "sched/types.h"

static bool is_still_there(struct ae__worker *w, const struct ae__watch *watch)
{
    /* acquire: after what was read before */
    return atomic_load_explicit(&w->running, memory_order_acquire) == watch->task &&
           atomic_load_explicit(&w->counters.slices, memory_order_acquire) == watch->slices;
}

/* At most what fits; ends at the page that is gone. */
static void read_name(char out[AE__SITE_NAME], const char *name)
{
    size_t n = name ? ae__os_peek(out, (uintptr_t)name, AE__SITE_NAME - 1) : 0;

    out[n] = 0;
}

bool ae__stall_whose(struct ae__worker *w, const struct ae__watch *watch, struct ae__culprit *out)
{
    struct ae__task task;
    struct ae__stack stack = { .low = NULL };

    *out = (struct ae__culprit){ 0 };
    if (ae__os_peek(&task, (uintptr_t)watch->task, sizeof task) != sizeof task) return false;
    read_name(out->name, task.name);
    if (ae__os_peek(&stack, (uintptr_t)task.stack, sizeof stack) == sizeof stack) {
        out->stack_low = (uintptr_t)stack.low;
        out->stack_top = (uintptr_t)ae__stack_top(&stack);
    }
    out->index = task.index;
    out->spawn_site = (uintptr_t)task.spawn_site;
    out->fn = (uintptr_t)task.fn;
    return is_still_there(w, watch);
}

/* ---- sites ---- */

static struct ae__site *find_site(struct ae__stalls *stalls, const struct ae__culprit *who)
{
    uintptr_t key = who->spawn_site ? who->spawn_site : who->fn;
    uint32_t at = (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 40) % AE__SITES_MAX;

    for (uint32_t i = 0; i < AE__SITES_MAX; i++) {
        struct ae__site *site = &stalls->sites[(at + i) % AE__SITES_MAX];
        uintptr_t there = atomic_load_explicit(&site->spawn_site, memory_order_relaxed);
        if (there == key && strcmp(site->name, who->name) == 0) return site;
        if (there != 0) continue;
        memcpy(site->name, who->name, sizeof site->name);
        atomic_store_explicit(&site->spawn_site, key, memory_order_release);
        return site;
    }
    return &stalls->sites[AE__SITES_MAX];
}

static unsigned bucket_of(int64_t ran_ns, int64_t first_ns)
{
    unsigned bucket = 0;

    while (ran_ns >= 10 * first_ns && bucket < AE__SLOW_BUCKETS - 1) {
        first_ns *= 10;
        bucket++;
    }
    return bucket;
}

/* It has just ended, about. */
static void record(struct ae_runtime *rt, const struct ae__culprit *who, int64_t ran_ns)
{
    struct ae__tick_scale scale;

    ae__recorder_scale(rt, &scale);
    uint64_t length = (uint64_t)((double)ran_ns / scale.ns_per_tick);
    ae__record(rt->recorder, AE__EVENT_STALL, scale.ticks - length, length, who->index, 0, who->fn);
}

void ae__stall_count(struct ae_runtime *rt, const struct ae__culprit *who, int64_t ran_ns)
{
    struct ae__stalls *stalls = rt->monitor.stalls;
    struct ae__site *site = find_site(stalls, who);

    AE_ASSERT(ran_ns > 0);
    AE_ASSERT(rt->config.stall_count_ns > 0);
    ae__count(&site->stalls, 1);
    ae__count(&site->total_ns, (uint64_t)ran_ns);
    if (ran_ns > atomic_load_explicit(&site->longest_ns, memory_order_relaxed)) {
        atomic_store_explicit(&site->longest_ns, ran_ns, memory_order_relaxed);
    }
    ae__count(&stalls->slow[bucket_of(ran_ns, rt->config.stall_count_ns)], 1);
    record(rt, who, ran_ns);
}

/* ---- the report ---- */

enum { FRAMES_MAX = 12, TRIES_MAX = 100 };

static void log_place(const char *what, uintptr_t pc)
{
    char where[AE__WHERE_BYTES];

    ae__os_where(pc, where, sizeof where);
    ae_log(AE_WARN, "    %s %s", what, where);
}

static void log_stall(struct ae_runtime *rt, const struct ae__worker *w,
                      const struct ae__watch *watch, const struct ae__site *site)
{
    const struct ae__culprit *who = &watch->who;

    ae_log(AE_WARN,
           "task %u (%s) has held worker %u for %.1f ms, and %s; slices of this kind that lasted: "
           "%llu before%s",
           who->index, who->name[0] ? who->name : "unnamed", w->index,
           (double)watch->ran_ns / AE_MS, watch->blocked ? "sleeps in the kernel" : "computes",
           (unsigned long long)atomic_load_explicit(&site->stalls, memory_order_relaxed),
           rt->config.rescue_ns > 0 ? "; others do what waits there" : "");
    log_place("task", who->fn);
    if (who->spawn_site) log_place("spawned at", who->spawn_site - 1);
}

bool ae__stall_report(struct ae_runtime *rt, struct ae__worker *w, struct ae__watch *watch)
{
    struct ae__stalls *stalls = rt->monitor.stalls;
    struct ae__site *site = find_site(stalls, &watch->who);
    uintptr_t pcs[FRAMES_MAX];

    if (site->logged) return true;
    size_t n = ae__caught_at(w, watch, pcs, FRAMES_MAX);
    if (n == 0 && ++watch->tries < TRIES_MAX) return false;
    site->logged = true;
    log_stall(rt, w, watch, site);
    for (size_t i = 0; i < n; i++) {
        log_place(i == 0 ? "in" : "called from", pcs[i] - (i > 0));
    }
    if (n == 0) ae_log(AE_WARN, "    it was not to be caught in the act");
    ae__count(&stalls->reports, 1);
    if (rt->config.stall == AE_STALL_ABORT) {
        ae__fatal("a task held its worker, and AE_STALL=abort (see above)");
    }
    return true;
}
