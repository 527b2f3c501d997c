/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where the runtime asks the C library for memory, so that a test can make any
 * allocation fail. */
#ifndef AE_BASE_MEM_H
#define AE_BASE_MEM_H

#include <stddef.h>

void *ae__mem_alloc(size_t size);            /* NULL: none; not cleared */
void *ae__mem_zalloc(size_t size);           /* cleared */
void *ae__mem_aligned(size_t alignment, size_t size); /* cleared */
void ae__mem_free(void *ptr);                /* any of them; NULL is fine */

/* Tests: the n-th allocation from now fails (0 = none does). */
void ae__mem_fail_after(long n);

#endif
