/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a task: finish against join, detach, wait, cancel and the end of its scope, on the
 * sources that do these. The joining side is a plain thread; the task's end is played as the
 * blocking pool does it, by ae__task_complete on another thread. A scope's frame dies when the
 * scope ends: who touches it later fails. */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "aether/log.h"
#include "aether/scope.h"
#include "sched/scope.h"
#include "sched/spawn.h"
#include "sched/worker.h"
#include "task/locals.h"

enum { BLOCKS = 3 };

static struct ae_runtime rt;
static _Alignas(256) char arena[BLOCKS * AE__TASK_BYTES + 256];
static size_t arena_used;
static ae_scope frame; /* on the stack of thread 1 */
static struct ae__task *children[2];
static ae_task_id first_id;
static _Atomic(int) spawned;
static int results[ACTORS], started;

/* ---- what is played ---- */

struct ae_runtime *ae__runtime_self(void)
{
    return &rt;
}

uint8_t ae__stack_class(size_t bytes)
{
    (void)bytes;
    return 0;
}

void ae__shortage_serve(struct ae__worker *w)
{
    (void)w;
    model_fail("nobody waits for a stack here");
}

void ae__stack_put(struct ae__stack_pool *pool, struct ae__stack_cache *cache,
                   struct ae__stack *stack)
{
    (void)pool;
    (void)cache;
    (void)stack;
}

void ae__slice_leave(struct ae__task *self, enum ae__commit commit)
{
    (void)self;
    (void)commit;
    model_fail("no task runs here");
}

bool ae__slice_call(struct ae__task *self, struct ae__task *callee);
void ae__ready_new(struct ae__task *task);

bool ae__slice_call(struct ae__task *self, struct ae__task *callee)
{
    (void)self;
    (void)callee;
    model_fail("no task runs here");
}

void ae__ready_new(struct ae__task *task)
{
    ae__ready(&task->actor);
}

void *ae__locals_get(const struct ae__locals *locals, const ae_local *key)
{
    (void)locals;
    (void)key;
    return NULL;
}

int ae__locals_set(struct ae__locals **locals, const ae_local *key, void *value)
{
    (void)locals;
    (void)key;
    (void)value;
    return -ENOMEM;
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

int64_t ae__os_now(void)
{
    return 0;
}

void ae__os_thread_yield(void)
{
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
    (void)base;
    (void)bytes;
}

void ae__timer_arm(struct ae_runtime *runtime, struct ae__timer *timer, int64_t when_ns,
                   void (*fire)(struct ae__timer *, struct ae__wakes *))
{
    (void)runtime;
    (void)timer;
    (void)when_ns;
    (void)fire;
}

void ae__timer_disarm(struct ae__timer *timer)
{
    (void)timer;
}

void env_ready_task(struct ae__task *task)
{
    started += task == children[0];
}

/* ---- set-up and parts ---- */

static int job(void *arg)
{
    (void)arg;
    return 0;
}

static void reset(void)
{
    env_reset();
    arena_used = 0;
    model_assert(ae__slab_init(&rt.slab, BLOCKS) == 0);
    memset(&frame, 0, sizeof frame);
    memset(results, 0, sizeof results);
    children[0] = children[1] = NULL;
    started = 0;
    atomic_init(&spawned, 0);
    model_name((struct ae__task *)(void *)rt.slab.base, "task 0");
    model_name((struct ae__task *)(void *)(rt.slab.base + AE__TASK_BYTES), "task 1");
    model_name(&frame, "scope");
    model_name(&rt.slab.lock, "slab.lock");
    model_name(&spawned, "spawned");
}

static void open_and_spawn(int count, bool handle)
{
    ae_scope_begin(&frame);
    for (int i = 0; i < count; i++) {
        children[i] = ae__task_create(AE__TASK_BLOCKING, job, NULL, handle, NULL);
        model_assert(children[i]);
    }
    first_id = ae_task_get_id(ae__task_handle(children[0]));
    model_publish(0); /* spawning onto another thread orders this */
    atomic_store_explicit(&spawned, 1, memory_order_relaxed);
}

static void close_scope(void)
{
    results[0] = ae_scope_end(&frame, results[0]);
    model_free(&frame, sizeof frame);
}

static bool is_spawned(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&spawned, memory_order_relaxed) != 0;
}

static void await_spawn(void)
{
    model_block(is_spawned, NULL, "the spawn");
    model_receive(0);
}

static void finisher(void *arg)
{
    await_spawn();
    ae__task_complete(children[(intptr_t)arg], 5 + (int)(intptr_t)arg);
}

/* All control blocks can be had again, each once. */
static void all_free(void)
{
    struct ae__task *task;
    uint32_t met = 0;

    model_assert(env_threads[1].actor.node == &env_threads[1].node);
    while ((task = ae__slab_get(&rt.slab, NULL))) {
        model_assert(task->index < BLOCKS && !(met >> task->index & 1));
        met |= 1u << task->index;
        model_assert(task->node.cancelled == 0); /* or the next one is born cancelled */
    }
    model_assert(met == (1u << BLOCKS) - 1);
}

/* ---- join ---- */

static void joiner(void *arg)
{
    (void)arg;
    open_and_spawn(1, true);
    results[1] = ae_join(ae__task_handle(children[0]));
    close_scope();
}

static void join_setup(void)
{
    reset();
    model_thread(joiner, NULL);
    model_thread(finisher, (void *)0);
}

static void join_check(void)
{
    all_free();
    model_assert(results[1] == 5);
}

MODEL(join_finish, "join against finish, then the scope is gone", join_setup, join_check, 5, 1)

/* The joiner is cancelled meanwhile: the child is cancelled too, and still waited for. */
static void cancel_joiner(void *arg)
{
    struct ae__wakes wakes;

    (void)arg;
    ae__wakes_init(&wakes);
    ae__cancel_node(&env_threads[1].node, 0, 0, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

static void cancel_join_setup(void)
{
    reset();
    model_thread(joiner, NULL);
    model_thread(finisher, (void *)0);
    model_thread(cancel_joiner, NULL);
}

MODEL(join_cancelled, "the joiner is cancelled while it waits", cancel_join_setup, join_check, 3, 0)

/* ---- detach, or nothing: the scope's end waits and frees ---- */

static void detacher(void *arg)
{
    (void)arg;
    open_and_spawn(1, true);
    ae_detach(ae__task_handle(children[0]));
    close_scope();
}

static void detach_setup(void)
{
    reset();
    model_thread(detacher, NULL);
    model_thread(finisher, (void *)0);
}

MODEL(detach_finish, "detach against finish: freed once", detach_setup, all_free, 5, 1)

static void leaver(void *arg)
{
    open_and_spawn(2, arg != NULL);
    close_scope();
}

static void end_setup(void)
{
    reset();
    model_thread(leaver, &frame);
    model_thread(finisher, (void *)0);
    model_thread(finisher, (void *)1);
}

MODEL(scope_end_handles, "two end, handles unconsumed, the scope ends", end_setup, all_free, 3, 0)

static void end_unowned_setup(void)
{
    reset();
    model_thread(leaver, NULL);
    model_thread(finisher, (void *)0);
    model_thread(finisher, (void *)1);
}

MODEL(scope_end_unowned, "two that nobody holds end, the scope ends", end_unowned_setup, all_free,
      3, 0)

/* ---- cancel by id: a late one finds a stale generation ---- */

static void cancel_by_id(void *arg)
{
    (void)arg;
    await_spawn();
    results[3] = ae_cancel_id(&rt, first_id);
}

static void id_setup(void)
{
    reset();
    model_thread(detacher, NULL);
    model_thread(finisher, (void *)0);
    model_thread(cancel_by_id, NULL);
}

static void id_check(void)
{
    all_free();
    model_assert(results[3] == 0 || results[3] == -ESRCH);
}

MODEL(cancel_id, "cancel by id against finish and free", id_setup, id_check, 3, 0)

/* The block is used again for another task: the id of the first must not cancel it. */
static void respawner(void *arg)
{
    (void)arg;
    open_and_spawn(1, true);
    (void)ae_join(ae__task_handle(children[0]));
    struct ae__task *next = ae__task_create(AE__TASK_BLOCKING, job, NULL, true, NULL);
    model_assert(next == children[0]);
    results[1] = (int)atomic_load_explicit(&next->node.cancelled, memory_order_acquire);
    model_yield();
    results[1] |= (int)atomic_load_explicit(&next->node.cancelled, memory_order_acquire);
    ae__task_complete(next, 0);
    close_scope();
}

static void reuse_setup(void)
{
    reset();
    model_thread(respawner, NULL);
    model_thread(finisher, (void *)0);
    model_thread(cancel_by_id, NULL);
}

static void reuse_check(void)
{
    id_check();
    model_assert(results[1] == 0);
}

MODEL(cancel_reused, "an old id does not cancel the block's next task", reuse_setup, reuse_check, 3,
      0)

/* ---- a task cancels the scope that its owner waits in ---- */

static void scope_waiter(void *arg)
{
    (void)arg;
    open_and_spawn(1, false);
    results[1] = ae_scope_wait(&frame);
    results[0] = results[1];
    close_scope();
}

static void cancel_and_finish(void *arg)
{
    await_spawn();
    ae_scope_cancel(&frame, -EPIPE);
    finisher(arg);
}

static void scope_cancel_setup(void)
{
    reset();
    model_thread(scope_waiter, NULL);
    model_thread(cancel_and_finish, (void *)0);
}

static void scope_cancel_check(void)
{
    all_free();
    model_assert(results[1] == 0 || results[1] == -ECANCELED);
    model_assert(results[0] == (results[1] ? -EPIPE : 0));
}

MODEL(scope_cancel, "a child cancels the scope that is waited in", scope_cancel_setup,
      scope_cancel_check, 4, 1)

/* ---- who sees a cancel sees what the canceller wrote before ---- */

static int told;

static void tell_and_cancel(void *arg)
{
    (void)arg;
    await_spawn();
    told = 7;
    ae_scope_cancel(&frame, -EPIPE);
    atomic_store_explicit(&spawned, 2, memory_order_relaxed);
}

static bool has_cancelled(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&spawned, memory_order_relaxed) == 2;
}

static void look_and_wait(void *arg)
{
    (void)arg;
    ae_scope_begin(&frame);
    model_publish(0);
    atomic_store_explicit(&spawned, 1, memory_order_relaxed);
    for (int i = 0; i < 3; i++)
        if (ae_cancelled()) model_assert(told == 7); /* plain */
    model_block(has_cancelled, NULL, "the canceller"); /* it may use the scope so long */
    model_assert(ae_scope_end(&frame, -ECANCELED) == -EPIPE);
}

static void tell_setup(void)
{
    reset();
    told = 0;
    model_name(&told, "told");
    model_thread(look_and_wait, NULL);
    model_thread(tell_and_cancel, NULL);
}

MODEL(cancel_tells, "who sees a cancel sees what was written before it", tell_setup, all_free, 9,
      3)

/* Outside of a scope that was cancelled as well, -ECANCELED tells of the outer cancel alone. */
static ae_scope inner;

static void end_inside(void *arg)
{
    (void)arg;
    ae_scope_begin(&frame);
    model_publish(0);
    atomic_store_explicit(&spawned, 1, memory_order_relaxed);
    ae_scope_begin(&inner);
    ae_scope_cancel(&inner, -EPIPE);
    int rc = ae_scope_end(&inner, -ECANCELED);
    model_assert(rc == -ECANCELED || rc == -EPIPE);
    if (rc == -ECANCELED) model_assert(told == 7); /* plain */
    model_block(has_cancelled, NULL, "the canceller");
    model_assert(ae_scope_end(&frame, -ECANCELED) == -EPIPE);
}

static void outer_setup(void)
{
    reset();
    told = 0;
    memset(&inner, 0, sizeof inner);
    model_name(&told, "told");
    model_name(&inner, "inner scope");
    model_thread(end_inside, NULL);
    model_thread(tell_and_cancel, NULL);
}

MODEL(outer_cancel, "an inner scope ends as the outer one is cancelled", outer_setup, all_free, 5,
      2)

/* ---- who waited for its children sees what they wrote ---- */

static void wait_for_words(void *arg)
{
    (void)arg;
    open_and_spawn(1, true);
    model_assert(ae_scope_wait(&frame) == 0);
    model_assert(told == 7); /* plain */
    close_scope();
}

static void tell_and_finish(void *arg)
{
    await_spawn();
    told = 7;
    finisher(arg);
}

static void words_setup(void)
{
    reset();
    told = 0;
    model_name(&told, "told");
    model_thread(wait_for_words, NULL);
    model_thread(tell_and_finish, (void *)0);
}

MODEL(scope_wait_tells, "who waited in a scope sees what its children wrote", words_setup, all_free,
      5, 2)

/* ---- a deferred start: the cancel of its scope must not be lost (W4) ---- */

static void deferrer(void *arg)
{
    (void)arg;
    ae_scope_begin(&frame);
    children[0] = ae__task_create(AE__TASK_DEFERRED, job, NULL, false, NULL);
    model_publish(0); /* spawning onto another thread orders this */
    atomic_store_explicit(&spawned, 1, memory_order_relaxed);
    (void)ae__task_defer_begin(children[0], AE__WAIT_SLEEP, NULL);
    ae__task_defer_commit(children[0]);
}

static void scope_canceller(void *arg)
{
    (void)arg;
    await_spawn();
    ae_scope_cancel(&frame, -EPIPE);
}

static void defer_setup(void)
{
    reset();
    model_name(&started, "started");
    model_thread(deferrer, NULL);
    model_thread(scope_canceller, NULL);
}

static void defer_check(void)
{
    model_assert(started == 1);
}

MODEL(defer_cancel, "a deferred start is cancelled, and starts once", defer_setup, defer_check, 5,
      2)
