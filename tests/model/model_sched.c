/* SPDX-License-Identifier: Apache-2.0 */
/* Workers as they are: the loop, queues, stealing, the idle protocol (I1..I4 of sched/idle.h) and
 * parking (P1..P3 of sched/park.c), unmodified; only running a task and the I/O driver are played
 * here. Every task that is made ready is run, once, although all workers may be going to sleep. */
#include "environment.h"
#include "latch_driver.h"

#include <string.h>

#include "base/mem.h"
#include "sched/runtime.h"
#include "sched/spawn.h"
#include "sched/worker.h"

enum { WORKERS = 2, TASKS = 6 };

static struct ae_runtime rt;
static struct ae__worker workers[WORKERS];
static struct ae__worker *worker_list[WORKERS];
static struct ae__lifo_sight sights[WORKERS][WORKERS];
static struct ae__driver drivers[WORKERS];
static uint16_t sleepers[WORKERS];
static struct ae__task tasks[TASKS];
static int runs[TASKS], expected;
static int64_t clock_ns;

/* ---- what is played ---- */

int64_t ae__os_now(void)
{
    return clock_ns += 2 * AE__LIFO_STEAL_NS; /* what a thief saw twice is always ripe */
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

int64_t ae__stack_trim(struct ae__stack_pool *pool)
{
    (void)pool;
    return INT64_MAX;
}

bool ae__shortage_any(struct ae_runtime *runtime)
{
    (void)runtime;
    return false;
}

bool ae__shortage_holds(const struct ae__worker *w)
{
    (void)w;
    return false;
}

int64_t ae__shortage_sleep(int64_t deadline_ns)
{
    return deadline_ns;
}

void ae__runtime_signalled(struct ae_runtime *runtime)
{
    (void)runtime;
}

void ae__san_native(struct ae__san *san)
{
    (void)san;
}

void ae__slice_start(struct ae__worker *w, struct ae__task *task)
{
    long i = task - tasks;

    model_assert(i >= 0 && i < TASKS);
    model_assert(task->status == i + 1); /* plain: a race if no queue orders it */
    if (task->actor.pins > 0) model_assert(w->index == task->actor.last_worker);
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
    w->tick = 1; /* not the fair one first */
    w->sights = sights[i];
    w->thread.worker = w;
    w->thread.rt = &rt;
    w->thread.actor.kind = AE__ACTOR_THREAD;
    w->thread.node.kind = AE__NODE_THREAD;
    w->thread.actor.node = &w->thread.node;
    w->wheel.rt = &rt;
    w->wheel.slot = i;
    ae__wheel_init(&w->wheel, 0);
    ae__inject_init(&w->pinned);
    worker_list[i] = w;
}

static void name_worker(uint32_t i)
{
    static const char *const park[] = { "w0.park", "w1.park" };
    static const char *const head[] = { "w0.head", "w1.head" };
    static const char *const tail[] = { "w0.tail", "w1.tail" };
    static const char *const lifo[] = { "w0.lifo", "w1.lifo" };
    static const char *const latch[] = { "w0.latch", "w1.latch" };

    model_name(&workers[i].park, park[i]);
    model_name(&workers[i].ring.head, head[i]);
    model_name(&workers[i].ring.tail, tail[i]);
    model_name(&workers[i].lifo, lifo[i]);
    model_name(&drivers[i].latch, latch[i]);
}

/* Worker i is model thread i + 1. */
static void be(int thread)
{
    struct ae__thread *record = &env_threads[thread];

    if (thread >= 1 && thread <= WORKERS) record = &workers[thread - 1].thread;
    ae__thread_set(record);
}

static void reset(void)
{
    env_reset();
    memset(&rt.inject, 0, sizeof rt.inject);
    memset(&rt.idle, 0, sizeof rt.idle);
    memset(sights, 0, sizeof sights);
    memset(runs, 0, sizeof runs);
    rt.workers = worker_list;
    rt.workers_count = rt.slots_count = WORKERS;
    atomic_init(&rt.slots_live, WORKERS);
    rt.steals = true;
    ae__inject_init(&rt.inject);
    ae__idle_init(&rt.idle, WORKERS, sleepers);
    for (uint32_t i = 0; i < WORKERS; i++) {
        reset_worker(i);
        name_worker(i);
    }
    for (int i = 0; i < TASKS; i++) {
        tasks[i].actor.kind = AE__ACTOR_TASK;
        tasks[i].rt = &rt;
        tasks[i].status = 0;
        tasks[i].fn = NULL;
    }
    clock_ns = 0;
    model_name(&rt.idle.state, "idle.state");
    model_name(&rt.idle.lock, "idle.lock");
    model_name(&rt.inject.length, "inject.length");
    model_name(&rt.inject.lock, "inject.lock");
    model_name(&rt.stopping, "stopping");
    model_on_switch(be);
}

static void make_ready(int i)
{
    tasks[i].status = i + 1;
    ae__ready(&tasks[i].actor);
}

static void check(void)
{
    for (int i = 0; i < expected; i++)
        model_assert(runs[i] == 1);
}

static void worker(void *arg)
{
    struct ae__worker *w = &workers[(intptr_t)arg];

    for (;;)
        ae__worker_step(w);
}

static void start_workers(void)
{
    for (intptr_t i = 0; i < WORKERS; i++)
        model_daemon(worker, (void *)i);
}

/* ---- a task from outside, while the workers go to sleep ---- */

static void outside_one(void *arg)
{
    make_ready((int)(intptr_t)arg);
}

static void outside_setup(void)
{
    reset();
    expected = 1;
    start_workers();
    model_thread(outside_one, (void *)0);
}

MODEL(outside, "a task from outside against two workers that park", outside_setup, check, 3, 0)

static void outside_two(void *arg)
{
    (void)arg;
    make_ready(0);
    make_ready(1);
}

static void outside_two_setup(void)
{
    reset();
    expected = 2;
    start_workers();
    model_thread(outside_two, NULL);
}

MODEL(outside_two_tasks, "two in a row", outside_two_setup, check, 2, 1)

static void two_outside_setup(void)
{
    reset();
    expected = 2;
    start_workers();
    model_thread(outside_one, (void *)0);
    model_thread(outside_one, (void *)1);
}

MODEL(two_outside, "from two threads at once", two_outside_setup, check, 2, 0)

/* ---- a task that makes others ready ---- */

static int spawn_two(void *arg)
{
    (void)arg;
    make_ready(1);
    make_ready(2);
    return 0;
}

static void spawn_setup(void)
{
    reset();
    expected = 3;
    tasks[0].fn = spawn_two;
    start_workers();
    model_thread(outside_one, (void *)0);
}

MODEL(spawn_two_tasks, "LIFO slot, ring, steal, and the other worker parks", spawn_setup, check, 2,
      0)

/* New tasks: the first goes to the LIFO slot, the others to the ring. */
static int spawn_new(void *arg)
{
    (void)arg;
    for (int i = 1; i <= 2; i++) {
        tasks[i].status = i + 1;
        ae__ready_new(&tasks[i]);
    }
    return 0;
}

static void spawn_new_setup(void)
{
    reset();
    expected = 3;
    tasks[0].fn = spawn_new;
    start_workers();
    model_thread(outside_one, (void *)0);
}

MODEL(spawn_new_tasks, "a new task displaces nobody, and waits for nobody", spawn_new_setup, check,
      2, 0)

/* A task that runs until another one has run: the other worker must come and get it (chain of
 * wakes; the LIFO slot alone wakes nobody, so there are two). */
static bool others_ran(void *arg)
{
    (void)arg;
    return runs[1] + runs[2] > 0;
}

static int spawn_and_wait(void *arg)
{
    spawn_two(arg);
    model_block(others_ran, NULL, "a task that hogs its worker");
    return 0;
}

static void hog_setup(void)
{
    reset();
    expected = 3;
    tasks[0].fn = spawn_and_wait;
    start_workers();
    model_thread(outside_one, (void *)0);
}

MODEL(hog, "a busy worker's queue is stolen, its thief is woken", hog_setup, check, 2, 1)

/* ---- pinned ---- */

static void pinned_one(void *arg)
{
    (void)arg;
    tasks[0].actor.pins = 1;
    tasks[0].actor.last_worker = 1;
    make_ready(0);
}

static void pinned_setup(void)
{
    reset();
    expected = 1;
    tasks[0].actor.pins = 0;
    start_workers();
    model_thread(pinned_one, NULL);
}

static void pinned_check(void)
{
    check();
    tasks[0].actor.pins = 0;
}

MODEL(pinned, "a pinned task wakes its own worker", pinned_setup, pinned_check, 3, 0)
