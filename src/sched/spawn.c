/* SPDX-License-Identifier: Apache-2.0 */
/* Control blocks from creation to their end: spawning, completing, freeing.
 *
 * The end of a task meets those who hold on to it in one atomic word, task->life:
 *
 * L1  DONE is set once, by who completes the task, after status and flags (release); who sees it
 *     (acquire) may read both, and as owner of the handle may free the block.
 * L2  A task that has a handle and was never watched ends by one exchange of its own word. It takes
 *     no lock and touches nothing afterwards: block and scope may be gone. The scope does not count
 *     it; who waits for the scope looks at its list (sched/scope.c).
 * L3  WATCHED is set, and HANDLE is cleared, under the parent scope's lock only, before DONE. A
 *     task that is watched or has no handle ends under that lock: the watchers are claimed there,
 *     and without a handle it leaves the list and the scope's count. So who frees a watched task
 *     takes the lock once after DONE, and no watcher is at the block any more.
 * L4  An id can be used by anyone at any time, so a task whose id was given out (NAMED) changes its
 *     generation under its node's lock, which ae_cancel_id holds while it looks and walks. */
#include "sched/spawn.h"

#include <errno.h>

#include "aether/log.h"
#include "arch/probe.h"
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/scope.h"
#include "sched/seam.h"
#include "sched/worker.h"

static struct ae__slab_cache *own_cache(struct ae_runtime *rt)
{
    struct ae__worker *w = ae__worker_self();

    return w && w->rt == rt ? &w->slab : NULL;
}

static bool count_in(struct ae_runtime *rt)
{
    if (AE_LIKELY(!rt->counts_tasks)) return true;
    uint32_t count = atomic_load_explicit(&rt->tasks_counted, memory_order_relaxed);
    /* No add and subtract again: others would be refused meanwhile. relaxed: a number, which guards
     * nothing; who knows of an end by other ways sees it counted out. */
    while (count < rt->config.tasks_max) {
        if (atomic_compare_exchange_weak_explicit(&rt->tasks_counted, &count, count + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static void count_out(struct ae_runtime *rt)
{
    if (AE_LIKELY(!rt->counts_tasks)) return;
    uint32_t before = atomic_fetch_sub_explicit(&rt->tasks_counted, 1, memory_order_relaxed);
    AE_ASSERT(before > 0);
}

/* Blocks are reused as they are: every field is set here, except the wait word and the lock, which
 * late claims and cancels may still look at, and index and generation. */
static void fill(struct ae__task *task, const struct ae__spawn *spawn, struct ae_runtime *rt)
{
    struct ae__worker *w = ae__worker_self();

    task->actor.node = &task->node;
    task->actor.kind = AE__ACTOR_TASK;
    task->actor.wait_kind = AE__WAIT_NONE;
    task->actor.pins = 0;
    task->actor.last_worker = w && w->rt == rt ? w->index : 0;
    task->node.kind = spawn->state == AE__TASK_BLOCKING ? AE__NODE_JOB : AE__NODE_TASK;
    task->node.parent = &spawn->scope->node;
    task->node.inner = NULL;
    task->sp = NULL;
    task->stack = NULL;
    task->fn = spawn->fn;
    task->arg = spawn->arg;
    task->rt = rt;
    task->watchers = (struct ae__waitq){ NULL, NULL };
    task->status = 0;
    task->flags = 0;
    task->stack_class = spawn->stack_class;
    task->priority = 0;
    task->started_by = 0;
    task->name = spawn->name;
    task->spawn_site = spawn->site;
    /* locals, timer and fd lie in a cache line that most tasks never touch: they are cleared when
     * they go out of use. */
    AE_DEBUG_ASSERT(!task->locals && !task->timer.link);
    atomic_store_explicit(&task->state, spawn->state, memory_order_relaxed);
    unsigned named = rt->config.on_suspend || rt->config.on_resume ? AE__LIFE_NAMED : 0;
    atomic_store_explicit(&task->life, named | (spawn->handle ? AE__LIFE_HANDLE : 0),
                          memory_order_relaxed);
}

struct ae__task *ae__task_make(const struct ae__spawn *spawn)
{
    struct ae__scope *scope = spawn->scope;
    struct ae_runtime *rt = scope->rt;
    struct ae__worker *w = ae__worker_self();

    AE_ASSERT(rt); /* the scope belongs to no runtime: nobody could run the task */
    AE_ASSERT(spawn->fn);
    if (!count_in(rt)) return NULL;
    struct ae__task *task = ae__slab_get(&rt->slab, own_cache(rt));
    if (AE_UNLIKELY(!task)) {
        count_out(rt);
        return NULL;
    }
    fill(task, spawn, rt);
    ae__lock_acquire(&scope->node.lock);
    if (AE_UNLIKELY(atomic_load_explicit(&scope->node.cancelled, memory_order_relaxed))) {
        atomic_store_explicit(&task->node.cancelled, AE__CANCELLED, memory_order_relaxed);
    }
    ae__list_push(&scope->children, &task->node.sibling);
    if (!spawn->handle) scope->live++; /* L2 */
    ae__lock_release(&scope->node.lock);
    AE_PROBE3(spawn, task, task->fn, task->spawn_site);
    if (AE_LIKELY(w && w->rt == rt)) {
        ae__count(&w->counters.spawned, 1);
    } else {
        atomic_fetch_add_explicit(&rt->spawned_outside, 1, memory_order_relaxed);
    }
    return task;
}

/* Give the block back; it was counted out. */
static void free_block(struct ae__task *task)
{
    struct ae_runtime *rt = task->rt;
    bool named = atomic_load_explicit(&task->life, memory_order_relaxed) & AE__LIFE_NAMED;

    if (AE_UNLIKELY(named)) ae__lock_acquire(&task->node.lock); /* L4 */
    uint32_t generation = ae__task_generation(task) + 1;
    atomic_store_explicit(&task->generation, generation ? generation : 1, memory_order_relaxed);
    atomic_store_explicit(&task->node.cancelled, 0, memory_order_relaxed);
    atomic_store_explicit(&task->state, AE__TASK_FREE, memory_order_relaxed);
    if (AE_UNLIKELY(named)) ae__lock_release(&task->node.lock);
    ae__slab_put(&rt->slab, own_cache(rt), task);
}

void ae__task_free(struct ae__task *task)
{
    struct ae_runtime *rt = task->rt;

    free_block(task);
    count_out(rt);
}

void ae__task_report(struct ae__task *task)
{
    struct ae_runtime *rt = task->rt;

    if (task->status >= 0 || task->status == -ECANCELED) return;
    if (rt->config.on_task_error) {
        rt->config.on_task_error(rt->config.context, ae__task_id(task), task->name, task->status);
        return;
    }
    ae_log(AE_WARN, "task %u%s%s ended with %d (%s), and nobody joins it", task->index,
           task->name ? " " : "", task->name ? task->name : "", task->status,
           ae_strerror(task->status));
}

bool ae__task_watch_locked(struct ae__task *task, struct ae__waiter *waiter)
{
    uint8_t life;

    do {
        life = atomic_load_explicit(&task->life, memory_order_acquire); /* L1 */
        if (life & AE__LIFE_DONE) return false;
        /* relaxed: the lock orders who watches and who ends a watched task (L3) */
    } while (!atomic_compare_exchange_weak_explicit(&task->life, &life, life | AE__LIFE_WATCHED,
                                                    memory_order_relaxed, memory_order_relaxed));
    ae__waitq_push(&task->watchers, waiter);
    return true;
}

bool ae__task_give_up_locked(struct ae__task *task)
{
    uint8_t life;

    do {
        life = atomic_load_explicit(&task->life, memory_order_acquire); /* L1 */
        if (life & AE__LIFE_DONE) return false;
        AE_ASSERT(life & AE__LIFE_HANDLE);
        /* relaxed, as above (L3) */
    } while (!atomic_compare_exchange_weak_explicit(&task->life, &life, life & ~AE__LIFE_HANDLE,
                                                    memory_order_relaxed, memory_order_relaxed));
    ae__scope_of(task->node.parent)->live++;
    return true;
}

/* L2: true if that was the end. */
static bool end_unwatched(struct ae__task *task)
{
    uint8_t life = atomic_load_explicit(&task->life, memory_order_relaxed);

    while ((life & (AE__LIFE_HANDLE | AE__LIFE_WATCHED)) == AE__LIFE_HANDLE) {
        /* L1 */
        if (atomic_compare_exchange_weak_explicit(&task->life, &life, life | AE__LIFE_DONE,
                                                  memory_order_release, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* L3 */
static void end_locked(struct ae__task *task)
{
    struct ae__scope *scope = ae__scope_of(task->node.parent);
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&scope->node.lock);
    ae__waitq_claim_all(&task->watchers, &wakes);
    /* L1; release: the owner of the handle may look without the lock */
    uint8_t life = atomic_fetch_or_explicit(&task->life, AE__LIFE_DONE, memory_order_release);
    bool unowned = !(life & AE__LIFE_HANDLE);
    if (unowned) {
        ae__list_remove(&task->node.sibling);
        count_out(scope->rt); /* before anybody may take it for gone, and spawn in its place */
        ae__scope_child_done(scope, &wakes);
    }
    ae__lock_release(&scope->node.lock);
    /* With a handle the block may be gone by now, and so may the scope. */
    if (unowned) {
        ae__task_report(task);
        free_block(task);
    }
    if (wakes.head) ae__ready_all(&wakes);
}

void ae__task_complete(struct ae__task *task, int status)
{
    struct ae__worker *w = ae__worker_self();

    if (w) ae__count(&w->counters.completed, 1);
    task->status = status;
    if (atomic_load_explicit(&task->node.cancelled, memory_order_relaxed)) {
        task->flags |= AE__TASK_CANCELLED;
    }
    atomic_store_explicit(&task->state, AE__TASK_DONE, memory_order_relaxed);
    if (!end_unwatched(task)) end_locked(task);
}

void ae__task_finish(struct ae__worker *w, struct ae__task *task)
{
    ae__stack_put(&w->rt->stacks, &w->stacks, task->stack);
    task->stack = NULL;
    uint32_t waiting = atomic_load_explicit(&w->rt->shortage.waiting, memory_order_relaxed);
    if (AE_UNLIKELY(waiting > 0)) ae__shortage_serve(w); /* K2 */
    ae__task_complete(task, task->status);
}

void ae__scope_free_children(struct ae__scope *scope)
{
    while (!ae__list_is_empty(&scope->children)) {
        struct ae__list *first = scope->children.next;
        struct ae__task *task = AE_CONTAINER_OF(first, struct ae__task, node.sibling);
        AE_ASSERT(ae__task_is_done(task));
        ae__lock_acquire(&scope->node.lock); /* a cancel may walk here */
        ae__list_remove(&task->node.sibling);
        ae__lock_release(&scope->node.lock);
        ae__task_report(task);
        ae__task_free(task);
    }
}

/* ---- for other layers: deferred starts, pool jobs ---- */

struct ae__task *ae__task_create(enum ae__task_state state, ae_fn *fn, void *arg, bool handle,
                                 void *spawn_site)
{
    struct ae__spawn spawn = {
        .scope = ae__scope_innermost(ae__actor_self()),
        .state = state,
        .fn = fn,
        .arg = arg,
        .site = spawn_site,
        .handle = handle,
    };

    AE_ASSERT(spawn.scope); /* a plain thread needs an open scope to spawn in */
    AE_ASSERT(spawn.scope->rt);
    spawn.stack_class = ae__stack_class(spawn.scope->rt->config.stack_bytes);
    return ae__task_make(&spawn);
}

void ae__task_abandon(struct ae__task *task)
{
    struct ae__scope *scope = ae__scope_of(task->node.parent);
    struct ae__wakes wakes;

    if (task->state == AE__TASK_DEFERRED) (void)ae__wait_abort(&task->actor);
    ae__wakes_init(&wakes);
    ae__lock_acquire(&scope->node.lock);
    ae__list_remove(&task->node.sibling);
    count_out(scope->rt);
    bool counted = !(atomic_load_explicit(&task->life, memory_order_relaxed) & AE__LIFE_HANDLE);
    if (counted) ae__scope_child_done(scope, &wakes);
    ae__lock_release(&scope->node.lock);
    free_block(task);
    if (wakes.head) ae__ready_all(&wakes);
}

void ae__task_lend(struct ae__task *task, struct ae__actor *runner)
{
    AE_ASSERT(task->node.kind == AE__NODE_JOB);
    ae__lock_acquire(&task->node.lock);
    task->sp = runner;
    ae__lock_release(&task->node.lock);
    runner->node = &task->node;
}

void ae__task_unlend(struct ae__task *task, struct ae__actor *runner, struct ae__node *before)
{
    AE_ASSERT(runner->node == &task->node); /* every scope it opened is closed */
    ae__lock_acquire(&task->node.lock);
    task->sp = NULL;
    ae__lock_release(&task->node.lock);
    task->timer.link = NULL; /* the pool's queue had its link there */
    runner->node = before;
}

uint32_t ae__task_defer_begin(struct ae__task *task, enum ae__wait_kind kind, const void *object)
{
    AE_ASSERT(task->state == AE__TASK_DEFERRED);
    task->flags |= AE__TASK_SETTLE;
    task->timer.wheel = NULL;
    task->fd = NULL;
    return ae__wait_begin(&task->actor, true, kind, object);
}

void ae__task_defer_timeout(struct ae__timer *timer, struct ae__wakes *wakes)
{
    struct ae__actor *actor = &AE_CONTAINER_OF(timer, struct ae__task, timer)->actor;
    uint64_t word = atomic_load_explicit(&actor->wait, memory_order_relaxed);

    (void)ae__wait_wake(actor, (uint32_t)(word >> 32), AE__REASON_TIME, wakes);
}

void ae__task_defer_commit(struct ae__task *task)
{
    struct ae__actor *actor = &task->actor;

    ae__wait_look(actor);
    if (!ae__wait_commit(actor)) ae__ready(actor);
}
