/* SPDX-License-Identifier: Apache-2.0 */
/* Running code that blocks: the public functions; the threads are in pool.c. */
#include "aether/blocking.h"

#include <errno.h>

#include "base/assert.h"
#include "blocking/lanes.h"

static const ae_job_opts no_opts;

static struct ae__pool *lane_of(const struct ae_runtime *rt, const ae_job_opts *opts)
{
    return ae__lane(ae__runtime_lanes(rt), opts->lane);
}

int ae_blocking_opts(const ae_job_opts *opts, ae_fn *fn, void *arg)
{
    struct ae__actor *self = ae__actor_self();

    AE_ASSERT(fn);
    if (ae__actor_cancelled(self)) return -ECANCELED;
    if (!ae__in_task()) return fn(arg); /* a plain thread may block */
    struct ae__call call = { .fn = fn, .arg = arg };
    struct ae__pool *pool = lane_of(ae__runtime_self(), opts);
    return ae__pool_call(pool, &call, self, opts->full != AE_FULL_REFUSE);
}

int ae_blocking(ae_fn *fn, void *arg)
{
    return ae_blocking_opts(&no_opts, fn, arg);
}

static ae_task *spawn(const ae_job_opts *opts, ae_fn *fn, void *arg, void *site)
{
    struct ae_runtime *rt = ae__runtime_self();
    bool waits = opts->full == AE_FULL_WAIT;

    AE_ASSERT(fn);
    AE_ASSERT(rt); /* a plain thread needs an open scope that belongs to a runtime */
    if (waits && ae__actor_cancelled(ae__actor_self())) return NULL;
    struct ae__task *task = ae__task_create(AE__TASK_BLOCKING, fn, arg, true, site);
    if (!task) return NULL;
    task->name = opts->name;
    ae_task *handle = ae__task_handle(task);
    if (ae__pool_submit(lane_of(rt, opts), task, waits) < 0) {
        ae__task_abandon(task);
        return NULL;
    }
    return handle;
}

ae_task *ae_spawn_blocking(ae_fn *fn, void *arg)
{
    return spawn(&no_opts, fn, arg, __builtin_return_address(0));
}

ae_task *ae_spawn_blocking_opts(const ae_job_opts *opts, ae_fn *fn, void *arg)
{
    return spawn(opts, fn, arg, __builtin_return_address(0));
}
