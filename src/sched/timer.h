/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: armed on the wheel of the current worker, fired by whichever worker advances it.
 *
 * fire(timer, wakes) runs under the wheel's lock with the timer already out of the wheel; it may
 * claim actors (onto wakes) and take node locks, nothing else. disarm always takes the wheel's
 * lock, so when it returns fire has either finished or will never run: the memory may go. */
#ifndef AE_SCHED_TIMER_H
#define AE_SCHED_TIMER_H

#include "sched/wait.h"

struct ae_runtime;

/* From a worker of rt: its own wheel; from any other thread: the first worker's. when_ns in the
 * past fires at the next look. The timer must not be armed. Never suspends. */
void ae__timer_arm(struct ae_runtime *rt, struct ae__timer *timer, int64_t when_ns,
                   void (*fire)(struct ae__timer *, struct ae__wakes *));

/* Idempotent; the timer must have been armed once. */
void ae__timer_disarm(struct ae__timer *timer);

#endif
