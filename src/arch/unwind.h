/* SPDX-License-Identifier: Apache-2.0 */
/* Who called whom, on a stack of which there is a copy. */
#ifndef AE_ARCH_UNWIND_H
#define AE_ARCH_UNWIND_H

#include <stddef.h>
#include <stdint.h>

#include "arch/watch.h"

/* What was at [base, base + bytes) when the registers were read. */
struct ae__stack_copy {
    uintptr_t base;
    size_t bytes;
    const unsigned char *data;
};

/* Where it stood, then the return addresses, innermost first: how many, at most `max`. Any thread;
 * not in a signal handler (it takes the loader's lock). */
size_t ae__unwind(const struct ae__regs *regs, const struct ae__stack_copy *stack, uintptr_t *pcs,
                  size_t max);

#endif
