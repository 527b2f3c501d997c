/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that a runtime is made of. The scheduler knows them by this table alone, so that it
 * depends on no layer below its own. */
#include "blocking/lanes.h"
#include "driver/choose.h"
#include "driver/control.h"
#include "driver/epoll.h"
#include "driver/sim_start.h"
#include "sched/driver.h"

const struct ae__parts ae__parts = {
    .driver = &ae__chosen_ops,
    .simulate = ae__sim_start,
    .lanes_create = ae__lanes_create,
    .lanes_stop = ae__lanes_stop,
    .lanes_destroy = ae__lanes_destroy,
    .lanes_stats = ae__lanes_stats,
    .fd_watch = ae__foreign_watch,
    .fd_unwatch = ae__foreign_unwatch,
    .control_start = ae__control_start,
    .control_stop = ae__control_stop,
};
