/* SPDX-License-Identifier: Apache-2.0 */
/* System calls on directories and names: see dirs.h. */
#include "driver/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aether/dir.h"
#include "base/assert.h"
#include "driver/files.h"

const int ae__dir_open_flags = O_RDONLY | O_DIRECTORY;

ssize_t ae__dir_sys_read(int number, void *buf, size_t size)
{
    long n = syscall(SYS_getdents64, number, buf, size);

    return n < 0 ? -errno : n;
}

size_t ae__dir_entry(const void *buf, ae_dir_entry *out)
{
    const struct dirent64 *entry = buf; /* as the kernel lays it out */

    AE_ASSERT(entry->d_reclen > 0);
    *out = (ae_dir_entry){
        .name = entry->d_name,
        .inode = entry->d_ino,
        .is_regular = entry->d_type == DT_REG,
        .is_directory = entry->d_type == DT_DIR,
        .is_link = entry->d_type == DT_LNK,
    };
    return entry->d_reclen;
}

static int result(int rc)
{
    return rc < 0 ? -errno : 0;
}

int ae__path_sys_stat(const char *path, bool follow, struct ae_file_stat *out)
{
    struct statx st;
    const int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;

    if (statx(AT_FDCWD, path, flags, STATX_BASIC_STATS, &st) < 0) return -errno;
    ae__file_stat_from(&st, out);
    return 0;
}

int ae__path_sys_mkdir(const char *path, unsigned mode)
{
    return result(mkdir(path, mode));
}

int ae__path_sys_rmdir(const char *path)
{
    return result(rmdir(path));
}

int ae__path_sys_unlink(const char *path)
{
    return result(unlink(path));
}

int ae__path_sys_rename(const char *from, const char *to)
{
    return result(rename(from, to));
}

int ae__path_sys_link(const char *target, const char *path)
{
    return result(link(target, path));
}

int ae__path_sys_symlink(const char *target, const char *path)
{
    return result(symlink(target, path));
}

ssize_t ae__path_sys_readlink(const char *path, char *buf, size_t size)
{
    ssize_t n = readlink(path, buf, size);

    if (n < 0) return -errno;
    if ((size_t)n >= size) return -ENAMETOOLONG;
    buf[n] = '\0';
    return n;
}
