/* SPDX-License-Identifier: Apache-2.0 */
/* OS threads as actors: records for plain threads, sleeping on a futex, and timers of their own. */
#include "arch/os.h"
#include "arch/thread.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/sched.h"
#include "sched/seam.h"
#include "sched/worker.h"

static void thread_gone(struct ae__thread *thread)
{
    if (thread->worker || thread->rt) return; /* a worker's or a pool thread's: not ours */
    AE_ASSERT(thread->actor.node == &thread->node); /* a scope is still open */
    AE_ASSERT(!thread->current);
    AE_ASSERT(!thread->timers); /* of scopes and waits, which are over */
    ae__os_fault_stack_drop(thread->fault_stack);
    ae__mem_free(thread);
}

struct ae__thread *ae__thread_self(void)
{
    struct ae__thread *thread = ae__thread_get();

    if (AE_LIKELY(thread != NULL)) return thread;
    thread = ae__mem_zalloc(sizeof *thread);
    if (!thread) ae__fatal("no memory for a thread's record");
    thread->actor.kind = AE__ACTOR_THREAD;
    thread->actor.node = &thread->node;
    thread->node.kind = AE__NODE_THREAD;
    ae__list_init(&thread->node.sibling);
    thread->errno_at = ae__thread_errno();
    ae__thread_at_exit(thread_gone);
    ae__thread_set(thread);
    return thread;
}

static void fire_timers(struct ae__thread *thread)
{
    int64_t now_ns = ae__os_now();
    struct ae__wakes wakes;
    struct ae__timer *next;

    ae__wakes_init(&wakes);
    for (struct ae__timer *timer = thread->timers; timer; timer = next) {
        next = timer->next;
        AE_ASSERT(*timer->link == timer);
        if (timer->when_ns > now_ns) continue;
        *timer->link = timer->next;
        if (timer->next) timer->next->link = timer->link;
        timer->link = NULL;
        timer->fire(timer, &wakes);
    }
    if (wakes.head) ae__ready_all(&wakes);
}

/* Every function that looks whether it was cancelled asks here first, so a deadline of a plain
 * thread's own counts although nobody but the thread itself can fire it. */
struct ae__actor *ae__actor_self(void)
{
    struct ae__thread *thread = ae__thread_self();

    if (AE_LIKELY(thread->current != NULL)) return &thread->current->actor;
    if (AE_UNLIKELY(thread->timers != NULL)) fire_timers(thread);
    return &thread->actor;
}

bool ae__in_task(void)
{
    struct ae__thread *thread = ae__thread_get();

    return thread && thread->current;
}

bool ae__seam_cancelled(const struct ae__actor *self)
{
    return atomic_load_explicit(&self->node->cancelled, memory_order_acquire) & AE__CANCELLED;
}

/* The nearest of the thread's own timers. */
static int64_t next_timer(const struct ae__thread *thread)
{
    int64_t next_ns = INT64_MAX;

    for (const struct ae__timer *timer = thread->timers; timer; timer = timer->next) {
        if (timer->when_ns < next_ns) next_ns = timer->when_ns;
    }
    return next_ns;
}

static void park_thread(struct ae__thread *thread)
{
    AE_ASSERT(!thread->worker); /* a worker outside of its tasks has nothing to wait for */
    if (!ae__wait_commit(&thread->actor)) return;
    /* Only the token ends the sleep (W2): who claimed us PARKED will touch the record until it
     * stored it. acquire pairs with the release in ready.c. */
    while (atomic_exchange_explicit(&thread->token, 0, memory_order_acquire) == 0) {
        int64_t next_ns = next_timer(thread);
        ae__os_futex_wait(&thread->token, 0, next_ns);
        if (next_ns != INT64_MAX) fire_timers(thread);
    }
}

void ae__seam_park(struct ae__actor *self)
{
    if (self->kind == AE__ACTOR_THREAD) {
        park_thread(ae__thread_of(self));
    } else {
        ae__slice_leave(ae__task_of(self), AE__COMMIT_PARK);
    }
}
