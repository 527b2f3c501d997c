/* SPDX-License-Identifier: Apache-2.0 */
/* Rescue (X1..X3 of sched/rescue.c): one worker and one spare, with the real loop, queues, idle
 * protocol and parking; the monitor's looks, running a task and the I/O driver are played.
 * A single worker takes from its queues without a read-modify-write until it is rescued: no task is
 * taken twice. A spare that is sent away leaves nothing behind. */
#include "environment.h"
#include "latch_driver.h"

#include <string.h>

#include "arch/watch.h"
#include "sched/rescue.h"
#include "sched/runtime.h"
#include "sched/worker.h"

enum { SLOTS = 2, TASKS = 4 };

static struct ae_runtime rt;
static struct ae__worker workers[SLOTS];
static struct ae__worker *worker_list[SLOTS];
static struct ae__lifo_sight sights[SLOTS][SLOTS];
static struct ae__watch watches[SLOTS];
static struct ae__driver drivers[SLOTS];
static uint16_t sleepers[SLOTS];
static struct ae__task tasks[TASKS];
static int runs[TASKS], expected;
static int64_t clocks_ns[MODEL_THREADS_MAX];
static _Atomic(uint32_t) holds; /* a task: 1: it has the worker, 2: it had */

/* ---- what is played ---- */

int64_t ae__os_now(void)
{
    return clocks_ns[model_self()] += 2 * AE__LIFO_STEAL_NS;
}

void ae__os_futex_wake(_Atomic(uint32_t) *word, int count)
{
    (void)word;
    (void)count;
}

void *ae__os_fault_stack_set(void)
{
    return NULL;
}

void ae__os_fault_stack_drop(void *stack)
{
    (void)stack;
}

void ae__san_native(struct ae__san *san)
{
    (void)san;
}

void ae__runtime_signalled(struct ae_runtime *runtime)
{
    (void)runtime;
}

void ae__stack_cache_drain(struct ae__stack_pool *pool, struct ae__stack_cache *cache)
{
    (void)pool;
    (void)cache;
}

/* X3: what membarrier does. */
bool ae__os_barrier_all(void)
{
    model_barrier_all();
    return true;
}

/* The spare's thread is there from the start, and waits to be called. */
int ae__os_thread_start(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg)
{
    (void)name;
    (void)fn;
    (void)arg;
    out->handle = 0;
    model_publish(0); /* a thread sees what was done before its start */
    return 0;
}

void ae__slice_start(struct ae__worker *w, struct ae__task *task)
{
    long i = task - tasks;

    model_assert(i >= 0 && i < TASKS);
    model_assert(task->status == i + 1); /* plain: a race if no queue orders it */
    runs[i]++;
    w->tick++;
    ae__count(&w->counters.slices, 1);
    w->thread.current = task;
    if (task->fn) task->fn(task->arg);
    w->thread.current = NULL;
}

/* ---- set-up ---- */

static void reset_worker(uint32_t i)
{
    struct ae__worker *w = &workers[i];

    memset(w, 0, offsetof(struct ae__worker, wheel));
    memset(&drivers[i], 0, sizeof drivers[i]);
    w->rt = &rt;
    w->index = i;
    w->driver = w->home = &drivers[i];
    w->rng = 0x9E3779B97F4A7C15u;
    w->tick = 1;
    w->sights = sights[i];
    w->spare = i > 0;
    w->ring.alone = i == 0;
    w->thread.worker = w;
    w->thread.rt = &rt;
    w->thread.actor.kind = AE__ACTOR_THREAD;
    w->thread.node.kind = AE__NODE_THREAD;
    w->thread.actor.node = &w->thread.node;
    ae__wheel_init(&w->wheel, 0);
    ae__inject_init(&w->pinned);
    worker_list[i] = w;
}

/* Model thread 1 is the worker's, 2 the spare's; the third is the monitor. */
static void be(int thread)
{
    struct ae__thread *record = &env_threads[thread];

    if (thread >= 1 && thread <= SLOTS) record = &workers[thread - 1].thread;
    ae__thread_set(record);
}

static void reset(void)
{
    env_reset();
    memset(&rt.inject, 0, sizeof rt.inject);
    memset(&rt.idle, 0, sizeof rt.idle);
    memset(sights, 0, sizeof sights);
    memset(watches, 0, sizeof watches);
    memset(runs, 0, sizeof runs);
    rt.workers = worker_list;
    rt.workers_count = 1;
    rt.slots_count = SLOTS;
    atomic_init(&rt.slots_live, 1);
    rt.steals = true;
    rt.config.name = "model";
    rt.monitor.watches = watches;
    rt.monitor.may_be_alone = true;
    ae__inject_init(&rt.inject);
    ae__idle_init(&rt.idle, 1, sleepers);
    for (uint32_t i = 0; i < SLOTS; i++) {
        reset_worker(i);
    }
    for (int i = 0; i < TASKS; i++) {
        tasks[i].actor.kind = AE__ACTOR_TASK;
        tasks[i].rt = &rt;
        tasks[i].status = 0;
        tasks[i].fn = NULL;
    }
    atomic_init(&holds, 0);
    memset(clocks_ns, 0, sizeof clocks_ns);
    model_name(&workers[0].ring.head, "w.head");
    model_name(&workers[0].ring.tail, "w.tail");
    model_name(&workers[0].ring.alone, "w.alone");
    model_name(&workers[0].lifo, "w.lifo");
    model_name(&workers[0].at_queue, "w.at_queue");
    model_name(&workers[0].park, "w.park");
    model_name(&workers[1].park, "spare.park");
    model_name(&workers[1].duty, "spare.duty");
    model_name(&rt.idle.state, "idle.state");
    model_name(&rt.idle.lock, "idle.lock");
    model_name(&rt.inject.length, "inject.length");
    model_name(&rt.slots_live, "slots_live");
    model_name(&holds, "holds");
    model_on_switch(be);
}

static void check(void)
{
    for (int i = 0; i < expected; i++)
        model_assert(runs[i] == 1);
}

static void make_ready(int i)
{
    tasks[i].status = i + 1;
    ae__ready(&tasks[i].actor);
}

/* ---- X3: the queue of a single worker is opened ---- */

static void owner(void *arg)
{
    struct ae__worker *w = &workers[0];
    struct ae__task *task;

    (void)arg;
    w->thread.current = NULL;
    for (int i = 0; i < expected; i++) {
        make_ready(i); /* the one before goes from the LIFO slot to the ring */
    }
    while ((task = ae__queue_pop(w))) {
        ae__slice_start(w, task);
    }
}

static void open_and_steal(void *arg)
{
    struct ae__worker *w = &workers[0], *me = &workers[1];
    uint32_t taken;

    (void)arg;
    rt.slots_count = 1; /* the thief is played here */
    ae__rescue_begin(&rt, w, &watches[0]);
    if (!watches[0].stuck) return; /* it comes back later */
    struct ae__task *task = ae__runq_steal(&w->ring, &me->ring, &taken);
    if (task) ae__slice_start(me, task);
    while ((task = ae__runq_pop(&me->ring))) {
        ae__slice_start(me, task);
    }
    task = atomic_load_explicit(&w->lifo, memory_order_relaxed);
    if (task && atomic_compare_exchange_strong_explicit(&w->lifo, &task, NULL,
                                                        memory_order_acquire,
                                                        memory_order_relaxed)) {
        ae__slice_start(me, task);
    }
}

static void open_setup(void)
{
    reset();
    expected = 3;
    model_thread(owner, NULL);
    model_thread(open_and_steal, NULL);
}

MODEL(open, "a single worker's queues are opened while it takes from them", open_setup, check, 3,
      1)

/* ---- X3: it is closed again ---- */

static void steal_and_close(void *arg)
{
    struct ae__worker *w = &workers[0], *me = &workers[1];
    struct ae__task *task;
    uint32_t taken;

    (void)arg;
    task = ae__runq_steal(&w->ring, &me->ring, &taken);
    if (task) ae__slice_start(me, task);
    while ((task = ae__runq_pop(&me->ring))) {
        ae__slice_start(me, task);
    }
    ae__rescue_settle(&rt);
}

static void close_setup(void)
{
    reset();
    expected = 3;
    atomic_init(&workers[0].ring.alone, false);
    model_thread(owner, NULL);
    model_thread(steal_and_close, NULL);
}

MODEL(close_again, "the last thief has gone, and the worker takes alone again", close_setup, check,
      3, 1)

/* ---- X1: called, sent away ---- */

static bool others_ran(void *arg)
{
    (void)arg;
    return runs[1] + runs[2] == 2;
}

static int hold(void *arg)
{
    (void)arg;
    make_ready(1);
    make_ready(2);
    atomic_store_explicit(&holds, 1, memory_order_release);
    model_block(others_ran, NULL, "a task that holds its worker");
    atomic_store_explicit(&holds, 2, memory_order_release);
    return 0;
}

static bool is_held(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&holds, memory_order_relaxed) == 1;
}

static bool is_back(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&holds, memory_order_relaxed) == 2;
}

static void worker(void *arg)
{
    (void)arg;
    for (;;)
        ae__worker_step(&workers[0]);
}

static bool is_called(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&workers[1].duty, memory_order_relaxed) != AE__RESTS;
}

static bool is_at_rest(void *arg)
{
    return !is_called(arg);
}

static void spare(void *arg)
{
    (void)arg;
    model_block(is_called, NULL, "a call");
    model_receive(0);
    for (;;)
        ae__spare_step(&workers[1]);
}

static void monitor(void *arg)
{
    model_block(is_held, NULL, "a stall");
    while (!watches[0].stuck) {
        ae__rescue_begin(&rt, &workers[0], &watches[0]);
        if (!watches[0].stuck) model_spin();
    }
    while (!is_back(NULL)) {
        ae__rescue_help(&rt, &workers[0]); /* as it does at each look */
        model_spin();
    }
    if (arg) make_ready(3);
    ae__rescue_end(&rt, &watches[0]);
    ae__rescue_settle(&rt);
}

/* Twice: the second time it is called from its rest. */
static void monitor_twice(void *arg)
{
    monitor(arg);
    model_block(is_at_rest, NULL, "the spare");
    ae__rescue_begin(&rt, &workers[0], &watches[0]);
    ae__rescue_end(&rt, &watches[0]);
    make_ready(3);
}

static void call_setup(void)
{
    reset();
    expected = 3;
    tasks[0].fn = hold;
    model_daemon(worker, NULL);
    model_daemon(spare, NULL);
    model_thread(monitor, NULL);
    be(3);
    make_ready(0);
}

static void call_check(void)
{
    check();
    model_assert(atomic_load(&workers[1].duty) == AE__RESTS);
    model_assert(!ae__queue_has_any(&workers[0]) && !ae__queue_has_any(&workers[1]));
    model_assert(!workers[1].searching && !workers[1].covers);
}

MODEL(call, "a spare is called, runs what waits, and rests again", call_setup, call_check, 2, 0)

/* The one that comes as it leaves is run by somebody. */
static void monitor_and_task(void *arg)
{
    (void)arg;
    monitor((void *)1);
}

static void leave_with_task_setup(void)
{
    reset();
    expected = 4;
    tasks[0].fn = hold;
    model_daemon(worker, NULL);
    model_daemon(spare, NULL);
    model_thread(monitor_and_task, NULL);
    be(3);
    make_ready(0);
}

static void again_setup(void)
{
    reset();
    expected = 4;
    tasks[0].fn = hold;
    model_daemon(worker, NULL);
    model_daemon(spare, NULL);
    model_thread(monitor_twice, NULL);
    be(3);
    make_ready(0);
}

MODEL(again, "a spare is called a second time", again_setup, call_check, 2, 0)

MODEL(leave, "a task that is made ready as the spare leaves is run", leave_with_task_setup,
      call_check, 2, 0)
