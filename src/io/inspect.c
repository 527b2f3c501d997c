/* SPDX-License-Identifier: Apache-2.0 */
/* The public face of dumps and traces. Writing one takes longer than a task may hold its worker, so
 * a task has it done on the pool. */
#include "aether/debug.h"

#include <errno.h>

#include "aether/blocking.h"
#include "sched/sched.h"

struct request {
    struct ae_runtime *rt;
    enum ae__view view;
    int fd;
};

static int serve(void *arg)
{
    struct request *request = arg;

    return ae__view(request->rt, request->view, request->fd);
}

static int write_view(ae_runtime *rt, enum ae__view view, int fd)
{
    struct request request = { rt ? rt : ae__runtime_self(), view, fd };

    if (!request.rt) return -EINVAL;
    /* Who is cancelled may want to know all the more: it waits for the write then. */
    if (!ae__in_task() || ae__actor_cancelled(ae__actor_self())) return serve(&request);
    return ae_blocking(serve, &request);
}

int ae_dump(ae_runtime *rt, int fd)
{
    return write_view(rt, AE__VIEW_DUMP, fd);
}

int ae_trace_write(ae_runtime *rt, int fd)
{
    return write_view(rt, AE__VIEW_TRACE, fd);
}
