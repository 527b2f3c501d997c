/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a runtime, in order:
 *   1. ae_block_on refuses, the root scope is cancelled;
 *   2. every task and job returns (or the shutdown time is over: they are named, nothing is freed);
 *   3. the pool ends its threads;
 *   4. the monitor ends, then the workers leave their loops and are joined;
 *   5. drivers, stacks, control blocks go. */
#include <errno.h>

#include "aether/log.h"
#include "aether/time.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/runtime.h"
#include "sched/sched.h"
#include "sched/scope.h"
#include "task/names.h"

#define NAMED_MAX 32

/* It may run meanwhile. */
static void name_survivor(const struct ae__task *there)
{
    struct ae__task copy, *task = &copy;

    if (ae__os_peek(&copy, (uintptr_t)there, sizeof copy) != sizeof copy) return;
    ae_log(AE_ERROR, "still there: task %u (%s), %s%s%s, fn %p, spawned at %p", task->index,
           task->name ? task->name : "unnamed", ae__state_name(task->state),
           task->actor.wait_kind ? ", waits for " : "",
           task->actor.wait_kind ? ae__wait_name(task->actor.wait_kind) : "",
           (void *)(uintptr_t)task->fn, task->spawn_site);
}

void ae__runtime_name_tasks(struct ae_runtime *rt)
{
    uint32_t used = atomic_load_explicit(&rt->slab.used, memory_order_relaxed);
    uint32_t named = 0, more = 0;

    for (uint32_t i = 0; i < used; i++) {
        struct ae__task *task = ae__slab_at(&rt->slab, i);
        if (task->state == AE__TASK_FREE || task->state == AE__TASK_DONE) continue;
        if (named++ < NAMED_MAX) {
            name_survivor(task);
        } else {
            more++;
        }
    }
    if (more) ae_log(AE_ERROR, "and %u more", more);
}

struct shutdown_wait {
    struct ae__timer timer;
    struct ae__actor *actor;
    uint32_t sequence;
};

static void fire_shutdown(struct ae__timer *timer, struct ae__wakes *wakes)
{
    struct shutdown_wait *wait = AE_CONTAINER_OF(timer, struct shutdown_wait, timer);

    (void)ae__wait_wake(wait->actor, wait->sequence, AE__REASON_TIME, wakes);
}

/* The workers run the tasks to their ends; this thread waits. */
static void wait_tasks(struct ae_runtime *rt, int64_t deadline_ns)
{
    struct ae__actor *self = ae__actor_self();
    struct shutdown_wait wait = { .actor = self };
    struct ae__scope_watch watch;
    uint16_t reason = AE__REASON_DONE;

    while (reason != AE__REASON_TIME && ae__scope_watch(&rt->root, self, false, &watch)) {
        wait.sequence = watch.sequence;
        if (deadline_ns != AE_FOREVER) {
            ae__timer_arm(NULL, &wait.timer, deadline_ns, fire_shutdown);
        }
        reason = ae__wait_park(self);
        if (wait.timer.link) ae__timer_disarm(&wait.timer);
        ae__scope_unwatch(&rt->root, &watch);
    }
}

static void fire_nothing(struct ae__timer *timer, struct ae__wakes *wakes)
{
    (void)timer;
    (void)wakes;
}

static uint32_t root_live(struct ae_runtime *rt)
{
    return ae__scope_unfinished(&rt->root);
}

/* Current-thread: this thread is the worker. Pool jobs that end kick it by the shared queue or not
 * at all, so it looks every few milliseconds. */
static void drive_tasks(struct ae_runtime *rt, int64_t deadline_ns)
{
    struct ae__worker *w = rt->workers[0];
    struct ae__timer timer = { .link = NULL };

    /* A thread in ae_block_on may be driving: its call is cancelled, and ends. */
    while (!ae__drive_try(rt)) {
        if (root_live(rt) > 0 && ae__os_now() >= deadline_ns) return;
        ae__os_thread_yield();
    }
    struct ae__thread *before = ae__drive_begin(w);
    while (root_live(rt) > 0 && ae__os_now() < deadline_ns) {
        ae__timer_arm(rt, &timer, ae__os_now() + 5 * AE_MS, fire_nothing);
        ae__worker_step(w);
        ae__timer_disarm(&timer);
    }
    ae__drive_end(w, before);
    ae__drive_leave(rt);
    while (root_live(rt) == 0 && ae__drive_callers(rt)) {
        ae__os_thread_yield(); /* on their way out */
    }
}

static int end_tasks(struct ae_runtime *rt)
{
    int64_t shutdown_ns = rt->config.shutdown_ns;
    int64_t now_ns = ae__os_now();
    bool limited = shutdown_ns >= 0 && shutdown_ns < AE_FOREVER - now_ns;
    int64_t deadline_ns = limited ? now_ns + shutdown_ns : AE_FOREVER;
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__cancel_node(&rt->root.node, AE__CANCEL_OWN, -ECANCELED, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
    if (rt->config.flavor == AE_CURRENT_THREAD) {
        drive_tasks(rt, deadline_ns);
    } else {
        wait_tasks(rt, deadline_ns);
    }
    if (root_live(rt) == 0) return 0;
    ae_log(AE_ERROR, "shutdown: %u tasks have not returned", root_live(rt));
    ae__runtime_name_tasks(rt);
    return -ETIMEDOUT;
}

/* Which have a thread: a prefix of the workers, and a spare that was called. */
static bool has_thread(const struct ae_runtime *rt, uint32_t i)
{
    return i < rt->workers_count ? i < rt->workers_started : rt->workers[i]->started;
}

static void end_workers(struct ae_runtime *rt)
{
    uint32_t count = rt->workers ? ae__slots(rt) : 0;

    /* relaxed: a worker sees it at the latest when it takes the wake-up */
    atomic_store_explicit(&rt->stopping, 2, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (has_thread(rt, i)) ae__worker_unpark(rt->workers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (has_thread(rt, i)) ae__os_thread_join(rt->workers[i]->os);
    }
}

static void free_worker(struct ae__worker *w)
{
    if (!w) return;
    if (w->driver) ae__parts.driver->destroy(w->driver);
    ae__mem_free(w->sights);
    ae__recorder_destroy(w->recorder);
    ae__mem_free(w);
}

void ae__runtime_drop_spares(struct ae_runtime *rt, uint32_t from)
{
    AE_ASSERT(from >= rt->workers_count);
    AE_ASSERT(ae__slots(rt) <= from);
    for (uint32_t i = from; i < rt->slots_count; i++) {
        free_worker(rt->workers[i]);
        rt->workers[i] = NULL;
    }
    rt->slots_count = from;
}

void ae__runtime_free(struct ae_runtime *rt)
{
    AE_ASSERT(rt->root.live == 0);
    AE_ASSERT(rt->callers == 0);
    AE_ASSERT(!ae__shortage_any(rt)); /* who waits for a stack is a child of somebody */
    if (rt->control) ae__parts.control_stop(rt->control);
    ae__monitor_stop(rt);
    end_workers(rt);
    if (rt->lanes) ae__parts.lanes_destroy(rt->lanes);
    if (ae__parts.io_stop) ae__parts.io_stop(rt);
    for (uint32_t i = 0; rt->workers && i < rt->slots_count; i++) {
        free_worker(rt->workers[i]);
    }
    ae__recorder_destroy(rt->recorder);
    ae__stack_pool_finish(&rt->stacks);
    ae__slab_finish(&rt->slab);
    ae__mem_free(rt->workers);
    ae__mem_free(rt->idle.sleepers);
    ae__mem_free(rt);
}

/* Threads that woke the last tasks (ready.c), or called in, may still be at it. */
static void wait_outside(struct ae_runtime *rt)
{
    while (atomic_load_explicit(&rt->outside, memory_order_acquire) > 0) {
        ae__os_thread_yield();
    }
}

int ae_runtime_destroy(ae_runtime *rt)
{
    if (!rt) return 0;
    AE_ASSERT(!ae__in_task()); /* a task cannot end its own runtime */
    ae__lock_acquire(&rt->root.node.lock); /* against ae__scope_open_in_root */
    atomic_store_explicit(&rt->stopping, 1, memory_order_relaxed);
    ae__lock_release(&rt->root.node.lock);
    int rc = end_tasks(rt);
    if (rc < 0) return rc;
    ae__parts.lanes_stop(rt->lanes);
    wait_outside(rt);
    ae__runtime_free(rt);
    return 0;
}
