/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel (T1..T6 of sched/wheel.h) against those who sleep on its timers: fire against
 * cancel and disarm, two workers that advance one wheel, and an owner that goes to sleep while an
 * earlier timer is armed. */
#include "environment.h"

#include <string.h>

#include "sched/wheel.h"

#define MS INT64_C(1000000)

static struct ae__wheel wheel;

static struct sleep_frame { /* stands for the stack frame of a sleeping task */
    struct ae__timer timer;
    uint32_t sequence;
} frames[2];

static uint16_t reasons[ACTORS];
static int fired[2];
static int64_t now_ns;

static void reset(void)
{
    env_reset();
    model_revive(frames, sizeof frames);
    memset(frames, 0, sizeof frames);
    memset(&wheel.lock, 0, sizeof wheel.lock);
    memset(wheel.occupied, 0, sizeof wheel.occupied);
    memset(wheel.slots[0], 0, sizeof wheel.slots[0]);
    memset(wheel.slots[1], 0, sizeof wheel.slots[1]);
    memset(wheel.slots[2], 0, sizeof wheel.slots[2]);
    wheel.fired = 0;
    ae__wheel_init(&wheel, 0);
    memset(reasons, 0, sizeof reasons);
    memset(fired, 0, sizeof fired);
    now_ns = 2 * MS;
    model_name(&wheel.lock, "wheel.lock");
    model_name(&wheel.next_ns, "wheel.next");
    model_name(&wheel, "wheel");
    model_name(&frames, "frame");
}

static void fire(struct ae__timer *timer, struct ae__wakes *wakes)
{
    struct sleep_frame *frame = AE_CONTAINER_OF(timer, struct sleep_frame, timer);
    int i = (int)(frame - frames);

    fired[i]++;
    (void)ae__wait_wake(&env_threads[i + 1].actor, frame->sequence, AE__REASON_TIME, wakes);
}

/* As ae_sleep does it. */
static void sleep_ms(int i, int64_t ms, bool cancellable)
{
    struct ae__actor *self = ae__actor_self();
    struct sleep_frame *frame = &frames[i];

    frame->sequence = ae__wait_begin(self, cancellable, AE__WAIT_SLEEP, NULL);
    frame->timer.fire = fire;
    (void)ae__wheel_arm(&wheel, &frame->timer, ms * MS);
    reasons[i] = ae__wait_park(self);
    ae__wheel_disarm(&wheel, &frame->timer);
    model_free(frame, sizeof *frame);
}

static void sleeper(void *arg)
{
    sleep_ms((int)(intptr_t)arg, 1 + (intptr_t)arg, true);
}

static void sleeper_like(void *arg)
{
    sleep_ms((int)(intptr_t)arg, 1, true); /* one slot for all */
}

static void advance_once(void)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__wheel_advance(&wheel, now_ns, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

static void advancer(void *arg)
{
    (void)arg;
    advance_once();
}

static bool armed(void *arg)
{
    (void)arg;
    return ae__wheel_next(&wheel) != INT64_MAX || fired[0] > 0;
}

static void advance_when_armed(void *arg)
{
    (void)arg;
    model_block(armed, NULL, "a timer");
    for (;;) { /* next_ns is a hint: an older one is caught up with */
        advance_once();
        if (atomic_load_explicit(&wheel.fired, memory_order_relaxed) > 0) break;
        model_spin();
    }
}

static void canceller(void *arg)
{
    (void)arg;
    env_cancel(1);
}

/* ---- fire against cancel ---- */

static void cancel_setup(void)
{
    reset();
    model_thread(sleeper, (void *)0);
    model_thread(advancer, NULL);
    model_thread(canceller, NULL);
}

static void cancel_check(void)
{
    model_assert(reasons[0] == AE__REASON_CANCEL || reasons[0] == AE__REASON_TIME);
    model_assert(fired[0] <= 1);
    model_assert(reasons[0] != AE__REASON_TIME || fired[0] == 1);
    model_assert(wheel.fired == (uint64_t)fired[0]);
}

MODEL(fire_cancel, "a timer fires or is disarmed, nothing later", cancel_setup, cancel_check, 4, 1)

/* ---- two advancers, two timers ---- */

static bool both_armed(void *arg)
{
    (void)arg;
    return (env_threads[1].actor.wait & 0xff) == AE__WAIT_PARKED &&
           (env_threads[2].actor.wait & 0xff) == AE__WAIT_PARKED;
}

static void last_advancer(void *arg)
{
    (void)arg;
    model_block(both_armed, NULL, "two sleepers");
    for (;;) { /* next_ns is a hint: an older one is caught up with */
        advance_once();
        if (fired[0] + fired[1] == 2) break;
        model_spin();
    }
}

static void both_setup(void)
{
    reset();
    model_thread(sleeper_like, (void *)0);
    model_thread(sleeper_like, (void *)1);
    model_thread(last_advancer, NULL);
}

static void both_check(void)
{
    for (int i = 0; i < 2; i++) {
        model_assert(reasons[i] == AE__REASON_TIME);
        model_assert(fired[i] == 1);
    }
    model_assert(ae__wheel_next(&wheel) == INT64_MAX);
}

MODEL(fire_two, "two timers of one slot's list, one look", both_setup, both_check, 3, 1)

static void rival_check(void)
{
    model_assert(reasons[0] == AE__REASON_TIME && fired[0] == 1);
}

static void rivals_setup(void)
{
    reset();
    model_thread(sleeper, (void *)0);
    model_thread(advance_when_armed, NULL);
    model_thread(advance_when_armed, NULL);
}

MODEL(fire_rivals, "two workers advance one wheel", rivals_setup, rival_check, 3, 1)

/* ---- T6: the owner sleeps until next_ns, somebody arms an earlier one ---- */

static _Atomic(uint32_t) latch;
static int64_t slept_until;

static bool awake(void *arg)
{
    (void)arg;
    return atomic_load_explicit(&latch, memory_order_relaxed) != 0;
}

static void owner(void *arg)
{
    (void)arg;
    slept_until = ae__wheel_park(&wheel);
    if (slept_until > 2 * MS) model_block(awake, NULL, "driver poll");
    ae__wheel_unpark(&wheel);
    advance_once();
}

static void arm_early(void *arg)
{
    struct ae__actor *self = ae__actor_self();
    struct sleep_frame *frame = &frames[1];

    (void)arg;
    frame->sequence = ae__wait_begin(self, false, AE__WAIT_SLEEP, NULL);
    frame->timer.fire = fire;
    if (ae__wheel_arm(&wheel, &frame->timer, MS))
        atomic_store_explicit(&latch, 1, memory_order_release);
    reasons[1] = ae__wait_park(self);
    ae__wheel_disarm(&wheel, &frame->timer);
    model_free(frame, sizeof *frame);
}

static void early_setup(void)
{
    reset();
    atomic_init(&latch, 0);
    slept_until = 0;
    model_name(&latch, "latch");
    (void)ae__wheel_arm(&wheel, &frames[0].timer, 10 * MS);
    model_thread(owner, NULL);
    model_thread(arm_early, NULL);
}

static void early_check(void)
{
    model_assert(reasons[1] == AE__REASON_TIME && fired[1] == 1);
    model_assert(fired[0] == 0 && ae__wheel_next(&wheel) <= 10 * MS); /* T5 */
}

MODEL(arm_while_parking, "an earlier timer wakes the sleeping owner", early_setup, early_check, 6,
      2)
