/* SPDX-License-Identifier: Apache-2.0 */
/* Running code that blocks: the public functions; the threads are in pool.c. */
#include "aether/blocking.h"

#include <errno.h>

#include "base/assert.h"
#include "blocking/pool.h"

int ae_blocking(ae_fn *fn, void *arg)
{
    struct ae__actor *self = ae__actor_self();

    AE_ASSERT(fn);
    if (ae__actor_cancelled(self)) return -ECANCELED;
    if (!ae__in_task()) return fn(arg); /* a plain thread may block */
    struct ae__call call = { .fn = fn, .arg = arg };
    return ae__pool_call(ae__runtime_pool(ae__runtime_self()), &call, self);
}

ae_task *ae_spawn_blocking(ae_fn *fn, void *arg)
{
    struct ae_runtime *rt = ae__runtime_self();

    AE_ASSERT(fn);
    AE_ASSERT(rt); /* a plain thread needs an open scope that belongs to a runtime */
    struct ae__task *task =
        ae__task_create(AE__TASK_BLOCKING, fn, arg, true, __builtin_return_address(0));
    if (!task) return NULL;
    ae_task *handle = ae__task_handle(task);
    if (ae__pool_submit(ae__runtime_pool(rt), task) < 0) {
        ae__task_abandon(task);
        return NULL;
    }
    return handle;
}
