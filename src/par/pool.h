/* SPDX-License-Identifier: Apache-2.0 */
/* The compute pool, for the files that make parallel algorithms of it. */
#ifndef AE_PAR_POOL_H
#define AE_PAR_POOL_H

#include "aether/par.h"
#include "arch/os.h"
#include "arch/thread.h"
#include "base/assert.h"
#include "par/deque.h"
#include "sched/sched.h"

/* In a thread's record, in the field that says which worker ran a task last (threads have no use
 * for it): this one is the record of a par worker. */
#define AE__PAR_MARK 0x41455052u

/* What `signal` says. A sleeper that waits for a job at a thief: AE__PAR_LEAPS + its index. */
enum { AE__PAR_AWAKE = 0, AE__PAR_SLEEPS = 1, AE__PAR_LEAPS = 2 };

struct ae__par_mail;

/* A thread of the pool, or the seat of one that helps. Never freed before the pool. */
struct ae__par_worker {
    struct ae__thread base;          /* first: the record of the thread */
    struct ae_par_pool *pool;        /* set at creation, like index */
    uint32_t index;
    uint64_t rng;                    /* owner only */
    ae__os_thread os;
    struct ae__deque deque;
    AE_CACHE_ALIGNED _Atomic(uint32_t) signal; /* futex */
    _Atomic(uint32_t) mails;         /* length of the list below */
    struct ae__par_mail *mail;       /* guarded by the pool's lock */
    bool seated;                     /* a seat: taken; guarded by the pool's lock */
};

/* The calling thread's, or NULL. A par worker does not change its thread: the result may be kept.
 * */
static inline struct ae__par_worker *ae__par_self(void)
{
    struct ae__thread *thread = ae__thread_get();

    if (AE_UNLIKELY(!thread || thread->actor.last_worker != AE__PAR_MARK)) return NULL;
    return AE_CONTAINER_OF(thread, struct ae__par_worker, base);
}

/* Run fn(arg) as a par worker: at once if the caller is one, else on a thread of the pool (NULL:
 * the default one) or, for a plain thread, right here in a seat. */
int ae__par_enter(struct ae_par_pool *pool, ae_fn *fn, void *arg);

/* ---- jobs; on a par worker ---- */

/* Publish jobs for those who asked, and wake one. */
AE_COLD void ae__par_share(struct ae__par_worker *w);

/* The long way of ae__par_pop: what was stolen is waited for. */
AE_COLD bool ae__par_pop_slow(struct ae__par_worker *w, struct ae__job_slot *slot, int *result);

/* NULL: no room, run it yourself. */
static inline struct ae__job_slot *ae__par_push(struct ae__par_worker *w, ae_fn *fn, void *arg)
{
    struct ae__deque *d = &w->deque;

    if (AE_UNLIKELY(ae__deque_full(d))) return NULL;
    struct ae__job_slot *slot = ae__deque_push(d, fn, arg, w->base.actor.node);
    if (AE_UNLIKELY(ae__deque_must_share(d, slot))) ae__par_share(w);
    return slot;
}

/* Take the newest job back. True: nobody took it, the caller does its work itself. False: a thief
 * has done it, and *result is what it returned. */
static inline bool ae__par_pop(struct ae__par_worker *w, struct ae__job_slot *slot, int *result)
{
    struct ae__deque *d = &w->deque;

    AE_DEBUG_ASSERT(d->head == slot + 1);
    if (AE_LIKELY(ae__deque_is_private(d, slot) && !ae__deque_asked(d))) {
        d->head = slot;
        return true;
    }
    return ae__par_pop_slow(w, slot, result);
}

/* Run or wait for all that was pushed above `floor` (ae_par_spawn). `rc`, if it is an error, else
 * the first error of those. */
AE_COLD int ae__par_drain_slow(struct ae__par_worker *w, struct ae__job_slot *floor, int rc);

static inline int ae__par_drain(struct ae__par_worker *w, struct ae__job_slot *floor, int rc)
{
    return AE_LIKELY(w->deque.head == floor) ? rc : ae__par_drain_slow(w, floor, rc);
}

/* Is the scope cancelled that the worker's code runs in? */
static inline bool ae__par_cancelled(const struct ae__par_worker *w)
{
    return ae__actor_cancelled(&w->base.actor);
}

/* How many run at once at most, helpers included: for dividing work up. */
unsigned ae__par_threads(const struct ae__par_worker *w);

#endif
