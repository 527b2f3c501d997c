/* SPDX-License-Identifier: Apache-2.0 */
/* Fork and join: the two calls that everything else here could be written with, kept lean: a join
 * that nobody steals from is two indirect calls, a few plain stores and no locked instruction. */
#include <errno.h>

#include "base/assert.h"
#include "par/threads.h"

struct both {
    ae_fn *a, *b;
    void *arg_a, *arg_b;
};

static int join_entered(void *arg)
{
    struct both *both = arg;

    return ae_par_join(both->a, both->arg_a, both->b, both->arg_b);
}

static AE_COLD int join_outside(ae_fn *a, void *arg_a, ae_fn *b, void *arg_b)
{
    struct both both = { a, b, arg_a, arg_b };

    AE_ASSERT(a);
    AE_ASSERT(b);
    return ae__par_enter(NULL, join_entered, &both);
}

static int first_error(int a, int b)
{
    if (a < 0) return a;
    return b < 0 ? b : 0;
}

/* The deque is full: one after the other. */
static AE_COLD int join_serial(struct ae__par_worker *w, ae_fn *a, void *arg_a, ae_fn *b,
                               void *arg_b)
{
    struct ae__job_slot *floor = w->deque.head;
    int rc = ae__par_drain(w, floor, a(arg_a));

    return first_error(rc, ae__par_drain(w, floor, b(arg_b)));
}

int ae_par_join(ae_fn *a, void *arg_a, ae_fn *b, void *arg_b)
{
    struct ae__par_worker *w = ae__par_self();
    int result;

    if (AE_UNLIKELY(!w)) return join_outside(a, arg_a, b, arg_b);
    struct ae__job_slot *slot = ae__par_push(w, b, arg_b);
    if (AE_UNLIKELY(!slot)) return join_serial(w, a, arg_a, b, arg_b);
    int rc = ae__par_drain(w, slot + 1, a(arg_a));
    if (AE_LIKELY(ae__par_pop(w, slot, &result))) {
        result = ae__par_drain(w, slot, b(arg_b));
    }
    return first_error(rc, result);
}

/* ---- spawning ---- */

struct scope_call {
    ae_fn *fn;
    void *arg;
};

static int scope_entered(void *arg)
{
    struct scope_call *call = arg;
    struct ae__par_worker *w = ae__par_self();
    struct ae__job_slot *floor = w->deque.head;
    int rc = ae__par_drain(w, floor, call->fn(call->arg));

    return rc < 0 ? rc : 0;
}

int ae_par_scope(ae_fn *fn, void *arg)
{
    struct scope_call call = { fn, arg };

    AE_ASSERT(fn);
    return ae__par_enter(NULL, scope_entered, &call);
}

static int return_result(void *arg)
{
    return (int)(intptr_t)arg;
}

/* The deque is full. An error is left as a job that returns it, in the spare slots beyond the end;
 * when those are full too, others are on their way to the same scope or one inside. */
static AE_COLD void spawn_here(struct ae__par_worker *w, ae_fn *fn, void *arg)
{
    struct ae__deque *d = &w->deque;
    int rc = ae__par_drain(w, d->head, fn(arg));

    if (rc >= 0 || d->head == d->end + AE__PAR_SPARE) return;
    (void)ae__deque_push(d, return_result, (void *)(intptr_t)rc, w->base.actor.node);
}

void ae_par_spawn(ae_fn *fn, void *arg)
{
    struct ae__par_worker *w = ae__par_self();

    AE_ASSERT(w); /* spawning needs something that waits for it */
    AE_ASSERT(fn);
    if (AE_UNLIKELY(!ae__par_push(w, fn, arg))) spawn_here(w, fn, arg);
}
