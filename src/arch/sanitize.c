/* SPDX-License-Identifier: Apache-2.0 */
/* See sanitize.h. */
#include "arch/sanitize.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) ((void)(start), (void)(end), 0u)
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

void ae__san_stack_made(struct ae__san *san, void *low, size_t size)
{
    san->low = low;
    san->size = size;
    san->valgrind = VALGRIND_STACK_REGISTER(low, (char *)low + size);
#if AE_ASAN
    /* What only a suspended task's stack points to is not leaked. */
    __lsan_register_root_region(low, size);
#endif
#if AE_TSAN
    san->fiber = __tsan_create_fiber(0);
#endif
}

void ae__san_stack_gone(struct ae__san *san, void *low, size_t size)
{
    VALGRIND_STACK_DEREGISTER(san->valgrind);
#if AE_ASAN
    __lsan_unregister_root_region(low, size);
    __asan_unpoison_memory_region(low, size);
#endif
#if AE_TSAN
    __tsan_destroy_fiber(san->fiber);
#endif
    (void)low;
    (void)size;
}

void ae__san_stack_reuse(struct ae__san *san)
{
#if AE_ASAN
    __asan_unpoison_memory_region(san->low, san->size);
#endif
#if AE_TSAN
    /* The task that died never left its last functions: their entries would pile up. */
    __tsan_destroy_fiber(san->fiber);
    san->fiber = __tsan_create_fiber(0);
#endif
    san->fake = NULL;
}

void ae__san_native(struct ae__san *san)
{
    san->fake = NULL;
    san->low = NULL;
    san->size = 0;
#if AE_TSAN
    san->fiber = __tsan_get_current_fiber();
#endif
}
