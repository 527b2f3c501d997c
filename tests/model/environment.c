/* SPDX-License-Identifier: Apache-2.0 */
/* See environment.h. Everything is weak, so that a model may link the real thing instead. */
#include "environment.h"

#include "arch/os.h"
#include "arch/thread.h"
#include "arch/watch.h"
#include "base/assert.h"
#include "sched/monitor.h"
#include "sched/recorder.h"
#include "sched/rescue.h"
#include "sched/shortage.h"
#include "task/stack.h"

#define WEAK __attribute__((weak))

struct ae__thread env_threads[ACTORS];
static int saved[ACTORS]; /* as a task's registers: written as it goes to sleep, read to wake it */

/* All model threads are one OS thread, so what arch/thread.h reads changes with each switch. */
static void on_switch(int thread)
{
    ae__thread_set(&env_threads[thread]);
}

void env_reset(void)
{
    model_on_switch(on_switch);
    for (int i = 0; i < ACTORS; i++) {
        struct ae__thread *thread = &env_threads[i];
        *thread = (struct ae__thread){ .actor = { .kind = AE__ACTOR_THREAD },
                                       .node = { .kind = AE__NODE_THREAD } };
        thread->actor.node = &thread->node;
        ae__list_init(&thread->node.sibling);
        model_name(&thread->actor.wait, "wait word");
        model_name(&thread->node.cancelled, "cancelled");
        model_name(&thread->token, "token");
    }
}

void env_cancel(int thread)
{
    struct ae__actor *actor = &env_threads[thread].actor;
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    atomic_fetch_or_explicit(&actor->node->cancelled, AE__CANCELLED, memory_order_release);
    ae__wait_cancel(actor, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

WEAK struct ae__thread *ae__thread_self(void)
{
    return &env_threads[model_self()];
}

WEAK struct ae__actor *ae__actor_self(void)
{
    return &env_threads[model_self()].actor;
}

WEAK bool ae__seam_cancelled(const struct ae__actor *self)
{
    return atomic_load_explicit(&self->node->cancelled, memory_order_acquire) & AE__CANCELLED;
}

static bool has_token(void *arg)
{
    return atomic_load_explicit(&((struct ae__thread *)arg)->token, memory_order_relaxed) != 0;
}

WEAK void ae__seam_park(struct ae__actor *self)
{
    struct ae__thread *thread = ae__thread_of(self);

    saved[thread - env_threads] = 1;
    if (!ae__wait_commit(self)) return;
    while (atomic_exchange_explicit(&thread->token, 0, memory_order_acquire) == 0) {
        model_block(has_token, thread, "park");
    }
}

WEAK void env_ready_task(struct ae__task *task)
{
    (void)task;
    model_fail("a task was made ready");
}

WEAK void ae__ready(struct ae__actor *actor)
{
    struct ae__thread *thread = ae__thread_of(actor);

    if (actor->kind == AE__ACTOR_TASK) {
        env_ready_task(ae__task_of(actor));
        return;
    }
    model_assert(saved[thread - env_threads]); /* plain */
    /* W2: once. A second one could only be seen as a token that is there already. */
    model_assert(atomic_exchange_explicit(&thread->token, 1, memory_order_acq_rel) == 0);
}

WEAK void ae__ready_all(struct ae__wakes *wakes)
{
    struct ae__actor *next;

    for (struct ae__actor *actor = wakes->head; actor; actor = next) {
        next = actor->next;
        ae__ready(actor);
    }
    ae__wakes_init(wakes);
}

static bool lock_free(void *arg)
{
    return atomic_load_explicit(&((struct ae__lock *)arg)->word, memory_order_relaxed) == 0;
}

WEAK void ae__lock_slow(struct ae__lock *lock)
{
    do {
        model_block(lock_free, lock, "lock");
    } while (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) != 0);
}

/* Nobody watches, and nobody is rescued. */
WEAK bool ae__os_barrier_all(void)
{
    return true;
}

WEAK uint32_t ae__rescue_spares(const struct ae_runtime *rt)
{
    (void)rt;
    return 0;
}

WEAK void ae__spare_step(struct ae__worker *w)
{
    (void)w;
}

WEAK void ae__spare_polled(struct ae__worker *w)
{
    (void)w;
}

WEAK int ae__monitor_start(struct ae_runtime *rt)
{
    (void)rt;
    return 0;
}

WEAK void ae__monitor_stop(struct ae_runtime *rt)
{
    (void)rt;
}

WEAK void ae__monitor_stir(struct ae_runtime *rt)
{
    (void)rt;
}

WEAK uint64_t ae__os_thread_id(void)
{
    return 1;
}

WEAK size_t ae__os_peek(void *to, uintptr_t from, size_t bytes)
{
    (void)to;
    (void)from;
    (void)bytes;
    return 0;
}

WEAK void ae__os_look_allow(void)
{
}

/* No start lacks a stack here, and none is to be given back. */
WEAK int64_t ae__stack_trim(struct ae__stack_pool *pool)
{
    (void)pool;
    return INT64_MAX;
}

WEAK bool ae__shortage_any(struct ae_runtime *rt)
{
    (void)rt;
    return false;
}

WEAK bool ae__shortage_holds(const struct ae__worker *w)
{
    (void)w;
    return false;
}

WEAK int64_t ae__shortage_sleep(int64_t deadline_ns)
{
    return deadline_ns;
}

WEAK void ae__shortage_serve(struct ae__worker *w)
{
    (void)w;
    model_fail("nobody waits for a stack");
}

WEAK void ae__shortage_look(struct ae__worker *w)
{
    (void)w;
    model_fail("nobody waits for a stack");
}

WEAK void ae__assert_failed(const char *condition, const char *file, int line)
{
    model_fail("assert: %s (%s:%d)", condition, file, line);
}

WEAK void ae__fatal(const char *format, ...)
{
    model_fail("fatal: %s", format);
}

/* The recorder is no part of this: what it writes nobody waits for. */
WEAK void ae__recorder_left(struct ae__worker *w)
{
    (void)w;
}

WEAK void ae__recorder_sleep(struct ae__worker *w)
{
    (void)w;
}

WEAK void ae__recorder_wake(struct ae__worker *w)
{
    (void)w;
}

WEAK void ae__record_now(struct ae__worker *w, enum ae__event kind, uint32_t task, uint64_t value)
{
    (void)w;
    (void)kind;
    (void)task;
    (void)value;
}
