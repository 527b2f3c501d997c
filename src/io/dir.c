/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and names: each call is a job on the blocking pool, or a plain thread's own call. */
#include "aether/dir.h"

#include <errno.h>
#include <string.h>

#include "aether/blocking.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/dirs.h"
#include "sched/sched.h"

static const ae_job_opts on_files = { .lane = AE_LANE_FILES };

enum { LISTED_BYTES = 32 * 1024 }; /* of entries fetched at once */

struct ae_dir {
    ae_file *file;
    size_t at, end;             /* of what was fetched */
    _Alignas(8) char listed[LISTED_BYTES];
};

/* ---- listing ---- */

/* Takes `file`. */
static int list(ae_file *file, ae_dir **out)
{
    ae_dir *dir = ae__mem_alloc(sizeof *dir);

    if (!dir) {
        ae_file_close(file);
        return -ENOMEM;
    }
    dir->file = file;
    dir->at = dir->end = 0;
    *out = dir;
    return 0;
}

int ae_dir_open(const char *path, ae_dir **out)
{
    ae_file *file;

    AE_ASSERT(path != NULL && out != NULL);
    int rc = ae_file_open(path, ae__dir_open_flags, 0, &file);
    return rc < 0 ? rc : list(file, out);
}

int ae_dir_open_beneath(ae_file *root, const char *path, ae_dir **out)
{
    ae_file *file;

    AE_ASSERT(path != NULL && out != NULL);
    int rc = ae_file_open_beneath(root, path, ae__dir_open_flags, &file);
    return rc < 0 ? rc : list(file, out);
}

static int run_fetch(void *arg)
{
    struct ae_dir *dir = arg;

    return (int)ae__dir_sys_read(ae_file_fd(dir->file), dir->listed, sizeof dir->listed);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int ae_dir_read(ae_dir *dir, ae_dir_entry *out)
{
    AE_ASSERT(dir != NULL && out != NULL);
    if (ae__actor_cancelled(ae__actor_self())) return -ECANCELED;
    do {
        if (dir->at == dir->end) {
            int n = ae_blocking_opts(&on_files, run_fetch, dir);
            if (n <= 0) return n;
            dir->at = 0;
            dir->end = (size_t)n;
        }
        dir->at += ae__dir_entry(dir->listed + dir->at, out);
        AE_ASSERT(dir->at <= dir->end);
    } while (is_dots(out->name));
    return 1;
}

ae_file *ae_dir_file(ae_dir *dir)
{
    return dir->file;
}

void ae_dir_close(ae_dir *dir)
{
    if (!dir) return;
    ae_file_close(dir->file);
    ae__mem_free(dir);
}

/* ---- names ---- */

struct names {
    const char *path, *other;
    unsigned mode;
    ae_file_stat *stat;
    char *buf;
    size_t size;
};

static int run_stat(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_stat(n->path, true, n->stat);
}

static int run_lstat(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_stat(n->path, false, n->stat);
}

static int run_mkdir(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_mkdir(n->path, n->mode);
}

static int run_rmdir(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_rmdir(n->path);
}

static int run_unlink(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_unlink(n->path);
}

static int run_rename(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_rename(n->path, n->other);
}

static int run_link(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_link(n->path, n->other);
}

static int run_symlink(void *arg)
{
    const struct names *n = arg;

    return ae__path_sys_symlink(n->path, n->other);
}

static int run_readlink(void *arg)
{
    const struct names *n = arg;

    return (int)ae__path_sys_readlink(n->path, n->buf, n->size);
}

static int run(ae_fn *fn, struct names names)
{
    AE_ASSERT(names.path != NULL);
    return ae_blocking_opts(&on_files, fn, &names);
}

int ae_path_stat(const char *path, ae_file_stat *out)
{
    AE_ASSERT(out != NULL);
    return run(run_stat, (struct names){ .path = path, .stat = out });
}

int ae_path_lstat(const char *path, ae_file_stat *out)
{
    AE_ASSERT(out != NULL);
    return run(run_lstat, (struct names){ .path = path, .stat = out });
}

int ae_path_mkdir(const char *path, unsigned mode)
{
    return run(run_mkdir, (struct names){ .path = path, .mode = mode });
}

int ae_path_rmdir(const char *path)
{
    return run(run_rmdir, (struct names){ .path = path });
}

int ae_path_unlink(const char *path)
{
    return run(run_unlink, (struct names){ .path = path });
}

int ae_path_rename(const char *from, const char *to)
{
    AE_ASSERT(to != NULL);
    return run(run_rename, (struct names){ .path = from, .other = to });
}

int ae_path_link(const char *target, const char *path)
{
    AE_ASSERT(path != NULL);
    return run(run_link, (struct names){ .path = target, .other = path });
}

int ae_path_symlink(const char *target, const char *path)
{
    AE_ASSERT(path != NULL);
    return run(run_symlink, (struct names){ .path = target, .other = path });
}

ssize_t ae_path_readlink(const char *path, char *buf, size_t size)
{
    AE_ASSERT(buf != NULL && size > 0);
    return run(run_readlink, (struct names){ .path = path, .buf = buf, .size = size });
}
