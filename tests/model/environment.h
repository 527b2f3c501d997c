/* SPDX-License-Identifier: Apache-2.0 */
/* What models of the runtime share: model threads as plain threads of the library (actors), parked
 * by their token as sched/thread.c does it. */
#ifndef MODEL_ENVIRONMENT_H
#define MODEL_ENVIRONMENT_H

#include "model.h"
#include "sched/sched.h"
#include "sched/seam.h"

enum { ACTORS = MODEL_THREADS_MAX };

extern struct ae__thread env_threads[ACTORS];

/* All records as new. Call first in setup. */
void env_reset(void);

/* Cancel what the thread's base node stands for: first the flag, then the claim (W4). */
void env_cancel(int thread);

/* A task was made ready; for the model to define. */
void env_ready_task(struct ae__task *task);

#endif
