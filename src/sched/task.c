/* SPDX-License-Identifier: Apache-2.0 */
/* The public face of tasks: spawn, join, cancel, yield, ids, locals. */
#include "aether/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sched/sched.h"
#include "sched/scope.h"
#include "sched/spawn.h"
#include "sched/worker.h"
#include "task/locals.h"

#define CALLERS_ASKED 8 /* of a chain of calls; those further out are told a little later */

/* ---- handles: the block's address with the low byte of its generation in the low bits ---- */

ae_task *ae__task_handle(struct ae__task *task)
{
    return (ae_task *)((uintptr_t)task | (ae__task_generation(task) & 0xff));
}

struct ae__task *ae__task_from_handle(const ae_task *handle)
{
    struct ae__task *task = (struct ae__task *)((uintptr_t)handle & ~(uintptr_t)0xff);

    AE_ASSERT(handle);
    /* else: a handle used twice */
    AE_ASSERT((ae__task_generation(task) & 0xff) == ((uintptr_t)handle & 0xff));
    return task;
}

/* From now on the id may be used (L4). */
static ae_task_id name_by_id(struct ae__task *task)
{
    if (!(atomic_load_explicit(&task->life, memory_order_relaxed) & AE__LIFE_NAMED)) {
        atomic_fetch_or_explicit(&task->life, AE__LIFE_NAMED, memory_order_relaxed);
    }
    return ae__task_id(task);
}

/* ---- spawning ---- */

static struct ae__task *start(struct ae__spawn *spawn, size_t stack_bytes)
{
    AE_ASSERT(spawn->scope); /* a plain thread needs an open scope to spawn in */
    AE_ASSERT(spawn->scope->rt);
    if (stack_bytes == 0) stack_bytes = spawn->scope->rt->config.stack_bytes;
    spawn->stack_class = ae__stack_class(stack_bytes);
    spawn->state = AE__TASK_READY;
    struct ae__task *task = ae__task_make(spawn);
    if (task) {
        /* The block may be gone once it is ready, if nobody holds it: the handle is made first. */
        ae_task *handle = ae__task_handle(task);
        ae__ready_new(task);
        return (struct ae__task *)handle;
    }
    return NULL;
}

static struct ae__scope *root_scope(void)
{
    struct ae_runtime *rt = ae__runtime_self();

    AE_ASSERT(rt);
    return &rt->root;
}

static struct ae__scope *scope_or_root(ae_scope *scope)
{
    return scope ? (struct ae__scope *)(void *)scope : root_scope();
}

ae_task *ae_spawn(ae_fn *fn, void *arg)
{
    struct ae__spawn spawn = { .fn = fn, .arg = arg, .handle = true };

    spawn.scope = ae__scope_innermost(ae__actor_self());
    spawn.site = __builtin_return_address(0);
    return (ae_task *)start(&spawn, 0);
}

ae_task *ae_spawn_in(ae_scope *scope, ae_fn *fn, void *arg)
{
    struct ae__spawn spawn = { .fn = fn, .arg = arg, .handle = true };

    spawn.scope = scope_or_root(scope);
    spawn.site = __builtin_return_address(0);
    return (ae_task *)start(&spawn, 0);
}

ae_task *ae_spawn_opts(const ae_task_opts *opts, ae_fn *fn, void *arg)
{
    struct ae__spawn spawn = { .fn = fn, .arg = arg, .handle = true };

    spawn.site = __builtin_return_address(0);
    spawn.name = opts->name;
    if (opts->in_root) {
        spawn.scope = root_scope();
    } else if (opts->scope) {
        spawn.scope = scope_or_root(opts->scope);
    } else {
        spawn.scope = ae__scope_innermost(ae__actor_self());
    }
    return (ae_task *)start(&spawn, opts->stack_bytes);
}

int ae_go(ae_fn *fn, void *arg)
{
    struct ae__spawn spawn = { .fn = fn, .arg = arg };

    spawn.scope = ae__scope_innermost(ae__actor_self());
    spawn.site = __builtin_return_address(0);
    return start(&spawn, 0) ? 0 : -ENOMEM;
}

int ae_go_in(ae_scope *scope, ae_fn *fn, void *arg)
{
    struct ae__spawn spawn = { .fn = fn, .arg = arg };

    spawn.scope = scope_or_root(scope);
    spawn.site = __builtin_return_address(0);
    return start(&spawn, 0) ? 0 : -ENOMEM;
}

/* ---- joining ---- */

bool ae__task_watch(struct ae__task *task, struct ae__waiter *waiter)
{
    struct ae__lock *lock = &task->node.parent->lock;

    ae__lock_acquire(lock);
    bool running = ae__task_watch_locked(task, waiter);
    ae__lock_release(lock);
    return running;
}

void ae__task_unwatch(struct ae__task *task, struct ae__waiter *waiter)
{
    ae__waitq_settle(&task->node.parent->lock, &task->watchers, waiter);
}

/* Wait until it is done; false: the caller was cancelled first. */
static bool wait_done(struct ae__task *task, struct ae__actor *self, bool cancellable)
{
    struct ae__waiter waiter;

    if (ae__task_is_done(task)) return true;
    uint32_t sequence = ae__wait_begin(self, cancellable, AE__WAIT_JOIN, task);
    ae__waiter_init(&waiter, self, sequence, AE__REASON_DONE);
    if (!ae__task_watch(task, &waiter)) {
        (void)ae__wait_abort(self);
        return true;
    }
    uint16_t reason = ae__wait_park(self);
    ae__task_unwatch(task, &waiter);
    return reason == AE__REASON_DONE;
}

/* Run it here and now, if it is the next one anyway (S4). True: and it is done. Only for a join,
 * which waits in any case: a cancel reaches the task by ae_cancelled. */
static bool call_done(struct ae__task *task, struct ae__actor *self)
{
    if (self->kind != AE__ACTOR_TASK || ae__task_is_done(task)) return false;
    return ae__slice_call(ae__task_of(self), task) && ae__task_is_done(task);
}

/* Take a finished task out of its scope and free it. */
static void reap(struct ae__task *task)
{
    struct ae__lock *lock = &task->node.parent->lock;

    ae__lock_acquire(lock);
    /* Tasks are joined mostly in the order of their spawning. */
    ae__prefetch_task(AE_CONTAINER_OF(task->node.sibling.next, struct ae__task, node.sibling));
    ae__list_remove(&task->node.sibling);
    ae__lock_release(lock);
    ae__task_free(task);
}

static struct ae__task *join(ae_task *handle)
{
    struct ae__task *task = ae__task_from_handle(handle);
    struct ae__actor *self = ae__actor_self();

    AE_ASSERT(&task->actor != self); /* a task cannot join itself */
    if (!ae__actor_cancelled(self) && call_done(task, self)) return task;
    if (ae__actor_cancelled(self) || !wait_done(task, self, true)) {
        ae_cancel(handle);
        bool done = wait_done(task, self, false);
        AE_ASSERT(done);
    }
    return task;
}

int ae_join(ae_task *handle)
{
    if (!handle) return -ENOMEM;
    struct ae__task *task = join(handle);
    int status = task->status;
    reap(task);
    return status;
}

int ae_join_outcome(ae_task *handle, ae_outcome *out)
{
    *out = (ae_outcome){ .status = -ENOMEM };
    if (!handle) return -ENOMEM;
    struct ae__task *task = join(handle);
    out->status = task->status;
    out->cancelled = task->flags & AE__TASK_CANCELLED; /* a cancel after its end does not count */
    out->id = ae__task_id(task);
    snprintf(out->name, sizeof out->name, "%s", task->name ? task->name : "");
    reap(task);
    return out->status;
}

int ae_task_wait(ae_task *handle)
{
    struct ae__task *task = ae__task_from_handle(handle);
    struct ae__actor *self = ae__actor_self();

    if (ae__actor_cancelled(self)) return -ECANCELED;
    return wait_done(task, self, true) ? 0 : -ECANCELED;
}

void ae_detach(ae_task *handle)
{
    if (!handle) return;
    struct ae__task *task = ae__task_from_handle(handle);
    struct ae__lock *lock = &task->node.parent->lock;

    ae__lock_acquire(lock);
    bool done = !ae__task_give_up_locked(task);
    ae__lock_release(lock);
    if (done) {
        ae__task_report(task);
        reap(task);
    }
}

/* ---- cancelling ---- */

void ae_cancel(ae_task *handle)
{
    struct ae__task *task = ae__task_from_handle(handle);
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__cancel_node(&task->node, 0, 0, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

int ae_cancel_id(ae_runtime *rt, ae_task_id id)
{
    uint32_t index = (uint32_t)id, generation = (uint32_t)(id >> 32);

    if (index >= atomic_load_explicit(&rt->slab.used, memory_order_relaxed)) return -ESRCH;
    return ae__cancel_generation(ae__slab_at(&rt->slab, index), generation);
}

/* A joiner that runs its task as a call (S4) cannot do what a cancelled joiner must: the task does
 * it here, when it asks. One that never asks is told when it leaves the worker. */
static void inherit_from_callers(struct ae__task *caller, struct ae__task *callee, int depth)
{
    struct ae__actor *outer = caller->actor.next;

    if (outer && depth > 0 && !ae__actor_cancelled(&caller->actor)) {
        inherit_from_callers(ae__task_of(outer), caller, depth - 1);
    }
    if (ae__actor_cancelled(&caller->actor)) ae_cancel(ae__task_handle(callee));
}

bool ae_cancelled(void)
{
    struct ae__actor *self = ae__actor_self();
    struct ae__worker *w = ae__worker_self();

    if (ae__actor_cancelled(self)) return true;
    if (AE_LIKELY(!w || !w->caller)) return false;
    inherit_from_callers(w->caller, ae__task_of(self), CALLERS_ASKED);
    return ae__actor_cancelled(self); /* not inside of a shield */
}

/* ---- giving way ---- */

void ae_yield(void)
{
    struct ae__thread *thread = ae__thread_self();

    if (!thread->current) {
        ae__os_thread_yield();
        return;
    }
    ae__slice_leave(thread->current, AE__COMMIT_YIELD);
}

void ae__charge(void)
{
    struct ae__worker *w = ae__worker_self();

    if (!w || !w->thread.current) return;
    if (AE_LIKELY(--w->budget > 0)) return;
    ae__count(&w->counters.budget_yields, 1);
    ae_yield();
}

/* Has the slice lasted for long since its first checkpoint? */
static bool used_its_time(struct ae__worker *w)
{
    uint64_t slices = atomic_load_explicit(&w->counters.slices, memory_order_relaxed);
    int64_t now_ns = ae__os_now();

    if (w->checkpoint_slices == slices) return now_ns - w->checkpoint_ns >= AE__CHECKPOINT_NS;
    w->checkpoint_slices = slices;
    w->checkpoint_ns = now_ns;
    return false;
}

/* A loop whose turns are long must not wait until they are 128, nor timers and I/O of the worker
 * until such slices are 61: the next one begins with a look at them. */
int ae_checkpoint(void)
{
    struct ae__worker *w = ae__worker_self();

    if (w && w->thread.current && used_its_time(w)) {
        w->tick += AE__TICKS - w->tick % AE__TICKS;
        ae_yield();
    } else {
        ae__charge();
    }
    return ae_cancelled() ? -ECANCELED : 0;
}

void ae_pin(void)
{
    struct ae__thread *thread = ae__thread_self();

    AE_ASSERT(thread->current);
    AE_ASSERT(thread->current->actor.pins < UINT16_MAX);
    thread->current->actor.pins++;
}

void ae_unpin(void)
{
    struct ae__thread *thread = ae__thread_self();

    AE_ASSERT(thread->current);
    AE_ASSERT(thread->current->actor.pins > 0);
    thread->current->actor.pins--;
}

/* ---- who am I ---- */

ae_task_id ae_task_get_id(const ae_task *handle)
{
    return name_by_id(ae__task_from_handle(handle));
}

ae_task_id ae_self_id(void)
{
    struct ae__thread *thread = ae__thread_get();

    return thread && thread->current ? name_by_id(thread->current) : 0;
}

const char *ae_self_name(void)
{
    struct ae__thread *thread = ae__thread_get();
    struct ae__task *task = thread ? thread->current : NULL;

    return task && task->name ? task->name : "";
}

void ae_self_set_name(const char *name)
{
    struct ae__thread *thread = ae__thread_self();

    AE_ASSERT(thread->current);
    thread->current->name = name;
}

void *ae_local_get(const ae_local *key)
{
    struct ae__thread *thread = ae__thread_self();

    AE_ASSERT(thread->current);
    if (!(thread->current->flags & AE__TASK_LOCALS)) return NULL;
    return ae__locals_get(thread->current->locals, key);
}

int ae_local_set(const ae_local *key, void *value)
{
    struct ae__thread *thread = ae__thread_self();

    AE_ASSERT(thread->current);
    thread->current->flags |= AE__TASK_LOCALS;
    return ae__locals_set(&thread->current->locals, key, value);
}
