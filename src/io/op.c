/* SPDX-License-Identifier: Apache-2.0 */
/* One I/O operation from its first attempt to its result. */
#include <errno.h>

#include "base/assert.h"
#include "driver/socket.h"
#include "io/io.h"
#include "sched/sched.h"

struct ae__driver *ae__io_driver(void)
{
    return ae__in_task() ? ae__driver_self() : NULL;
}

const struct ae__driver_ops *ae__io_ops(void)
{
    return ae__parts.driver;
}

/* Sleep until the op is worth another try. 0: it is; else its end. */
static ssize_t wait_for(struct ae__op *op, enum ae__wait_kind kind)
{
    const struct ae__driver_ops *ops = ae__io_ops();
    struct ae__actor *self = ae__actor_self();

    uint32_t sequence = ae__wait_begin(self, true, kind, op->fd);
    int rc = ops->arm(ae__driver_self(), op, self, sequence, AE__REASON_DONE);
    if (rc != 0) {
        (void)ae__wait_abort(self); /* a cancel that came first is seen by the next wait, too */
        return rc < 0 ? rc : 0;
    }
    uint16_t reason = ae__wait_park(self);
    if (reason == AE__REASON_DONE) return 0;
    ssize_t n = ops->cancel(ae__driver_self(), op);
    return n == AE__WOULD_BLOCK ? -ECANCELED : n;
}

ssize_t ae__io(struct ae__op *op, enum ae__wait_kind kind)
{
    const struct ae__driver_ops *ops = ae__io_ops();
    ssize_t n;

    AE_ASSERT(ae__in_task());
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    while ((n = ops->try_op(ae__driver_self(), op)) == AE__WOULD_BLOCK) {
        ssize_t rc = wait_for(op, kind);
        if (rc != 0) return rc;
    }
    ae__charge();
    return n;
}

int ae__socket_use(struct ae__socket *socket, struct ae__op *op)
{
    /* acquire pairs with the release that published it */
    struct ae__fd *fd = atomic_load_explicit(&socket->ref.fd, memory_order_acquire);

    if (AE_UNLIKELY(!fd)) {
        struct ae_runtime *rt = ae__runtime_self();
        if (!rt) return -EINVAL;
        int rc = ae__io_ops()->fd_open(rt, socket->number, socket->flags, &socket->ref);
        if (rc < 0) return rc;
        fd = atomic_load_explicit(&socket->ref.fd, memory_order_acquire);
    }
    if (AE_UNLIKELY(fd == AE__FD_CLOSED)) return -ECANCELED;
    op->fd = fd;
    op->generation = socket->ref.generation;
    return 0;
}

void ae__socket_end(struct ae__socket *socket)
{
    struct ae__fd *fd = atomic_exchange_explicit(&socket->ref.fd, AE__FD_CLOSED,
                                                 memory_order_acq_rel);

    AE_ASSERT(fd != AE__FD_CLOSED); /* closed twice */
    if (fd) {
        ae__io_ops()->fd_close(fd);
    } else {
        ae__socket_close(socket->number);
    }
}
