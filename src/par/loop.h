/* SPDX-License-Identifier: Apache-2.0 */
/* The loop that all others are made of: a fold over a range, split on demand. */
#ifndef AE_PAR_LOOP_H
#define AE_PAR_LOOP_H

#include "par/pool.h"

#define AE__PAR_ACC_BYTES 128 /* accumulators up to this need no memory of their own */

struct ae__par_loop {
    ae_par_fold *fold;
    ae_par_merge *merge;          /* NULL: nothing is accumulated */
    void *arg;
    size_t acc_bytes;
    const void *neutral;          /* what a new accumulator holds */
    size_t grain_min, grain_max;  /* >= 1 */
    _Atomic(int) stop;            /* first result that was not 0 */
};

/* Run it on a par worker. 0, -ECANCELED, or what stopped it. */
int ae__par_loop_run(struct ae__par_loop *loop, struct ae__par_worker *w, size_t begin, size_t end,
                     void *acc);

#endif
