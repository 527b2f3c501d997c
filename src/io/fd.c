/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for descriptors of other libraries. */
#include <errno.h>

#include "aether/wait.h"
#include "base/assert.h"
#include "driver/epoll.h"
#include "io/io.h"
#include "sched/sched.h"

/* Armed or not: the events, an error, or 0 and a wait that ended without any. */
static int wait_armed(struct ae__op *op)
{
    const struct ae__driver_ops *ops = ae__io_ops();
    struct ae__actor *self = ae__actor_self();

    uint32_t sequence = ae__wait_begin(self, true, AE__WAIT_FD, op->fd);
    int rc = ops->arm(ae__driver_self(), op, self, sequence, AE__REASON_FIRST);
    if (rc != 0) {
        (void)ae__wait_abort(self); /* completion beats cancellation */
        return rc;
    }
    uint16_t reason = ae__wait_park(self);
    if (reason >= AE__REASON_FIRST) return reason - AE__REASON_FIRST;
    (void)ops->cancel(ae__driver_self(), op);
    return -ECANCELED;
}

int ae_fd_wait(int fd, unsigned events)
{
    struct ae__fd_ref ref;

    AE_ASSERT(ae__in_task());
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    int rc = ae__foreign_find(fd, &ref);
    if (rc < 0) return rc;
    struct ae__op op = {
        .code = AE__OP_POLL,
        .fd = atomic_load_explicit(&ref.fd, memory_order_relaxed),
        .generation = ref.generation,
        .poll = { .events = events, .scale = 1 },
    };
    rc = wait_armed(&op);
    ae__charge();
    return rc;
}

void ae_fd_forget(int fd)
{
    ae__foreign_forget(fd);
}
