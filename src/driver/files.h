/* SPDX-License-Identifier: Apache-2.0 */
/* Files, through the driver's seam: blocking forms, called on a pool thread or a plain thread,
 * except those that say they never block. Results or negative errno values. */
#ifndef AE_DRIVER_FILES_H
#define AE_DRIVER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ae_file_stat;

struct statx;

/* offset < 0: at the file's own position. */
enum { AE__FILE_POSITION = -1 };

int ae__file_sys_open(const char *path, int flags, unsigned mode);
int ae__file_sys_open_beneath(int dir, const char *path, int flags);
/* The same for kernels without openat2(2): step by step, no symbolic links at all. */
int ae__file_sys_open_steps(int dir, const char *path, int flags);
/* Flags of open(2) that make every transfer wait for the disk, cached or not. */
bool ae__file_waits_for_reads(int flags);
bool ae__file_waits_for_writes(int flags);

/* Never blocks: of a network file it tells what is known here. */
int ae__file_sys_stat(int number, struct ae_file_stat *out);
void ae__file_stat_from(const struct statx *st, struct ae_file_stat *out);
int64_t ae__file_sys_seek(int number, int64_t offset, int whence); /* never blocks */
ssize_t ae__file_sys_readat(int number, void *buf, size_t size, int64_t offset);
/* One attempt: may be short. */
ssize_t ae__file_sys_writeat(int number, const void *buf, size_t size, int64_t offset);
int ae__file_sys_sync(int number, bool data_only);
int ae__file_sys_truncate(int number, int64_t size);
/* Never block: what takes no waiting; -EAGAIN if it would wait. -EOPNOTSUPP: this kind of file
 * always does, or the system cannot tell. */
ssize_t ae__file_sys_readat_cached(int number, void *buf, size_t size, int64_t offset);
ssize_t ae__file_sys_writeat_cached(int number, const void *buf, size_t size, int64_t offset);
void ae__file_sys_close(int number);

/* The same on the ring of the caller's worker, if it has one: tasks, may suspend. -ECANCELED: had
 * no effect. One attempt: may be short. */
bool ae__file_on_ring(void);
ssize_t ae__file_ring_readat(int number, void *buf, size_t size, int64_t offset);
ssize_t ae__file_ring_writeat(int number, const void *buf, size_t size, int64_t offset);
int ae__file_ring_sync(int number, bool data_only);

#endif
