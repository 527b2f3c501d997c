/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the scheduler: workers and their queues. */
#ifndef AE_SCHED_WORKER_H
#define AE_SCHED_WORKER_H

#include "arch/thread.h"
#include "sched/types.h"

/* worker.c */
void ae__worker_main(void *worker);                /* a worker thread, from start to stop */
/* simulated.c: the same in a simulation */
void ae__worker_main_simulated(void *worker);
void ae__worker_enter(struct ae__worker *w);       /* this thread becomes the worker's */
void ae__worker_leave(struct ae__worker *w);
/* One turn of the loop: run a task, or look for one, or sleep. */
void ae__worker_step(struct ae__worker *w);

/* slice.c: giving the CPU from one context to the next */
void ae__slice_start(struct ae__worker *w, struct ae__task *task); /* from the native context */
void ae__slice_leave(struct ae__task *self, enum ae__commit commit); /* from a task */
/* Run `callee` right now, in the midst of `self`'s slice, until it suspends or returns. False: it
 * is not the next one of this worker's queues, or the worker must look outside first. */
bool ae__slice_call(struct ae__task *self, struct ae__task *callee);
/* Does the task have a stack, or can it get one? False: it waits for one now. */
bool ae__slice_prepare(struct ae__worker *w, struct ae__task *task);

/* A stack that was found later: the task can be switched to now. */
void ae__slice_equip(struct ae__task *task, struct ae__stack *stack);

/* queue.c: the local queues */
struct ae__task *ae__queue_pop(struct ae__worker *w);   /* LIFO slot and ring */
bool ae__queue_take(struct ae__worker *w, struct ae__task *task); /* if it is the next to pop */
void ae__queue_push(struct ae__worker *w, struct ae__task *task, bool announce); /* ring */
void ae__queue_push_lifo(struct ae__worker *w, struct ae__task *task); /* woken */
void ae__queue_push_new(struct ae__worker *w, struct ae__task *task);  /* never ran */
/* Wake one more worker if there is a reason to (I2). */
void ae__wake_one(struct ae_runtime *rt);
void ae__worker_unpark(struct ae__worker *w);           /* make its park end */
bool ae__queue_has_any(struct ae__worker *w);           /* also pinned ones */

/* steal.c */
struct ae__task *ae__steal(struct ae__worker *w);       /* while searching */

struct ae__task *ae__worker_take_pinned(struct ae__worker *w); /* worker.c */

/* park.c */
void ae__worker_park(struct ae__worker *w);
void ae__worker_rest(struct ae__worker *w); /* a spare that is not called: until it is woken */
void ae__worker_poll(struct ae__worker *w, int64_t deadline_ns, struct ae__wakes *wakes);

/* complete.c */
void ae__task_finish(struct ae__worker *w, struct ae__task *task); /* after its last switch */

/* Does it run something else before it looks into its ring? Who pushes the only task there then has
 * to tell the others: nobody else would, as long as that takes. */
static inline bool ae__worker_is_busy(const struct ae__worker *w)
{
    return w->thread.current || w->tick % AE__TICKS == 0; /* the shared queue goes first then */
}

static inline struct ae__worker *ae__worker_self(void)
{
    struct ae__thread *thread = ae__thread_get();

    return thread ? thread->worker : NULL;
}

#endif
