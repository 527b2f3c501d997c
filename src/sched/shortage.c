/* SPDX-License-Identifier: Apache-2.0 */
/* Starts that found no stack.
 *
 * K1  Who waits is in the queue of its class, in order, and is handed a stack by whoever serves:
 *     it is not tried again, so nobody else snatches what was freed for it.
 * K2  While somebody waits, stacks belong into the shared lists: a worker gives up its cache when
 *     it sees `waiting`, at the end of a task, at its looks outside, and before it sleeps.
 * K3  No stack is forgotten in the cache of a worker that sleeps: the first to wait counts itself,
 *     then unparks all workers; a worker says that it sleeps, then looks at the count. (A Dekker
 *     pair like P2 in park.c.)
 * K4  When nothing can move any more (all workers idle, no timer, no job, and every task waits for
 *     another one), and nothing has for a while, the process aborts and names the limit. A task
 *     that waits for a descriptor, or a pool job, may go on, so then it does not.
 *
 * A start is served by a stack of its own class, or by a larger one that is free. */
#include "sched/shortage.h"

#include <stdio.h>

#include "aether/log.h"
#include "aether/time.h"
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/worker.h"

#define RETRY_NS (20 * AE_MS)     /* mappings may work again, unknown to us */
#define TELL_NS (60 * AE_SEC)     /* at most one line so often */
#define PATIENCE_NS AE_SEC        /* twice: threads unknown to us may still come and wake one */

void ae__shortage_init(struct ae__shortage *s)
{
    *s = (struct ae__shortage){ .patience_ns = PATIENCE_NS };
    for (int class = 0; class < AE__STACK_CLASSES; class++) {
        ae__wakes_init(&s->queues[class]);
    }
}

bool ae__shortage_any(struct ae_runtime *rt)
{
    return atomic_load_explicit(&rt->shortage.waiting, memory_order_seq_cst) > 0;
}

bool ae__shortage_holds(const struct ae__worker *w)
{
    for (int class = 0; class < AE__STACK_CLASSES; class++) {
        if (w->stacks.count[class] > 0) return true;
    }
    return false;
}

int64_t ae__shortage_sleep(int64_t deadline_ns)
{
    int64_t retry_ns = ae__os_now() + RETRY_NS;

    return deadline_ns < retry_ns ? deadline_ns : retry_ns;
}

/* K1; under the lock. */
static void serve_class(struct ae_runtime *rt, uint8_t class, struct ae__wakes *wakes)
{
    struct ae__wakes *queue = &rt->shortage.queues[class];
    struct ae__stack *stack;

    while (queue->head && (stack = ae__stack_get_scarce(&rt->stacks, class))) {
        struct ae__actor *actor = queue->head;
        queue->head = actor->next;
        if (!queue->head) queue->tail = &queue->head;
        queue->count--;
        atomic_fetch_sub_explicit(&rt->shortage.waiting, 1, memory_order_seq_cst);
        ae__slice_equip(ae__task_of(actor), stack);
        ae__wakes_push(wakes, actor);
    }
    AE_ASSERT((queue->head == NULL) == (queue->count == 0));
}

void ae__shortage_serve(struct ae__worker *w)
{
    struct ae_runtime *rt = w->rt;
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__stack_cache_drain(&rt->stacks, &w->stacks); /* K2 */
    ae__lock_acquire(&rt->shortage.lock);
    /* The largest first: only they cannot use what the others can. */
    for (uint8_t class = AE__STACK_CLASSES; class-- > 0;) {
        serve_class(rt, class, &wakes);
    }
    if (!ae__shortage_any(rt)) {
        atomic_fetch_and_explicit(&rt->signalled, ~AE__SIGNALLED_STACKS, memory_order_relaxed);
    }
    ae__lock_release(&rt->shortage.lock);
    if (wakes.head) ae__ready_all(&wakes);
}

void ae__shortage_wait(struct ae_runtime *rt, struct ae__task *task)
{
    struct ae__worker *w = ae__worker_self();
    struct ae__shortage *s = &rt->shortage;

    AE_ASSERT(w);
    AE_ASSERT(w->rt == rt);
    AE_ASSERT(!task->stack);
    AE_ASSERT(task->stack_class < AE__STACK_CLASSES);
    ae__lock_acquire(&s->lock);
    task->actor.wait_kind = AE__WAIT_STACK;
    ae__wakes_push(&s->queues[task->stack_class], &task->actor);
    bool first = atomic_fetch_add_explicit(&s->waiting, 1, memory_order_seq_cst) == 0; /* K3 */
    atomic_fetch_or_explicit(&rt->signalled, AE__SIGNALLED_STACKS, memory_order_relaxed);
    ae__lock_release(&s->lock);
    /* Another worker may run the task by now. */
    for (uint32_t i = 0; first && i < ae__slots(rt); i++) {
        if (rt->workers[i] != w) ae__worker_unpark(rt->workers[i]);
    }
    ae__shortage_serve(w);
}

/* ---- K4 ---- */

static uint64_t slices_begun(struct ae_runtime *rt)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < ae__slots(rt); i++) {
        sum += atomic_load_explicit(&rt->workers[i]->counters.slices, memory_order_relaxed);
    }
    return sum;
}

static bool is_pool_still(struct ae_runtime *rt)
{
    for (int lane = 0; lane < AE_LANES; lane++) {
        struct ae__pool_stats pool = { 0 };
        ae__parts.lanes_stats(rt->lanes, (enum ae_lane)lane, &pool);
        if (pool.queued > 0 || pool.threads != pool.idle) return false;
    }
    return true;
}

/* Nothing is queued anywhere, and no timer or job will change that. */
static bool is_still(struct ae_runtime *rt)
{
    if (ae__idle_parked(&rt->idle) + 1 < rt->workers_count) return false;
    if (ae__inject_length(&rt->inject) > 0) return false;
    for (uint32_t i = 0; i < ae__slots(rt); i++) {
        struct ae__worker *w = rt->workers[i];
        if (ae__wheel_next(&w->wheel) != INT64_MAX) return false;
        if (!ae__runq_is_empty(&w->ring) || ae__inject_length(&w->pinned) > 0) return false;
        if (atomic_load_explicit(&w->lifo, memory_order_relaxed)) return false;
    }
    return is_pool_still(rt);
}

/* Its next wake-up can only come from another task (or from a thread that nobody knows of). */
static bool depends_on_tasks(const struct ae__task *task)
{
    switch (task->actor.wait_kind) {
    case AE__WAIT_JOIN:
    case AE__WAIT_SCOPE:
    case AE__WAIT_MUTEX:
    case AE__WAIT_SEM:
    case AE__WAIT_EVENT:
    case AE__WAIT_GROUP:
    case AE__WAIT_SEND:
    case AE__WAIT_RECV:
        return true;
    default:
        return false;
    }
}

static bool is_stuck(struct ae__task *task)
{
    switch (atomic_load_explicit(&task->state, memory_order_relaxed)) {
    case AE__TASK_FREE:
    case AE__TASK_DONE:
        return true;
    case AE__TASK_READY:
        return task->actor.wait_kind == AE__WAIT_STACK;
    case AE__TASK_PARKED:
        return depends_on_tasks(task);
    default:
        return false;
    }
}

static bool all_stuck(struct ae_runtime *rt)
{
    uint32_t used = atomic_load_explicit(&rt->slab.used, memory_order_acquire);

    for (uint32_t i = 0; i < used; i++) {
        if (!is_stuck(ae__slab_at(&rt->slab, i))) return false;
    }
    return true;
}

static void describe(struct ae_runtime *rt, char *text, size_t size)
{
    size_t space = ae__os_address_space_max();

    ae__lock_acquire(&rt->stacks.lock);
    size_t stacks = ae__stack_count(&rt->stacks);
    ae__lock_release(&rt->stacks.lock);
    char limit[64] = "no limit on address space (ulimit -v)";

    if (space != SIZE_MAX) {
        snprintf(limit, sizeof limit, "an address space of %zu KiB (ulimit -v)", space >> 10);
    }
    snprintf(text, size, "%u starts wait for a task stack, %zu stacks are there, and no memory for "
             "more: the process has %s and may have %zu mappings (vm.max_map_count)",
             atomic_load(&rt->shortage.waiting), stacks, limit,
             ae__os_maps_max());
}

/* Has nothing moved for as long as we have patience? Under the lock. */
static bool has_been_still(struct ae_runtime *rt, int64_t now_ns)
{
    struct ae__shortage *s = &rt->shortage;
    uint64_t slices = slices_begun(rt);

    if (s->still_ns == 0 || s->slices != slices) {
        s->still_ns = now_ns;
        s->slices = slices;
        s->strikes = 0;
        return false;
    }
    return now_ns - s->still_ns >= s->patience_ns && is_still(rt);
}

/* A task that is just being woken looks stuck: only what is found twice counts. */
static bool is_hopeless(struct ae_runtime *rt, int64_t now_ns)
{
    struct ae__shortage *s = &rt->shortage;
    bool stuck = all_stuck(rt);

    ae__lock_acquire(&s->lock);
    s->strikes = stuck ? s->strikes + 1 : 0;
    s->still_ns = now_ns; /* the next strike takes as long again */
    bool hopeless = s->strikes >= 2;
    ae__lock_release(&s->lock);
    return hopeless;
}

void ae__shortage_look(struct ae__worker *w)
{
    struct ae_runtime *rt = w->rt;
    struct ae__shortage *s = &rt->shortage;
    char text[256];

    AE_ASSERT(!w->thread.current);
    ae__shortage_serve(w);
    if (!ae__shortage_any(rt)) return;
    int64_t now_ns = ae__os_now();
    ae__lock_acquire(&s->lock);
    bool tell = s->told_ns == 0 || now_ns - s->told_ns > TELL_NS;
    if (tell) s->told_ns = now_ns;
    bool still = has_been_still(rt, now_ns);
    ae__lock_release(&s->lock);
    if (!tell && !still) return;
    describe(rt, text, sizeof text);
    if (tell) ae_log(AE_WARN, "%s", text);
    if (still && is_hopeless(rt, now_ns)) ae__fatal("no task can run: %s", text);
}
