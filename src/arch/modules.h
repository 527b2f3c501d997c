/* SPDX-License-Identifier: Apache-2.0 */
/* Where a code address lies, in words that outlive the process: the file it was loaded from, that
 * file's build-id, and the offset in it. `aether symbolize` turns them into function and line.
 * Not for signal handlers: the loader's list of modules has a lock. */
#ifndef AE_ARCH_MODULES_H
#define AE_ARCH_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AE__WHERE_BYTES 384 /* room for one place, with its zero byte */

/* "FILE BUILD-ID+0xOFFSET"; blanks in FILE are written %20, and BUILD-ID is - if there is none.
 * An address in no module is "0x...". Give a return address less 1: the call, not what is behind
 * it. Returns the length, which is less than `size` (at least 1). */
size_t ae__os_where(uintptr_t pc, char *buf, size_t size);

/* The same for many addresses: the list is read once. NULL: no memory. */
struct ae__modules;
struct ae__modules *ae__modules_read(void);
void ae__modules_free(struct ae__modules *modules);
size_t ae__modules_where(const struct ae__modules *modules, uintptr_t pc, char *buf, size_t size);
/* Do these bytes lie in a module, where they stay readable until it is unloaded? */
bool ae__modules_hold(const struct ae__modules *modules, uintptr_t address, size_t bytes);

#endif
