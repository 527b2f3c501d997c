/* SPDX-License-Identifier: Apache-2.0 */
/* The wrapped allocator: fails when it is told to, and counts what is alive. Memory that libc gets
 * for itself does not pass here. */
#include "run.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REAL(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

static bool must_fail(void)
{
    if (!fault_armed()) return false;
    atomic_fetch_add(&run->allocations, 1);
    return run->plan.loop == LOOP_ALLOC && fault_hit();
}

static void *counted(void *ptr)
{
    if (ptr && run) atomic_fetch_add(&run->live, 1);
    return ptr;
}

REAL(void *, malloc, size_t size)
{
    return must_fail() ? NULL : counted(__real_malloc(size));
}

REAL(void *, calloc, size_t count, size_t size)
{
    return must_fail() ? NULL : counted(__real_calloc(count, size));
}

REAL(void *, aligned_alloc, size_t alignment, size_t size)
{
    return must_fail() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

REAL(void *, realloc, void *old, size_t size)
{
    if (must_fail()) return NULL;
    void *ptr = __real_realloc(old, size);
    return old ? ptr : counted(ptr);
}

REAL(char *, strdup, const char *text)
{
    return must_fail() ? NULL : counted(__real_strdup(text));
}

REAL(char *, strndup, const char *text, size_t size)
{
    return must_fail() ? NULL : counted(__real_strndup(text, size));
}

REAL(void, free, void *ptr)
{
    if (ptr && run) atomic_fetch_sub(&run->live, 1);
    __real_free(ptr);
}
