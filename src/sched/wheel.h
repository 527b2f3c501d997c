/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel of one worker slot: six levels of 256 slots, microseconds at the lowest.
 *
 * After Varghese and Lauck (1987), with the level found from the highest byte in which the time
 * differs from the wheel's own (so all of a level share the bytes above).
 *
 * T1  Every field but next_ns is guarded by the lock; so are next and link of the timers in it.
 * T2  A timer in a slot of level L differs from now_us first in byte L (or is clamped to the top
 *     level); so the lowest occupied level holds the earliest timer.
 * T3  link == NULL: not in the wheel. fire runs once per arming, under the lock, after the unlink;
 *     disarm takes the lock, so after it fire neither runs nor will.
 * T4  A timer never fires before its time: its microsecond is rounded up.
 * T5  next_ns is never later than the earliest timer.
 * T6  parked_ns, set under the lock with the sleep's end: who arms an earlier one wakes the
 * owner. */
#ifndef AE_SCHED_WHEEL_H
#define AE_SCHED_WHEEL_H

#include "sched/wait.h"

#define AE__WHEEL_LEVELS 6
#define AE__WHEEL_SLOTS 256

struct ae__wheel {
    AE_CACHE_ALIGNED struct ae__lock lock;
    uint32_t slot;                       /* of which worker; set at start */
    struct ae_runtime *rt;
    _Atomic(int64_t) next_ns;            /* INT64_MAX: empty */
    int64_t parked_ns;                   /* INT64_MIN: the owner is awake */
    uint64_t now_us;
    _Atomic(uint64_t) fired;             /* written under the lock, read by anyone */
    uint64_t occupied[AE__WHEEL_LEVELS][AE__WHEEL_SLOTS / 64];
    struct ae__timer *slots[AE__WHEEL_LEVELS][AE__WHEEL_SLOTS];
};

void ae__wheel_init(struct ae__wheel *wheel, int64_t now_ns);

/* True: the sleeping owner must be woken (T6). */
bool ae__wheel_arm(struct ae__wheel *wheel, struct ae__timer *timer, int64_t when_ns);
void ae__wheel_disarm(struct ae__wheel *wheel, struct ae__timer *timer);

/* Fire what is due; what they claim goes onto wakes. Any worker may. */
void ae__wheel_advance(struct ae__wheel *wheel, int64_t now_ns, struct ae__wakes *wakes);

/* The owner goes to sleep: when it must be awake again. And awake. */
int64_t ae__wheel_park(struct ae__wheel *wheel);
void ae__wheel_unpark(struct ae__wheel *wheel);

static inline int64_t ae__wheel_next(struct ae__wheel *wheel)
{
    return atomic_load_explicit(&wheel->next_ns, memory_order_relaxed);
}

#endif
