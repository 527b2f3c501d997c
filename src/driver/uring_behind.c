/* SPDX-License-Identifier: Apache-2.0 */
/* Parcels: what was written behind (ae_write_behind).
 *
 * A small write is copied into a parcel of the ring's, and its task goes on at once. So what a
 * worker's tasks write in one turn of its loop, and what they wait for next, goes to the kernel by
 * one system call, and no task is suspended for a send, only to be woken again for nothing but the
 * news that it is done. The parcel stays until the kernel has given it back.
 *
 * U12  A descriptor has one parcel at most. Whoever writes, sends a file, or ends the writing
 *      direction meanwhile comes behind it; so bytes leave in the order of their writes. What goes
 *      wrong is told by the next write.
 * U13  A close recalls a parcel behind its launch (U6), and does not shut the socket down: it goes
 *      out if the socket has room for it. Who must be sure waits before, by a write of nothing. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "driver/socket.h"
#include "driver/uring.h"

enum { PARCELS_MAX = 1024 }; /* of a ring; who finds none left waits for its write */

/* ---- a ring's parcels: owner ---- */

static struct ae__parcel *parcel_of(const struct ae__flight *flight)
{
    return AE_CONTAINER_OF(flight, struct ae__parcel, flight);
}

static struct ae__parcel *take_parcel(struct ae__uring *u)
{
    struct ae__parcel *parcel = u->parcels;

    if (parcel) {
        u->parcels = parcel->next;
        return parcel;
    }
    if (u->parcel_count == PARCELS_MAX) return NULL;
    parcel = ae__mem_alloc(sizeof *parcel);
    if (parcel) u->parcel_count++;
    return parcel;
}

static void put_parcel(struct ae__uring *u, struct ae__parcel *parcel)
{
    parcel->next = u->parcels;
    u->parcels = parcel;
}

void ae__uring_parcels_end(struct ae__uring *u)
{
    for (struct ae__parcel *p = u->parcels, *next; p; p = next) {
        next = p->next;
        ae__mem_free(p);
    }
}

/* ---- writing: under the descriptor's lock ---- */

/* False: more than a parcel holds. */
static bool fill(struct ae__parcel *parcel, const struct ae__op *op)
{
    size_t size = 0;

    for (int i = 0; i < op->writev.count; i++) {
        const struct iovec *part = &op->writev.iov[i];
        if (part->iov_len > sizeof parcel->data - size) return false;
        memcpy(parcel->data + size, part->iov_base, part->iov_len);
        size += part->iov_len;
    }
    parcel->at = 0;
    parcel->size = (uint32_t)size;
    return true;
}

static bool send_behind(struct ae__driver *mine, struct ae__op *op, ssize_t *n)
{
    struct ae__parcel *parcel = take_parcel(mine->uring);

    if (!parcel) return false;
    if (!fill(parcel, op)) {
        put_parcel(mine->uring, parcel);
        return false;
    }
    parcel->flight = (struct ae__flight){ .home = mine, .fd = op->fd, .code = AE__OP_BEHIND };
    op->fd->parcel = &parcel->flight;
    mine->uring->parcels_fresh++;
    ae__uring_send_off(mine, &parcel->flight);
    *n = parcel->size;
    return true;
}

bool ae__uring_behind(struct ae__driver *mine, struct ae__op *op, ssize_t *n)
{
    struct ae__fd *fd = op->fd;
    bool done = true;

    ae__lock_acquire(&fd->lock);
    if (fd->generation != op->generation) {
        *n = -ECANCELED;
    } else if (fd->parcel) {
        *n = AE__WOULD_BLOCK; /* U12 */
    } else if (fd->write_error != 0) {
        *n = fd->write_error;
        fd->write_error = 0;
    } else if (op->code == AE__OP_WRITEV && op->writev.count == 0) {
        *n = 0; /* it waited for the parcel, and has nothing to send */
    } else {
        bool may = op->code == AE__OP_WRITEV && op->writev.behind;
        done = may && mine && !fd->fds->tries && send_behind(mine, op, n);
    }
    ae__lock_release(&fd->lock);
    return done;
}

/* ---- flying ---- */

void ae__uring_prepare_parcel(struct io_uring_sqe *sqe, const struct ae__flight *flight)
{
    const struct ae__parcel *parcel = parcel_of(flight);

    AE_ASSERT(parcel->at < parcel->size);
    sqe->opcode = IORING_OP_SEND;
    sqe->addr = (uintptr_t)(parcel->data + parcel->at);
    sqe->len = parcel->size - parcel->at;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

bool ae__uring_parcel_goes_on(struct ae__flight *flight, int result)
{
    struct ae__parcel *parcel = parcel_of(flight);
    bool nothing = result == -EINTR || result == -EAGAIN;

    AE_ASSERT(flight->fd->parcel == flight);
    if (result > 0) parcel->at += (uint32_t)result;
    AE_ASSERT(parcel->at <= parcel->size);
    if (parcel->at == parcel->size || flight->recalled) return false;
    if (result <= 0 && !nothing) return false;
    ae__uring_launch_again(flight);
    return true;
}

void ae__uring_land_parcel(struct ae__flight *flight, int result, struct ae__wakes *wakes)
{
    struct ae__fd *fd = flight->fd;

    if (result < 0) fd->write_error = (int16_t)result;
    fd->parcel = NULL;
    if (fd->ends_later && !fd->closing) (void)ae__socket_shutdown(fd->number);
    fd->ends_later = false;
    if (flight->actor) ae__wait_wake(flight->actor, flight->sequence, flight->reason, wakes);
    put_parcel(flight->home->uring, parcel_of(flight));
}
