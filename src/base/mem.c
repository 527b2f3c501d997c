/* SPDX-License-Identifier: Apache-2.0 */
/* See mem.h. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Counts down to the allocation that shall fail; 0 and below: none. */
static _Atomic(long) fail_countdown;

static int must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) return 0;
    return atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) == 1;
}

void ae__mem_fail_after(long n)
{
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
}

void *ae__mem_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size);
}

void *ae__mem_zalloc(size_t size)
{
    return must_fail() ? NULL : calloc(1, size);
}

void *ae__mem_aligned(size_t alignment, size_t size)
{
    size_t rounded = (size + alignment - 1) / alignment * alignment;
    void *ptr = must_fail() ? NULL : aligned_alloc(alignment, rounded);

    if (ptr) memset(ptr, 0, rounded);
    return ptr;
}

void ae__mem_free(void *ptr)
{
    free(ptr);
}
