/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking pool (B1..B7 of blocking/pool.c), unmodified, on threads that the model plays: they
 * may fail to start, are slow to start, and their keep-alive may be over at any time. What was
 * accepted runs, once; what was not accepted does not; nothing is touched after the pool's end. */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "aether/time.h"
#include "arch/os.h"
#include "arch/thread.h"
#include "base/mem.h"
#include "blocking/pool.h"

enum { TASKS = 3, POOL_THREADS = 2 };

struct ae_runtime {
    int unused;
};

static struct ae_runtime rt;
static ae_config config;
static struct ae__pool *pool;
static struct ae__task tasks[TASKS];
static struct ae__call calls[ACTORS];
static int runs[TASKS], called[ACTORS], results[ACTORS], accepted[TASKS];
static _Atomic(int) completed;

/* ---- OS threads: model threads that wait to be started ---- */

static struct os_thread {
    _Atomic(uint32_t) taken;
    _Atomic(uint32_t) state; /* 0 unused, 1 started, 2 ended */
    void (*fn)(void *arg);
    void *arg;
} os_threads[POOL_THREADS];

static bool start_may_fail, waits;
static _Atomic(bool) starts_fail;

static bool is_started(void *arg)
{
    struct os_thread *t = arg;
    return atomic_load_explicit(&t->state, memory_order_relaxed) == 1;
}

static bool is_ended(void *arg)
{
    struct os_thread *t = arg;
    return atomic_load_explicit(&t->state, memory_order_relaxed) == 2;
}

static void os_thread_main(void *arg)
{
    unsigned i = (unsigned)(intptr_t)arg;
    struct os_thread *t = &os_threads[i];

    for (;;) {
        model_block(is_started, t, "to be started");
        model_receive(i);
        t->fn(t->arg);
        model_publish(POOL_THREADS + i);
        atomic_store_explicit(&t->state, 2, memory_order_relaxed);
    }
}

int ae__os_thread_start(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg)
{
    (void)name;
    if (start_may_fail && model_choose(2)) return -EAGAIN;
    if (atomic_load_explicit(&starts_fail, memory_order_relaxed)) return -EAGAIN;
    for (unsigned i = 0; i < POOL_THREADS; i++) {
        struct os_thread *t = &os_threads[i];
        if (atomic_exchange_explicit(&t->taken, 1, memory_order_acquire) != 0) continue;
        t->fn = fn;
        t->arg = arg;
        model_publish(i);
        atomic_store_explicit(&t->state, 1, memory_order_relaxed);
        out->handle = i;
        return 0;
    }
    return -EAGAIN;
}

void ae__os_thread_join(ae__os_thread thread)
{
    struct os_thread *t = &os_threads[thread.handle];

    model_block(is_ended, t, "join");
    model_receive(POOL_THREADS + (unsigned)thread.handle);
    atomic_store_explicit(&t->state, 0, memory_order_relaxed);
    atomic_store_explicit(&t->taken, 0, memory_order_release);
}

void ae__os_thread_yield(void)
{
    model_spin();
}

unsigned ae__os_cpus(void)
{
    return 1; /* no spinning */
}

static bool keep_alive_ends;
static _Atomic(int64_t) now_ns;

int64_t ae__os_now(void)
{
    return atomic_load_explicit(&now_ns, memory_order_relaxed);
}

void ae__os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (deadline_ns == AE_FOREVER || !keep_alive_ends) {
        model_futex_wait((const uint32_t *)word, expected);
    } else if (!model_futex_wait_timed((const uint32_t *)word, expected)) {
        atomic_fetch_add_explicit(&now_ns, 1000, memory_order_relaxed);
    }
}

void ae__os_futex_wake(_Atomic(uint32_t) *word, int count)
{
    model_futex_wake((const uint32_t *)word, count);
}

/* ---- memory: the pool and the records of its threads ---- */

static _Alignas(64) unsigned char memory[6][1024];
static _Atomic(unsigned) memory_used;

void *ae__mem_zalloc(size_t size)
{
    unsigned at = atomic_fetch_add_explicit(&memory_used, 1, memory_order_relaxed);
    void *block = memory[at];

    model_assert(at < 6 && size <= sizeof memory[0]);
    memset(block, 0, size);
    return block;
}

void ae__mem_free(void *block)
{
    if (block) model_free(block, sizeof memory[0]);
}

/* ---- the rest of the runtime ---- */

const ae_config *ae__runtime_config(const struct ae_runtime *runtime)
{
    (void)runtime;
    return &config;
}

void ae__task_lend(struct ae__task *task, struct ae__actor *runner)
{
    task->sp = runner;
}

void ae__task_unlend(struct ae__task *task, struct ae__actor *runner, struct ae__node *before)
{
    (void)before;
    model_assert(task->sp == runner);
    task->sp = NULL;
}

void ae__task_complete(struct ae__task *task, int status)
{
    model_assert(status == 0);
    model_assert(runs[task - tasks] == 1);
    atomic_fetch_add_explicit(&completed, 1, memory_order_relaxed);
}

void ae__scope_lend(struct ae__scope *scope, struct ae__actor *caller, struct ae__actor *borrower)
{
    scope->owner = borrower;
    (void)caller;
}

void ae__scope_unlend(struct ae__scope *scope, struct ae__actor *borrower, struct ae__node *before)
{
    (void)before;
    model_assert(scope->owner == borrower);
}

/* ---- set-up ---- */

static void make_pool(uint32_t threads_max, uint32_t queue_max)
{
    memset(&config, 0, sizeof config);
    config.blocking_queue_max = queue_max;
    config.blocking_keep_alive_ns = 500;
    model_assert(ae__pool_create(&rt, "pool", threads_max, &pool) == 0);
    model_name(&memory[0], "pool");
}

static int job(void *arg)
{
    runs[(intptr_t)arg]++;
    return 0;
}

static void reset(void)
{
    env_reset();
    model_revive(memory, sizeof memory);
    atomic_init(&memory_used, 0);
    memset(os_threads, 0, sizeof os_threads);
    memset(tasks, 0, sizeof tasks);
    model_revive(calls, sizeof calls);
    memset(calls, 0, sizeof calls);
    memset(runs, 0, sizeof runs);
    memset(called, 0, sizeof called);
    memset(accepted, 0, sizeof accepted);
    for (int i = 0; i < ACTORS; i++)
        results[i] = 1;
    for (int i = 0; i < TASKS; i++) {
        tasks[i].fn = job;
        tasks[i].arg = (void *)(intptr_t)i;
    }
    atomic_init(&completed, 0);
    atomic_init(&now_ns, 1000);
    start_may_fail = keep_alive_ends = waits = false;
    atomic_init(&starts_fail, false);
    model_name(&memory[1], "record 1");
    model_name(&memory[2], "record 2");
    model_name(&os_threads[0].state, "os thread 0");
    model_name(&os_threads[1].state, "os thread 1");
    model_name(&runs, "runs");
}

static void os_threads_start(int count)
{
    for (intptr_t i = 0; i < count; i++)
        model_daemon(os_thread_main, (void *)i);
}

static void submit(void *arg)
{
    intptr_t i = (intptr_t)arg;
    accepted[i] = ae__pool_submit(pool, &tasks[i], waits) == 0;
}

static void check(void)
{
    for (int i = 0; i < TASKS; i++)
        model_assert(runs[i] == accepted[i]);
}

/* ---- jobs ---- */

static void two_setup(void)
{
    reset();
    make_pool(2, 8);
    model_thread(submit, (void *)0);
    model_thread(submit, (void *)1);
    os_threads_start(2);
}

static void two_check(void)
{
    check();
    model_assert(accepted[0] && accepted[1]);
}

MODEL(pool_submit, "two submit: both run, once", two_setup, two_check, 3, 0)

/* B2: a thread cannot be had, at any attempt. What was accepted runs all the same. */
static void failing_setup(void)
{
    reset();
    start_may_fail = true;
    make_pool(2, 8);
    model_thread(submit, (void *)0);
    model_thread(submit, (void *)1);
    os_threads_start(2);
}

MODEL(pool_start_fails, "threads fail to start: accepted jobs run", failing_setup, check, 3, 0)

static void submit_twice(void *arg)
{
    submit(arg);
    atomic_store_explicit(&starts_fail, true, memory_order_relaxed);
    submit((void *)((intptr_t)arg + 1));
}

static void failing_later_setup(void)
{
    reset();
    keep_alive_ends = true;
    make_pool(2, 8);
    model_thread(submit_twice, (void *)0);
    os_threads_start(2);
}

MODEL(pool_start_fails_later, "no second thread, and the first may be about to end",
      failing_later_setup, check, 3, 0)

/* The first job runs until the second has: it takes two threads. */
static _Atomic(int) second_ran;

static bool is_second_done(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&second_ran, memory_order_relaxed) != 0;
}

static int wait_for_second(void *arg)
{
    model_block(is_second_done, NULL, "the other job");
    return job(arg);
}

static int release_first(void *arg)
{
    atomic_store_explicit(&second_ran, 1, memory_order_relaxed);
    return job(arg);
}

static void submit_both(void *arg)
{
    submit(arg);
    submit((void *)1);
}

static void chain_setup(void)
{
    reset();
    atomic_init(&second_ran, 0);
    tasks[0].fn = wait_for_second;
    tasks[1].fn = release_first;
    make_pool(2, 8);
    model_thread(submit_both, (void *)0);
    os_threads_start(2);
}

MODEL(pool_chain, "a job that blocks gets a thread of its own", chain_setup, two_check, 4, 1)

static void keep_alive_setup(void)
{
    reset();
    keep_alive_ends = true;
    make_pool(1, 8);
    model_thread(submit, (void *)0);
    model_thread(submit, (void *)1);
    os_threads_start(2);
}

MODEL(pool_keep_alive, "a job comes as the thread's keep-alive ends", keep_alive_setup, check, 2, 0)

static void submit_three(void *arg)
{
    struct ae__pool_stats stats;

    (void)arg;
    for (intptr_t i = 0; i < 3; i++) {
        submit((void *)i);
        ae__pool_stats(pool, &stats);
        model_assert(stats.queued <= 1);
    }
}

static void full_setup(void)
{
    reset();
    make_pool(1, 1);
    model_thread(submit_three, NULL);
    os_threads_start(1);
}

static void full_check(void)
{
    model_assert(accepted[0]);
    check();
}

MODEL(pool_full, "a full queue refuses, and forgets nothing", full_setup, full_check, 5, 1)

/* B6: of those who find the queue full one may give up; the others come in. */
static void room_setup(void)
{
    reset();
    waits = true;
    make_pool(1, 1);
    for (intptr_t i = 0; i < 3; i++)
        model_thread(submit, (void *)i);
    os_threads_start(1);
}

static void room_check(void)
{
    for (int i = 0; i < 3; i++)
        model_assert(accepted[i]);
    check();
}

MODEL(pool_room, "who waits for room gets it, in turn", room_setup, room_check, 2, 0)

/* B7: a job spawns two more in its own lane, whose queue has room for one. */
static int job_that_submits(void *arg)
{
    env_threads[model_self()].pool = pool;
    submit((void *)1);
    submit((void *)2);
    return job(arg);
}

static void own_room_setup(void)
{
    reset();
    waits = true;
    make_pool(1, 1);
    tasks[0].fn = job_that_submits;
    model_thread(submit, (void *)0);
    os_threads_start(1);
}

static void own_room_check(void)
{
    model_assert(accepted[0] && accepted[1] && !accepted[2]);
    check();
}

MODEL(pool_own_room, "a job does not wait for room that only it can make", own_room_setup,
      own_room_check, 3, 0)

static int job_that_submits_one(void *arg)
{
    env_threads[model_self()].pool = pool;
    submit((void *)2);
    return job(arg);
}

/* Somebody else, who has filled the queue, starts a thread meanwhile. */
static void own_rooms_setup(void)
{
    reset();
    waits = start_may_fail = true;
    make_pool(2, 1);
    tasks[0].fn = job_that_submits_one;
    model_thread(submit_both, (void *)0);
    os_threads_start(2);
}

MODEL(pool_own_rooms, "the same beside a second thread, if it starts", own_rooms_setup, check, 3, 0)

static void cancel_second(void *arg)
{
    (void)arg;
    env_cancel(2);
}

static void room_cancel_setup(void)
{
    reset();
    waits = true;
    make_pool(1, 1);
    for (intptr_t i = 0; i < 2; i++)
        model_thread(submit, (void *)i);
    model_thread(cancel_second, NULL);
    os_threads_start(1);
}

MODEL(pool_room_cancel, "a cancel meets the place that becomes free", room_cancel_setup, check, 3,
      0)

/* ---- the end ---- */

static void stopper(void *arg)
{
    (void)arg;
    ae__pool_stop(pool);
    ae__pool_destroy(pool);
}

static bool is_accepted(void *arg)
{
    (void)arg;
    return results[0] == 0;
}

static void stop_after(void *arg)
{
    model_block(is_accepted, NULL, "the submission");
    model_receive(10);
    stopper(arg);
}

static void submit_publish(void *arg)
{
    submit((void *)0);
    submit(arg);
    model_publish(10);
    results[0] = 0;
    model_yield();
}

static void stop_setup(void)
{
    reset();
    make_pool(2, 8);
    model_thread(submit_publish, (void *)1);
    model_thread(stop_after, NULL);
    os_threads_start(2);
}

MODEL(pool_stop, "stop waits for queued jobs; then the pool is gone", stop_setup, two_check, 2, 0)

static void stop_idle_setup(void)
{
    reset();
    keep_alive_ends = true;
    make_pool(1, 8);
    model_thread(submit_publish, (void *)1);
    model_thread(stop_after, NULL);
    os_threads_start(3); /* two may have ended without being joined yet */
}

MODEL(pool_stop_idle, "stop against keep-alive", stop_idle_setup, two_check, 3, 0)

/* ---- calls ---- */

static int call_job(void *arg)
{
    called[(intptr_t)arg]++;
    return 40 + (int)(intptr_t)arg;
}

static void caller(void *arg)
{
    int self = model_self();
    struct ae__call *call = &calls[self];

    (void)arg;
    call->fn = call_job;
    call->arg = (void *)(intptr_t)self;
    results[self] = ae__pool_call(pool, call, ae__actor_self(), true);
    model_free(call, sizeof *call); /* its frame */
}

static void call_check(void)
{
    for (int i = 1; i <= 2; i++) {
        if (results[i] == 1) continue;
        model_assert(results[i] == 40 + i || results[i] == -ECANCELED || results[i] == -EAGAIN);
        model_assert(called[i] == (results[i] == 40 + i));
    }
}

static void cancel_first(void *arg)
{
    (void)arg;
    env_cancel(1);
}

static void call_cancel_setup(void)
{
    reset();
    make_pool(1, 8);
    model_thread(caller, NULL);
    model_thread(cancel_first, NULL);
    os_threads_start(1);
}

static void call_cancel_check(void)
{
    call_check();
    model_assert(results[1] == 41 || results[1] == -ECANCELED);
}

MODEL(pool_call_cancel, "a call is cancelled while queued, or it is done", call_cancel_setup,
      call_cancel_check, 3, 1)

static void calls_setup(void)
{
    reset();
    start_may_fail = true;
    make_pool(1, 8);
    model_thread(caller, NULL);
    model_thread(caller, NULL);
    os_threads_start(1);
}

MODEL(pool_calls, "two calls on at most one thread, which may fail to start", calls_setup,
      call_check, 3, 0)
