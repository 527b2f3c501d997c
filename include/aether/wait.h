/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting without a stack, and waiting for file descriptors of other libraries. */
#ifndef AETHER_WAIT_H
#define AETHER_WAIT_H

#include <aether/defs.h>
#include <aether/stream.h>

AE_EXTERN_C_BEGIN

enum ae_events {
    AE_READABLE = 1, /* data, end of file or an error can be read */
    AE_WRITABLE = 2,
};

/* Start `fn(arg)` as a task when the stream is ready, or at the deadline (AE_FOREVER: none), or
 * when the innermost open scope, whose child it is, is cancelled. Until then it holds at most 256
 * bytes and no stack. fn runs exactly once; ae_started_by() tells why. Fires at once if the
 * stream holds buffered data. One waiter a direction at a time, and none beside a running read.
 * 0, or -ENOMEM and `arg` is still yours. Colour: any thread, never suspends. */
AE_API int ae_go_on(ae_stream *stream, unsigned events, int64_t deadline_ns, ae_fn *fn,
                    void *arg) AE_MUST_CHECK;

/* The same for a foreign descriptor (non-blocking, open until fn has run; see ae_fd_forget). */
AE_API int ae_go_on_fd(int fd, unsigned events, int64_t deadline_ns, ae_fn *fn,
                       void *arg) AE_MUST_CHECK;

/* The same for a time alone. */
AE_API int ae_go_at(int64_t when_ns, ae_fn *fn, void *arg) AE_MUST_CHECK;

/* In a task that one of these started: the events (> 0), -ETIMEDOUT or -ECANCELED. 0 in any other.
 * Colour: task, never suspends. */
AE_API int ae_started_by(void);

/* Wait until a foreign descriptor is ready: the events (> 0) or -ECANCELED, -EBADF, -EPERM (a
 * regular file is always ready), -ENOMEM. The descriptor stays yours; it must be non-blocking, and
 * you must call ae_fd_forget before you close it. Read until EAGAIN before you wait again.
 * Colour: task, may suspend. */
AE_API int ae_fd_wait(int fd, unsigned events) AE_MUST_CHECK;

/* Before close(fd) of a foreign descriptor that was waited for. Colour: any thread. */
AE_API void ae_fd_forget(int fd);

AE_EXTERN_C_END
#endif
