/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says of a runtime: lines are the values of its variables. */
#include "fuzz.h"
#include "sched/config.h"

#include <stdlib.h>

static void set_line(const char *name, struct input *in)
{
    char *value = take_text(in);

    if (value && *value) {
        setenv(name, value, 1);
    } else {
        unsetenv(name);
    }
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    ae_config out, asked = { AE_CONFIG, .workers = take_byte(&in) };

    setenv("AE_LOG", "off", 1);
    set_line("AE_WORKERS", &in);
    set_line("AE_FLAVOR", &in);
    CHECK(ae__config_read(&asked, &out) == 0);
    CHECK(out.workers >= 1 && out.workers <= AE__CONFIG_WORKERS_MAX);
    CHECK(out.flavor == AE_CURRENT_THREAD ? out.workers == 1
                                          : !asked.workers || out.workers == asked.workers);
    CHECK(out.stack_bytes > 0 && out.tasks_max > 0 && out.shutdown_ns != 0);
    return 0;
}
