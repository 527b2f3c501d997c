/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and names, through the driver's seam: blocking forms, called on a pool thread or a
 * plain thread. Results or negative errno values. */
#ifndef AE_DRIVER_DIRS_H
#define AE_DRIVER_DIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ae_dir_entry;
struct ae_file_stat;

extern const int ae__dir_open_flags; /* of open(2), to list one */

/* As many entries as fit: bytes in buf, 0 at the end. */
ssize_t ae__dir_sys_read(int number, void *buf, size_t size);
/* The record at buf into *out, never blocks. Its length, to find the next one. */
size_t ae__dir_entry(const void *buf, struct ae_dir_entry *out);

int ae__path_sys_stat(const char *path, bool follow, struct ae_file_stat *out);
int ae__path_sys_mkdir(const char *path, unsigned mode);
int ae__path_sys_rmdir(const char *path);
int ae__path_sys_unlink(const char *path);
int ae__path_sys_rename(const char *from, const char *to);
int ae__path_sys_link(const char *target, const char *path);
int ae__path_sys_symlink(const char *target, const char *path);
ssize_t ae__path_sys_readlink(const char *path, char *buf, size_t size);

#endif
