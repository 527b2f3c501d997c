/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and names of files: listed, made, renamed and removed without blocking a worker.
 *
 * All of these run on the blocking pool when a task calls them, with either driver: no kernel can
 * promise not to wait for a disk here, and rings are forbidden to touch names. A task that is
 * cancelled before its job began gets -ECANCELED and nothing was done; a job that has begun is
 * waited for, and its result is delivered. A plain thread makes the system call itself. */
#ifndef AETHER_DIR_H
#define AETHER_DIR_H

#include <aether/defs.h>
#include <aether/file.h>

AE_EXTERN_C_BEGIN

typedef struct ae_dir ae_dir;

typedef struct ae_dir_entry {
    const char *name;  /* one component; valid until the next call on this directory */
    uint64_t inode;
    /* all false: something else, or the file system does not tell without a look at it */
    bool is_regular, is_directory, is_link;
} ae_dir_entry;

/* Open a directory to list it. Errors: those of open(2), -ENOTDIR, -ENOMEM, -ECANCELED.
 * Colour: any thread, may block. */
AE_API int ae_dir_open(const char *path, ae_dir **out) AE_MUST_CHECK;

/* The same beneath another one: see ae_file_open_beneath. Colour: any thread, may block. */
AE_API int ae_dir_open_beneath(ae_file *root, const char *path, ae_dir **out) AE_MUST_CHECK;

/* The next entry, in the file system's order, without "." and "..": 1, or 0 at the end. Hundreds
 * are fetched at once, so most calls return without a wait. What is added or removed meanwhile may
 * be seen or not. Errors: those of getdents(2), -ECANCELED. One task or thread at a time.
 * Colour: any thread, may block. */
AE_API int ae_dir_read(ae_dir *dir, ae_dir_entry *out) AE_MUST_CHECK;

/* The directory itself, for ae_file_open_beneath, or for ae_file_sync, which makes new and renamed
 * entries last. It stays the directory's. Colour: any thread. */
AE_API ae_file *ae_dir_file(ae_dir *dir);

AE_API void ae_dir_close(ae_dir *dir); /* accepts NULL. Colour: any thread */

/* What `path` leads to, or with lstat the symbolic link itself. Errors: those of stat(2).
 * Colour: any thread, may block. */
AE_API int ae_path_stat(const char *path, ae_file_stat *out) AE_MUST_CHECK;
AE_API int ae_path_lstat(const char *path, ae_file_stat *out) AE_MUST_CHECK;

/* mkdir(2), rmdir(2), unlink(2), link(2), symlink(2), and rename(2), which replaces `to` at once.
 * Errors: those of the call, -ECANCELED. Colour: any thread, may block. */
AE_API int ae_path_mkdir(const char *path, unsigned mode) AE_MUST_CHECK;
AE_API int ae_path_rmdir(const char *path) AE_MUST_CHECK;
AE_API int ae_path_unlink(const char *path) AE_MUST_CHECK;
AE_API int ae_path_rename(const char *from, const char *to) AE_MUST_CHECK;
AE_API int ae_path_link(const char *target, const char *path) AE_MUST_CHECK;
AE_API int ae_path_symlink(const char *target, const char *path) AE_MUST_CHECK;

/* Where a symbolic link points to, as a string: its length, or -ENAMETOOLONG if `buf` of `size`
 * bytes has no room for it and its NUL. Colour: any thread, may block. */
AE_API ssize_t ae_path_readlink(const char *path, char *buf, size_t size) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
