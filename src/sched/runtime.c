/* SPDX-License-Identifier: Apache-2.0 */
/* The start of a runtime, and running functions on it from outside. The end is in shutdown.c. */
#include "sched/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "aether/log.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/config.h"
#include "sched/overflow.h"
#include "sched/sched.h"
#include "sched/scope.h"

#define TASKS_COUNTED_MAX (UINT32_C(1) << 22) /* smaller limits are counted */
#define SPARE_BLOCKS 1024u /* for plain threads that are just ending a task */

/* ---- what other layers ask ---- */

struct ae_runtime *ae__runtime_self(void)
{
    struct ae__thread *thread = ae__thread_get();
    struct ae__scope *scope;

    if (!thread) return NULL;
    if (thread->worker) return thread->worker->rt;
    if (thread->rt) return thread->rt;
    scope = ae__scope_innermost(&thread->actor);
    return scope ? scope->rt : NULL;
}

ae_runtime *ae_runtime_current(void)
{
    return ae__runtime_self();
}

unsigned ae_runtime_workers(const ae_runtime *rt)
{
    return rt->workers_count;
}

struct ae__driver *ae__driver_self(void)
{
    struct ae__worker *w = ae__worker_self();

    return w ? w->home : NULL;
}

const struct ae__driver_ops *ae__runtime_driver_ops(const struct ae_runtime *rt)
{
    (void)rt;
    return ae__parts.driver;
}

struct ae__lanes *ae__runtime_lanes(const struct ae_runtime *rt)
{
    return rt->lanes;
}

const ae_config *ae__runtime_config(const struct ae_runtime *rt)
{
    return &rt->config;
}

void *ae__runtime_io(const struct ae_runtime *rt)
{
    return rt->io;
}

void ae__runtime_set_io(struct ae_runtime *rt, void *io)
{
    rt->io = io;
}

/* ---- start ---- */

/* Nobody else takes from its queues, or nobody will before it was told (X3 in rescue.c). */
static bool is_alone(const struct ae_runtime *rt, const struct ae__worker *w)
{
    if (!rt->steals) return true;
    if (rt->workers_count > 1 || w->spare) return false;
    return rt->slots_count == 1 || ae__os_barrier_all();
}

static int make_worker(struct ae_runtime *rt, uint32_t index)
{
    struct ae__worker *w = ae__mem_aligned(_Alignof(struct ae__worker), sizeof *w);

    if (!w) return -ENOMEM;
    rt->workers[index] = w;
    w->rt = rt;
    w->index = index;
    w->tick = 1;
    w->spare = index >= rt->workers_count;
    atomic_init(&w->ring.alone, is_alone(rt, w));
    w->rng = ae__os_random();
    w->thread.actor.kind = AE__ACTOR_THREAD;
    w->thread.actor.node = &w->thread.node;
    w->thread.node.kind = AE__NODE_THREAD;
    w->thread.worker = w;
    w->thread.rt = rt;
    ae__list_init(&w->thread.node.sibling);
    ae__inject_init(&w->pinned);
    ae__wheel_init(&w->wheel, ae__os_now());
    w->sights = ae__mem_zalloc(rt->slots_count * sizeof *w->sights);
    w->recorder = ae__recorder_create();
    w->sample_in = 1;
    return w->sights && w->recorder ? 0 : -ENOMEM;
}

static int make_workers(struct ae_runtime *rt)
{
    uint16_t *sleepers = ae__mem_zalloc(rt->slots_count * sizeof *sleepers);
    int rc = 0;

    rt->workers = ae__mem_zalloc(rt->slots_count * sizeof(struct ae__worker *));
    rt->idle.sleepers = sleepers;
    if (!rt->workers || !sleepers) return -ENOMEM;
    ae__idle_init(&rt->idle, rt->workers_count, sleepers);
    for (uint32_t i = 0; i < rt->slots_count && rc == 0; i++) {
        rc = make_worker(rt, i);
    }
    return rc;
}

static int make_driver(struct ae_runtime *rt, uint32_t i)
{
    struct ae__worker *w = rt->workers[i];
    int rc = ae__parts.driver->create(rt, i, &w->driver);

    w->home = w->driver;
    return rc;
}

static int make_all_drivers(struct ae_runtime *rt)
{
    int rc = 0;

    for (uint32_t i = 0; i < rt->workers_count && rc == 0; i++) {
        rc = make_driver(rt, i);
    }
    /* Spares are as many as can be had. */
    for (uint32_t i = rt->workers_count; i < rt->slots_count && rc == 0; i++) {
        if (make_driver(rt, i) < 0) ae__runtime_drop_spares(rt, i);
    }
    return rc;
}

/* All of one kind: where not all can have rings, none has. */
static int make_drivers(struct ae_runtime *rt)
{
    int rc = make_all_drivers(rt);

    if (rc < 0 && rt->config.driver == AE_DRIVER_URING) {
        ae_log(AE_WARN, "epoll instead of io_uring: not a ring for each worker (error %d)", -rc);
        for (uint32_t i = 0; i < rt->slots_count; i++) {
            ae__parts.driver->destroy(rt->workers[i]->driver);
            rt->workers[i]->driver = NULL;
        }
        rt->io = NULL;
        rt->config.driver = AE_DRIVER_EPOLL;
        rc = make_all_drivers(rt);
    }
    if (rc == 0 && ae__parts.io_start) ae__parts.io_start(rt);
    return rc;
}

static int start_threads(struct ae_runtime *rt)
{
    void (*loop)(void *) = ae__os_simulated ? ae__worker_main_simulated : ae__worker_main;
    char name[32];
    int rc = 0;

    if (rt->config.flavor == AE_CURRENT_THREAD) return 0;
    for (uint32_t i = 0; i < rt->workers_count && rc == 0; i++) {
        snprintf(name, sizeof name, "%.10s-%u", rt->config.name, i);
        rc = ae__os_thread_start(&rt->workers[i]->os, name, loop, rt->workers[i]);
        if (rc == 0) rt->workers_started++;
    }
    return rc;
}

static void init_state(struct ae_runtime *rt)
{
    rt->workers_count = rt->config.workers;
    rt->steals = !ae__env_is("AE_STEAL", "off");
    rt->slots_count = rt->workers_count + ae__rescue_spares(rt);
    atomic_init(&rt->slots_live, rt->workers_count);
    rt->migrates = ae__env_is("AE_CHAOS", "migrate") && rt->workers_count > 1;
    rt->counts_tasks = rt->config.tasks_max < TASKS_COUNTED_MAX;
    rt->began_ns = ae__os_now();
    rt->began_ticks = ae__cpu_ticks();
    ae__inject_init(&rt->inject);
    ae__stack_pool_init(&rt->stacks);
    ae__shortage_init(&rt->shortage);
    ae__scope_init(&rt->root, AE__NODE_ROOT, rt, NULL, NULL);
}

/* There are blocks to spare: for the free ones in caches of others, and for those that are counted
 * out and not yet given back, one a thread. A limit that is not counted may be passed by these. */
static uint32_t slab_capacity(const struct ae_runtime *rt)
{
    uint64_t capacity = rt->config.tasks_max;

    capacity += (uint64_t)rt->slots_count * AE__SLAB_CACHED_MAX;
    capacity += rt->slots_count + rt->config.blocking_threads_max + SPARE_BLOCKS;
    return capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX;
}

static int start(struct ae_runtime *rt)
{
    init_state(rt);
    int rc = ae__slab_init(&rt->slab, slab_capacity(rt));
    if (rc < 0) return rc;
    rt->recorder = ae__recorder_create();
    if (!rt->recorder) return -ENOMEM;
    rc = make_workers(rt);
    if (rc < 0) return rc;
    if (rt->config.before_start) {
        rc = rt->config.before_start(rt->config.context);
        if (rc < 0) return rc;
    }
    rc = make_drivers(rt);
    if (rc < 0) return rc;
    rc = ae__parts.lanes_create(rt, &rt->lanes);
    if (rc < 0) return rc;
    rc = start_threads(rt);
    if (rc == 0) rc = ae__monitor_start(rt);
    if (rc < 0 || !rt->config.debug_socket || !ae__parts.control_start) return rc;
    if (ae__os_simulated) return 0; /* nobody comes there from outside */
    rt->control = ae__parts.control_start(rt, rt->config.debug_socket);
    return 0;
}

static int create(const ae_config *config, bool attended, ae_runtime **out)
{
    ae_config full;

    if (ae__parts.simulate) ae__parts.simulate();
    int rc = ae__config_read(config, &full);
    if (rc < 0) return rc;
    struct ae_runtime *rt = ae__mem_aligned(_Alignof(struct ae_runtime), sizeof *rt);
    if (!rt) return -ENOMEM;
    rt->config = full;
    rt->attended = attended;
    ae__overflow_watch();
    rc = start(rt);
    if (rc < 0) {
        if (rt->lanes) ae__parts.lanes_stop(rt->lanes);
        ae__runtime_free(rt);
        return rc;
    }
    *out = rt;
    return 0;
}

int ae_runtime_create(const ae_config *config, ae_runtime **out)
{
    return create(config, false, out);
}

uint64_t ae__tasks_live(struct ae_runtime *rt)
{
    uint64_t live = 0;
    uint32_t used = atomic_load_explicit(&rt->slab.used, memory_order_relaxed);

    for (uint32_t i = 0; i < used; i++) {
        if (ae__slab_at(&rt->slab, i)->state != AE__TASK_FREE) live++;
    }
    return live;
}

/* ---- from outside ---- */

static int block_on_threads(struct ae_runtime *rt, ae_fn *fn, void *arg)
{
    struct ae__thread *thread = ae__thread_self();
    struct ae__actor *self = &thread->actor;
    struct ae__node *before = self->node;
    struct ae__scope scope;

    if (!ae__scope_open_in_root(&scope, rt, self)) return -ESHUTDOWN;
    int rc = ae_join(ae_spawn(fn, arg));
    ae__scope_close_in_root(&scope, self, before);
    AE_ASSERT(self->node == before);
    return rc;
}

/* On a current-thread runtime the call is a task of the root, which tells when it is done. */
struct driven_call {
    struct ae_runtime *rt;
    ae_fn *fn;
    void *arg;
    int status;
    _Atomic(bool) done;
};

static void wake_drivers(struct ae_runtime *rt)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&rt->drive_lock);
    ae__waitq_claim_all(&rt->drive_queue, &wakes);
    ae__lock_release(&rt->drive_lock);
    if (wakes.head) ae__ready_all(&wakes);
}

static int run_driven(void *arg)
{
    struct driven_call *call = arg;
    struct ae_runtime *rt = call->rt;
    ae_scope scope;

    ae_scope_begin(&scope);
    int status = call->fn(call->arg);
    call->status = ae_scope_end(&scope, status);
    /* The call's frame may go as soon as this is set. */
    atomic_store_explicit(&call->done, true, memory_order_release);
    wake_drivers(rt);
    return 0;
}

static bool call_done(struct driven_call *call)
{
    return atomic_load_explicit(&call->done, memory_order_acquire);
}

struct ae__thread *ae__drive_begin(struct ae__worker *w)
{
    struct ae__thread *before = ae__thread_self();

    AE_ASSERT(!before->worker); /* a plain thread */
    ae__worker_enter(w);
    if (w->thread.fault_stack) before->fault_stack = w->thread.fault_stack; /* until it ends */
    w->thread.fault_stack = NULL;
    return before;
}

void ae__drive_end(struct ae__worker *w, struct ae__thread *before)
{
    ae__worker_leave(w);
    ae__thread_set(before);
}

static void drive(struct ae_runtime *rt, struct driven_call *call)
{
    struct ae__worker *w = rt->workers[0];
    struct ae__thread *before = ae__drive_begin(w);

    while (!call_done(call)) {
        ae__worker_step(w);
    }
    ae__drive_end(w, before);
}

/* Become the driver, or wait until that may be worth another try. True: driver now. */
static bool take_wheel(struct ae_runtime *rt, struct driven_call *call)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__waiter waiter;

    ae__lock_acquire(&rt->drive_lock);
    bool free = !rt->driven;
    rt->driven = true;
    if (free || call_done(call)) {
        ae__lock_release(&rt->drive_lock);
        return free;
    }
    uint32_t sequence = ae__wait_begin(self, false, AE__WAIT_JOIN, call);
    ae__waiter_init(&waiter, self, sequence, AE__REASON_DONE);
    ae__waitq_push(&rt->drive_queue, &waiter);
    ae__lock_release(&rt->drive_lock);
    (void)ae__wait_park(self);
    ae__waitq_settle(&rt->drive_lock, &rt->drive_queue, &waiter);
    return false;
}

bool ae__drive_try(struct ae_runtime *rt)
{
    ae__lock_acquire(&rt->drive_lock);
    bool free = !rt->driven;
    rt->driven = true;
    ae__lock_release(&rt->drive_lock);
    return free;
}

bool ae__drive_callers(struct ae_runtime *rt)
{
    ae__lock_acquire(&rt->drive_lock);
    bool any = rt->callers > 0;
    ae__lock_release(&rt->drive_lock);
    return any;
}

void ae__drive_leave(struct ae_runtime *rt)
{
    ae__lock_acquire(&rt->drive_lock);
    AE_ASSERT(rt->driven);
    rt->driven = false;
    ae__lock_release(&rt->drive_lock);
    wake_drivers(rt);
}

/* The task is spawned from a scope in the root; the scope itself is not needed for longer. */
static int spawn_driven(struct ae_runtime *rt, struct driven_call *call)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__node *before = self->node;

    self->node = &rt->root.node;
    int rc = ae_go(run_driven, call);
    self->node = before;
    return rc;
}

/* False: the end has begun. From here on it waits for the caller to leave. */
static bool count_caller(struct ae_runtime *rt)
{
    ae__lock_acquire(&rt->drive_lock);
    /* relaxed: the end takes this lock when it looks for callers, later than it says so */
    bool open = atomic_load_explicit(&rt->stopping, memory_order_relaxed) == 0;
    if (open) rt->callers++;
    ae__lock_release(&rt->drive_lock);
    return open;
}

static int block_on_current(struct ae_runtime *rt, ae_fn *fn, void *arg)
{
    struct driven_call call = { .rt = rt, .fn = fn, .arg = arg };

    if (!count_caller(rt)) return -ESHUTDOWN;
    int rc = spawn_driven(rt, &call);
    while (rc == 0 && !call_done(&call)) {
        if (!take_wheel(rt, &call)) continue;
        drive(rt, &call);
        ae__drive_leave(rt);
    }
    ae__lock_acquire(&rt->drive_lock);
    AE_ASSERT(rt->callers > 0);
    rt->callers--;
    ae__lock_release(&rt->drive_lock); /* the runtime may be gone now */
    return rc < 0 ? rc : call.status;
}

int ae_block_on(ae_runtime *rt, ae_fn *fn, void *arg)
{
    AE_ASSERT(fn);
    AE_ASSERT(!ae__in_task()); /* a task just calls it, or spawns it */
    /* Who is refused still looks at the runtime: the end waits for that. */
    atomic_fetch_add_explicit(&rt->outside, 1, memory_order_relaxed);
    int rc = rt->config.flavor == AE_CURRENT_THREAD ? block_on_current(rt, fn, arg)
                                                    : block_on_threads(rt, fn, arg);
    atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_release); /* rt may be gone now */
    return rc;
}

/* ---- ae_run ---- */

/* In a signal handler: tell every worker, one of them will act. */
void ae__runtime_signal(void *context)
{
    struct ae_runtime *rt = context;

    atomic_fetch_or(&rt->signalled, AE__SIGNALLED_END);
    for (uint32_t i = 0; i < rt->workers_count; i++) {
        ae__worker_unpark(rt->workers[i]);
    }
}

void ae__runtime_signalled(struct ae_runtime *rt)
{
    struct ae__wakes wakes;

    uint32_t before = atomic_fetch_and(&rt->signalled, ~AE__SIGNALLED_END);
    if (before & AE__SIGNALLED_STACKS) ae__shortage_look(ae__worker_self());
    if (!(before & AE__SIGNALLED_END)) return;
    ae__wakes_init(&wakes);
    ae__cancel_node(&rt->root.node, AE__CANCEL_OWN, -ECANCELED, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

/* In a signal handler: the monitor's thread writes a dump. */
static void look_at_all(void *context)
{
    ae__monitor_ask(context, AE__ASK_DUMP);
}

int ae_run(const ae_config *config, ae_fn *main, void *arg)
{
    ae_runtime *rt;
    int rc = create(config, true, &rt);

    if (rc < 0) return rc;
    bool signals = ae__os_signals_take(ae__runtime_signal, look_at_all, rt);
    rc = ae_block_on(rt, main, arg);
    /* From here on a signal does what it did before: the end has begun anyway. */
    if (signals) ae__os_signals_restore();
    int ended = ae_runtime_destroy(rt);
    if (ended < 0) ae__fatal("tasks did not end within the shutdown time: they are named above");
    return rc;
}
