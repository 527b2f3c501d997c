/* SPDX-License-Identifier: Apache-2.0 */
/* What a start receives before its task runs: the order of bytes, buffers that run out, and that
 * none is lost. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sched/sched.h"
#include "uring_test.h"

static int ignore_start(void *arg)
{
    (void)arg;
    return 0;
}

/* The start ends by time or by data, while its receive may be in the air; the bytes then come in
 * their order, whoever received them. */
static int keep_order(void *arg)
{
    struct pair p = open_pair();
    unsigned char out = 0, expected = 0;

    (void)arg;
    for (int i = 0; i < 3000; i++) {
        unsigned char bytes[48], in[32];
        size_t n = 1 + (size_t)i % sizeof bytes;
        int64_t deadline_ns = ae_now() + i % 5 * 5 * AE_US;
        ae_scope scope;
        ae_scope_begin(&scope);
        EXPECT_EQ(ae_go_on(p.b, AE_READABLE, deadline_ns, ignore_start, NULL), 0);
        yield_times(i % 3);
        for (size_t k = 0; k < n; k++) bytes[k] = out++;
        EXPECT_EQ(ae_write(p.a, bytes, n / 2), (ssize_t)(n / 2));
        if (i % 7 < 3) EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        EXPECT_EQ(ae_write(p.a, bytes + n / 2, n - n / 2), (ssize_t)(n - n / 2));
        if (i % 7 >= 3) EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        while (n > 0) {
            ssize_t got = ae_read(p.b, in, n < sizeof in ? n : sizeof in);
            REQUIRE(got > 0);
            for (ssize_t k = 0; k < got; k++) EXPECT_EQ(in[k], expected++);
            n -= (size_t)got;
        }
    }
    close_pair(&p);
    return 0;
}

TEST(bytes_come_in_order_whoever_received_them)
{
    run_both_on_rings(keep_order, NULL);
}

/* So the receive is in one worker's ring, and who reads next is on another. */
TEST(bytes_come_in_order_across_rings)
{
    setenv("AE_CHAOS", "migrate", 1);
    run_both_on_rings(keep_order, NULL);
}

enum { CROWD = 600 }; /* more than a ring has buffers */

static int read_own(void *arg)
{
    char buf[8] = "";

    EXPECT_EQ(ae_started_by(), AE_READABLE);
    EXPECT_EQ(ae_read(arg, buf, sizeof buf), 5);
    EXPECT_MEMEQ(buf, "hello", 5);
    return 0;
}

static int fill_all_boxes(void *arg)
{
    struct pair *pairs = arg;

    for (int round = 0; round < 3; round++) {
        ae_scope scope;
        ae_scope_begin(&scope);
        for (int i = 0; i < CROWD; i++) {
            EXPECT_EQ(ae_go_on(pairs[i].b, AE_READABLE, AE_FOREVER, read_own, pairs[i].b), 0);
        }
        for (int i = 0; i < CROWD; i++) {
            EXPECT_EQ(send(ae_stream_fd(pairs[i].a), "hello", 5, 0), 5); /* no turn in between */
        }
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    }
    return 0;
}

static int start_a_crowd(void *arg)
{
    static struct pair pairs[CROWD];

    (void)arg;
    for (int i = 0; i < CROWD; i++) pairs[i] = open_pair();
    EXPECT_EQ(fill_all_boxes(pairs), 0);
    for (int i = 0; i < CROWD; i++) close_pair(&pairs[i]);
    return 0;
}

TEST(starts_that_find_no_buffer_poll)
{
    run_both_on_rings(start_a_crowd, NULL);
}

static _Atomic(int) boxes_left;

static int leave_box(void *arg)
{
    (void)arg;
    boxes_left++;
    return 0;
}

/* Closed with data in the box, or with the receive in the air: buffers are not lost. */
static int drop_boxes(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        struct pair p = open_pair();
        ae_scope scope;
        ae_scope_begin(&scope);
        EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, leave_box, NULL), 0);
        if (i % 2) EXPECT_EQ(ae_write(p.a, "some data", 9), 9);
        if (i % 4 < 2) yield_times(2);
        ae_close(p.b);
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        ae_close(p.a);
    }
    EXPECT_EQ(start_a_crowd(NULL), 0);
    if (ae_runtime_workers(ae_runtime_current()) > 1) return 0; /* some may be on their way */
    const struct ae__uring *u = ae__driver_self()->uring;
    if (!u->buffers) {
        test_note("the system gave no buffers: starts polled");
        return 0;
    }
    EXPECT_GT(u->buffers_used, 0);
    EXPECT_EQ((uint16_t)(u->buffers_tail - u->buffers_used), AE__URING_BUFFERS);
    return 0;
}

TEST(a_close_gives_the_buffer_back)
{
    run_both_on_rings(drop_boxes, NULL);
}

static int read_reset(void *arg)
{
    char buf[8];

    EXPECT_EQ(ae_read(arg, buf, sizeof buf), -ECONNRESET); /* the kernel says it once */
    EXPECT_EQ(ae_read(arg, buf, sizeof buf), 0);
    return 0;
}

static int reset_while_waiting(void *arg)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    struct pair p = open_pair();
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, read_reset, p.b), 0);
    yield_times(3);
    EXPECT_EQ(ae_stream_set_option(p.a, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    ae_close(p.a);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    ae_close(p.b);
    return 0;
}

TEST(a_reset_that_a_start_received_is_read)
{
    run_both_on_rings(reset_while_waiting, NULL);
}
