/* SPDX-License-Identifier: Apache-2.0 */
/* Time: a monotonic clock in int64 nanoseconds, sleeping, intervals. */
#ifndef AETHER_TIME_H
#define AETHER_TIME_H

#include <aether/defs.h>

AE_EXTERN_C_BEGIN

#define AE_US INT64_C(1000)
#define AE_MS INT64_C(1000000)
#define AE_SEC INT64_C(1000000000)
#define AE_FOREVER INT64_MAX /* as a deadline: none */

/* CLOCK_MONOTONIC in nanoseconds. Colour: any thread. */
AE_API int64_t ae_now(void);

/* Sleep for so long / until then, to the microsecond, never less. 0 or -ECANCELED.
 * A time in the past returns at once (a task: after giving way by the budget's rule).
 * Colour: any thread, may block. */
AE_API int ae_sleep(int64_t ns) AE_MUST_CHECK;
AE_API int ae_sleep_until(int64_t when_ns) AE_MUST_CHECK;

/* What a tick does after a late one. */
enum ae_missed {
    AE_MISSED_BURST, /* catch up: ticks at once until on time */
    AE_MISSED_DELAY, /* the next tick is a full period after the late one */
    AE_MISSED_SKIP,  /* the next tick is the next multiple of the period */
};

typedef struct ae_interval {
    int64_t next_ns;
    int64_t period_ns;
    enum ae_missed missed;
} ae_interval;

/* The first tick is one period from now. `period_ns` > 0. Colour: any thread. */
AE_API void ae_interval_init(ae_interval *interval, int64_t period_ns, enum ae_missed missed);

/* Sleep until the next tick. 0 or -ECANCELED (then the tick is not consumed).
 * Colour: any thread, may block. */
AE_API int ae_interval_tick(ae_interval *interval) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
