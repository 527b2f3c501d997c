/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one line per event, four levels, one sink. */
#ifndef AETHER_LOG_H
#define AETHER_LOG_H

#include <aether/defs.h>

AE_EXTERN_C_BEGIN

enum ae_log_level { AE_ERROR, AE_WARN, AE_INFO, AE_DEBUG_LOG };

typedef void ae_log_sink(void *context, enum ae_log_level level, const char *line);

/* Print one line (no newline at its end) if the level is on: AE_LOG=error|warn|info|debug, warn by
 * default. Colour: any thread. */
AE_API void ae_log(enum ae_log_level level, const char *format, ...) AE_PRINTF(2, 3);

/* Send lines elsewhere than stderr; at any time, but lines that are being written may still go to
 * the sink before. NULL = stderr again. A sink may be called by several threads at once, on the
 * stack of a task too, and must not suspend. Colour: any thread. */
AE_API void ae_log_set_sink(ae_log_sink *sink, void *context);
AE_API void ae_log_set_level(enum ae_log_level level);

AE_EXTERN_C_END
#endif
