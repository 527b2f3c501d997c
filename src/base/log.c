/* SPDX-License-Identifier: Apache-2.0 */
/* The log: formats a line and hands it to the sink. Off costs one relaxed load.
 *
 * G1  A sink and its context change together: the version is odd while they are being set, and a
 *     reader that saw it odd, or changed behind what it read, reads again. */
#include "aether/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static _Atomic(int) level_limit = -1; /* -1: AE_LOG not read yet */
static _Atomic(uint32_t) sink_version;
static _Atomic(ae_log_sink *) sink_set;
static _Atomic(void *) sink_context;

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

void ae_log_set_sink(ae_log_sink *sink, void *context)
{
    uint32_t version = atomic_load_explicit(&sink_version, memory_order_relaxed);

    do {
        version &= ~UINT32_C(1); /* G1; only one thread at a time may set */
    } while (!atomic_compare_exchange_weak_explicit(&sink_version, &version, version + 1,
                                                    memory_order_acquire, memory_order_relaxed));
    /* release: who reads one of these sees the odd version as well */
    atomic_store_explicit(&sink_context, context, memory_order_release);
    atomic_store_explicit(&sink_set, sink, memory_order_release);
    atomic_store_explicit(&sink_version, version + 2, memory_order_release);
}

/* G1 */
static ae_log_sink *sink_get(void **context)
{
    ae_log_sink *sink;
    uint32_t version;

    do {
        version = atomic_load_explicit(&sink_version, memory_order_acquire) & ~UINT32_C(1);
        /* acquire: these come before the second look at the version */
        *context = atomic_load_explicit(&sink_context, memory_order_acquire);
        sink = atomic_load_explicit(&sink_set, memory_order_acquire);
    } while (atomic_load_explicit(&sink_version, memory_order_relaxed) != version);
    return sink;
}

void ae_log(enum ae_log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    void *context;

    if ((int)level > level_get()) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ae_log_sink *sink = sink_get(&context);
    if (sink) {
        sink(context, level, line);
    } else {
        fprintf(stderr, "aether: %s: %s\n", level_names[level], line);
    }
}
