/* SPDX-License-Identifier: Apache-2.0 */
/* System calls on files: see files.h. */
#include "driver/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "aether/file.h"
#include "aether/time.h"
#include "base/assert.h"
#include "driver/sim_net.h"
#include "driver/sim_start.h"

enum { BENEATH_TRIES = 8 };

int ae__file_sys_open(const char *path, int flags, unsigned mode)
{
    int number;

    do {
        number = open(path, flags | O_CLOEXEC, mode);
    } while (number < 0 && errno == EINTR);
    return number < 0 ? -errno : number;
}

/* ---- beneath a directory ---- */

static int is_link(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static int open_step(int dir, const char *name, int flags)
{
    if (is_link(dir, name)) return -ELOOP;
    int number = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, 0666);
    return number < 0 ? -errno : number;
}

/* The next component of *path into name; 0 at the end. */
static int next_name(const char **path, char *name, size_t size)
{
    *path += strspn(*path, "/");
    size_t length = strcspn(*path, "/");

    if (length == 0) return 0;
    if (length >= size) return -ENAMETOOLONG;
    memcpy(name, *path, length);
    name[length] = '\0';
    *path += length;
    return strcmp(name, "..") == 0 ? -EXDEV : 1;
}

int ae__file_sys_open_steps(int dir, const char *path, int flags)
{
    char name[256];
    int at = dir;

    if (*path == '\0') return -ENOENT;
    if (*path == '/') return -EXDEV;
    for (;;) {
        int rc = next_name(&path, name, sizeof name);
        bool last = rc <= 0 || path[strspn(path, "/")] == '\0';
        if (last && *path == '/') flags |= O_DIRECTORY; /* a slash at the end */
        if (rc > 0) rc = open_step(at, name, last ? flags : O_PATH | O_DIRECTORY);
        if (at != dir) close(at);
        if (last || rc < 0) return rc;
        at = rc;
    }
}

int ae__file_sys_open_beneath(int dir, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? 0666 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    for (int renames = 0; renames < BENEATH_TRIES;) {
        long number = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (number >= 0) return (int)number;
        if (errno == ENOSYS) return ae__file_sys_open_steps(dir, path, flags);
        if (errno != EAGAIN && errno != EINTR) return -errno;
        renames += errno == EAGAIN; /* one came between */
    }
    return -EAGAIN;
}

/* ---- the rest ---- */

/* RWF_NOWAIT does not help here: a read past the cache is begun without a wait, then waited for. */
bool ae__file_waits_for_reads(int flags)
{
    return flags & O_DIRECT;
}

bool ae__file_waits_for_writes(int flags)
{
    return flags & (O_DIRECT | O_SYNC | O_DSYNC);
}

void ae__file_stat_from(const struct statx *st, struct ae_file_stat *out)
{
    *out = (struct ae_file_stat){
        .size = (int64_t)st->stx_size,
        .mtime_ns = (int64_t)st->stx_mtime.tv_sec * AE_SEC + st->stx_mtime.tv_nsec,
        .device = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor,
        .inode = st->stx_ino,
        .mode = st->stx_mode,
        .is_regular = S_ISREG(st->stx_mode),
        .is_directory = S_ISDIR(st->stx_mode),
    };
}

int ae__file_sys_stat(int number, struct ae_file_stat *out)
{
    struct statx st;
    const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;

    if (statx(number, "", flags, STATX_BASIC_STATS, &st) < 0) return -errno;
    ae__file_stat_from(&st, out);
    return 0;
}

int64_t ae__file_sys_seek(int number, int64_t offset, int whence)
{
    off_t at = lseek(number, offset, whence);

    return at < 0 ? -errno : at;
}

ssize_t ae__file_sys_readat(int number, void *buf, size_t size, int64_t offset)
{
    ssize_t n;

    do {
        n = offset < 0 ? read(number, buf, size) : pread(number, buf, size, offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t ae__file_sys_writeat(int number, const void *buf, size_t size, int64_t offset)
{
    ssize_t n;

    do {
        n = offset < 0 ? write(number, buf, size) : pwrite(number, buf, size, offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int ae__file_sys_sync(int number, bool data_only)
{
    int rc = data_only ? fdatasync(number) : fsync(number);

    return rc < 0 ? -errno : 0;
}

int ae__file_sys_truncate(int number, int64_t size)
{
    int rc;

    do {
        rc = ftruncate(number, size);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static ssize_t cached_result(ssize_t n)
{
    if (n >= 0) return n;
    if (errno == ENOSYS || errno == ESPIPE) return -EOPNOTSUPP;
    return errno == EINTR ? -EAGAIN : -errno;
}

/* The version 2 of these calls takes -1 for the position. */
ssize_t ae__file_sys_readat_cached(int number, void *buf, size_t size, int64_t offset)
{
    struct iovec part = { .iov_base = buf, .iov_len = size };

    if (ae__simulated()) {
        return ae__sim_is_cached() ? ae__file_sys_readat(number, buf, size, offset) : -EAGAIN;
    }
    return cached_result(preadv2(number, &part, 1, offset, RWF_NOWAIT));
}

ssize_t ae__file_sys_writeat_cached(int number, const void *buf, size_t size, int64_t offset)
{
    struct iovec part = { .iov_base = (void *)buf, .iov_len = size };

    if (ae__simulated()) {
        return ae__sim_is_cached() ? ae__file_sys_writeat(number, buf, size, offset) : -EAGAIN;
    }
    return cached_result(pwritev2(number, &part, 1, offset, RWF_NOWAIT));
}

void ae__file_sys_close(int number)
{
    AE_ASSERT(number >= 0);
    close(number);
}
