/* SPDX-License-Identifier: Apache-2.0 */
/* What the code asks of the compiler, under one spelling. */
#ifndef AE_BASE_COMPILER_H
#define AE_BASE_COMPILER_H

#include <stddef.h>

#define AE_LIKELY(x) __builtin_expect(!!(x), 1)
#define AE_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define AE_NOINLINE __attribute__((noinline))
#define AE_ALWAYS_INLINE inline __attribute__((always_inline))
#define AE_NORETURN __attribute__((noreturn))
#define AE_COLD __attribute__((cold, noinline))
#define AE_PURE_WARN __attribute__((warn_unused_result))

#define AE_CACHE_LINE 64
#define AE_CACHE_ALIGNED _Alignas(AE_CACHE_LINE)

#define AE_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* 0 leaves out the counters, the recorder, the probes and the monitor, with all that relies on them
 * (rescue, stall reports, K4 in shortage.c): only `./dev bench cost` builds that, to see what they
 * cost. */
#ifndef AE_WATCHED
#define AE_WATCHED 1
#endif

#if defined(__has_feature)
#define AE_HAS_FEATURE(x) __has_feature(x)
#else
#define AE_HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || AE_HAS_FEATURE(address_sanitizer)
#define AE_ASAN 1
#else
#define AE_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || AE_HAS_FEATURE(thread_sanitizer)
#define AE_TSAN 1
#else
#define AE_TSAN 0
#endif

#endif
