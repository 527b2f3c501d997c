/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder: entries come out whole and in order, the newest when there were more, and
 * while it is being written (V1, V2 in recorder.h). */
#include "sched/recorder.h"

#include <pthread.h>
#include <stdlib.h>

#include "aether/metrics.h"
#include "sched/types.h"
#include "test.h"

/* Far enough apart to be kept each. */
static uint64_t time_of(uint64_t n)
{
    return (n + 1) * ae__cpu_ticks_per_ms();
}

static void write_entry(struct ae__recorder *r, uint64_t n)
{
    ae__record(r, AE__EVENT_SLICE, time_of(n), 7 * n, (uint32_t)n, (uint32_t)n + 1, ~n);
}

static bool is_entry(const struct ae__entry_copy *e, uint64_t n)
{
    return e->begin == time_of(n) && e->length == 7 * n && e->value == ~n &&
           ae__entry_task(e) == (uint32_t)n && ae__entry_kind(e) == AE__EVENT_SLICE &&
           ae__entry_generation(e) == (((uint32_t)n + 1) & 0xffffff);
}

static struct ae__entry_copy copies[AE__RECORDER_SIZE];

TEST(entries_come_out_as_they_were_written)
{
    struct ae__recorder *r = ae__recorder_create();

    REQUIRE(r);
    EXPECT_EQ(ae__recorder_read(r, copies), 0);
    for (uint64_t n = 0; n < 10; n++) write_entry(r, n);
    REQUIRE(ae__recorder_read(r, copies) == 10);
    for (uint64_t n = 0; n < 10; n++) EXPECT_TRUE(is_entry(&copies[n], n));
    ae__recorder_destroy(r);
    ae__recorder_destroy(NULL);
}

TEST(a_full_ring_keeps_the_newest)
{
    struct ae__recorder *r = ae__recorder_create();
    uint64_t all = 3 * AE__RECORDER_SIZE + 5;

    REQUIRE(r);
    for (uint64_t n = 0; n < all; n++) write_entry(r, n);
    uint32_t count = ae__recorder_read(r, copies);
    EXPECT_EQ(count, AE__RECORDER_SIZE - 1); /* the oldest place may be being written */
    for (uint64_t i = 0; i < count; i++) EXPECT_TRUE(is_entry(&copies[i], all - count + i));
    ae__recorder_destroy(r);
}

TEST(short_events_of_a_kind_in_quick_succession_are_one)
{
    struct ae__recorder *r = ae__recorder_create();
    uint64_t ms = ae__cpu_ticks_per_ms();

    REQUIRE(r);
    for (uint64_t i = 0; i < 100; i++) ae__record(r, AE__EVENT_STEAL, 10 * ms + i, 0, 0, 0, i);
    EXPECT_EQ(ae__recorder_read(r, copies), 1);
    for (uint64_t i = 0; i < 5; i++) ae__record(r, AE__EVENT_SLEEP, 10 * ms + i, ms, 0, 0, i);
    EXPECT_EQ(ae__recorder_read(r, copies), 6); /* long ones are kept */
    ae__recorder_destroy(r);
}

struct race {
    struct ae__recorder *recorder;
    _Atomic(bool) stop;
    uint64_t written;
};

static void *write_on(void *arg)
{
    struct race *race = arg;

    while (!atomic_load(&race->stop)) write_entry(race->recorder, race->written++);
    return NULL;
}

TEST(what_is_read_while_it_is_written_is_whole)
{
    struct race race = { .recorder = ae__recorder_create() };
    pthread_t writer;
    unsigned broken = 0;

    REQUIRE(race.recorder);
    REQUIRE(pthread_create(&writer, NULL, write_on, &race) == 0);
    for (int round = 0; round < 300;) {
        uint32_t count = ae__recorder_read(race.recorder, copies);
        uint64_t first = count ? ~copies[0].value : 0;
        for (uint32_t i = 0; i < count; i++) broken += !is_entry(&copies[i], first + i);
        round += count > 0;
    }
    atomic_store(&race.stop, true);
    pthread_join(writer, NULL);
    EXPECT_EQ(broken, 0);
    ae__recorder_destroy(race.recorder);
}

TEST(ticks_become_nanoseconds_in_the_histogram)
{
    static _Atomic(uint64_t) ticks[AE__RECORDER_BUCKETS];
    static uint64_t out[AE_HISTOGRAM_BUCKETS];
    struct ae__tick_scale half = { .ns_per_tick = 0.5 };

    ticks[8 * 10] = 5; /* 8 * 2^9 ticks to 9 * 2^9 */
    ae__recorder_add(ticks, &half, out);
    EXPECT_EQ(out[8 * 9], 5);
    ticks[AE__RECORDER_BUCKETS - 1] = 1;
    ae__recorder_add(ticks, &half, out);
    EXPECT_EQ(out[8 * 9], 10);
    EXPECT_EQ(out[AE_HISTOGRAM_BUCKETS - 1], 1);
}
