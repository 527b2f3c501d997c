/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes and the words that every other public header uses.
 *
 * Colours. Each function says in its comment where it may be called:
 *   any thread              any thread, never blocks it
 *   any thread, may block   a task (which suspends) or a plain thread (which sleeps)
 *   task, may suspend       only inside a task
 *   task, never suspends    only inside a task
 *
 * Errors. Functions return 0 or a negative errno value; counts are ssize_t. errno itself is never
 * used. -ECANCELED always means "an enclosing scope ended": pass it up. Misuse asserts.
 *
 * Cancellation. A function that may suspend first looks whether the caller is cancelled, also when
 * it could complete at once; then it returns -ECANCELED and has had no effect. Once it has
 * started, its result is delivered: completion beats cancellation. */
#ifndef AETHER_DEFS_H
#define AETHER_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AE_API __attribute__((visibility("default")))
#define AE_MUST_CHECK __attribute__((warn_unused_result))
#define AE_PRINTF(format_index, first_arg) \
    __attribute__((format(printf, format_index, first_arg)))

#ifdef __cplusplus
#define AE_EXTERN_C_BEGIN extern "C" {
#define AE_EXTERN_C_END }
#else
#define AE_EXTERN_C_BEGIN
#define AE_EXTERN_C_END
#endif

AE_EXTERN_C_BEGIN

#define AE_VERSION "0.1.0"

/* What a task runs. The result is the task's status: >= 0 or a negative errno value. */
typedef int ae_fn(void *arg);

/* The name of an error that a function here returned, e.g. "-ECANCELED: cancelled". Never NULL.
 * Colour: any thread. */
AE_API const char *ae_strerror(int rc);

/* The version of the library that is loaded (the macro names that of the header).
 * Colour: any thread. */
AE_API const char *ae_version(void);

AE_EXTERN_C_END
#endif
