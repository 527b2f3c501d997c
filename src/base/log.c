/* SPDX-License-Identifier: Apache-2.0 */
/* The log: formats a line and hands it to the sink. Off costs one relaxed load. */
#include "aether/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static _Atomic(int) level_limit = -1; /* -1: AE_LOG not read yet */
static ae_log_sink *sink;
static void *sink_context;

static int level_from_environment(void)
{
    const char *text = getenv("AE_LOG");

    for (int i = 0; text && i < 4; i++) {
        if (strcmp(text, level_names[i]) == 0) return i;
    }
    return AE_WARN;
}

static int level_get(void)
{
    int level = atomic_load_explicit(&level_limit, memory_order_relaxed);

    if (level >= 0) return level;
    level = level_from_environment();
    atomic_store_explicit(&level_limit, level, memory_order_relaxed);
    return level;
}

void ae_log_set_level(enum ae_log_level level)
{
    atomic_store_explicit(&level_limit, (int)level, memory_order_relaxed);
}

void ae_log_set_sink(ae_log_sink *new_sink, void *context)
{
    sink_context = context;
    sink = new_sink;
}

void ae_log(enum ae_log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    if ((int)level > level_get()) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (sink) {
        sink(sink_context, level, line);
    } else {
        fprintf(stderr, "aether: %s: %s\n", level_names[level], line);
    }
}
