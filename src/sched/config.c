/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user asked for, the environment and the machine to a full configuration. */
#include "sched/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aether/log.h"
#include "aether/time.h"
#include "arch/os.h"
#include "base/assert.h"

#define TASKS_MAX_DEFAULT (UINT32_C(1) << 22)
#define STACK_DEFAULT ((size_t)256 << 10)
#define STACK_MAX ((size_t)1 << 20)
#define POOL_DEFAULT 512u
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

static void fill_defaults(ae_config *config)
{
    fill_workers(config);
    fill_driver(config);
    if (config->tasks_max == 0) config->tasks_max = TASKS_MAX_DEFAULT;
    if (config->stack_bytes == 0) config->stack_bytes = STACK_DEFAULT;
    if (config->blocking_threads_max == 0) config->blocking_threads_max = POOL_DEFAULT;
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
    fill_defaults(out);
    return 0;
}
