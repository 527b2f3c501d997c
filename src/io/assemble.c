/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that a runtime is made of. The scheduler knows them by this table alone, so that it
 * depends on no layer below its own. */
#include "blocking/pool.h"
#include "driver/choose.h"
#include "driver/epoll.h"
#include "driver/sim_start.h"
#include "sched/driver.h"

const struct ae__parts ae__parts = {
    .driver = &ae__chosen_ops,
    .simulate = ae__sim_start,
    .pool_create = ae__pool_create,
    .pool_stop = ae__pool_stop,
    .pool_destroy = ae__pool_destroy,
    .pool_stats = ae__pool_stats,
    .fd_watch = ae__foreign_watch,
    .fd_unwatch = ae__foreign_unwatch,
};
