/* SPDX-License-Identifier: Apache-2.0 */
/* Stealing, and waiting for what was stolen.
 *
 * L1  While its owner waits for a job that thread T stole, it runs only jobs stolen from T's deque,
 *     and only those that T pushed while it was in that job. They are parts of what is waited for,
 *     so the stack below is one that a run without threads could have had too: no stranger's work
 *     on top of a held lock or of per-thread state. (Wagner and Calder's leapfrogging, 1993, made
 *     strict.)
 * L2  How that is known: T's deque is empty when it begins a stolen job (D1), so what is in it
 *     belongs to that job until it is DONE. T writes DONE before it does anything else, and shares
 *     by a release; so if the waiter, after the acquire of its steal, still finds the state not
 *     DONE, the job that it stole is a part. Otherwise it may be a stranger's: it goes to the
 *     pool's list of strays, from where threads without work take it, or its own owner.
 * L3  The slot of a stolen job is touched by the thief until its DONE and not after. What it
 *     touches after that, to wake the owner, is the owner's record, which lives as long as the
 *     pool. */
#include "base/assert.h"
#include "base/rng.h"
#include "par/threads.h"
#include "sched/scope.h"

enum { WAIT_SPINS = 2000 }; /* looks before sleeping; some 50 us */

/* ---- scopes of stolen jobs ---- */

/* The job runs in a scope of its own inside the one that it was pushed in, so that cancels reach
 * what it waits for. Its owner waits for it, so the scope above stays. */
void ae__par_scope_open(struct ae__scope *scope, struct ae__par_worker *w, struct ae__node *above)
{
    struct ae__scope *parent = ae__scope_of(above);

    ae__scope_init(scope, AE__NODE_SCOPE, parent->rt, &w->base.actor, above);
    ae__lock_acquire(&above->lock);
    uint32_t bits = atomic_load_explicit(&above->cancelled, memory_order_relaxed);
    atomic_store_explicit(&scope->node.cancelled, bits & AE__CANCELLED, memory_order_relaxed);
    ae__list_push(&parent->children, &scope->node.sibling);
    ae__lock_release(&above->lock);
    w->base.actor.node = &scope->node;
}

void ae__par_scope_close(struct ae__scope *scope, struct ae__par_worker *w,
                         struct ae__node *before)
{
    struct ae__node *above = scope->node.parent;

    AE_ASSERT(w->base.actor.node == &scope->node); /* the job left a scope open */
    (void)ae__scope_wait_children(scope, &w->base.actor, false);
    ae__scope_free_children(scope);
    ae__lock_acquire(&above->lock);
    ae__list_remove(&scope->node.sibling);
    ae__lock_release(&above->lock);
    w->base.actor.node = before;
}

/* ---- running what was stolen ---- */

static void run_stolen(struct ae__par_worker *w, struct ae__par_worker *victim,
                       struct ae__job_slot *slot)
{
    struct ae__job_slot *floor = w->deque.head;
    struct ae__node *before = w->base.actor.node;
    struct ae__scope scope;

    /* N3 */
    if (ae__deque_has_public(&victim->deque)) ae__par_wake_one(w->pool, victim);
    atomic_store_explicit(&slot->state, w->index + 1, memory_order_release);
    ae__par_scope_open(&scope, w, slot->node);
    int rc = slot->fn(slot->arg);
    slot->result = ae__par_drain(w, floor, rc);
    ae__par_scope_close(&scope, w, before);
    AE_DEBUG_ASSERT(w->deque.head == floor);
    /* release: D6; seq_cst: the owner either sees it or is seen asleep (N1) */
    atomic_exchange(&slot->state, AE__JOB_DONE);
    if (atomic_load(&victim->signal) != AE__PAR_AWAKE) ae__par_wake(victim); /* L3 */
}

bool ae__par_steal_any(struct ae__par_worker *w)
{
    struct ae_par_pool *pool = w->pool;
    uint32_t at = ae__rng_below(&w->rng, pool->width);

    for (uint32_t i = 0; i < pool->width; i++, at++) {
        struct ae__par_worker *victim = pool->workers[at < pool->width ? at : at - pool->width];
        if (victim == w) continue;
        struct ae__job_slot *slot = ae__deque_steal(&victim->deque);
        if (!slot) continue;
        run_stolen(w, victim, slot);
        return true;
    }
    return false;
}

bool ae__par_any_public(struct ae__par_worker *w)
{
    for (uint32_t i = 0; i < w->pool->width; i++) {
        struct ae__deque *d = &w->pool->workers[i]->deque;
        if (ae__deque_has_public(d)) return true;
        ae__deque_ask(d);
    }
    return false;
}

/* ---- strays ---- */

static void push_stray(struct ae__par_worker *w, uint32_t owner, struct ae__job_slot *slot)
{
    struct ae_par_pool *pool = w->pool;

    slot->owner = owner;
    ae__lock_acquire(&pool->lock);
    slot->next = pool->strays;
    pool->strays = slot;
    atomic_store_explicit(&slot->state, AE__JOB_STRAY, memory_order_release);
    atomic_fetch_add(&pool->pending, 1);
    ae__lock_release(&pool->lock);
    ae__par_wake(pool->workers[owner]);
    ae__par_wake_one(pool, NULL);
}

/* Out of the list: `wanted`, or the first one if it is NULL. */
static struct ae__job_slot *take_stray(struct ae_par_pool *pool, const struct ae__job_slot *wanted)
{
    ae__lock_acquire(&pool->lock);
    struct ae__job_slot **link = &pool->strays;
    while (*link && wanted && *link != wanted) {
        link = &(*link)->next;
    }
    struct ae__job_slot *slot = *link;
    if (slot) {
        *link = slot->next;
        atomic_fetch_sub(&pool->pending, 1);
    }
    ae__lock_release(&pool->lock);
    return slot;
}

bool ae__par_run_stray(struct ae__par_worker *w)
{
    struct ae__job_slot *slot = take_stray(w->pool, NULL);

    if (!slot) return false;
    run_stolen(w, w->pool->workers[slot->owner], slot);
    return true;
}

/* ---- waiting ---- */

struct wait {
    struct ae__par_worker *w;
    struct ae__job_slot *slot;
    struct ae__par_worker *thief;
};

static uint32_t state_of(struct ae__job_slot *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_acquire); /* D6 */
}

static bool wait_is_busy(void *context)
{
    struct wait *wait = context;
    struct ae__deque *d = &wait->thief->deque;

    if (atomic_load(&wait->slot->state) != wait->thief->index + 1) return true;
    if (ae__par_has_mail(wait->w) || ae__deque_has_public(d)) return true;
    ae__deque_ask(d);
    return false;
}

/* L1: run a part of the job that the thief has. False: there is none now. */
static bool leap(struct ae__par_worker *w, struct ae__job_slot *slot, struct ae__par_worker *thief)
{
    struct ae__job_slot *part = ae__deque_steal(&thief->deque);

    if (!part) return false;
    if (AE_UNLIKELY(state_of(slot) != thief->index + 1)) {
        push_stray(w, thief->index, part); /* L2 */
    } else {
        run_stolen(w, thief, part);
    }
    return true;
}

/* One step of waiting. */
static void wait_step(struct ae__par_worker *w, struct ae__job_slot *slot, uint32_t state,
                      int *spins)
{
    if (state == AE__JOB_IDLE || state == AE__JOB_STRAY) { /* between two threads */
        if (++*spins % 64 == 0) ae__os_thread_yield();
        ae__cpu_relax();
        return;
    }
    struct wait wait = { w, slot, w->pool->workers[state - 1] };
    if ((ae__par_has_mail(w) && ae__par_run_mail(w)) || leap(w, slot, wait.thief)) {
        *spins = 0;
    } else if (w->pool->spins && ++*spins < WAIT_SPINS) {
        ae__cpu_relax();
    } else {
        ae__par_sleep(w, AE__PAR_LEAPS + wait.thief->index, wait_is_busy, &wait);
    }
}

/* The newest job was stolen; wait for it. True: it became a stray, which is ours again. */
static bool wait_stolen(struct ae__par_worker *w, struct ae__job_slot *slot, int *result)
{
    struct ae__deque *d = &w->deque;
    bool ours = false;
    int spins = 0;

    d->head = d->split = slot + 1; /* what we run meanwhile goes above it */
    for (;;) {
        uint32_t state = state_of(slot);
        if (state == AE__JOB_DONE) break;
        if (state == AE__JOB_STRAY && take_stray(w->pool, slot)) {
            ours = true;
            break;
        }
        wait_step(w, slot, state, &spins);
    }
    *result = slot->result;
    ae__deque_reset(d, slot);
    return ours;
}

/* ---- the owner's long ways ---- */

void ae__par_share(struct ae__par_worker *w)
{
    if (!ae__deque_share(&w->deque)) return;
    ae__par_wake_one(w->pool, w);
    /* Others still sleep: the next job is for them. */
    if (atomic_load(&w->pool->sleepers) > 0) ae__deque_ask(&w->deque);
}

bool ae__par_pop_slow(struct ae__par_worker *w, struct ae__job_slot *slot, int *result)
{
    struct ae__deque *d = &w->deque;

    *result = 0;
    d->head = slot;
    if (ae__deque_is_private(d, slot)) {
        if (ae__deque_asked(d)) ae__par_share(w); /* of the older ones */
        return true;
    }
    return ae__deque_reclaim(d, slot) || wait_stolen(w, slot, result);
}

int ae__par_drain_slow(struct ae__par_worker *w, struct ae__job_slot *floor, int rc)
{
    struct ae__deque *d = &w->deque;

    while (d->head > floor) {
        struct ae__job_slot *slot = d->head - 1;
        int result;
        if (ae__par_pop(w, slot, &result)) {
            ae_fn *fn = slot->fn;
            result = ae__par_drain(w, slot, fn(slot->arg));
        }
        if (rc >= 0 && result < 0) rc = result;
    }
    return rc;
}
