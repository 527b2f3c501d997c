/* SPDX-License-Identifier: Apache-2.0 */
/* Files into streams: by sendfile(2) in slices into a socket, by reading and writing into a stream
 * that wraps one. Data that is not in the page cache is brought there on the blocking pool first,
 * so that no worker waits for a disk. */
#include <errno.h>
#include <string.h>

#include "aether/blocking.h"
#include "aether/file.h"
#include "aether/stream.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/files.h"
#include "io/io.h"
#include "sched/sched.h"

enum {
    SLICE_BYTES = 256 * 1024,
    COPY_BYTES = 16 * 1024, /* on the task's stack */
    WARM_BYTES = 32 * 1024, /* on the pool thread's stack */
};

/* ---- the page cache ---- */

struct slice {
    int file;
    int64_t offset;
    size_t size;
};

/* Are the first and the last byte cached? The system reads ahead, so then all is. */
static bool is_cached(const struct slice *slice)
{
    char byte;

    if (ae__file_sys_readat_cached(slice->file, &byte, 1, slice->offset) < 0) return false;
    int64_t last = slice->offset + (int64_t)slice->size - 1;
    return ae__file_sys_readat_cached(slice->file, &byte, 1, last) >= 0;
}

static int warm(void *arg)
{
    const struct slice *slice = arg;
    char scratch[WARM_BYTES];

    for (size_t done = 0; done < slice->size;) {
        size_t want = slice->size - done < sizeof scratch ? slice->size - done : sizeof scratch;
        int64_t at = slice->offset + (int64_t)done;
        ssize_t n = ae__file_sys_readat(slice->file, scratch, want, at);
        if (n <= 0) break; /* sendfile meets the same and reports it */
        done += (size_t)n;
    }
    return 0;
}

/* ---- into a socket ---- */

/* One slice as far as one attempt goes. */
static ssize_t send_slice(struct ae__op *op, struct slice slice)
{
    if (!is_cached(&slice)) {
        static const ae_job_opts on_files = { .lane = AE_LANE_FILES };
        int rc = ae_blocking_opts(&on_files, warm, &slice);
        if (rc < 0) return rc;
    }
    op->sendfile.file = slice.file;
    op->sendfile.offset = slice.offset;
    op->sendfile.size = slice.size;
    ssize_t n = ae__io(op, AE__WAIT_WRITE);
    return n == 0 ? -ENODATA : n; /* the file ends before */
}

static ssize_t send_to_socket(struct ae__socket *socket, int file, int64_t offset, size_t size)
{
    struct ae__op op = { .code = AE__OP_SENDFILE };
    size_t done = 0;

    int rc = ae__socket_use(socket, &op);
    if (rc < 0) return rc;
    while (done < size) {
        struct slice slice = { .file = file, .offset = offset + (int64_t)done };
        slice.size = size - done < SLICE_BYTES ? size - done : SLICE_BYTES;
        ssize_t n = send_slice(&op, slice);
        if (n < 0) return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* ---- into a stream that wraps another ---- */

static ssize_t copy_to_stream(ae_stream *stream, ae_file *file, int64_t offset, size_t size)
{
    char buf[COPY_BYTES];
    size_t done = 0;

    while (done < size) {
        size_t want = size - done < sizeof buf ? size - done : sizeof buf;
        ssize_t n = ae_file_readat(file, buf, want, offset + (int64_t)done);
        if (n == 0) n = -ENODATA;
        ssize_t sent = n < 0 ? n : ae_write(stream, buf, (size_t)n);
        if (sent < 0) return done > 0 ? (ssize_t)done : sent;
        done += (size_t)sent;
        if (sent < n) break; /* the next call gives the error */
    }
    return (ssize_t)done;
}

ssize_t ae_sendfile(ae_stream *stream, ae_file *file, int64_t offset, size_t size)
{
    AE_ASSERT(stream != NULL && file != NULL && offset >= 0);
    AE_ASSERT(ae__in_task());
    if (!ae__stream_is_socket(stream)) return copy_to_stream(stream, file, offset, size);
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    return send_to_socket(ae__stream_socket(stream), ae_file_fd(file), offset, size);
}
