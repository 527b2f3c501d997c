/* SPDX-License-Identifier: Apache-2.0 */
/* Files: opened, read, written and sent without blocking a worker.
 *
 * What the system can do without waiting (a read of what is cached, most of all) is done in place.
 * The rest goes to the ring of the worker, if it has one, else to a thread of the blocking pool,
 * and only the calling task waits. A cancel takes a wait on a ring back; what a pool thread has
 * begun is waited for, and its result is delivered. A plain thread makes the system call itself.
 *
 * One file may be used by several tasks and threads at once, as a descriptor may; closing it while
 * somebody uses it is misuse. */
#ifndef AETHER_FILE_H
#define AETHER_FILE_H

#include <aether/defs.h>
#include <aether/stream.h>

AE_EXTERN_C_BEGIN

typedef struct ae_file_stat {
    int64_t size;       /* bytes */
    int64_t mtime_ns;   /* since the epoch */
    uint64_t device, inode;
    uint32_t mode;      /* as in stat(2) */
    bool is_regular, is_directory;
} ae_file_stat;

/* open(2) with O_CLOEXEC. Errors: those of open(2), -ECANCELED.
 * Colour: any thread, may block. */
AE_API int ae_file_open(const char *path, int flags, unsigned mode, ae_file **out) AE_MUST_CHECK;

/* Open `path` relative to the directory `dir`, refusing any way out of it: "..", absolute paths
 * and symbolic links that leave give -EXDEV (openat2(2), RESOLVE_BENEATH; without that call,
 * symbolic links are refused altogether with -ELOOP). Colour: any thread, may block. */
AE_API int ae_file_open_beneath(ae_file *dir, const char *path, int flags,
                                ae_file **out) AE_MUST_CHECK;

AE_API int ae_file_stat_of(ae_file *file, ae_file_stat *out) AE_MUST_CHECK;

/* Read up to `size` bytes at `offset`; 0 at the end. The buffer is borrowed until it returns.
 * Errors: those of pread(2), -ECANCELED. Colour: any thread, may block. */
AE_API ssize_t ae_file_readat(ae_file *file, void *buf, size_t size, int64_t offset) AE_MUST_CHECK;

/* The same at the file's own position, which moves on (read(2)). Two that read at once share it.
 * For what has no end of its own, a pipe or a terminal, prefer ae_fd_wait and a non-blocking
 * descriptor: a pool thread that has begun such a read is waited for.
 * Colour: any thread, may block. */
AE_API ssize_t ae_file_read(ae_file *file, void *buf, size_t size) AE_MUST_CHECK;

/* Write all `size` bytes at `offset`, or with O_APPEND at the end. Fewer: an error or a cancel came
 * after so many, and the next call gives it. Errors: those of pwrite(2), -ECANCELED (nothing was
 * written). Written is not yet on the disk: ae_file_sync. Colour: any thread, may block. */
AE_API ssize_t ae_file_writeat(ae_file *file, const void *buf, size_t size,
                               int64_t offset) AE_MUST_CHECK;

/* The same at the file's own position, which moves on. Colour: any thread, may block. */
AE_API ssize_t ae_file_write(ae_file *file, const void *buf, size_t size) AE_MUST_CHECK;

/* lseek(2): move the position; returns it, in bytes from the start. whence: SEEK_SET, SEEK_CUR,
 * SEEK_END. Errors: -EINVAL, -ESPIPE (it has none). Colour: any thread. */
AE_API int64_t ae_file_seek(ae_file *file, int64_t offset, int whence);

/* Wait until what was written is on the disk: fsync(2). datasync: the data, and of what describes
 * it only what reading it back takes (fdatasync(2)). An error may mean that data is lost.
 * Colour: any thread, may block. */
AE_API int ae_file_sync(ae_file *file) AE_MUST_CHECK;
AE_API int ae_file_datasync(ae_file *file) AE_MUST_CHECK;

/* Make it `size` bytes long: cut, or filled with zeros (ftruncate(2)).
 * Colour: any thread, may block. */
AE_API int ae_file_truncate(ae_file *file, int64_t size) AE_MUST_CHECK;

AE_API int ae_file_fd(ae_file *file);      /* stays the file's. Colour: any thread */
AE_API void ae_file_close(ae_file *file);  /* accepts NULL. Colour: any thread */

AE_EXTERN_C_END
#endif
