/* SPDX-License-Identifier: Apache-2.0 */
/* The timer wheel against a list: the input is a program of arm, disarm, advance, park. */
#include "fuzz.h"
#include "sched/wheel.h"

#include <stdbool.h>

enum { TIMERS = 24 };

struct probe {
    struct ae__timer timer;
    bool armed; /* the model's opinion */
    int64_t when_ns;
};

static struct probe probes[TIMERS];
static int64_t now_ns;

static void fire(struct ae__timer *timer, struct ae__wakes *wakes)
{
    struct probe *probe = AE_CONTAINER_OF(timer, struct probe, timer);

    (void)wakes;
    CHECK(probe->armed && probe->when_ns <= now_ns);
    probe->armed = false;
}

/* Due to the microsecond: it is rounded up. */
static bool due(const struct probe *probe)
{
    return probe->when_ns <= now_ns - 1000;
}

static void check_all(struct ae__wheel *wheel)
{
    for (int i = 0; i < TIMERS; i++) {
        CHECK(probes[i].armed == (probes[i].timer.link != NULL));
        if (!probes[i].armed) continue;
        CHECK(!due(&probes[i]));
        CHECK(ae__wheel_next(wheel) <= (probes[i].when_ns / 1000 + 1) * 1000);
    }
}

/* Every scale up to an hour, so that all levels are met. */
static int64_t take_delay(struct input *in)
{
    unsigned bits = take_byte(in) % 43;

    return (int64_t)(take_number(in, 6) & ((UINT64_C(1) << bits) - 1));
}

static void advance(struct ae__wheel *wheel, int64_t delay_ns)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    now_ns += delay_ns;
    ae__wheel_advance(wheel, now_ns, &wakes);
    check_all(wheel);
}

static void arm(struct ae__wheel *wheel, struct probe *probe, int64_t when_ns, int64_t parked_ns)
{
    if (probe->armed) return;
    probe->armed = true;
    probe->when_ns = when_ns;
    probe->timer.fire = fire;
    bool wake = ae__wheel_arm(wheel, &probe->timer, when_ns);
    if (parked_ns < 0) CHECK(!wake); /* nobody sleeps */
    if (parked_ns >= 0 && when_ns + 1000 < parked_ns) CHECK(wake);
}

static void step(struct ae__wheel *wheel, struct input *in, int64_t *parked_ns)
{
    uint8_t op = take_byte(in);
    struct probe *probe = &probes[op / 8 % TIMERS];

    switch (op % 8) {
    case 0:
    case 1:
    case 2:
        arm(wheel, probe, now_ns + take_delay(in), *parked_ns);
        break;
    case 3:
        ae__wheel_disarm(wheel, &probe->timer);
        probe->armed = false;
        break;
    case 4:
        if (*parked_ns < 0) *parked_ns = ae__wheel_park(wheel);
        break;
    case 5:
        if (*parked_ns >= 0) ae__wheel_unpark(wheel);
        *parked_ns = -1;
        break;
    default:
        advance(wheel, take_delay(in));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ae__wheel wheel;
    struct input in = { data, data + size };
    int64_t parked_ns = -1;

    memset(&wheel, 0, sizeof wheel);
    memset(probes, 0, sizeof probes);
    now_ns = (int64_t)(take_number(&in, 4) * 1000);
    ae__wheel_init(&wheel, now_ns);
    while (in.at < in.end)
        step(&wheel, &in, &parked_ns);
    advance(&wheel, INT64_C(1) << 50);
    for (int i = 0; i < TIMERS; i++)
        CHECK(!probes[i].armed);
    return 0;
}
