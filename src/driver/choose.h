/* SPDX-License-Identifier: Apache-2.0 */
/* Which driver a runtime has: see choose.c. */
#ifndef AE_DRIVER_CHOOSE_H
#define AE_DRIVER_CHOOSE_H

#include "sched/driver.h"

/* The table of either: each call goes to the driver that the runtime has. */
extern const struct ae__driver_ops ae__chosen_ops;
extern const struct ae__driver_ops ae__sim_ops; /* sim_driver.c */

#endif
