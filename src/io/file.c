/* SPDX-License-Identifier: Apache-2.0 */
/* Files. What is cached is read in place, and what needs no wait is written in place; the rest goes
 * to the ring of the worker or, without one, to the blocking pool.
 *
 * Buffered writes go to the pool in either case: most file systems make the kernel hand them to
 * threads of its own, one after another of each file, which costs more than the pool does. */
#include "aether/file.h"

#include <errno.h>

#include "aether/blocking.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/files.h"
#include "io/io.h"
#include "sched/sched.h"

enum { CACHED_MAX = 256 * 1024 }; /* copied in place at once: some 20 us of a worker's time */

static const ae_job_opts on_files = { .lane = AE_LANE_FILES };

struct ae_file {
    int number;
    bool reads_wait;            /* always: not worth an attempt in place */
    _Atomic(bool) writes_wait;  /* the same; found out by the first write. Any thread */
};

/* ---- opening ---- */

struct open_job {
    int dir; /* -1: from the working directory, anywhere */
    const char *path;
    int flags;
    unsigned mode;
};

static int run_open(void *arg)
{
    const struct open_job *job = arg;

    if (job->dir >= 0) return ae__file_sys_open_beneath(job->dir, job->path, job->flags);
    return ae__file_sys_open(job->path, job->flags, job->mode);
}

static int open_file(struct open_job *job, ae_file **out)
{
    ae_file *file = ae__mem_alloc(sizeof *file);

    if (!file) return -ENOMEM;
    int number = ae_blocking_opts(&on_files, run_open, job);
    if (number < 0) {
        ae__mem_free(file);
        return number;
    }
    file->number = number;
    file->reads_wait = ae__file_waits_for_reads(job->flags);
    atomic_init(&file->writes_wait, ae__file_waits_for_writes(job->flags));
    *out = file;
    return 0;
}

int ae_file_open(const char *path, int flags, unsigned mode, ae_file **out)
{
    struct open_job job = { .dir = -1, .path = path, .flags = flags, .mode = mode };

    AE_ASSERT(path != NULL && out != NULL);
    return open_file(&job, out);
}

int ae_file_open_beneath(ae_file *dir, const char *path, int flags, ae_file **out)
{
    struct open_job job = { .dir = dir->number, .path = path, .flags = flags };

    AE_ASSERT(path != NULL && out != NULL);
    return open_file(&job, out);
}

/* ---- using ---- */

int ae_file_stat_of(ae_file *file, ae_file_stat *out)
{
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    return ae__file_sys_stat(file->number, out);
}

int64_t ae_file_seek(ae_file *file, int64_t offset, int whence)
{
    return ae__file_sys_seek(file->number, offset, whence);
}

/* ---- reading ---- */

struct transfer {
    int number;
    void *buf;
    size_t size;
    int64_t offset; /* AE__FILE_POSITION: the file's own */
    ssize_t result;
};

static int64_t advanced(int64_t offset, size_t done)
{
    return offset == AE__FILE_POSITION ? offset : offset + (int64_t)done;
}

static int run_read(void *arg)
{
    struct transfer *job = arg;

    job->result = ae__file_sys_readat(job->number, job->buf, job->size, job->offset);
    return 0;
}

/* On the pool, or by the ring of the worker, if it has one. */
static ssize_t read_and_wait(int number, void *buf, size_t size, int64_t offset)
{
    struct transfer job = { .number = number, .buf = buf, .size = size, .offset = offset };

    if (ae__file_on_ring()) return ae__file_ring_readat(number, buf, size, offset);
    int rc = ae_blocking_opts(&on_files, run_read, &job);
    return rc < 0 ? rc : job.result;
}

static bool must_wait(ssize_t n)
{
    return n == AE__WOULD_BLOCK || n == -EOPNOTSUPP;
}

/* Cached data in slices, then, if nothing was cached, the rest from the disk. */
static ssize_t read_in_task(ae_file *file, char *buf, size_t size, int64_t offset)
{
    int number = file->number;
    size_t done = 0;

    if (file->reads_wait) return read_and_wait(number, buf, size, offset);
    while (done < size) {
        size_t want = size - done < CACHED_MAX ? size - done : CACHED_MAX;
        ssize_t n = ae__file_sys_readat_cached(number, buf + done, want, advanced(offset, done));
        if (n < 0 && done > 0) break;
        if (must_wait(n)) return read_and_wait(number, buf, size, offset);
        ae__charge();
        if (n < 0) return n;
        done += (size_t)n;
        if ((size_t)n < want) break; /* the end, or the end of what is cached */
    }
    return (ssize_t)done;
}

static ssize_t read_file(ae_file *file, void *buf, size_t size, int64_t offset)
{
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    if (!ae__in_task()) return ae__file_sys_readat(file->number, buf, size, offset);
    return read_in_task(file, buf, size, offset);
}

ssize_t ae_file_readat(ae_file *file, void *buf, size_t size, int64_t offset)
{
    AE_ASSERT(file != NULL && offset >= 0);
    return read_file(file, buf, size, offset);
}

ssize_t ae_file_read(ae_file *file, void *buf, size_t size)
{
    AE_ASSERT(file != NULL);
    return read_file(file, buf, size, AE__FILE_POSITION);
}

/* ---- writing ---- */

/* The bytes written, or the error if there are none. */
static ssize_t write_blocking(int number, const char *buf, size_t size, int64_t offset)
{
    size_t done = 0;

    do {
        ssize_t n = ae__file_sys_writeat(number, buf + done, size - done, advanced(offset, done));
        if (n < 0) return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
    } while (done < size);
    return (ssize_t)done;
}

static int run_write(void *arg)
{
    struct transfer *job = arg;

    job->result = write_blocking(job->number, job->buf, job->size, job->offset);
    return 0;
}

static ssize_t write_and_wait(const ae_file *file, const char *buf, size_t size, int64_t offset)
{
    struct transfer job = { file->number, (void *)buf, size, offset, 0 };

    if (file->reads_wait && ae__file_on_ring()) { /* past the cache */
        return ae__file_ring_writeat(file->number, buf, size, offset);
    }
    int rc = ae_blocking_opts(&on_files, run_write, &job);
    return rc < 0 ? rc : job.result;
}

/* A slice in place. */
static ssize_t write_now(ae_file *file, const char *buf, size_t size, int64_t offset)
{
    size_t want = size < CACHED_MAX ? size : CACHED_MAX;

    if (atomic_load_explicit(&file->writes_wait, memory_order_relaxed)) return -EOPNOTSUPP;
    ssize_t n = ae__file_sys_writeat_cached(file->number, buf, want, offset);
    if (n == -EOPNOTSUPP) atomic_store_explicit(&file->writes_wait, true, memory_order_relaxed);
    if (n >= 0) ae__charge();
    return n;
}

static ssize_t write_in_task(ae_file *file, const char *buf, size_t size, int64_t offset)
{
    size_t done = 0;

    do {
        int64_t at = advanced(offset, done);
        ssize_t n = write_now(file, buf + done, size - done, at);
        if (must_wait(n)) n = write_and_wait(file, buf + done, size - done, at);
        if (n < 0) return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
    } while (done < size);
    return (ssize_t)done;
}

static ssize_t write_file(ae_file *file, const void *buf, size_t size, int64_t offset)
{
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    if (!ae__in_task()) return write_blocking(file->number, buf, size, offset);
    return write_in_task(file, buf, size, offset);
}

ssize_t ae_file_writeat(ae_file *file, const void *buf, size_t size, int64_t offset)
{
    AE_ASSERT(file != NULL && offset >= 0);
    return write_file(file, buf, size, offset);
}

ssize_t ae_file_write(ae_file *file, const void *buf, size_t size)
{
    AE_ASSERT(file != NULL);
    return write_file(file, buf, size, AE__FILE_POSITION);
}

/* ---- what is on the disk ---- */

struct settling {
    int number;
    bool data_only;
    int64_t size;
};

static int run_sync(void *arg)
{
    const struct settling *job = arg;

    return ae__file_sys_sync(job->number, job->data_only);
}

static int sync_file(ae_file *file, bool data_only)
{
    struct settling job = { .number = file->number, .data_only = data_only };

    if (ae__file_on_ring()) return ae__file_ring_sync(file->number, data_only);
    return ae_blocking_opts(&on_files, run_sync, &job);
}

int ae_file_sync(ae_file *file)
{
    AE_ASSERT(file != NULL);
    return sync_file(file, false);
}

int ae_file_datasync(ae_file *file)
{
    AE_ASSERT(file != NULL);
    return sync_file(file, true);
}

static int run_truncate(void *arg)
{
    const struct settling *job = arg;

    return ae__file_sys_truncate(job->number, job->size);
}

int ae_file_truncate(ae_file *file, int64_t size)
{
    struct settling job = { .number = file->number, .size = size };

    AE_ASSERT(size >= 0);
    return ae_blocking_opts(&on_files, run_truncate, &job);
}

/* ---- the descriptor ---- */

int ae_file_fd(ae_file *file)
{
    return file->number;
}

void ae_file_close(ae_file *file)
{
    if (!file) return;
    ae__file_sys_close(file->number);
    ae__mem_free(file);
}
