/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: the calls that users make on any of them, and the type for TCP and Unix sockets. */
#include "aether/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "driver/fd.h"
#include "driver/socket.h"
#include "io/io.h"

enum { WINDOW_PARTS = 32 }; /* parts given to the system at once */

static struct ae__socket_stream *socket_stream_of(ae_stream *stream)
{
    return AE_CONTAINER_OF(stream, struct ae__socket_stream, stream);
}

/* ---- reading a socket ---- */

/* Read until at least `least` bytes are there, or the end or an error comes. */
static ssize_t read_socket(ae_stream *stream, char *buf, size_t size, size_t least)
{
    struct ae__op op = { .code = AE__OP_READ };
    size_t done = 0;

    int rc = ae__socket_use(&socket_stream_of(stream)->socket, &op);
    if (rc < 0) return rc;
    do {
        op.read.buf = buf + done;
        op.read.size = size - done;
        ssize_t n = ae__io(&op, AE__WAIT_READ);
        if (n <= 0) return n < 0 || least == 1 ? n : -EPIPE;
        done += (size_t)n;
    } while (done < least);
    return (ssize_t)done;
}

static ssize_t socket_read(ae_stream *stream, void *buf, size_t size)
{
    return read_socket(stream, buf, size, 1);
}

/* ---- writing a socket ---- */

/* What of the caller's parts is still to be sent. */
struct window {
    const struct iovec *parts;
    int count;
    size_t skip; /* bytes of the first part that were sent */
};

static void skip_sent(struct window *w, size_t n)
{
    w->skip += n;
    while (w->count > 0 && w->skip >= w->parts->iov_len) {
        w->skip -= w->parts->iov_len;
        w->parts++;
        w->count--;
    }
}

/* The next parts as the system shall see them: the caller's own array while that is exact. */
static void show_window(const struct window *w, struct iovec *copy, struct ae__op *op)
{
    int count = w->count < WINDOW_PARTS ? w->count : WINDOW_PARTS;

    op->writev.iov = w->parts;
    op->writev.count = count;
    if (w->skip == 0) return;
    memcpy(copy, w->parts, (size_t)count * sizeof *copy);
    copy->iov_base = (char *)copy->iov_base + w->skip;
    copy->iov_len -= w->skip;
    op->writev.iov = copy;
}

/* Nothing to send: wait until what was written behind has left. Only rings have such. */
static ssize_t settle(struct ae__op *op)
{
    if (!op->fd->fds->rings) return 0;
    op->writev.count = 0;
    return ae__io(op, AE__WAIT_WRITE);
}

static ssize_t write_socket(ae_stream *stream, const struct iovec *parts, int count, bool behind)
{
    struct ae__op op = { .code = AE__OP_WRITEV, .writev.behind = behind };
    struct iovec copy[WINDOW_PARTS];
    struct window w = { .parts = parts, .count = count };
    ssize_t done = 0;

    int rc = ae__socket_use(&socket_stream_of(stream)->socket, &op);
    if (rc < 0) return rc;
    skip_sent(&w, 0); /* empty parts at the front */
    if (w.count == 0 && !behind) return settle(&op);
    while (w.count > 0) {
        show_window(&w, copy, &op);
        ssize_t n = ae__io(&op, AE__WAIT_WRITE);
        if (n < 0) return done > 0 ? done : n;
        done += n;
        skip_sent(&w, (size_t)n);
    }
    return done;
}

static ssize_t socket_writev(ae_stream *stream, const struct iovec *parts, int count)
{
    return write_socket(stream, parts, count, false);
}

/* ---- the rest of the type ---- */

static int socket_shutdown(ae_stream *stream)
{
    const struct ae__socket *socket = &socket_stream_of(stream)->socket;
    /* acquire pairs with the release that published it */
    struct ae__fd *fd = atomic_load_explicit(&socket->ref.fd, memory_order_acquire);

    if (!fd) return ae__socket_shutdown(socket->number);
    return ae__fd_shutdown(fd, socket->ref.generation);
}

static void socket_close(ae_stream *stream)
{
    struct ae__socket_stream *s = socket_stream_of(stream);

    ae__socket_end(&s->socket);
    ae__mem_free(s);
}

static size_t socket_buffered(ae_stream *stream)
{
    (void)stream;
    return 0;
}

static ae_stream *socket_inner(ae_stream *stream)
{
    (void)stream;
    return NULL;
}

static const ae_stream_ops socket_ops = {
    .read = socket_read,
    .writev = socket_writev,
    .shutdown = socket_shutdown,
    .close = socket_close,
    .buffered = socket_buffered,
    .inner = socket_inner,
};

int ae__stream_open(int number, unsigned flags, ae_stream **out)
{
    struct ae__socket_stream *s = ae__mem_zalloc(sizeof *s);

    if (!s) return -ENOMEM;
    s->stream.ops = &socket_ops;
    s->socket.number = number;
    s->socket.flags = flags;
    *out = &s->stream;
    return 0;
}

int ae__stream_is_socket(const ae_stream *stream)
{
    return stream->ops == &socket_ops;
}

struct ae__socket *ae__stream_socket(ae_stream *stream)
{
    while (stream && !ae__stream_is_socket(stream)) {
        stream = stream->ops->inner ? stream->ops->inner(stream) : NULL;
    }
    return stream ? &socket_stream_of(stream)->socket : NULL;
}

/* ---- for users: any type of stream ---- */

ssize_t ae_read(ae_stream *stream, void *buf, size_t size)
{
    AE_ASSERT(stream != NULL && size > 0);
    return stream->ops->read(stream, buf, size);
}

ssize_t ae_read_full(ae_stream *stream, void *buf, size_t size)
{
    size_t done = 0;

    AE_ASSERT(stream != NULL);
    if (size == 0) return 0;
    if (ae__stream_is_socket(stream)) return read_socket(stream, buf, size, size);
    while (done < size) {
        ssize_t n = stream->ops->read(stream, (char *)buf + done, size - done);
        if (n <= 0) return n < 0 ? n : -EPIPE;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t ae_write(ae_stream *stream, const void *buf, size_t size)
{
    const struct iovec part = { .iov_base = (void *)buf, .iov_len = size };

    AE_ASSERT(stream != NULL);
    return stream->ops->writev(stream, &part, 1);
}

ssize_t ae_writev(ae_stream *stream, const struct iovec *parts, int count)
{
    AE_ASSERT(stream != NULL && count >= 0);
    return stream->ops->writev(stream, parts, count);
}

ssize_t ae_writev_behind(ae_stream *stream, const struct iovec *parts, int count)
{
    AE_ASSERT(stream != NULL && count >= 0);
    if (ae__stream_is_socket(stream)) return write_socket(stream, parts, count, true);
    return stream->ops->writev(stream, parts, count);
}

ssize_t ae_write_behind(ae_stream *stream, const void *buf, size_t size)
{
    const struct iovec part = { .iov_base = (void *)buf, .iov_len = size };

    return ae_writev_behind(stream, &part, 1);
}

int ae_shutdown(ae_stream *stream)
{
    AE_ASSERT(stream != NULL);
    return stream->ops->shutdown(stream);
}

void ae_close(ae_stream *stream)
{
    if (stream) stream->ops->close(stream);
}

size_t ae_buffered(ae_stream *stream)
{
    AE_ASSERT(stream != NULL);
    return stream->ops->buffered ? stream->ops->buffered(stream) : 0;
}

int ae_stream_fd(ae_stream *stream)
{
    struct ae__socket *socket = ae__stream_socket(stream);

    return socket ? socket->number : -1;
}
