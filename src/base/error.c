/* SPDX-License-Identifier: Apache-2.0 */
/* Names of errors, and the version. */
#include <errno.h>
#include <string.h>

#include "aether/defs.h"

struct name {
    int rc;
    const char *text;
};

/* The codes that the runtime itself gives a meaning; the system's words serve for the others. */
static const struct name names[] = {
    { 0, "success" },
    { -ECANCELED, "cancelled: an enclosing scope ended" },
    { -ETIMEDOUT, "deadline passed" },
    { -ESHUTDOWN, "the runtime is shutting down" },
    { -EPIPE, "closed by the other side" },
    { -ESRCH, "no such task" },
    { -ENOMEM, "out of memory or tasks" },
    { -EAGAIN, "not now: try again" },
};

const char *ae_strerror(int rc)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].rc == rc) return names[i].text;
    }
    if (rc > 0) return "success";
    const char *text = strerrordesc_np(-rc);
    return text ? text : "unknown error";
}

const char *ae_version(void)
{
    return AE_VERSION;
}
