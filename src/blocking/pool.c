/* SPDX-License-Identifier: Apache-2.0 */
/* One lane of the blocking pool: a queue, and threads made on demand, up to a limit, that end when
 * idle.
 *
 * A futex wake costs more than most jobs, and starting a thread more than that, so neither is
 * done per job. A thread between being sent for and taking a job is *looking*; while one is, nobody
 * sends for another. Whoever takes a job and leaves others behind sends for the next (a chain), so
 * jobs that block get a thread each, one after the other, and short ones are done by the few that
 * are there already.
 *
 * B1  A job in the queue, and no thread looking: then all threads are in jobs and no more can be
 *     had. (Checked whenever a job is queued, a job is taken, or a thread could not be started.)
 * B2  A job in the queue: then a thread exists for certain (threads > starting). So what was
 *     accepted runs, even when thread creation fails ever after.
 * B3  A thread ends only under the lock, with the queue empty.
 * B4  Thread records are reused, and freed with the pool only: whoever sends for a thread may
 *     touch its signal word late. An ending thread joins the one that ended before; the last is
 *     joined by destroy.
 * B5  A call's place in the queue is its caller's frame, so it needs no room: a full queue is
 *     waited for in the queue itself. Its state changes under the lock only; the caller takes the
 *     lock once more before it returns.
 * B6  Somebody waits for room: then as many spawned jobs are queued as may be. Whoever takes one
 *     out puts the job of the first that waits in its place before the lock is released, so that
 *     they are served in their order and nobody overtakes them. Calls do not count here: they are
 *     bounded by who waits for them, and could otherwise keep spawned jobs out for ever.
 * B7  A job that waits for room in its own lane holds a thread of it. The last that is neither held
 *     so nor looking does not wait: it is refused, for nobody could make room. A thread that is
 *     being started may yet fail: what becomes of it is seen first. */
#include "blocking/pool.h"

#include <errno.h>

#include "aether/time.h"
#include "arch/os.h"
#include "arch/thread.h"
#include "base/assert.h"
#include "base/mem.h"

enum { SPINS = 200 }; /* looks at an empty queue before sleeping; about 10 us */

struct pool_thread {
    struct ae__thread base;       /* first: what the job is to everybody else */
    ae__os_thread os;             /* valid once known */
    bool known;                   /* guarded by the pool's lock */
    struct ae__list idle;         /* in the pool's list while it sleeps unsent for */
    struct pool_thread *next;     /* in the pool's list of unused records */
    _Atomic(uint32_t) signal;     /* futex: 1 = sent for */
};

struct ae__pool {
    /* set at creation */
    struct ae_runtime *rt;
    const char *name;             /* of its threads */
    uint32_t threads_max, queue_max;
    int64_t keep_alive_ns;
    bool spins;

    struct ae__lock lock;         /* guards all below */
    bool stopping;
    struct ae__list queue;        /* of struct ae__job */
    _Atomic(uint32_t) queued;     /* its length; spinning threads read it without the lock */
    uint32_t spawned;             /* tasks among them, not calls */
    struct ae__waitq room;        /* who waits to put a task in; `item` is its job */
    uint32_t threads;             /* all, also those being started */
    uint32_t starting;            /* not certain yet */
    uint32_t looking, idle_count;
    struct ae__list idle;         /* struct pool_thread; the last one slept least */
    struct pool_thread *unused;   /* records */
    struct pool_thread *ended;    /* to be joined */
    uint64_t jobs, refused, cancelled, start_failures; /* see struct ae__pool_stats */

    _Atomic(uint32_t) empty;      /* futex: 1 = stopping, and the last thread has gone */
};

/* ---- sending for threads ---- */

/* What the caller does once it has released the lock. */
struct help {
    struct pool_thread *wake;
    bool start;
    struct ae__actor *told; /* who has waited for room and got it, asleep */
};

static uint32_t queued(const struct ae__pool *pool)
{
    return atomic_load_explicit(&pool->queued, memory_order_relaxed);
}

static struct pool_thread *take_idle(struct ae__pool *pool)
{
    struct pool_thread *t = AE_CONTAINER_OF(pool->idle.prev, struct pool_thread, idle);

    AE_ASSERT(!ae__list_is_empty(&pool->idle));
    ae__list_remove(&t->idle);
    pool->idle_count--;
    pool->looking++;
    return t;
}

static void reserve(struct ae__pool *pool)
{
    AE_ASSERT(pool->threads < pool->threads_max);
    pool->threads++;
    pool->starting++;
    pool->looking++;
}

/* ---- the queue; under the lock ---- */

static void push_job(struct ae__pool *pool, struct ae__job *job)
{
    AE_ASSERT(pool->threads > pool->starting); /* B2 */
    ae__list_push(&pool->queue, &job->link);
    atomic_store_explicit(&pool->queued, queued(pool) + 1, memory_order_relaxed);
    pool->spawned += job->task != NULL;
}

static void remove_job(struct ae__pool *pool, struct ae__job *job)
{
    AE_ASSERT(queued(pool) > 0);
    ae__list_remove(&job->link);
    atomic_store_explicit(&pool->queued, queued(pool) - 1, memory_order_relaxed);
    pool->spawned -= job->task != NULL;
}

static struct ae__job *pop_job(struct ae__pool *pool)
{
    if (ae__list_is_empty(&pool->queue)) return NULL;
    struct ae__job *job = AE_CONTAINER_OF(pool->queue.next, struct ae__job, link);
    remove_job(pool, job);
    if (!job->task) AE_CONTAINER_OF(job, struct ae__call, job)->state = AE__CALL_RUNNING;
    return job;
}

/* B6. A job was just taken out, so B2 holds of the one that takes its place. NULL: nobody sleeps.
 */
static struct ae__actor *give_room(struct ae__pool *pool)
{
    struct ae__wakes told;

    ae__wakes_init(&told);
    while (pool->spawned < pool->queue_max && !ae__waitq_is_empty(&pool->room)) {
        struct ae__waiter *waiter = ae__waitq_claim_head(&pool->room, &told);
        if (!waiter) continue; /* it was cancelled */
        push_job(pool, waiter->item);
        break;
    }
    return told.head;
}

/* B1, B6. Under the lock. */
static struct help call_help(struct ae__pool *pool, bool may_start)
{
    struct help help = { .told = give_room(pool) };

    if (pool->looking > 0 || queued(pool) == 0) return help;
    if (!ae__list_is_empty(&pool->idle)) {
        help.wake = take_idle(pool);
    } else if (may_start && pool->threads < pool->threads_max) {
        reserve(pool);
        help.start = true;
    }
    return help;
}

static void wake_thread(struct pool_thread *t)
{
    /* relaxed: it only ends the sleep; what was queued is found under the lock */
    atomic_store_explicit(&t->signal, 1, memory_order_relaxed);
    ae__os_futex_wake(&t->signal, 1);
}

/* ---- thread records ---- */

static struct pool_thread *record_get(struct ae__pool *pool)
{
    ae__lock_acquire(&pool->lock);
    struct pool_thread *t = pool->unused;
    if (t) pool->unused = t->next;
    ae__lock_release(&pool->lock);
    if (t) return t;
    t = ae__mem_zalloc(sizeof *t);
    if (!t) return NULL;
    t->base.pool = pool;
    t->base.rt = pool->rt;
    t->base.actor.kind = AE__ACTOR_THREAD;
    t->base.actor.node = &t->base.node;
    t->base.node.kind = AE__NODE_THREAD;
    ae__list_init(&t->base.node.sibling);
    ae__list_init(&t->idle);
    return t;
}

static void record_put(struct ae__pool *pool, struct pool_thread *t)
{
    t->known = false;
    t->next = pool->unused;
    pool->unused = t;
}

/* ---- starting ---- */

static void thread_main(void *arg);

static void announce_empty(struct ae__pool *pool)
{
    atomic_store_explicit(&pool->empty, 1, memory_order_release);
    ae__os_futex_wake(&pool->empty, 1);
}

static void send_help(struct ae__pool *pool, struct help help);

/* Turn a reservation into a thread. 0, -EAGAIN or -ENOMEM. Not under the lock. */
static int start_thread(struct ae__pool *pool)
{
    struct help help = { .wake = NULL };
    struct pool_thread *t = record_get(pool);
    int rc = t ? ae__os_thread_start(&t->os, pool->name, thread_main, t) : -ENOMEM;

    ae__lock_acquire(&pool->lock);
    pool->starting--;
    if (rc == 0) {
        t->known = true;
    } else {
        pool->start_failures++;
        pool->threads--;
        pool->looking--;
        if (t) record_put(pool, t);
        help = call_help(pool, false); /* B1: a job may have come that trusted in us */
    }
    bool last = rc < 0 && pool->stopping && pool->threads == 0;
    ae__lock_release(&pool->lock);
    send_help(pool, help);
    if (last) announce_empty(pool);
    return rc;
}

static void send_help(struct ae__pool *pool, struct help help)
{
    if (help.told) ae__ready(help.told);
    if (help.wake) wake_thread(help.wake);
    if (help.start) (void)start_thread(pool); /* it failed: those that are there go on */
}

/* B2. Under the lock, which it may let go meanwhile. 0, -EAGAIN: no thread can be made,
 * -ECANCELED: stopped. */
static int ensure_thread(struct ae__pool *pool)
{
    int rc = 0;

    while (pool->threads == pool->starting) {
        if (pool->stopping) return -ECANCELED;
        if (rc < 0) return -EAGAIN;
        bool reserved = pool->threads < pool->threads_max;
        if (reserved) reserve(pool);
        ae__lock_release(&pool->lock);
        if (reserved) {
            rc = start_thread(pool);
        } else {
            ae__os_thread_yield(); /* others are starting all there may be */
        }
        ae__lock_acquire(&pool->lock);
    }
    return pool->stopping ? -ECANCELED : 0;
}

/* ---- a thread's life ---- */

/* Sleep until sent for (true, lock not held) or until the keep-alive is over (false, lock held and
 * off the list). Entered with the lock held. */
static bool sleep_idle(struct pool_thread *t)
{
    struct ae__pool *pool = t->base.pool;
    int64_t now_ns = ae__os_now();
    int64_t deadline_ns = AE_FOREVER;

    if (pool->keep_alive_ns < AE_FOREVER - now_ns) deadline_ns = now_ns + pool->keep_alive_ns;
    ae__list_push(&pool->idle, &t->idle);
    pool->idle_count++;
    ae__lock_release(&pool->lock);
    /* relaxed: see wake_thread */
    while (atomic_exchange_explicit(&t->signal, 0, memory_order_relaxed) == 0) {
        ae__os_futex_wait(&t->signal, 0, deadline_ns);
        if (deadline_ns == AE_FOREVER || ae__os_now() < deadline_ns) continue;
        ae__lock_acquire(&pool->lock);
        if (!ae__list_is_empty(&t->idle)) {
            ae__list_remove(&t->idle);
            pool->idle_count--;
            return false;
        }
        ae__lock_release(&pool->lock);
        deadline_ns = AE_FOREVER; /* just sent for: the signal is on its way */
    }
    return true;
}

static void spin(struct ae__pool *pool)
{
    for (int i = 0; i < SPINS && queued(pool) == 0; i++) {
        ae__cpu_relax();
    }
}

/* With the lock held and counted as looking: the next job, no longer looking; or NULL: nothing to
 * do and the keep-alive is over, or the pool stops. */
static struct ae__job *look(struct pool_thread *t)
{
    struct ae__pool *pool = t->base.pool;
    bool may_spin = pool->spins && pool->looking == 1;

    for (;;) {
        struct ae__job *job = pop_job(pool);
        if (!job && may_spin && !pool->stopping) {
            ae__lock_release(&pool->lock);
            spin(pool);
            ae__lock_acquire(&pool->lock);
            may_spin = false;
            continue;
        }
        AE_ASSERT(pool->looking > 0);
        pool->looking--;
        if (job || pool->stopping) return job;
        if (sleep_idle(t)) {
            ae__lock_acquire(&pool->lock); /* who sent for us has counted us as looking */
        } else if (queued(pool) == 0) {
            return NULL;
        } else {
            pool->looking++; /* it came for another one that is looking, but we are here */
        }
    }
}

static void run_task(struct pool_thread *t, struct ae__task *task)
{
    struct ae__actor *actor = &t->base.actor;

    ae__task_lend(task, actor);
    int status = task->fn(task->arg);
    ae__task_unlend(task, actor, &t->base.node);
    ae__task_complete(task, status);
}

static void run_call(struct pool_thread *t, struct ae__call *call)
{
    struct ae__pool *pool = t->base.pool;
    struct ae__wakes wakes;

    ae__scope_lend(&call->scope, call->caller, &t->base.actor);
    int status = call->fn(call->arg);
    ae__scope_unlend(&call->scope, &t->base.actor, &t->base.node);
    ae__wakes_init(&wakes);
    ae__lock_acquire(&pool->lock);
    call->status = status;
    call->state = AE__CALL_DONE;
    ae__wait_wake(call->caller, call->sequence, AE__REASON_DONE, &wakes);
    ae__lock_release(&pool->lock);
    if (wakes.head) ae__ready_all(&wakes);
}

/* Run it and all that can be had without looking. Entered and left with the lock held. */
static void run_jobs(struct pool_thread *t, struct ae__job *job)
{
    struct ae__pool *pool = t->base.pool;

    for (; job; job = pop_job(pool)) {
        struct help help = call_help(pool, true);
        ae__lock_release(&pool->lock);
        send_help(pool, help);
        if (job->task) {
            run_task(t, job->task);
        } else {
            run_call(t, AE_CONTAINER_OF(job, struct ae__call, job));
        }
        ae__lock_acquire(&pool->lock);
        pool->jobs++;
    }
}

static void join_thread(struct ae__pool *pool, struct pool_thread *t)
{
    ae__os_thread_join(t->os);
    ae__lock_acquire(&pool->lock);
    record_put(pool, t);
    ae__lock_release(&pool->lock);
}

/* Entered with the lock held, which it releases. B3, B4. */
static void end_thread(struct pool_thread *t)
{
    struct ae__pool *pool = t->base.pool;
    struct pool_thread *before = pool->ended;

    AE_ASSERT(ae__list_is_empty(&pool->queue));
    AE_ASSERT(t->known);
    pool->ended = t;
    pool->threads--;
    bool last = pool->stopping && pool->threads == 0;
    ae__lock_release(&pool->lock);
    ae__thread_set(NULL);
    if (before) join_thread(pool, before);
    if (last) announce_empty(pool); /* destroy waits for our end before it frees */
}

static void thread_main(void *arg)
{
    struct pool_thread *t = arg;
    struct ae__pool *pool = t->base.pool;

    ae__thread_set(&t->base);
    ae__lock_acquire(&pool->lock);
    for (;;) {
        struct ae__job *job = look(t);
        if (!job && t->known) break;
        if (job) {
            run_jobs(t, job);
        } else { /* who started us has not noted our handle yet */
            ae__lock_release(&pool->lock);
            ae__os_thread_yield();
            ae__lock_acquire(&pool->lock);
        }
        pool->looking++;
    }
    end_thread(t);
}

/* ---- the runtime's side ---- */

int ae__pool_create(struct ae_runtime *rt, const char *name, uint32_t threads_max,
                    struct ae__pool **out)
{
    const ae_config *config = ae__runtime_config(rt);
    struct ae__pool *pool = ae__mem_zalloc(sizeof *pool);

    if (!pool) return -ENOMEM;
    pool->rt = rt;
    pool->name = name;
    pool->threads_max = threads_max;
    pool->queue_max = config->blocking_queue_max;
    pool->keep_alive_ns = config->blocking_keep_alive_ns;
    pool->spins = ae__os_cpus() > 1;
    ae__list_init(&pool->queue);
    ae__list_init(&pool->idle);
    AE_ASSERT(pool->threads_max > 0);
    *out = pool;
    return 0;
}

void ae__pool_stop(struct ae__pool *pool)
{
    ae__lock_acquire(&pool->lock);
    pool->stopping = true;
    bool none = pool->threads == 0;
    while (!ae__list_is_empty(&pool->idle)) {
        struct pool_thread *t = take_idle(pool);
        ae__lock_release(&pool->lock);
        wake_thread(t);
        ae__lock_acquire(&pool->lock);
    }
    ae__lock_release(&pool->lock);
    /* acquire pairs with the release in announce_empty */
    while (!none && atomic_load_explicit(&pool->empty, memory_order_acquire) == 0) {
        ae__os_futex_wait(&pool->empty, 0, AE_FOREVER);
    }
}

void ae__pool_destroy(struct ae__pool *pool)
{
    struct pool_thread *t;

    if (!pool) return;
    AE_ASSERT(pool->threads == 0);
    AE_ASSERT(ae__list_is_empty(&pool->queue));
    AE_ASSERT(ae__waitq_is_empty(&pool->room));
    if (pool->ended) join_thread(pool, pool->ended);
    while ((t = pool->unused) != NULL) {
        pool->unused = t->next;
        ae__mem_free(t);
    }
    ae__mem_free(pool);
}

void ae__pool_stats(struct ae__pool *pool, struct ae__pool_stats *out)
{
    ae__lock_acquire(&pool->lock);
    out->threads = pool->threads;
    out->idle = pool->idle_count;
    out->queued = queued(pool);
    out->jobs = pool->jobs;
    out->refused = pool->refused;
    out->cancelled = pool->cancelled;
    out->start_failures = pool->start_failures;
    ae__lock_release(&pool->lock);
}

/* ---- work comes in ---- */

/* B6. Entered with the lock held, which it releases. 0: the job is in the queue. */
static int wait_for_room(struct ae__pool *pool, struct ae__job *job)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__waiter waiter;
    uint32_t sequence = ae__wait_begin(self, true, AE__WAIT_BLOCKING, pool);

    ae__waiter_init(&waiter, self, sequence, AE__REASON_DONE);
    waiter.item = job;
    ae__waitq_push(&pool->room, &waiter);
    ae__lock_release(&pool->lock);
    uint16_t reason = ae__wait_park(self);
    ae__waitq_settle(&pool->lock, &pool->room, &waiter);
    return reason == AE__REASON_DONE ? 0 : -ECANCELED;
}

/* Threads of this lane that wait for room in it, up to `most`. Under the lock. */
static uint32_t held(const struct ae__pool *pool, uint32_t most)
{
    uint32_t count = 0;

    for (struct ae__waiter *at = pool->room.head; at && count < most; at = at->next) {
        if (at->actor->kind != AE__ACTOR_THREAD) continue;
        count += ae__thread_of(at->actor)->pool == pool;
    }
    return count;
}

/* B7. Under the lock, which it may let go meanwhile. */
static bool would_hold_the_last(struct ae__pool *pool)
{
    if (ae__thread_self()->pool != pool) return false;
    for (;;) {
        uint32_t others = pool->threads - pool->starting - 1;
        if (pool->looking > pool->starting || held(pool, others) < others) return false;
        if (pool->starting == 0) return true;
        ae__lock_release(&pool->lock);
        ae__os_thread_yield();
        ae__lock_acquire(&pool->lock);
    }
}

static bool is_full(const struct ae__pool *pool)
{
    return pool->spawned >= pool->queue_max;
}

int ae__pool_submit(struct ae__pool *pool, struct ae__task *task, bool waits)
{
    struct ae__job *job = ae__job_of_task(task);
    struct help help = { .wake = NULL };

    job->task = task;
    ae__lock_acquire(&pool->lock);
    int rc = ensure_thread(pool);
    if (rc == 0 && waits && is_full(pool) && would_hold_the_last(pool)) rc = -EDEADLK;
    if (rc == 0 && is_full(pool)) {
        if (waits) return wait_for_room(pool, job);
        rc = -EAGAIN;
    }
    if (rc == 0) {
        push_job(pool, job);
        help = call_help(pool, true);
    } else {
        pool->refused++;
    }
    ae__lock_release(&pool->lock);
    send_help(pool, help);
    return rc;
}

/* The caller was woken by a cancel, or it is done. Under the lock, which it releases. B5. */
static int finish_call(struct ae__pool *pool, struct ae__call *call)
{
    if (call->state == AE__CALL_QUEUED) {
        remove_job(pool, &call->job);
        pool->cancelled++;
        ae__lock_release(&pool->lock);
        return -ECANCELED;
    }
    if (call->state == AE__CALL_RUNNING) { /* begun: not to be stopped any more */
        call->sequence = ae__wait_begin(call->caller, false, AE__WAIT_BLOCKING, call);
        ae__lock_release(&pool->lock);
        ae__wait_park(call->caller);
        ae__lock_acquire(&pool->lock);
    }
    AE_ASSERT(call->state == AE__CALL_DONE);
    ae__lock_release(&pool->lock);
    return call->status;
}

int ae__pool_call(struct ae__pool *pool, struct ae__call *call, struct ae__actor *caller,
                  bool waits)
{
    ae__lock_acquire(&pool->lock);
    int rc = ensure_thread(pool);
    if (rc == 0 && !waits && queued(pool) >= pool->queue_max) rc = -EAGAIN;
    if (rc < 0) {
        pool->refused++;
        ae__lock_release(&pool->lock);
        return rc;
    }
    call->caller = caller;
    call->state = AE__CALL_QUEUED;
    push_job(pool, &call->job);
    call->sequence = ae__wait_begin(caller, true, AE__WAIT_BLOCKING, call);
    struct help help = call_help(pool, true);
    ae__lock_release(&pool->lock);
    send_help(pool, help);
    ae__wait_park(caller);
    ae__lock_acquire(&pool->lock);
    return finish_call(pool, call);
}
