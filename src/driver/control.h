/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket of a runtime: see control.c. */
#ifndef AE_DRIVER_CONTROL_H
#define AE_DRIVER_CONTROL_H

struct ae_runtime;

/* where: a path, or "on" for the usual place. NULL: there is none, and the log says why. */
void *ae__control_start(struct ae_runtime *rt, const char *where);
void ae__control_stop(void *control); /* accepts NULL; ends an answer that is under way */

#endif
