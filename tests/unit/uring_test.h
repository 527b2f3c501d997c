/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the io_uring driver share: runtimes with rings, where those are to be had. */
#ifndef AE_TESTS_URING_TEST_H
#define AE_TESTS_URING_TEST_H

#include "driver/uring.h"
#include "io_test.h"

static inline bool has_rings(void)
{
    const char *why;

    if (ae__uring_trial(&why) == 0) return true;
    test_note("not tested: %s", why);
    return false;
}

static inline void run_on_rings(unsigned workers, ae_fn *body, void *arg)
{
    const ae_config config = { AE_CONFIG, .workers = workers, .driver = AE_DRIVER_URING };

    EXPECT_EQ(ae_run(&config, body, arg), 0);
}

static inline void run_both_on_rings(ae_fn *body, void *arg)
{
    if (!has_rings()) return;
    run_on_rings(1, body, arg);
    run_on_rings(2, body, arg);
}

#endif
