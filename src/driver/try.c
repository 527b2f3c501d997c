/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at an operation: the system calls of the epoll driver, and what their results say
 * about the descriptor. */
#include "driver/epoll.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "aether/wait.h"
#include "base/assert.h"
#include "driver/sim_net.h"

_Static_assert(AE__WOULD_BLOCK == -EAGAIN, "the seam's word for it");

static ssize_t try_read(const struct ae__op *op, int number, enum ae__fd_left *left)
{
    ssize_t n = recv(number, op->read.buf, op->read.size, MSG_DONTWAIT);

    AE_ASSERT(n < 0 || (size_t)n <= op->read.size);
    if (n > 0 && (size_t)n < op->read.size) *left = AE__FD_LEFT_SHORT;
    return n < 0 ? -errno : n;
}

static size_t total_of(const struct iovec *iov, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++) total += iov[i].iov_len;
    return total;
}

static ssize_t send_parts(int number, const struct iovec *iov, int count)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

    if (count == 1) return send(number, iov->iov_base, iov->iov_len, flags);
    struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
    return sendmsg(number, &message, flags);
}

static ssize_t try_writev(const struct ae__op *op, int number, enum ae__fd_left *left)
{
    AE_ASSERT(op->writev.count > 0);
    ssize_t n = send_parts(number, op->writev.iov, op->writev.count);

    if (n < 0) return -errno;
    if ((size_t)n < total_of(op->writev.iov, op->writev.count)) *left = AE__FD_LEFT_SHORT;
    return n;
}

static ssize_t try_accept(const struct ae__op *op, int number)
{
    int n = accept4(number, op->accept.addr, op->accept.length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    return n < 0 ? -errno : n;
}

/* The connection was begun and the socket became writable, or so it seemed. */
static ssize_t finish_connect(int number)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return -errno;
    if (error != 0) return -error;
    if (getpeername(number, (struct sockaddr *)&peer, &length) == 0) return 0;
    return errno == ENOTCONN ? AE__WOULD_BLOCK : -errno;
}

static ssize_t try_connect(struct ae__op *op, int number)
{
    if (op->begun) return finish_connect(number);
    if (connect(number, op->connect.addr, op->connect.length) == 0) return 0;
    if (errno == EAGAIN) return -EBUSY;
    if (errno != EINPROGRESS && errno != EINTR) return -errno;
    op->begun = true;
    return AE__WOULD_BLOCK;
}

/* sendfile(2) cannot be told not to raise SIGPIPE, so it is held back, and taken out again. It may
 * come with a short count, too: the error after the last byte sent. */
static ssize_t try_sendfile(const struct ae__op *op, int number)
{
    off_t offset = op->sendfile.offset;
    sigset_t pipe_only, before;

    AE_ASSERT(offset >= 0);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t n = sendfile(number, op->sendfile.file, &offset, op->sendfile.size);
    if (n < 0) n = -errno;
    if (!sigismember(&before, SIGPIPE)) {
        const struct timespec now = { 0, 0 };
        bool all = n >= 0 && (size_t)n == op->sendfile.size;
        if (!all && n != -EAGAIN) sigtimedwait(&pipe_only, NULL, &now);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return n;
}

static ssize_t attempt(struct ae__op *op, int number, enum ae__fd_left *left)
{
    if (AE_UNLIKELY(ae__sim_owns(number))) return ae__sim_attempt(op, number, left);
    switch (op->code) {
    case AE__OP_READ:
        return try_read(op, number, left);
    case AE__OP_WRITEV:
        return try_writev(op, number, left);
    case AE__OP_ACCEPT:
        return try_accept(op, number);
    case AE__OP_CONNECT:
        return try_connect(op, number);
    case AE__OP_SENDFILE:
        return try_sendfile(op, number);
    case AE__OP_POLL:
    case AE__OP_BEHIND:
    case AE__OP_FILE_READ:
    case AE__OP_FILE_WRITE:
    case AE__OP_FILE_SYNC:
        break; /* only armed */
    }
    AE_ASSERT(!"an op code that is tried");
    return -EINVAL;
}

ssize_t ae__epoll_try(struct ae__driver *driver, struct ae__op *op)
{
    bool reads = op->code == AE__OP_READ || op->code == AE__OP_ACCEPT;
    int side = reads ? AE__SIDE_READ : AE__SIDE_WRITE;
    enum ae__fd_left left = AE__FD_LEFT_READY;
    uint32_t edges;
    ssize_t n;

    AE_ASSERT(op->fd != NULL);
    int number = ae__fd_use_begin(op->fd, op->generation, side, &edges);
    if (number < 0) return number;
    do {
        ae__driver_count_syscall(driver, op->fd->fds);
        n = attempt(op, number, &left);
    } while (n == -EINTR);
    if (n == AE__WOULD_BLOCK) left = AE__FD_LEFT_EMPTY;
    ae__fd_use_end(op->fd, side, edges, left);
    return n;
}

int ae__poll_now(int number, unsigned events)
{
    struct pollfd p = { .fd = number };

    if (AE_UNLIKELY(ae__sim_owns(number))) return ae__sim_poll_now(number, events);
    if (events & AE_READABLE) p.events |= POLLIN | POLLRDHUP;
    if (events & AE_WRITABLE) p.events |= POLLOUT;
    int n;
    do {
        n = poll(&p, 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    if (p.revents & POLLNVAL) return -EBADF;
    unsigned now = 0;
    if (p.revents & (POLLIN | POLLRDHUP)) now |= AE_READABLE;
    if (p.revents & POLLOUT) now |= AE_WRITABLE;
    if (p.revents & (POLLHUP | POLLERR)) now |= AE_READABLE | AE_WRITABLE;
    return (int)(now & events);
}
