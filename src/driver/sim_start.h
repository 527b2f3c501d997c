/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this process is simulated, for the files that talk to the real system. */
#ifndef AE_DRIVER_SIM_START_H
#define AE_DRIVER_SIM_START_H

#include <stdbool.h>

#include "arch/os.h"

/* If the environment says so, and none has begun: begin one. Before the first thread. */
void ae__sim_start(void);

/* Is there a simulation? */
static inline bool ae__simulated(void)
{
    return ae__os_simulated != NULL;
}

#endif
