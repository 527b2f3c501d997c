/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the pool: what its threads, thieves and callers share. */
#ifndef AE_PAR_THREADS_H
#define AE_PAR_THREADS_H

#include "par/pool.h"

enum {
    AE__PAR_WORKERS_MAX = 1024,
    AE__PAR_SEATS = 8,    /* plain threads that help at once; more of them wait like tasks */
    AE__PAR_SLOTS = 4096, /* jobs in a deque; what does not fit is run at once */
    AE__PAR_SPARE = 64,   /* and slots for the errors of those */
};

/* A call from outside, in the caller's frame. */
struct ae__par_root {
    struct ae__par_root *next;   /* in the pool's list */
    ae_fn *fn;
    void *arg;
    struct ae__scope scope;      /* what it runs in, inside the caller's */
    struct ae__actor *caller;
    /* guarded by the pool's lock */
    uint32_t sequence;           /* of the caller's wait */
    enum { AE__PAR_QUEUED, AE__PAR_RUNS, AE__PAR_DONE } state;
    int status;
};

/* A function for one certain thread (ae_par_broadcast). */
struct ae__par_mail {
    struct ae__par_mail *next;
    void (*run)(struct ae__par_mail *mail, struct ae__par_worker *w);
};

struct ae_par_pool {
    /* set at creation */
    ae_par_config config;
    uint32_t threads;            /* workers[0 .. threads) have one */
    uint32_t width;              /* those and the seats */
    struct ae__par_worker **workers;
    bool spins;

    AE_CACHE_ALIGNED _Atomic(uint32_t) sleepers;
    _Atomic(uint32_t) pending;   /* roots and strays in the lists */
    _Atomic(uint32_t) stopping;

    AE_CACHE_ALIGNED struct ae__lock lock; /* guards all below */
    struct ae__par_root *roots, **roots_end;
    struct ae__job_slot *strays;
};

/* pool.c */
int ae__par_default(struct ae_par_pool **out);
/* Wake `w` if it sleeps. */
void ae__par_wake(struct ae__par_worker *w);
/* There is work for anybody: wake one that sleeps, if one does. `source`: whose deque has it; one
 * that waits for a job there is preferred. NULL: in the pool's lists. */
void ae__par_wake_one(struct ae_par_pool *pool, const struct ae__par_worker *source);
/* Sleep until woken, unless `busy(context)` once all can see that we sleep. `as`: what signal says.
 * */
void ae__par_sleep(struct ae__par_worker *w, uint32_t as, bool (*busy)(void *context),
                   void *context);

/* steal.c */
/* Steal a job from somebody and run it. False: nothing there. */
bool ae__par_steal_any(struct ae__par_worker *w);
/* Is there a public job in any deque? Asks those that have private ones. */
bool ae__par_any_public(struct ae__par_worker *w);
/* A scope for a job inside `above`, the innermost one of who pushed it. */
void ae__par_scope_open(struct ae__scope *scope, struct ae__par_worker *w, struct ae__node *above);
void ae__par_scope_close(struct ae__scope *scope, struct ae__par_worker *w,
                         struct ae__node *before);
/* Run a stray. False: there is none. */
bool ae__par_run_stray(struct ae__par_worker *w);

/* enter.c */
bool ae__par_run_root(struct ae__par_worker *w);
bool ae__par_run_mail(struct ae__par_worker *w);

static inline bool ae__par_has_mail(struct ae__par_worker *w)
{
    return atomic_load_explicit(&w->mails, memory_order_seq_cst) != 0;
}

static inline bool ae__par_has_pending(struct ae_par_pool *pool)
{
    return atomic_load_explicit(&pool->pending, memory_order_seq_cst) != 0;
}

#endif
