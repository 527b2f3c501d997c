/* SPDX-License-Identifier: Apache-2.0 */
/* Files: opened, read and sent without blocking a worker. */
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

AE_API int ae_file_fd(ae_file *file);      /* stays the file's. Colour: any thread */
AE_API void ae_file_close(ae_file *file);  /* accepts NULL. Colour: any thread */

AE_EXTERN_C_END
#endif
