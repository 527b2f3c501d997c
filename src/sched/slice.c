/* SPDX-License-Identifier: Apache-2.0 */
/* One slice: a task gets the worker, and gives it up again by parking, yielding or returning.
 *
 * S1  A task that leaves is published (made claimable, queued, freed) only by the context that
 *     comes after it, in commit_left: by then its registers are saved.
 * S2  After every switch the worker is looked up again: the task may continue elsewhere.
 * S3  current is set by who gives the worker away, before the switch.
 * S4  A join of the very task that would run next runs it as a call: no wait, no wake-up. Who calls
 *     keeps the worker (it is in no queue, and its wait word is idle): whatever way the callee
 *     leaves, the worker returns to the caller at once, which publishes the callee (S1) and, if it
 *     has not returned, waits for it like anybody else. Calls nest; w->caller is the innermost one.
 *
 * A leaving task switches directly to the next one of the local queues; everything else (shared
 * queue, driver, stealing, sleeping) is done on the worker's native stack, so that task stacks stay
 * shallow. */
#include <errno.h>

#include "aether/log.h"
#include "arch/probe.h"
#include "arch/switch.h"
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/seam.h"
#include "sched/worker.h"
#include "task/locals.h"
#include "task/switch.h"

static void set_state(struct ae__task *task, enum ae__task_state state)
{
    atomic_store_explicit(&task->state, state, memory_order_relaxed);
}

/* S1 */
static void commit_left(void)
{
    struct ae__worker *w = ae__worker_self(); /* S2 */
    struct ae__task *left = w->commit_task;
    enum ae__commit commit = w->commit;

    AE_DEBUG_ASSERT((commit == AE__COMMIT_NONE) == (left == NULL)); /* S1 */
    w->commit = AE__COMMIT_NONE;
    w->commit_task = NULL;
    switch (commit) {
    case AE__COMMIT_NONE:
        break;
    case AE__COMMIT_PARK:
        if (!ae__wait_commit(&left->actor)) ae__ready(&left->actor);
        break;
    case AE__COMMIT_YIELD:
        ae__count(&w->counters.yields, 1);
        set_state(left, AE__TASK_READY);
        if (left->actor.pins > 0 || w->rt->migrates) {
            ae__ready(&left->actor);
        } else {
            /* Others were told of a ring that is not empty. */
            ae__queue_push(w, left, ae__worker_is_busy(w) && ae__runq_length(&w->ring) == 0);
        }
        break;
    case AE__COMMIT_EXIT:
        ae__task_finish(w, left);
        break;
    }
}

static void call_hook(struct ae__worker *w, void (*hook)(void *, uint64_t), struct ae__task *task)
{
    hook(w->rt->config.context, ae__task_id(task));
}

/* A task that had waited without a stack: nothing may fire for it any more. */
static void settle(struct ae__task *task)
{
    uint16_t reason = ae__wait_finish(&task->actor);

    task->flags &= (uint8_t)~AE__TASK_SETTLE;
    if (reason >= AE__REASON_FIRST) {
        task->started_by = reason - AE__REASON_FIRST;
    } else {
        task->started_by = reason == AE__REASON_TIME ? -ETIMEDOUT : -ECANCELED;
    }
    if (task->timer.wheel) ae__wheel_disarm(task->timer.wheel, &task->timer);
    if (!task->fd) return;
    struct ae__op op = { .code = AE__OP_POLL, .fd = task->fd, .actor = &task->actor };
    (void)ae__parts.driver->cancel(NULL, &op);
    task->fd = NULL;
}

/* What a task does from its first instruction to its last. */
static void run(struct ae__task *task)
{
    if (task->flags & AE__TASK_SETTLE) settle(task);
    task->status = task->fn(task->arg);
    if (AE_UNLIKELY(task->flags & AE__TASK_LOCALS)) ae__locals_destroy(&task->locals);
    AE_ASSERT(task->actor.node == &task->node); /* a scope or shield is still open */
    AE_ASSERT(task->actor.pins == 0);           /* ae_pin without ae_unpin */
}

AE_NORETURN static void task_main(void)
{
    ae__context_arrived();
    struct ae__task *task = ae__worker_self()->thread.current;
    commit_left();
    run(task);
    ae__slice_leave(task, AE__COMMIT_EXIT);
    __builtin_unreachable();
}

/* The same of one that is called (S4). If it never left, its caller waits right below. */
static void task_called(void)
{
    struct ae__task *task = ae__worker_self()->thread.current;

    run(task);
    if (task->flags & AE__TASK_LEFT) ae__slice_leave(task, AE__COMMIT_EXIT);
}

static bool take_stack(struct ae__worker *w, struct ae__task *task)
{
    AE_ASSERT(!task->stack);
    struct ae__stack *stack = ae__stack_get(&w->rt->stacks, &w->stacks, task->stack_class);
    if (AE_UNLIKELY(!stack)) {
        ae__shortage_wait(w->rt, task);
        return false;
    }
    task->stack = stack;
    return true;
}

/* Its first switch shall begin the task. */
static void lay_out(struct ae__task *task)
{
    task->sp = ae__arch_prepare(ae__stack_top(task->stack), task_main);
}

bool ae__slice_prepare(struct ae__worker *w, struct ae__task *task)
{
    if (AE_LIKELY(task->stack != NULL)) return true;
    if (!take_stack(w, task)) return false;
    lay_out(task);
    return true;
}

void ae__slice_equip(struct ae__task *task, struct ae__stack *stack)
{
    AE_ASSERT(!task->stack);
    task->actor.wait_kind = AE__WAIT_NONE; /* it waited for the stack */
    task->stack = stack;
    lay_out(task);
}

/* S3; the monitor looks at `running`, together with the count of slices. */
static void set_current(struct ae__worker *w, struct ae__task *task)
{
    w->thread.current = task;
    if (AE_WATCHED) atomic_store_explicit(&w->running, task, memory_order_relaxed);
}

/* What only some slices need: out of line, so that others pay no frame. */
static AE_COLD void begin_rarely(struct ae__worker *w, struct ae__task *task)
{
    if (AE_WATCHED && w->sample_in == 0) ae__recorder_slice(w, task);
    if (w->rt->config.on_resume) call_hook(w, w->rt->config.on_resume, task);
}

/* S3; inline: a call would cost more than what it does. */
static AE_ALWAYS_INLINE void give(struct ae__worker *w, struct ae__task *task)
{
    AE_DEBUG_ASSERT(task->stack);
    AE_DEBUG_ASSERT(task->rt == w->rt);
    set_current(w, task);
    w->budget = AE__BUDGET;
    w->tick++;
    task->actor.last_worker = w->index;
    set_state(task, AE__TASK_RUNNING);
    ae__count(&w->counters.slices, 1);
    AE_PROBE1(resume, task);
    bool sampled = AE_WATCHED && --w->sample_in == 0;
    if (AE_UNLIKELY(sampled || w->rt->config.on_resume)) begin_rarely(w, task);
}

void ae__slice_start(struct ae__worker *w, struct ae__task *task)
{
    AE_ASSERT(!w->thread.current);
    if (!ae__slice_prepare(w, task)) return;
    give(w, task);
    struct ae__context native = { &w->native_sp, &w->native_san };
    ae__context_switch(native, task->sp, &task->stack->san, false);
    commit_left();
}

static bool must_look_outside(struct ae__worker *w)
{
    return AE_UNLIKELY(w->tick % AE__TICKS == 0) || AE_UNLIKELY(ae__inject_hint(&w->pinned) > 0);
}

/* The next task that can be switched to right here, or NULL: the native context shall look. */
static struct ae__task *next_here(struct ae__worker *w)
{
    if (must_look_outside(w)) return NULL;
    struct ae__task *task = ae__queue_pop(w);
    if (!task) return NULL;
    return ae__slice_prepare(w, task) ? task : NULL;
}

/* Give the worker to a callee until it leaves. True: it returned; nothing is to be committed. */
static bool call(struct ae__worker *w, struct ae__task *self, struct ae__task *callee, bool fresh)
{
    struct ae__context here = { &self->sp, &self->stack->san };

    give(w, callee);
    if (!fresh) {
        ae__context_switch(here, callee->sp, &callee->stack->san, false);
        return false;
    }
    ae__context_call(here, ae__stack_top(callee->stack), task_called);
    return !(callee->flags & AE__TASK_LEFT);
}

bool ae__slice_call(struct ae__task *self, struct ae__task *callee)
{
    struct ae__worker *w = ae__worker_self();
    struct ae__task *outer = w->caller;
    uint32_t budget = w->budget;

    self->actor.next = outer ? &outer->actor : NULL; /* the chain of callers; see ae_cancelled */
    if (must_look_outside(w) || budget < 2 || !ae__queue_take(w, callee)) return false;
    AE_DEBUG_ASSERT(atomic_load(&w->in_place) == 0); /* ae_blocking_begin without its end */
    bool fresh = !callee->stack && !AE_ASAN && !AE_TSAN;
    if (fresh ? !take_stack(w, callee) : !ae__slice_prepare(w, callee)) return false;
    if (AE_UNLIKELY(w->rt->config.on_suspend)) call_hook(w, w->rt->config.on_suspend, self);
    set_state(self, AE__TASK_PARKED); /* this and the next two are for people */
    self->actor.wait_kind = AE__WAIT_JOIN;
    self->actor.wait_object = callee;
    w->caller = self;
    bool returned = call(w, self, callee, fresh);
    AE_ASSERT(w == ae__worker_self()); /* S4 */
    set_current(w, self);
    w->caller = outer;
    w->budget = budget - 1;
    set_state(self, AE__TASK_RUNNING);
    self->actor.wait_kind = AE__WAIT_NONE;
    if (returned) {
        ae__task_finish(w, callee);
    } else {
        commit_left();
    }
    if (AE_UNLIKELY(w->rt->config.on_resume)) call_hook(w, w->rt->config.on_resume, self);
    return true;
}

void ae__slice_leave(struct ae__task *self, enum ae__commit commit)
{
    struct ae__worker *w = ae__worker_self();
    struct ae__task *caller = w->caller;
    struct ae__task *next = caller ? NULL : next_here(w);
    struct ae__context here = { &self->sp, &self->stack->san };
    bool dying = commit == AE__COMMIT_EXIT;

    AE_ASSERT(w->thread.current == self);
    AE_ASSERT(w->commit == AE__COMMIT_NONE); /* S1: nobody left who is not published */
    AE_DEBUG_ASSERT(atomic_load(&w->in_place) == 0); /* ae_blocking_begin without its end */
    if (AE_UNLIKELY(w->rt->config.on_suspend)) call_hook(w, w->rt->config.on_suspend, self);
    w->commit = commit;
    w->commit_task = self;
    if (commit == AE__COMMIT_PARK) set_state(self, AE__TASK_PARKED);
    if (caller) { /* S4 */
        self->flags |= AE__TASK_LEFT;
        set_current(w, caller);
        ae__context_switch(here, caller->sp, &caller->stack->san, dying);
    } else if (next) {
        give(w, next);
        ae__context_switch(here, next->sp, &next->stack->san, dying);
    } else {
        set_current(w, NULL);
        ae__context_switch(here, w->native_sp, &w->native_san, dying);
    }
    commit_left();
}
