/* SPDX-License-Identifier: Apache-2.0 */
/* Asserts in two prices. A failed one prints the condition and the place, and aborts. */
#ifndef AE_BASE_ASSERT_H
#define AE_BASE_ASSERT_H

#include "base/compiler.h"

/* Always on: misuse and broken invariants stop the program before they corrupt it. */
#define AE_ASSERT(condition)                                                                       \
    (AE_LIKELY(condition) ? (void)0 : ae__assert_failed(#condition, __FILE__, __LINE__))

/* Debug builds only: what costs more than a predictable branch. */
#if defined(AE_DEBUG) && AE_DEBUG
#define AE_DEBUG_ASSERT(condition) AE_ASSERT(condition)
#else
#define AE_DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

AE_NORETURN AE_COLD void ae__assert_failed(const char *condition, const char *file, int line);

/* Stop with a message: the end of a road that is no bug of a single line (a limit reached). */
AE_NORETURN AE_COLD void ae__fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
