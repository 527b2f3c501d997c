/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a runtime (sched/shutdown.c) against a worker, tasks that spawn, threads that wake and
 * threads that call in, all unmodified; only a task's stack, the driver and OS threads are played.
 * Whatever was accepted has run when the runtime goes, and nobody touches it afterwards. */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "aether/log.h"
#include "aether/scope.h"
#include "base/mem.h"
#include "sched/runtime.h"
#include "sched/scope.h"
#include "sched/spawn.h"
#include "task/locals.h"
#include "task/names.h"

enum { BLOCKS = 3, WORKER_THREAD = 1 };

struct ae__driver {
    _Atomic(uint32_t) latch;
};

static struct ae_runtime rt;
static struct ae__worker worker;
static struct ae__worker *worker_list[1];
static struct ae__driver driver;
static uint16_t sleepers[1];
static _Alignas(256) char arena[BLOCKS * AE__TASK_BYTES + 256];
static size_t arena_used;
static _Atomic(uint32_t) worker_ended, started;
static int runs[BLOCKS], results[ACTORS], stack_puts;
static struct ae__task *deferred;
static uint32_t deferred_sequence;

/* ---- what is played: the driver, a task's run, threads, memory ---- */

static bool latched(void *arg)
{
    return atomic_load_explicit(&((struct ae__driver *)arg)->latch, memory_order_relaxed) != 0;
}

static void driver_poll(struct ae__driver *d, int64_t deadline_ns, struct ae__wakes *wakes)
{
    (void)wakes;
    if (deadline_ns <= AE__POLL_PEEK) return;
    model_block(latched, d, "driver poll");
    atomic_exchange_explicit(&d->latch, 0, memory_order_relaxed);
}

static void driver_wake(struct ae__driver *d)
{
    atomic_store_explicit(&d->latch, 1, memory_order_relaxed);
}

static void driver_flush(struct ae__driver *d)
{
    (void)d;
}

static void driver_destroy(struct ae__driver *d)
{
    model_free(d, sizeof *d);
}

static void lanes_stop(struct ae__lanes *lanes)
{
    (void)lanes;
}

static const struct ae__driver_ops driver_ops = {
    .name = "model",
    .poll = driver_poll,
    .flush = driver_flush,
    .wake = driver_wake,
    .destroy = driver_destroy,
};

const struct ae__parts ae__parts = { .driver = &driver_ops, .lanes_stop = lanes_stop };

struct ae__recorder *ae__recorder_create(void)
{
    return NULL;
}

void ae__recorder_destroy(struct ae__recorder *recorder)
{
    (void)recorder;
}

/* A task runs to its end in one slice. */
void ae__slice_start(struct ae__worker *w, struct ae__task *task)
{
    w->tick++;
    ae__count(&w->counters.slices, 1);
    w->thread.current = task;
    atomic_store_explicit(&task->state, AE__TASK_RUNNING, memory_order_relaxed);
    if (task->flags & AE__TASK_SETTLE) (void)ae__wait_finish(&task->actor);
    task->status = task->fn(task->arg);
    w->thread.current = NULL;
    ae__task_finish(w, task);
}

bool ae__slice_call(struct ae__task *self, struct ae__task *callee);

bool ae__slice_call(struct ae__task *self, struct ae__task *callee)
{
    (void)self;
    (void)callee;
    return false;
}

void ae__slice_leave(struct ae__task *self, enum ae__commit commit)
{
    (void)self;
    (void)commit;
    model_fail("no task waits here");
}

static void worker_thread(void *arg)
{
    ae__worker_main(arg);
    model_publish(1);
    atomic_store_explicit(&worker_ended, 1, memory_order_relaxed);
}

static bool has_ended(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&worker_ended, memory_order_relaxed) != 0;
}

void ae__os_thread_join(ae__os_thread thread)
{
    (void)thread;
    model_block(has_ended, NULL, "join");
    model_receive(1);
}

void ae__os_thread_yield(void)
{
    model_spin();
}

int64_t ae__os_now(void)
{
    return 1000;
}

void ae__os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    (void)deadline_ns;
    model_futex_wait((const uint32_t *)word, expected);
}

void ae__os_futex_wake(_Atomic(uint32_t) *word, int count)
{
    model_futex_wake((const uint32_t *)word, count);
}

void *ae__os_fault_stack_set(void)
{
    return NULL;
}

void ae__os_fault_stack_drop(void *stack)
{
    (void)stack;
}

void *ae__os_map(size_t bytes)
{
    void *base = arena + arena_used;

    model_assert(arena_used + bytes <= sizeof arena);
    arena_used += (bytes + 255) / 256 * 256;
    memset(base, 0, bytes);
    return base;
}

void ae__os_unmap(void *base, size_t bytes)
{
    model_free(base, bytes);
}

void ae__mem_free(void *block)
{
    if (block == &rt) {
        model_free(&rt, sizeof rt);
    } else if (block == &worker) {
        model_free(&worker, offsetof(struct ae__worker, slab));
        model_free(&worker.ring, offsetof(struct ae__worker, wheel) -
                                     offsetof(struct ae__worker, ring));
    }
}

void *ae__mem_zalloc(size_t size)
{
    (void)size;
    model_fail("a thread without a record");
}

void ae__san_native(struct ae__san *san)
{
    (void)san;
}

uint8_t ae__stack_class(size_t bytes)
{
    (void)bytes;
    return 0;
}

void ae__stack_put(struct ae__stack_pool *pool, struct ae__stack_cache *cache,
                   struct ae__stack *stack)
{
    (void)pool;
    (void)cache;
    (void)stack;
    stack_puts++;
}

void ae__stack_cache_drain(struct ae__stack_pool *pool, struct ae__stack_cache *cache)
{
    (void)pool;
    (void)cache;
    model_fail("nobody waits for a stack here");
}

void ae__stack_pool_finish(struct ae__stack_pool *pool)
{
    (void)pool;
}

void ae_log(enum ae_log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

const char *ae_strerror(int rc)
{
    (void)rc;
    return "";
}

const char *ae__state_name(unsigned state)
{
    (void)state;
    return "";
}

const char *ae__wait_name(unsigned kind)
{
    (void)kind;
    return "";
}

/* ---- set-up ---- */

static struct ae__thread *records[ACTORS]; /* what each model thread is at the moment */
static int last_thread;

static void be(int thread)
{
    records[last_thread] = ae__thread_get();
    last_thread = thread;
    ae__thread_set(records[thread]);
}

static void reset_worker(void)
{
    memset(&worker, 0, offsetof(struct ae__worker, slab));
    memset(&worker.slab.count, 0, sizeof worker.slab.count);
    worker.slab.fresh = worker.slab.fresh_end = 0;
    memset(&worker.ring, 0, offsetof(struct ae__worker, wheel) - offsetof(struct ae__worker, ring));
    memset(&driver, 0, sizeof driver);
    worker.rt = &rt;
    worker.driver = &driver;
    worker.tick = 1;
    worker.thread.worker = &worker;
    worker.thread.rt = &rt;
    worker.thread.actor.kind = AE__ACTOR_THREAD;
    worker.thread.node.kind = AE__NODE_THREAD;
    worker.thread.actor.node = &worker.thread.node;
    ae__list_init(&worker.thread.node.sibling);
    worker.wheel.rt = &rt;
    ae__wheel_init(&worker.wheel, 0);
    memset(&worker.wheel.lock, 0, sizeof worker.wheel.lock);
    ae__inject_init(&worker.pinned);
    worker_list[0] = &worker;
}

static void reset_runtime(void)
{
    env_reset();
    memset(&rt, 0, sizeof rt);
    arena_used = 0;
    model_assert(ae__slab_init(&rt.slab, BLOCKS) == 0);
    rt.config.shutdown_ns = -1;
    rt.workers = worker_list;
    rt.workers_count = rt.slots_count = rt.workers_started = 1;
    atomic_init(&rt.slots_live, 1);
    rt.steals = true;
    ae__inject_init(&rt.inject);
    ae__idle_init(&rt.idle, 1, sleepers);
    ae__scope_init(&rt.root, AE__NODE_ROOT, &rt, NULL, NULL);
    reset_worker();
    memset(runs, 0, sizeof runs);
    for (int i = 0; i < ACTORS; i++)
        results[i] = 1;
    atomic_init(&worker_ended, 0);
    atomic_init(&started, 0);
    stack_puts = 0;
    deferred = NULL;
    model_name(&rt, "runtime");
    model_name(&rt.outside, "outside");
    model_name(&rt.stopping, "stopping");
    model_name(&rt.inject.lock, "inject.lock");
    model_name(&rt.inject.length, "inject.length");
    model_name(&rt.idle.state, "idle.state");
    model_name(&rt.root.node.lock, "root.lock");
    model_name(&rt.root.node.cancelled, "root.cancelled");
    model_name(&worker.park, "park");
    model_name(&driver.latch, "latch");
    model_name(&worker_ended, "worker_ended");
    for (int i = 0; i < ACTORS; i++)
        records[i] = &env_threads[i];
    last_thread = 0;
    ae__thread_set(records[0]);
    model_on_switch(be);
}

static void start_worker(void)
{
    records[WORKER_THREAD] = &worker.thread;
    model_thread(worker_thread, &worker);
}

static void reset(void)
{
    reset_runtime();
    start_worker();
}

static bool has_started(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&started, memory_order_relaxed) != 0;
}

static void destroyer(void *arg)
{
    if (arg) model_block(has_started, NULL, "a start");
    results[0] = ae_runtime_destroy(&rt);
    model_assert(runs[0] == 1); /* plain: ordered by the end */
}

static void check(void)
{
    model_assert(results[0] == 0);
    model_assert(runs[0] == 1);
}

/* ---- a task spawns into the root as the end begins ---- */

static int count_run(void *arg)
{
    runs[(intptr_t)arg]++;
    return 0;
}

static int spawn_child(void *arg)
{
    results[1] = ae_go_in(NULL, count_run, (void *)1);
    return count_run(arg);
}

static void go(struct ae__scope *scope, ae_fn *fn, void *arg)
{
    struct ae__spawn spawn = { .scope = scope, .state = AE__TASK_READY, .fn = fn, .arg = arg };
    struct ae__task *task = ae__task_make(&spawn);

    model_assert(task);
    ae__ready(&task->actor);
}

static void spawn_setup(void)
{
    reset();
    go(&rt.root, spawn_child, (void *)0);
    model_thread(destroyer, NULL);
}

static void spawn_check(void)
{
    check();
    model_assert(results[1] == 0 && runs[1] == 1);
}

MODEL(end_spawn, "what a task spawns into the root runs before the end", spawn_setup, spawn_check,
      3, 0)

/* ---- a thread wakes the last task, which ends before the wake does ---- */

static void defer(void)
{
    struct ae__spawn spawn = {
        .scope = &rt.root, .state = AE__TASK_DEFERRED, .fn = count_run, .arg = (void *)0
    };

    deferred = ae__task_make(&spawn);
    deferred_sequence = ae__task_defer_begin(deferred, AE__WAIT_SLEEP, NULL);
    ae__task_defer_commit(deferred);
}

static void outside_waker(void *arg)
{
    struct ae__wakes wakes;

    (void)arg;
    ae__wakes_init(&wakes);
    (void)ae__wait_wake(&deferred->actor, deferred_sequence, AE__REASON_FIRST, &wakes);
    atomic_store_explicit(&started, 1, memory_order_relaxed);
    if (wakes.head) ae__ready_all(&wakes);
}

static void outside_setup(void)
{
    reset();
    defer();
    model_thread(destroyer, &started);
    model_thread(outside_waker, NULL);
}

MODEL(end_wake, "a thread in the middle of the last wake is waited for", outside_setup, check, 2, 0)

static void pinned_setup(void)
{
    reset();
    defer();
    deferred->actor.pins = 1;
    model_thread(destroyer, &started);
    model_thread(outside_waker, NULL);
}

MODEL(end_wake_pinned, "the same, if the last task is a pinned one", pinned_setup, check, 2, 0)

/* ---- a thread runs a function while the end begins ---- */

static int say_started(void *arg)
{
    atomic_store_explicit(&started, 1, memory_order_relaxed);
    return count_run(arg);
}

static void blocker(void *arg)
{
    (void)arg;
    results[2] = ae_block_on(&rt, say_started, (void *)0);
}

static void block_setup(void)
{
    reset();
    model_thread(blocker, NULL);
    model_thread(destroyer, &started);
}

static void block_check(void)
{
    check();
    model_assert(results[2] == 0);
}

MODEL(end_block_on, "who called in gets its result before the end", block_setup, block_check, 2, 0)

/* ---- no thread of its own: two call in, one of them drives ---- */

static void caller(void *arg)
{
    results[(intptr_t)arg] = ae_block_on(&rt, count_run, arg);
}

static void callers_setup(void)
{
    reset_runtime();
    rt.config.flavor = AE_CURRENT_THREAD;
    model_thread(caller, (void *)0);
    model_thread(caller, (void *)1);
}

static void callers_check(void)
{
    check();
    model_assert(results[1] == 0 && runs[1] == 1);
    model_assert(rt.callers == 0 && !rt.driven && !rt.drive_queue.head);
}

MODEL(end_two_callers, "who drives runs the other's call, too", callers_setup, callers_check, 2, 0)

/* ---- nothing to do: the worker parks as it is told to end ---- */

static void idle_setup(void)
{
    reset();
    runs[0] = 1;
    model_thread(destroyer, NULL);
}

MODEL(end_idle, "a worker that goes to sleep sees the end", idle_setup, check, 5, 2)
