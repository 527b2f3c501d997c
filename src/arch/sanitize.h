/* SPDX-License-Identifier: Apache-2.0 */
/* What sanitizers and Valgrind must be told about stacks that are switched by hand; nowhere else.
 *
 * Recipe: ASan hears start_switch before and finish_switch after each switch, with the fake stack
 * kept in the context that leaves (NULL when it dies); TSan gets a fiber per stack and is switched
 * right before the registers are. The function that switches is itself uninstrumented. */
#ifndef AE_ARCH_SANITIZE_H
#define AE_ARCH_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

/* Of one context: a task's stack, or a worker's native one. */
struct ae__san {
    void *fake;         /* ASan's fake stack while away */
    const void *low;    /* bounds, for ASan */
    size_t size;
    void *fiber;        /* TSan's */
    unsigned valgrind;  /* Valgrind's id of the stack */
};

#if AE_ASAN || AE_TSAN
#define AE_SAN_SWITCH __attribute__((no_sanitize("address"), no_sanitize("thread")))
#else
#define AE_SAN_SWITCH
#endif

#if AE_ASAN
void __sanitizer_start_switch_fiber(void **fake, const void *low, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **low, size_t *size);
void __asan_unpoison_memory_region(void const volatile *base, size_t size);
void __lsan_register_root_region(const void *base, size_t size);
void __lsan_unregister_root_region(const void *base, size_t size);
#endif
#if AE_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

/* A stack was made / is unmapped. [low, low + size) excludes the guard. */
void ae__san_stack_made(struct ae__san *san, void *low, size_t size);
void ae__san_stack_gone(struct ae__san *san, void *low, size_t size);
/* A stack is about to be used by another task. */
void ae__san_stack_reuse(struct ae__san *san);
/* The calling thread's own stack. */
void ae__san_native(struct ae__san *san);

/* always_inline: a frame of its own would be entered on one fiber and left on another. */
__attribute__((always_inline)) AE_SAN_SWITCH static inline void
ae__san_leave(struct ae__san *from, struct ae__san *to, bool dying)
{
#if AE_ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake, to->low, to->size);
#endif
#if AE_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from;
    (void)to;
    (void)dying;
}

/* In the context arrived at; fake: its own, NULL on a fresh stack. */
__attribute__((always_inline)) AE_SAN_SWITCH static inline void
ae__san_arrive(void *fake, struct ae__san *left)
{
#if AE_ASAN
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(fake, &low, &size);
    if (left) {
        left->low = low;
        left->size = size;
    }
#endif
    (void)fake;
    (void)left;
}

#endif
