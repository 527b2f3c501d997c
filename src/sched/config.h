/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user asked for, the environment and the machine to a full configuration. */
#ifndef AE_SCHED_CONFIG_H
#define AE_SCHED_CONFIG_H

#include "aether/run.h"

#define AE__CONFIG_WORKERS_MAX 1024u

/* 0 or -EINVAL. */
int ae__config_read(const ae_config *in, ae_config *out);
/* Is the environment variable set to this? */
bool ae__env_is(const char *name, const char *value);

#endif
