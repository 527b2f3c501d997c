/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes per waiting task: with a stack (parked), without one yet (deferred), and a million of the
 * first kind. Counted is what the process holds, resident pages and page tables; the control
 * blocks are part of the former and also shown alone.
 */
#include "micro.h"

#include <stdatomic.h>

enum {
    MEMORY_TASKS = 100000,
    MILLION = 1000000,
};

static double resident(void)
{
    return micro_status("VmRSS:") + micro_status("VmPTE:");
}

static double control_bytes(void)
{
    ae_metrics metrics = {.size = sizeof(metrics)};

    micro_ok(ae_metrics_get(NULL, &metrics), "metrics");
    return (double)metrics.control_bytes;
}

static void settle(void)
{
    micro_ok(ae_sleep(200 * AE_MS), "sleep");
}

struct gate {
    ae_sem sem;
    atomic_uint arrived;
};

static int wait_at_gate(void *arg)
{
    struct gate *gate = arg;

    atomic_fetch_add_explicit(&gate->arrived, 1, memory_order_relaxed);
    micro_ok(ae_sem_acquire(&gate->sem, 1), "acquire");
    return 0;
}

static void await_all(atomic_uint *arrived, unsigned count)
{
    while (atomic_load(arrived) < count)
        micro_ok(ae_sleep(10 * AE_MS), "sleep");
    settle();
}

static double parked_task(void)
{
    struct gate gate = {0};
    ae_scope scope;
    double before;
    double per;

    ae_sem_init(&gate.sem, 0);
    ae_scope_begin(&scope);
    before = resident();
    for (unsigned i = 0; i < MEMORY_TASKS; i++)
        micro_ok(ae_go(wait_at_gate, &gate), "go");
    await_all(&gate.arrived, MEMORY_TASKS);
    per = (resident() - before) / MEMORY_TASKS;
    ae_sem_release(&gate.sem, MEMORY_TASKS);
    micro_ok(ae_scope_end(&scope, 0), "scope");
    return per;
}

static int deferred(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
    return 0;
}

static double deferred_task(void)
{
    atomic_uint ran = 0;
    int64_t when = ae_now() + 3600 * AE_SEC;
    ae_scope scope;
    double before;
    double per;

    ae_scope_begin(&scope);
    before = resident();
    for (unsigned i = 0; i < MEMORY_TASKS; i++)
        micro_ok(ae_go_at(when, deferred, &ran), "go_at");
    settle();
    per = (resident() - before) / MEMORY_TASKS;
    micro_check(ran == 0, "deferred-task: one ran too early");
    ae_scope_cancel(&scope, 0);
    micro_ok(ae_scope_end(&scope, 0), "scope");
    micro_check(ran == MEMORY_TASKS, "deferred-task: one never ran");
    return per;
}

struct crowd {
    ae_chan *chan;
    atomic_uint arrived;
    atomic_uint left;
};

__attribute__((noinline)) static int park_inner(struct crowd *crowd)
{
    uint64_t value = 0;

    atomic_fetch_add_explicit(&crowd->arrived, 1, memory_order_relaxed);
    return ae_recv(crowd->chan, &value);
}

__attribute__((noinline)) static int park_outer(void *arg)
{
    struct crowd *crowd = arg;
    int rc = park_inner(crowd);

    atomic_fetch_add_explicit(&crowd->left, 1, memory_order_relaxed);
    return rc < 0 ? 0 : 1;
}

/* The peak is the process's: the pages of the tasks and all that came before them. */
static double million(void)
{
    struct crowd crowd = {.chan = ae_chan_create(sizeof(uint64_t), 1)};
    ae_scope scope;
    double pages;
    double tables;
    double control;

    micro_check(crowd.chan != NULL, "no memory");
    ae_scope_begin(&scope);
    for (unsigned i = 0; i < MILLION; i++)
        micro_ok(ae_go(park_outer, &crowd), "go");
    await_all(&crowd.arrived, MILLION);
    pages = micro_status("VmHWM:") / MILLION;
    tables = micro_status("VmPTE:") / MILLION;
    control = control_bytes() / MILLION;
    micro_check(ae_scope_live(&scope) == MILLION, "million: not all are alive");
    ae_chan_close(crowd.chan);
    micro_ok(ae_scope_end(&scope, 0), "scope");
    micro_check(crowd.left == MILLION, "million: one did not wake");
    ae_chan_destroy(crowd.chan);
    micro_note("peak_rss", pages);
    micro_note("page_tables", tables);
    micro_note("control_blocks_within", control);
    return pages + tables;
}

const struct micro micro_memory[] = {
    {"parked-task", parked_task, MICRO_COLD},
    {"deferred-task", deferred_task, MICRO_COLD},
    {"million", million, MICRO_COLD},
    {0},
};
