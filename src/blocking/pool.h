/* SPDX-License-Identifier: Apache-2.0 */
/* One lane of the blocking pool: for lanes.c, which has them all, and blocking.c. */
#ifndef AE_BLOCKING_POOL_H
#define AE_BLOCKING_POOL_H

#include "sched/sched.h"

/* One piece of work. A call (ae_blocking) keeps it in the caller's frame; a task of its own
 * (ae_spawn_blocking) in the memory of its timer, which a job never arms. */
struct ae__job {
    struct ae__list link;       /* in the pool's queue */
    struct ae__task *task;      /* NULL: a call */
};

enum ae__call_state { AE__CALL_QUEUED, AE__CALL_RUNNING, AE__CALL_DONE };

struct ae__call {
    struct ae__job job;
    ae_fn *fn;
    void *arg;
    struct ae__scope scope;     /* what the job runs in, inside the caller's */

    /* guarded by the pool's lock */
    enum ae__call_state state;
    int status;
    struct ae__actor *caller;
    uint32_t sequence;          /* of the caller's wait */
};

static inline struct ae__job *ae__job_of_task(struct ae__task *task)
{
    _Static_assert(sizeof(struct ae__job) <= sizeof(task->timer), "a job fits in a timer");
    return (struct ae__job *)(void *)&task->timer;
}

struct ae__pool;

int ae__pool_create(struct ae_runtime *rt, const char *name, uint32_t threads_max,
                    struct ae__pool **out);
void ae__pool_stop(struct ae__pool *pool);    /* running and queued jobs are waited for */
void ae__pool_destroy(struct ae__pool *pool); /* after stop; accepts NULL */
void ae__pool_stats(struct ae__pool *pool, struct ae__pool_stats *out);

/* Queue a task's job. A full queue: wait for room (-ECANCELED: cancelled meanwhile), or -EAGAIN,
 * which also means that there is no thread. -ECANCELED: stopped. -EDEADLK: it would wait for itself
 * (B7). */
int ae__pool_submit(struct ae__pool *pool, struct ae__task *task, bool waits);

/* Run a call and wait for it. `caller` is a task. Errors as above. */
int ae__pool_call(struct ae__pool *pool, struct ae__call *call, struct ae__actor *caller,
                  bool waits);

#endif
