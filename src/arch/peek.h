/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at memory that others write at the same time: tasks that run while they are dumped. What
 * is read may be torn or out of date; whoever peeks must bear anything. */
#ifndef AE_ARCH_PEEK_H
#define AE_ARCH_PEEK_H

#include <stddef.h>
#include <stdint.h>

/* `bytes` (a multiple of 8) from mapped memory, whole aligned words. Sanitizers do not look. */
void ae__peek(void *to, const void *from, size_t bytes);

/* A string in mapped memory, up to its zero byte, cut to room - 1; sanitizers do not look. */
void ae__peek_text(char *to, const char *from, size_t room);

/* The return addresses of a context that ae__arch_switch or ae__arch_call saved at `sp`, innermost
 * first, by the chain of frame pointers. Only what lies in [low, high), which is mapped, is read.
 * Code that was compiled without frame pointers and calls back is left out. Returns how many. */
unsigned ae__peek_frames(const void *sp, const void *low, const void *high, uintptr_t *out,
                         unsigned max);

#endif
