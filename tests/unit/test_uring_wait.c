/* SPDX-License-Identifier: Apache-2.0 */
/* Waits of the io_uring driver for several completions at once: none waits for what never comes.
 * Covers: src/driver/ring.c src/driver/uring.c */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uring_test.h"

/* ---- the kernel's part ---- */

static int64_t wait_for_some(struct ae__ring *ring, unsigned there, unsigned wanted,
                             uint32_t patience_us)
{
    struct io_uring_cqe cqe;
    uint32_t place;
    unsigned came = 0;

    for (unsigned i = 0; i < there; i++) REQUIRE(ae__ring_next(ring, &place) != NULL); /* NOP */
    int64_t start = ae_now();
    int rc = ae__ring_wait_some(ring, wanted, patience_us, 3600 * AE_SEC);
    int64_t took = ae_now() - start;
    EXPECT_TRUE(rc == 0 || rc == -ETIME);
    while (ae__ring_pop(ring, &cqe)) came++;
    EXPECT_EQ(came, there);
    return took;
}

TEST(a_patient_wait_takes_what_is_there_in_the_end)
{
    struct ae__ring ring;
    const char *why;

    if (!has_rings()) return;
    REQUIRE(ae__ring_open(&ring, 8, 16, &why) == 0);
    REQUIRE(ae__ring_enable(&ring, true) == 0);
    if (ae__ring_has_patience(&ring)) {
        EXPECT_GE(wait_for_some(&ring, 1, 4, 2000), 2 * AE_MS);
        (void)wait_for_some(&ring, 4, 4, 3600u * 1000 * 1000); /* at once: this test ends */
    } else {
        test_note("not tested: no waits for some before Linux 6.12");
    }
    ae__ring_close(&ring);
}

/* ---- the driver's ---- */

enum { CONNECTIONS = 12, ROUNDS = 60 };

static int echo(void *arg)
{
    ae_stream *stream = arg;
    char c;

    while (ae_read(stream, &c, 1) == 1) {
        if (ae_write_behind(stream, &c, 1) != 1) return -EIO;
    }
    return 0;
}

static void *talk(void *arg)
{
    const int *ends = arg;
    char c = 'c';

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++) EXPECT_EQ(write(ends[i], &c, 1), 1);
        for (int i = 0; i < CONNECTIONS; i++) EXPECT_EQ(read(ends[i], &c, 1), 1);
        int alone = ends[round % CONNECTIONS]; /* the others keep silent */
        EXPECT_EQ(write(alone, &c, 1), 1);
        EXPECT_EQ(read(alone, &c, 1), 1);
    }
    for (int i = 0; i < CONNECTIONS; i++) close(ends[i]);
    return NULL;
}

static int serve(void *arg)
{
    ae_stream *streams[CONNECTIONS];
    int ends[CONNECTIONS];
    pthread_t client;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < CONNECTIONS; i++) {
        int two[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two) == 0);
        REQUIRE(ae_stream_adopt(two[0], &streams[i]) == 0);
        ends[i] = two[1];
        EXPECT_EQ(ae_go(echo, streams[i]), 0);
    }
    REQUIRE(pthread_create(&client, NULL, talk, ends) == 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    pthread_join(client, NULL);
    for (int i = 0; i < CONNECTIONS; i++) ae_close(streams[i]);
    return 0;
}

TEST(after_a_burst_one_alone_is_answered)
{
    run_both_on_rings(serve, NULL);
}

/* ---- a busy worker ---- */

static int spin_until(void *arg)
{
    const _Atomic(bool) *done = arg;

    while (!atomic_load(done)) ae_yield();
    return 0;
}

static int work_beside(void *arg)
{
    struct pair pair = open_pair();
    _Atomic(bool) done = false;
    ae_scope scope, talks;
    char c = 'c';

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < 4; i++) EXPECT_EQ(ae_go(spin_until, &done), 0);
    ae_scope_begin(&talks);
    EXPECT_EQ(ae_go(echo, pair.a), 0);
    for (int i = 0; i < ROUNDS; i++) {
        EXPECT_EQ(ae_write_behind(pair.b, &c, 1), 1);
        EXPECT_EQ(ae_read(pair.b, &c, 1), 1);
    }
    EXPECT_EQ(ae_shutdown(pair.b), 0);
    EXPECT_EQ(ae_scope_end(&talks, 0), 0);
    atomic_store(&done, true);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    close_pair(&pair);
    return 0;
}

TEST(a_worker_that_always_has_work_still_submits)
{
    run_both_on_rings(work_beside, NULL);
}
