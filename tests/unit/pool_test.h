/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the blocking pool share: jobs that stand at a gate, counts, configurations. */
#ifndef AE_TESTS_POOL_TEST_H
#define AE_TESTS_POOL_TEST_H

#include "actors.h"
#include "arch/os.h"
#include "blocking/lanes.h"
#include "sched/types.h"

/* Jobs stop here until the test opens it; `inside` counts those that have begun. */
static struct {
    ae_event open;
    _Atomic(int) inside, ran;
} gate;

static inline int pass_gate(void *arg)
{
    ae_scope scope;
    ae_shield shield;

    (void)arg;
    atomic_fetch_add(&gate.inside, 1);
    ae_shield_begin(&shield, -1); /* also when cancelled: the test wants it to stand here */
    ae_scope_begin(&scope);
    int rc = ae_scope_end(&scope, ae_event_wait(&gate.open));
    ae_shield_end(&shield);
    atomic_fetch_add(&gate.ran, 1);
    return rc;
}

static inline void gate_close(void)
{
    ae_event_reset(&gate.open);
    atomic_store(&gate.inside, 0);
    atomic_store(&gate.ran, 0);
}

static inline void until(_Atomic(int) *count, int wanted)
{
    while (atomic_load(count) < wanted) {
        give_way();
    }
}

static inline struct ae__pool_stats stats(void)
{
    struct ae__pool_stats out;

    ae__lanes_stats(ae__runtime_lanes(ae__runtime_self()), AE_LANE_USER, &out);
    return out;
}

static inline int run_config(ae_config config, ae_fn *fn, void *arg)
{
    config.size = sizeof config;
    if (config.workers == 0) config.workers = 2;
    return ae_run(&config, fn, arg);
}

static inline int thread_of(void *arg)
{
    *(uint64_t *)arg = ae__os_thread_id();
    return 5;
}

static inline int mark(void *arg)
{
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return 0;
}

static inline int calls_mark(void *arg)
{
    return ae_blocking(mark, arg);
}

#endif
