/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of parallel work: the same function on pools of every size, from every kind of caller.
 * */
#ifndef AE_TESTS_PAR_TEST_H
#define AE_TESTS_PAR_TEST_H

#include "actors.h"

/* Run on a pool of its own with so many threads, from a task, a plain thread, and a pool job. */
struct on_pool {
    ae_par_pool *pool;
    ae_fn *fn;
    void *arg;
};

static inline int enter_pool(void *arg)
{
    struct on_pool *on = arg;

    return ae_par_run(on->pool, on->fn, on->arg);
}

static inline int enter_blocking(void *arg)
{
    return ae_blocking(enter_pool, arg);
}

static inline ae_par_pool *pool_of(unsigned workers)
{
    ae_par_config config = { .size = sizeof config, .workers = workers };
    ae_par_pool *pool = NULL;

    REQUIRE(ae_par_pool_create(&config, &pool) == 0);
    return pool;
}

static inline void everywhere(ae_fn *fn, void *arg)
{
    for (unsigned workers = 1; workers <= 4; workers++) {
        struct on_pool on = { pool_of(workers), fn, arg };
        EXPECT_EQ(enter_pool(&on), 0);
        EXPECT_EQ(run_with(2, enter_pool, &on), 0);
        EXPECT_EQ(run_with(1, enter_blocking, &on), 0);
        ae_par_pool_destroy(on.pool);
    }
}

/* ---- what several files use ---- */

static inline int count_call(void *arg)
{
    atomic_fetch_add((_Atomic(long) *)arg, 1);
    return 0;
}

static inline int count_items(void *arg, size_t begin, size_t end)
{
    atomic_fetch_add((_Atomic(long) *)arg, (long)(end - begin));
    return 0;
}

#endif
