/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking pool as a whole, for blocking.c and the runtime's table of parts (driver.h). */
#ifndef AE_BLOCKING_LANES_H
#define AE_BLOCKING_LANES_H

#include "blocking/pool.h"

int ae__lanes_create(struct ae_runtime *rt, struct ae__lanes **out);
void ae__lanes_stop(struct ae__lanes *lanes);    /* running and queued jobs are waited for */
void ae__lanes_destroy(struct ae__lanes *lanes); /* after stop; accepts NULL */
void ae__lanes_stats(struct ae__lanes *lanes, enum ae_lane lane, struct ae__pool_stats *out);

struct ae__pool *ae__lane(struct ae__lanes *lanes, enum ae_lane lane);

#endif
