/* SPDX-License-Identifier: Apache-2.0 */
/* Rescue: while a task does not give its worker back, others do what waits there. See rescue.c. */
#ifndef AE_SCHED_RESCUE_H
#define AE_SCHED_RESCUE_H

#include <stdbool.h>
#include <stdint.h>

struct ae_runtime;
struct ae__watch;
struct ae__worker;

/* Changes only as X1 in rescue.c says. */
enum ae__duty { AE__RESTS, AE__CALLED, AE__LEAVES };

#define AE__SPARES_MAX 16u

/* How many spare slots the runtime shall have. */
uint32_t ae__rescue_spares(const struct ae_runtime *rt);

/* By the monitor. begin: `w` is stuck; called again while watch->stuck is false. help: it still is.
 * end: it is not any more. settle: after each look at all workers. */
void ae__rescue_begin(struct ae_runtime *rt, struct ae__worker *w, struct ae__watch *watch);
void ae__rescue_help(struct ae_runtime *rt, struct ae__worker *w);
void ae__rescue_end(struct ae_runtime *rt, struct ae__watch *watch);
void ae__rescue_settle(struct ae_runtime *rt);

/* By the spare's own thread, in place of ae__worker_step. */
void ae__spare_step(struct ae__worker *w);
/* The same thread has polled its driver, and with it the one that it covers. */
void ae__spare_polled(struct ae__worker *w);

#endif
