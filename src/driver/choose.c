/* SPDX-License-Identifier: Apache-2.0 */
/* One table for all drivers: a runtime has either epolls or rings, for all its workers, or neither
 * in a simulation, and several runtimes of a process may differ.
 *
 * `auto` is epoll: docs/io_uring.md has the figures that would have to change first. What asks for
 * rings and cannot have them gets epoll, and the log says why. */
#include "driver/choose.h"

#include <errno.h>

#include "aether/log.h"
#include "base/assert.h"
#include "driver/sim_start.h"
#include "driver/uring.h"
#include "sched/sched.h"

static const struct ae__driver_ops *ops_of(const struct ae__fds *fds)
{
    return fds->ops;
}

/* Made for the first slot, then kept. */
static bool wants_rings(struct ae_runtime *rt)
{
    const ae_config *config = ae__runtime_config(rt);
    const char *why = NULL;

    if (config->driver != AE_DRIVER_URING) return false;
    if (config->flavor == AE_CURRENT_THREAD) {
        /* whoever calls ae_block_on drives it, and a ring has one owner */
        ae_log(AE_INFO, "epoll instead of io_uring: a current-thread runtime has no worker thread");
        return false;
    }
    int rc = ae__uring_trial(&why);
    if (rc == 0) return true;
    ae_log(AE_WARN, "epoll instead of io_uring: %s (error %d)", why, -rc);
    return false;
}

static const struct ae__driver_ops *choose(struct ae_runtime *rt)
{
    if (ae__simulated()) return &ae__sim_ops;
    return wants_rings(rt) ? &ae__uring_ops : &ae__epoll_ops;
}

static int create(struct ae_runtime *rt, unsigned slot, struct ae__driver **out)
{
    const struct ae__fds *fds = ae__runtime_io(rt);
    const struct ae__driver_ops *ops = fds ? fds->ops : choose(rt);

    int rc = ops->create(rt, slot, out);
    if (rc == 0) (*out)->fds->ops = ops;
    return rc;
}

static void destroy(struct ae__driver *driver)
{
    if (driver) ops_of(driver->fds)->destroy(driver);
}

static ssize_t try_op(struct ae__driver *driver, struct ae__op *op)
{
    return ops_of(op->fd->fds)->try_op(driver, op);
}

static int arm(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
               uint32_t sequence, uint16_t reason)
{
    return ops_of(op->fd->fds)->arm(driver, op, actor, sequence, reason);
}

static ssize_t cancel(struct ae__driver *driver, struct ae__op *op)
{
    return ops_of(op->fd->fds)->cancel(driver, op);
}

static void flush(struct ae__driver *driver)
{
    ops_of(driver->fds)->flush(driver);
}

static void poll_either(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes)
{
    ops_of(driver->fds)->poll(driver, deadline_ns, wakes);
}

static void wake(struct ae__driver *driver)
{
    ops_of(driver->fds)->wake(driver);
}

static void stats(const struct ae__driver *driver, struct ae__driver_stats *out)
{
    ops_of(driver->fds)->stats(driver, out);
}

const struct ae__driver_ops ae__chosen_ops = {
    .name = "epoll or uring",
    .create = create,
    .destroy = destroy,
    .try_op = try_op,
    .arm = arm,
    .cancel = cancel,
    .fd_open = ae__fd_open,
    .fd_close = ae__fd_close,
    .flush = flush,
    .poll = poll_either,
    .wake = wake,
    .cover = ae__epoll_cover,
    .cover_woken = ae__epoll_cover_woken,
    .stats = stats,
};
