/* SPDX-License-Identifier: Apache-2.0 */
/* Files through the ring of the caller's worker: what is not cached is read without a thread of
 * anybody's where the file system can do that (ext4, xfs, btrfs), else by the kernel's own.
 * Opening is not done here: the rings refuse it (U8), and the pool is as fast. */
#include <errno.h>

#include "base/assert.h"
#include "driver/files.h"
#include "driver/uring.h"
#include "sched/sched.h"

bool ae__file_on_ring(void)
{
    const struct ae__driver *mine = ae__driver_self();

    return mine && mine->uring && ae__in_task();
}

/* The task stays here until the kernel has given the buffer back (U1). */
static ssize_t run(struct ae__op *op)
{
    struct ae__actor *self = ae__actor_self();
    ssize_t n = AE__WOULD_BLOCK;

    while (n == AE__WOULD_BLOCK) {
        if (ae__actor_cancelled(self)) return -ECANCELED;
        uint32_t sequence = ae__wait_begin(self, true, AE__WAIT_BLOCKING, NULL);
        ae__uring_arm_file(ae__driver_self(), op, self, sequence);
        if (ae__wait_park(self) != AE__REASON_DONE) {
            n = ae__uring_cancel(NULL, op);
            return n == AE__WOULD_BLOCK ? -ECANCELED : n;
        }
        n = ae__uring_take(op);
    }
    return n;
}

ssize_t ae__file_ring_readat(int number, void *buf, size_t size, int64_t offset)
{
    struct ae__op op = {
        .code = AE__OP_FILE_READ,
        .file = { .number = number, .buf = buf, .size = size, .offset = offset },
    };

    AE_ASSERT(offset >= 0);
    return run(&op);
}

ssize_t ae__file_ring_writeat(int number, const void *buf, size_t size, int64_t offset)
{
    struct ae__op op = {
        .code = AE__OP_FILE_WRITE,
        .file = { .number = number, .buf = (void *)buf, .size = size, .offset = offset },
    };

    AE_ASSERT(offset >= 0);
    return run(&op);
}

int ae__file_ring_sync(int number)
{
    struct ae__op op = { .code = AE__OP_FILE_SYNC, .file = { .number = number } };

    return (int)run(&op);
}
