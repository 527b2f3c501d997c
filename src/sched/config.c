/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user asked for, the environment and the machine to a full configuration. */
#include "sched/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aether/log.h"
#include "aether/time.h"
#include "arch/os.h"
#include "arch/watch.h"
#include "base/assert.h"

#define TASKS_MAX_DEFAULT (UINT32_C(1) << 22)
#define STACK_DEFAULT ((size_t)256 << 10)
#define STACK_MAX ((size_t)1 << 20)
#define POOL_DEFAULT 512u
#define FILES_DEFAULT 64u
#define NAMES_DEFAULT 16u
#define POOL_QUEUE_DEFAULT (UINT32_C(1) << 20)

/* The number in the variable; 0 if unset or no number in range. */
static unsigned number_from_env(const char *name, unsigned max)
{
    const char *text = ae__os_env(name);
    char *end;

    if (!text || !*text) return 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value == 0 || value > max) {
        ae_log(AE_WARN, "%s=%s is ignored: want a number from 1 to %u", name, text, max);
        return 0;
    }
    return (unsigned)value;
}

bool ae__env_is(const char *name, const char *value)
{
    const char *text = ae__os_env(name);

    return text && strcmp(text, value) == 0;
}

static void fill_workers(ae_config *config)
{
    if (ae__env_is("AE_FLAVOR", "current")) config->flavor = AE_CURRENT_THREAD;
    if (config->flavor == AE_CURRENT_THREAD) config->workers = 1;
    if (config->workers == 0) {
        config->workers = number_from_env("AE_WORKERS", AE__CONFIG_WORKERS_MAX);
    }
    if (config->workers == 0) config->workers = ae__os_cpus();
}

static void fill_driver(ae_config *config)
{
    if (config->driver != AE_DRIVER_AUTO) return;
    if (ae__env_is("AE_DRIVER", "uring")) {
        config->driver = AE_DRIVER_URING;
        return;
    }
    const char *text = ae__os_env("AE_DRIVER");
    if (text && *text && strcmp(text, "epoll") != 0 && strcmp(text, "auto") != 0) {
        ae_log(AE_WARN, "AE_DRIVER=%s is ignored: want auto, epoll or uring", text);
    }
    config->driver = AE_DRIVER_EPOLL;
}

/* ---- the monitor's thresholds ---- */

#if AE_ASAN || AE_TSAN
#define SLOWDOWN 10
#else
#define SLOWDOWN 1
#endif
#define US_MAX 3600000000u /* an hour */

static enum ae_stall stall_from_env(void)
{
    static const char *const names[] = { "auto", "off", "warn", "abort" };
    const char *text = ae__os_env("AE_STALL");

    if (!text || !*text) return AE_STALL_AUTO;
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) return (enum ae_stall)i;
    }
    ae_log(AE_WARN, "AE_STALL=%s is ignored: want off, warn or abort", text);
    return AE_STALL_AUTO;
}

static int64_t log_from_ns(enum ae_stall stall)
{
    if (stall == AE_STALL_WARN) return AE_MS / 10;
#if defined(AE_DEBUG) && AE_DEBUG
    if (stall == AE_STALL_AUTO && SLOWDOWN == 1) return AE_MS / 10;
#endif
    return 10 * AE_MS;
}

/* 0: as the variable says, else the default. < 0: never. */
static void fill_threshold(int64_t *ns, const char *variable, int64_t default_ns)
{
    if (*ns == 0) *ns = (int64_t)number_from_env(variable, US_MAX) * 1000;
    if (*ns == 0) *ns = default_ns > 0 ? default_ns * SLOWDOWN : -1;
}

static void fill_stall(ae_config *config)
{
    /* Under Valgrind all threads but one wait in the kernel at any time. */
    int64_t fits = ae__os_times_are_odd() ? -1 : 1;

    if (config->stall == AE_STALL_AUTO) config->stall = stall_from_env();
    if (config->stall == AE_STALL_OFF) {
        if (config->stall_count_ns == 0) config->stall_count_ns = -1;
        if (config->stall_log_ns == 0) config->stall_log_ns = -1;
    }
    if (config->rescue_ns == 0 && ae__env_is("AE_RESCUE", "off")) config->rescue_ns = -1;
    fill_threshold(&config->stall_count_ns, "AE_STALL_COUNT_US", fits * AE_MS / 10);
    fill_threshold(&config->rescue_ns, "AE_RESCUE_US", fits * AE_MS);
    fill_threshold(&config->stall_log_ns, "AE_STALL_LOG_US", fits * log_from_ns(config->stall));
}

static void fill_socket(ae_config *config)
{
    const char *text = ae__os_env("AE_DEBUG_SOCKET");

    if (text && *text) config->debug_socket = text;
    text = config->debug_socket;
    if (text && strcmp(text, "off") == 0) config->debug_socket = NULL;
}

static void fill_defaults(ae_config *config)
{
    fill_workers(config);
    fill_driver(config);
    fill_stall(config);
    fill_socket(config);
    if (config->tasks_max == 0) config->tasks_max = TASKS_MAX_DEFAULT;
    if (config->stack_bytes == 0) config->stack_bytes = STACK_DEFAULT;
    if (config->blocking_threads_max == 0) config->blocking_threads_max = POOL_DEFAULT;
    if (config->files_threads_max == 0) config->files_threads_max = FILES_DEFAULT;
    if (config->names_threads_max == 0) config->names_threads_max = NAMES_DEFAULT;
    if (config->blocking_queue_max == 0) config->blocking_queue_max = POOL_QUEUE_DEFAULT;
    if (config->blocking_keep_alive_ns == 0) config->blocking_keep_alive_ns = 10 * AE_SEC;
    if (config->shutdown_ns == 0) config->shutdown_ns = 30 * AE_SEC;
    if (!config->name) config->name = "aether";
    AE_ASSERT(config->workers > 0);
    AE_ASSERT(config->tasks_max > 0);
    AE_ASSERT(config->blocking_threads_max > 0);
}

int ae__config_read(const ae_config *in, ae_config *out)
{
    *out = (ae_config){ 0 };
    if (in) {
        if (in->size < offsetof(ae_config, workers)) return -EINVAL; /* AE_CONFIG is missing */
        memcpy(out, in, in->size < sizeof *out ? in->size : sizeof *out);
    }
    out->size = sizeof *out;
    if (out->flavor != AE_MULTI_THREAD && out->flavor != AE_CURRENT_THREAD) return -EINVAL;
    if (out->workers > AE__CONFIG_WORKERS_MAX) return -EINVAL;
    if (out->stack_bytes > STACK_MAX) return -EINVAL;
    if (out->blocking_keep_alive_ns < 0) return -EINVAL;
    if (out->driver > AE_DRIVER_URING) return -EINVAL;
    if (out->stall > AE_STALL_ABORT) return -EINVAL;
    fill_defaults(out);
    return 0;
}
