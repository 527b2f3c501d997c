/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel against a plain list, in virtual time. */
#include "sched/wheel.h"

#include <stdlib.h>

#include "base/rng.h"
#include "test.h"

struct probe {
    struct ae__timer timer;
    int fired;
};

static int64_t clock_ns;
static int early;

static void fire(struct ae__timer *timer, struct ae__wakes *wakes)
{
    (void)wakes;
    AE_CONTAINER_OF(timer, struct probe, timer)->fired++;
    if (timer->when_ns > clock_ns) early++;
}

static void advance(struct ae__wheel *wheel, int64_t now_ns)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    clock_ns = now_ns;
    ae__wheel_advance(wheel, now_ns, &wakes);
}

static struct ae__wheel *make(int64_t now_ns)
{
    struct ae__wheel *wheel = aligned_alloc(64, (sizeof *wheel + 63) / 64 * 64);

    *wheel = (struct ae__wheel){ .slot = 0 };
    ae__wheel_init(wheel, now_ns);
    return wheel;
}

static bool arm(struct ae__wheel *wheel, struct probe *probe, int64_t when_ns)
{
    probe->timer.fire = fire;
    return ae__wheel_arm(wheel, &probe->timer, when_ns);
}

enum { PROBES = 400, STEPS = 4000 };

static int64_t some_delay(uint64_t *rng)
{
    unsigned bits = ae__rng_below(rng, 44);

    return (int64_t)(((uint64_t)ae__rng_next(rng) << 12 | 5) & ((UINT64_C(1) << bits) - 1));
}

TEST(timers_fire_once_never_early_and_never_later_than_the_next_look)
{
    static struct probe probes[PROBES];
    uint64_t rng = 12345;
    int64_t now_ns = 987654321;
    struct ae__wheel *wheel = make(now_ns);
    int expected = 0, fired = 0;

    for (int step = 0; step < STEPS; step++) {
        struct probe *probe = &probes[ae__rng_below(&rng, PROBES)];
        if (!probe->timer.link) {
            (void)arm(wheel, probe, now_ns + some_delay(&rng));
            expected++;
        } else if (ae__rng_below(&rng, 4) == 0) {
            ae__wheel_disarm(wheel, &probe->timer);
            expected--;
        }
        now_ns += some_delay(&rng) / 64;
        advance(wheel, now_ns);
        for (int i = 0; i < PROBES; i++) {
            if (!probes[i].timer.link) continue;
            EXPECT_GT(probes[i].timer.when_ns, now_ns - 1000); /* due ones are gone, to the us */
            EXPECT_LE(ae__wheel_next(wheel), (probes[i].timer.when_ns / 1000 + 1) * 1000);
        }
    }
    advance(wheel, now_ns + (INT64_C(1) << 56));
    for (int i = 0; i < PROBES; i++) {
        EXPECT_NULL(probes[i].timer.link);
        fired += probes[i].fired;
    }
    EXPECT_EQ(fired, expected);
    EXPECT_EQ(early, 0);
    free(wheel);
}

TEST(an_earlier_timer_says_that_the_sleeping_owner_must_wake)
{
    static struct probe first, earlier, later;
    struct ae__wheel *wheel = make(1000000);

    EXPECT_FALSE(arm(wheel, &first, 5000000)); /* the owner is awake */
    int64_t deadline_ns = ae__wheel_park(wheel);
    EXPECT_LE(deadline_ns, 5000000);
    EXPECT_FALSE(arm(wheel, &later, 50000000));
    EXPECT_TRUE(arm(wheel, &earlier, 1500000));
    ae__wheel_unpark(wheel);
    advance(wheel, 100000000);
    EXPECT_EQ(first.fired + earlier.fired + later.fired, 3);
    EXPECT_EQ(ae__wheel_next(wheel), INT64_MAX);
    free(wheel);
}

TEST(times_at_the_end_of_the_clock_are_kept)
{
    static struct probe never, past;
    struct ae__wheel *wheel = make(1000000);

    (void)arm(wheel, &never, INT64_MAX);
    (void)arm(wheel, &past, -5);
    advance(wheel, 1000000 + (INT64_C(1) << 55));
    EXPECT_EQ(never.fired, 0);
    EXPECT_EQ(past.fired, 1);
    ae__wheel_disarm(wheel, &never.timer);
    ae__wheel_disarm(wheel, &never.timer);
    free(wheel);
}
