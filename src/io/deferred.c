/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that start when something happens, and hold no stack until then.
 *
 * The control block itself waits: it is armed like a parked task, under the sequence of its own
 * wait, and the first claim (event, time, cancel) makes it runnable. Until commit the state is
 * "about to sleep", so claims that come meanwhile are kept, not lost. */
#include <errno.h>

#include "aether/time.h"
#include "aether/wait.h"
#include "base/assert.h"
#include "driver/epoll.h"
#include "io/io.h"
#include "sched/sched.h"

struct start {
    unsigned ready_now; /* events that need no waiting */
    int64_t deadline_ns;
    ae_fn *fn;
    void *arg;
    void *spawn_site;
};

static void claim_now(struct ae__task *task, uint32_t sequence, unsigned events)
{
    uint16_t reason = (uint16_t)(AE__REASON_FIRST + events);
    enum ae__claim claim = ae__wait_claim(&task->actor, sequence, reason);

    AE_ASSERT(claim != AE__CLAIM_PARKED); /* it is not committed yet */
}

/* Arm on the descriptor, or claim at once if it is ready. 0 or an error: nothing is armed. */
static int arm_fd(struct ae__task *task, uint32_t sequence, struct ae__op *op, unsigned ready)
{
    int rc = 0;

    task->fd = op->fd;
    task->fd_events = op->poll.events;
    if (ready == 0) {
        rc = ae__io_ops()->arm(ae__io_driver(), op, &task->actor, sequence, AE__REASON_FIRST);
        if (rc < 0) return rc;
        ready = (unsigned)rc;
    }
    if (ready != 0) claim_now(task, sequence, ready);
    return 0;
}

/* op NULL: time alone. */
static int start_later(const struct start *start, struct ae__op *op)
{
    struct ae_runtime *rt = ae__runtime_self();
    enum ae__wait_kind kind = op ? AE__WAIT_FD : AE__WAIT_SLEEP;

    AE_ASSERT(start->fn != NULL);
    AE_ASSERT(rt != NULL);
    struct ae__task *task =
        ae__task_create(AE__TASK_DEFERRED, start->fn, start->arg, false, start->spawn_site);
    if (!task) return -ENOMEM;
    uint32_t sequence = ae__task_defer_begin(task, kind, op ? op->fd : NULL);
    int rc = op ? arm_fd(task, sequence, op, start->ready_now) : 0;
    if (rc < 0) {
        ae__task_abandon(task);
        return rc;
    }
    if (start->deadline_ns != AE_FOREVER) {
        ae__timer_arm(rt, &task->timer, start->deadline_ns, ae__task_defer_timeout);
    }
    ae__task_defer_commit(task);
    return 0;
}

/* What wrappers (TLS) hold already counts as readable, wherever in the chain it is. */
static unsigned ready_in(ae_stream *stream, unsigned events)
{
    while (stream && events & AE_READABLE && !ae__stream_is_socket(stream)) {
        if (ae_buffered(stream) > 0) return AE_READABLE;
        stream = stream->ops->inner ? stream->ops->inner(stream) : NULL;
    }
    return 0;
}

int ae_go_on(ae_stream *stream, unsigned events, int64_t deadline_ns, ae_fn *fn, void *arg)
{
    struct ae__op op = { .code = AE__OP_POLL, .poll = { .events = events, .scale = 1 } };
    struct start start = { .deadline_ns = deadline_ns, .fn = fn, .arg = arg };

    AE_ASSERT(stream != NULL);
    start.spawn_site = __builtin_return_address(0);
    start.ready_now = ready_in(stream, events);
    struct ae__socket *socket = ae__stream_socket(stream);
    if (!socket) return -EINVAL;
    int rc = ae__socket_use(socket, &op);
    if (rc < 0) return rc;
    return start_later(&start, &op);
}

int ae_go_on_fd(int fd, unsigned events, int64_t deadline_ns, ae_fn *fn, void *arg)
{
    struct start start = { .deadline_ns = deadline_ns, .fn = fn, .arg = arg };
    struct ae__fd_ref ref;

    start.spawn_site = __builtin_return_address(0);
    int rc = ae__foreign_find(fd, &ref);
    if (rc < 0) return rc;
    struct ae__op op = {
        .code = AE__OP_POLL,
        .fd = atomic_load_explicit(&ref.fd, memory_order_relaxed),
        .generation = ref.generation,
        .poll = { .events = events, .scale = 1 },
    };
    return start_later(&start, &op);
}

int ae_go_at(int64_t when_ns, ae_fn *fn, void *arg)
{
    struct start start = { .deadline_ns = when_ns, .fn = fn, .arg = arg };

    start.spawn_site = __builtin_return_address(0);
    return start_later(&start, NULL);
}

int ae_started_by(void)
{
    struct ae__task *task = ae__thread_self()->current;

    return task ? task->started_by : 0;
}
