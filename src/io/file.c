/* SPDX-License-Identifier: Apache-2.0 */
/* Files. What may wait for a disk runs on the blocking pool; what is cached is read in place. */
#include "aether/file.h"

#include <errno.h>

#include "aether/blocking.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/files.h"
#include "io/io.h"
#include "sched/sched.h"

enum { CACHED_READ_MAX = 256 * 1024 }; /* copied in place at once: some 20 us of a worker's time */

struct ae_file {
    int number;
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
    int number = ae_blocking(run_open, job);
    if (number < 0) {
        ae__mem_free(file);
        return number;
    }
    file->number = number;
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

struct read_job {
    int number;
    void *buf;
    size_t size;
    int64_t offset;
    ssize_t result;
};

static int run_read(void *arg)
{
    struct read_job *job = arg;

    job->result = ae__file_sys_readat(job->number, job->buf, job->size, job->offset);
    return 0;
}

/* On the pool, or by the ring of the worker, if it has one. */
static ssize_t read_and_wait(int number, void *buf, size_t size, int64_t offset)
{
    struct read_job job = { .number = number, .buf = buf, .size = size, .offset = offset };

    if (ae__file_on_ring()) return ae__file_ring_readat(number, buf, size, offset);
    int rc = ae_blocking(run_read, &job);
    return rc < 0 ? rc : job.result;
}

/* Cached data in slices, then, if nothing was cached, the rest from the disk. */
static ssize_t read_in_task(int number, char *buf, size_t size, int64_t offset)
{
    size_t done = 0;

    while (done < size) {
        size_t want = size - done < CACHED_READ_MAX ? size - done : CACHED_READ_MAX;
        ssize_t n = ae__file_sys_readat_cached(number, buf + done, want, offset + (int64_t)done);
        if (n < 0 && done > 0) break;
        if (n == -EAGAIN) return read_and_wait(number, buf, size, offset);
        ae__charge();
        if (n < 0) return n;
        done += (size_t)n;
        if ((size_t)n < want) break; /* the end, or the end of what is cached */
    }
    return (ssize_t)done;
}

ssize_t ae_file_readat(ae_file *file, void *buf, size_t size, int64_t offset)
{
    AE_ASSERT(file != NULL && offset >= 0);
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    if (!ae__in_task()) return ae__file_sys_readat(file->number, buf, size, offset);
    return read_in_task(file->number, buf, size, offset);
}

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
