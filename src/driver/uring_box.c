/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes: what a deferred start has received before its task runs.
 *
 * A start that waits for data holds no buffer, so its request to the kernel is a receive into one
 * that the kernel takes from the ring's own when data comes: one request in place of a poll and a
 * receive. The data waits in a box of the descriptor, and the next reads take it from there first,
 * on whatever worker; the buffer then goes back to its ring.
 *
 * U10  While a receive of a start is in the air nobody else receives: who wants to read or to start
 *      waits for that one. So bytes are taken in their order, whatever lands first.
 * U11  A box is filled, read and dropped under the descriptor's lock; a closing descriptor gets
 *      none. A buffer is at any time in the kernel's hands, in one box, or on its way back. Only
 *      its ring's owner hands buffers to the kernel. */
#include <errno.h>
#include <string.h>

#include "arch/os.h"
#include "base/assert.h"
#include "driver/uring.h"

/* ---- a ring's buffers ---- */

static char *buffer_of(struct ae__uring *u, uint16_t id)
{
    return u->storage + (size_t)id * AE__URING_BUFFER_BYTES;
}

static void hand_to_kernel(struct ae__uring *u, uint16_t id)
{
    struct io_uring_buf_ring *ring = u->buffers;
    struct io_uring_buf *place = &ring->bufs[u->buffers_tail & (AE__URING_BUFFERS - 1)];

    place->addr = (uintptr_t)buffer_of(u, id);
    place->len = AE__URING_BUFFER_BYTES;
    place->bid = id;
    u->buffers_tail++;
    /* release: the kernel sees a filled place */
    atomic_store_explicit((_Atomic(uint16_t) *)(void *)&ring->tail, u->buffers_tail,
                          memory_order_release);
}

void ae__uring_boxes_begin(struct ae__driver *driver)
{
    struct ae__uring *u = driver->uring;

    if (driver->fds->tries) return;
    void *ring = ae__os_map(AE__URING_BUFFERS * sizeof(struct io_uring_buf));
    void *storage = ae__os_map((size_t)AE__URING_BUFFERS * AE__URING_BUFFER_BYTES);
    u->buffers = ring;
    u->storage = storage;
    if (!ring || !storage || ae__ring_provide(&u->ring, ring, AE__URING_BUFFERS) < 0) {
        ae__uring_boxes_end(u); /* starts will poll */
        return;
    }
    for (unsigned id = 0; id < AE__URING_BUFFERS; id++) hand_to_kernel(u, (uint16_t)id);
}

/* The ring is gone, or never knew them. */
void ae__uring_boxes_end(struct ae__uring *u)
{
    if (u->buffers) ae__os_unmap(u->buffers, AE__URING_BUFFERS * sizeof(struct io_uring_buf));
    if (u->storage) ae__os_unmap(u->storage, (size_t)AE__URING_BUFFERS * AE__URING_BUFFER_BYTES);
    u->buffers = NULL;
    u->storage = NULL;
}

void ae__uring_take_returned(struct ae__uring *u)
{
    for (uint32_t i = 0; i < u->returned_count; i++) hand_to_kernel(u, u->returned[i]);
    u->returned_count = 0;
}

/* mine: the caller's own driver, or NULL. */
static void give_back(struct ae__driver *mine, struct ae__driver *home, uint16_t id)
{
    struct ae__uring *u = home->uring;

    if (mine == home) {
        hand_to_kernel(u, id);
        return;
    }
    ae__lock_acquire(&u->mail_lock);
    AE_ASSERT(u->returned_count < AE__URING_BUFFERS);
    u->returned[u->returned_count++] = id;
    /* release pairs with the acquire of the owner's look */
    atomic_store_explicit(&u->has_mail, true, memory_order_release);
    ae__lock_release(&u->mail_lock);
}

/* ---- boxes, under the descriptor's lock ---- */

void ae__uring_fill_box(struct ae__driver *driver, struct ae__fd *fd,
                        const struct io_uring_cqe *cqe)
{
    uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    bool has_buffer = cqe->flags & IORING_CQE_F_BUFFER;
    int n = cqe->res;

    AE_ASSERT(!fd->box.left);
    if (has_buffer) driver->uring->buffers_used++;
    if (n > 0 && has_buffer && !fd->closing) {
        fd->home = driver;
        fd->box.id = id;
        fd->box.left = (uint16_t)n;
        fd->box.at = 0;
    } else {
        if (has_buffer) hand_to_kernel(driver->uring, id);
        bool nothing = n >= 0 || n == -ECANCELED || n == -EINTR || n == -EAGAIN ||
                       n == -ENOBUFS;
        if (!nothing) fd->box.error = (int16_t)n; /* the kernel says it once */
    }
    bool full = fd->box.left > 0 || fd->box.error != 0;
    atomic_store_explicit(&fd->boxed, full, memory_order_relaxed);
}

static ssize_t take(struct ae__fd *fd, void *buf, size_t size, struct ae__driver *mine)
{
    struct ae__box *box = &fd->box;

    if (box->left == 0) {
        int error = box->error;
        box->error = 0;
        atomic_store_explicit(&fd->boxed, false, memory_order_relaxed);
        return error != 0 ? error : AE__WOULD_BLOCK;
    }
    size_t n = size < box->left ? size : box->left;
    memcpy(buf, buffer_of(fd->home->uring, box->id) + box->at, n);
    box->at += (uint16_t)n;
    box->left -= (uint16_t)n;
    if (box->left == 0) {
        give_back(mine, fd->home, box->id);
        atomic_store_explicit(&fd->boxed, false, memory_order_relaxed);
    }
    return (ssize_t)n;
}

struct ae__flight *ae__uring_receiver(const struct ae__fd *fd)
{
    struct ae__flight *f = fd->flights;

    while (f && !f->boxes) f = f->next;
    return f;
}

ssize_t ae__uring_read_box(struct ae__driver *mine, struct ae__op *op, bool *busy)
{
    struct ae__fd *fd = op->fd;

    ae__lock_acquire(&fd->lock);
    ssize_t n = -ECANCELED;
    if (fd->generation == op->generation) n = take(fd, op->read.buf, op->read.size, mine);
    *busy = ae__uring_receiver(fd) != NULL; /* U10 */
    ae__lock_release(&fd->lock);
    return n;
}

void ae__uring_drop_box(struct ae__fd *fd, struct ae__driver *mine)
{
    if (fd->box.left > 0) give_back(mine, fd->home, fd->box.id);
    fd->box.left = 0;
    fd->box.error = 0;
    atomic_store_explicit(&fd->boxed, false, memory_order_relaxed);
}
