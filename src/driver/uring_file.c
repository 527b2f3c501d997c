/* SPDX-License-Identifier: Apache-2.0 */
/* Files through the ring of the caller's worker: what is not cached is read without a thread of
 * anybody's where the file system can do that (ext4, xfs, btrfs), else by the kernel's own.
 * Opening is not done here: the rings refuse it (U8), and the pool is as fast. */
#include <errno.h>

#include "base/assert.h"
#include "driver/files.h"
#include "driver/uring.h"
#include "sched/sched.h"

enum { LENGTH_MAX = 1 << 30 }; /* of one request: lengths are 32 bits in the ring */

bool ae__file_on_ring(void)
{
    const struct ae__driver *mine = ae__driver_self();

    return mine && mine->uring && ae__in_task();
}

void ae__uring_prepare_file(struct io_uring_sqe *sqe, const struct ae__op *op)
{
    if (op->code == AE__OP_FILE_SYNC) {
        sqe->opcode = IORING_OP_FSYNC;
        if (op->file.data_only) sqe->fsync_flags = IORING_FSYNC_DATASYNC;
    } else {
        sqe->opcode = op->code == AE__OP_FILE_READ ? IORING_OP_READ : IORING_OP_WRITE;
        sqe->addr = (uintptr_t)op->file.buf;
        sqe->len = (uint32_t)(op->file.size < LENGTH_MAX ? op->file.size : LENGTH_MAX);
        sqe->off = (uint64_t)op->file.offset;
    }
}

static void arm(struct ae__driver *mine, struct ae__op *op, struct ae__actor *actor,
                uint32_t sequence)
{
    struct ae__flight *flight = &op->flight;

    AE_ASSERT(mine != NULL && op->fd == NULL);
    op->actor = actor;
    *flight = (struct ae__flight){
        .home = mine, .code = (uint8_t)op->code, .actor = actor,
        .sequence = sequence, .reason = AE__REASON_DONE,
    };
    ae__lock_acquire(&mine->uring->files_lock);
    ae__uring_send_off(mine, flight);
    ae__lock_release(&mine->uring->files_lock);
}

/* The task stays here until the kernel has given the buffer back (U1). */
static ssize_t run(struct ae__op *op)
{
    struct ae__actor *self = ae__actor_self();
    ssize_t n = AE__WOULD_BLOCK;

    while (n == AE__WOULD_BLOCK) {
        if (ae__actor_cancelled(self)) return -ECANCELED;
        uint32_t sequence = ae__wait_begin(self, true, AE__WAIT_BLOCKING, NULL);
        arm(ae__driver_self(), op, self, sequence);
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

    AE_ASSERT(offset >= AE__FILE_POSITION);
    return run(&op);
}

ssize_t ae__file_ring_writeat(int number, const void *buf, size_t size, int64_t offset)
{
    struct ae__op op = {
        .code = AE__OP_FILE_WRITE,
        .file = { .number = number, .buf = (void *)buf, .size = size, .offset = offset },
    };

    AE_ASSERT(offset >= AE__FILE_POSITION);
    return run(&op);
}

int ae__file_ring_sync(int number, bool data_only)
{
    struct ae__op op = {
        .code = AE__OP_FILE_SYNC,
        .file = { .number = number, .data_only = data_only },
    };

    return (int)run(&op);
}
