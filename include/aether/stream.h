/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams: one type for TCP, Unix sockets, and (later) TLS and pipes. */
#ifndef AETHER_STREAM_H
#define AETHER_STREAM_H

#include <aether/defs.h>

struct iovec;

AE_EXTERN_C_BEGIN

typedef struct ae_stream ae_stream;
typedef struct ae_file ae_file;

/* What a stream type provides; users call the functions below instead. writev returns all bytes,
 * or those already taken when interrupted. */
typedef struct ae_stream_ops {
    ssize_t (*read)(ae_stream *stream, void *buf, size_t size);
    ssize_t (*writev)(ae_stream *stream, const struct iovec *parts, int count);
    int (*shutdown)(ae_stream *stream);   /* end of writing */
    void (*close)(ae_stream *stream);
    size_t (*buffered)(ae_stream *stream); /* bytes that a read gives without waiting */
    ae_stream *(*inner)(ae_stream *stream); /* what it wraps, or NULL: then it has an fd */
} ae_stream_ops;

/* Implementers put this first in their struct. */
struct ae_stream {
    const ae_stream_ops *ops;
};

/* Read at least 1 and at most `size` bytes; 0 at the end of the stream.
 * Errors: -ECANCELED (nothing was taken), -ECONNRESET and others of read(2).
 * One reader and one writer at a time. `buf` is borrowed until it returns.
 * Colour: task, may suspend. */
AE_API ssize_t ae_read(ae_stream *stream, void *buf, size_t size) AE_MUST_CHECK;

/* Read exactly `size` bytes. -EPIPE: the stream ended before. Colour: task, may suspend. */
AE_API ssize_t ae_read_full(ae_stream *stream, void *buf, size_t size) AE_MUST_CHECK;

/* Write all: returns `size`, or fewer if it was cancelled or failed after some bytes were taken
 * (the next call gives the error), or an error if none were. -EPIPE instead of SIGPIPE.
 * Colour: task, may suspend. */
AE_API ssize_t ae_write(ae_stream *stream, const void *buf, size_t size) AE_MUST_CHECK;
AE_API ssize_t ae_writev(ae_stream *stream, const struct iovec *parts, int count) AE_MUST_CHECK;

/* The same, but it may return as soon as the bytes are copied: with io_uring a small write goes out
 * with what all other tasks of the worker want of the system by then, in one call, and nobody
 * waits for it. Bytes leave in the order of the writes, whichever kind. An error is given by the
 * next write. What the peer has not made room for when the stream is closed may be lost: a write of
 * 0 bytes waits until all has left. A wrapped stream, or a runtime on epoll, writes as ae_write
 * does. Colour: task, may suspend. */
AE_API ssize_t ae_write_behind(ae_stream *stream, const void *buf, size_t size) AE_MUST_CHECK;
AE_API ssize_t ae_writev_behind(ae_stream *stream, const struct iovec *parts,
                                int count) AE_MUST_CHECK;

/* Send `size` bytes of a file from `offset`, without copying them through the program where the
 * system can. Result as ae_write's; -ENODATA: the
 * file ends before any byte was sent. Colour: task, may suspend. */
AE_API ssize_t ae_sendfile(ae_stream *stream, ae_file *file, int64_t offset,
                           size_t size) AE_MUST_CHECK;

/* End the writing direction: the peer reads end of file. 0, -ENOTCONN. Colour: any thread. */
AE_API int ae_shutdown(ae_stream *stream) AE_MUST_CHECK;

/* Close and free; a task that still waits on it gets -ECANCELED. Accepts NULL, never suspends.
 * Colour: any thread. */
AE_API void ae_close(ae_stream *stream);

/* Bytes already buffered inside (0 for plain sockets). Colour: any thread. */
AE_API size_t ae_buffered(ae_stream *stream);

/* The descriptor beneath, for options; it stays the stream's. Colour: any thread. */
AE_API int ae_stream_fd(ae_stream *stream);

AE_EXTERN_C_END
#endif
