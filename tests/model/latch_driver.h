/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O driver of models whose workers only sleep and are woken: a latch, as an eventfd would be.
 * A definition, for one source of a program. */
#ifndef LATCH_DRIVER_H
#define LATCH_DRIVER_H

#include "model.h"
#include "sched/driver.h"
#include "sched/sched.h"

struct ae__driver {
    _Atomic(uint32_t) latch;
};

static bool latched(void *arg)
{
    return atomic_load_explicit(&((struct ae__driver *)arg)->latch, memory_order_relaxed) != 0;
}

static void driver_poll(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes)
{
    (void)wakes;
    if (deadline_ns <= AE__POLL_PEEK) return;
    model_block(latched, driver, "driver poll");
    atomic_exchange_explicit(&driver->latch, 0, memory_order_relaxed);
}

static void driver_wake(struct ae__driver *driver)
{
    atomic_store_explicit(&driver->latch, 1, memory_order_relaxed);
}

static const struct ae__driver_ops driver_ops = {
    .name = "model",
    .poll = driver_poll,
    .wake = driver_wake,
};

const struct ae__parts ae__parts = { .driver = &driver_ops };

#endif
