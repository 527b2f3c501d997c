/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll driver: its wake, its deadlines, how few system calls it makes, its edges.
 * Covers: src/driver/try.c src/io/assemble.c */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/epoll.h"
#include "driver/files.h"
#include "io_test.h"
#include "sched/sched.h"

/* ---- wake and deadlines, on a driver of one's own ---- */

static struct ae__driver *create_driver(void)
{
    struct ae__driver *driver = NULL;

    REQUIRE(ae__epoll_ops.create(ae__runtime_self(), 7, &driver) == 0);
    return driver;
}

static void poll_until(struct ae__driver *driver, int64_t deadline_ns)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__epoll_ops.poll(driver, deadline_ns, &wakes);
    EXPECT_EQ(wakes.count, 0);
}

static int wake_between_polls(void *arg)
{
    struct ae__driver *driver = create_driver();

    (void)arg;
    for (int i = 0; i < 100; i++) {
        ae__epoll_ops.wake(driver);
        if (i % 2) ae__epoll_ops.wake(driver);
        poll_until(driver, AE_FOREVER); /* hangs if the wake was lost */
    }
    poll_until(driver, 0);
    ae__epoll_ops.destroy(driver);
    return 0;
}

TEST(a_wake_between_polls_is_kept)
{
    run_with(1, wake_between_polls, NULL);
}

struct polling {
    struct ae__driver *driver;
    _Atomic(int) rounds;
};

static void *poll_for_ever(void *arg)
{
    struct polling *p = arg;

    for (int i = 0; i < 500; i++) {
        poll_until(p->driver, AE_FOREVER);
        p->rounds++;
    }
    return NULL;
}

static int wake_a_waiting_poll(void *arg)
{
    struct polling p = { .driver = create_driver() };
    pthread_t thread;

    (void)arg;
    REQUIRE(pthread_create(&thread, NULL, poll_for_ever, &p) == 0);
    for (int i = 0; i < 500; i++) {
        ae__epoll_ops.wake(p.driver);
        while (p.rounds <= i) ae_yield();
    }
    pthread_join(thread, NULL);
    ae__epoll_ops.destroy(p.driver);
    return 0;
}

TEST(each_wake_ends_a_waiting_poll)
{
    run_with(1, wake_a_waiting_poll, NULL);
}

static int poll_to_deadlines(void *arg)
{
    static const int64_t waits_ns[] = { 0, 1, 1000, 50 * AE_US, AE_MS, 1500 * AE_US };
    struct ae__driver *driver = create_driver();

    (void)arg;
    for (int coarse = 0; coarse < 2; coarse++) {
        driver->no_pwait2 = coarse;
        for (size_t i = 0; i < sizeof waits_ns / sizeof *waits_ns; i++) {
            int64_t deadline_ns = ae_now() + waits_ns[i];
            poll_until(driver, deadline_ns);
            EXPECT_GE(ae_now(), deadline_ns);
        }
        poll_until(driver, 1); /* long past */
    }
    ae__epoll_ops.destroy(driver);
    return 0;
}

TEST(poll_never_returns_before_its_deadline_without_an_event)
{
    run_with(1, poll_to_deadlines, NULL);
}

/* ---- how few system calls ---- */

enum { REQUESTS = 1000, MESSAGE = 32 };

static int answer(void *arg)
{
    ae_stream *stream = arg;
    char buf[256];
    ssize_t n;

    while ((n = ae_read(stream, buf, sizeof buf)) > 0) {
        EXPECT_EQ(ae_write(stream, buf, (size_t)n), n);
    }
    return (int)n;
}

static int count_calls(void *arg)
{
    struct pair p = open_pair();
    ae_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    char out[MESSAGE] = "", in[256];

    (void)arg;
    ae_task *server = ae_spawn(answer, p.b);
    for (int i = 0; i < REQUESTS + 10; i++) {
        if (i == 10) EXPECT_EQ(ae_metrics_get(NULL, &before), 0);
        EXPECT_EQ(ae_write(p.a, out, MESSAGE), MESSAGE);
        EXPECT_EQ(ae_read(p.a, in, sizeof in), MESSAGE);
    }
    EXPECT_EQ(ae_metrics_get(NULL, &after), 0);
    uint64_t calls = after.io_syscalls - before.io_syscalls;
    uint64_t polls = after.io_polls - before.io_polls;
    test_note("%.3f recv and send a round trip, %.3f polls", (double)(calls - polls) / REQUESTS,
              (double)polls / REQUESTS);
    /* one recv, one send, each side; nothing else. With io_uring see test_uring.c. */
    if (strcmp(after.driver, "epoll") == 0) EXPECT_EQ(calls - polls, 4 * REQUESTS);
    EXPECT_EQ(ae_shutdown(p.a), 0);
    EXPECT_EQ(ae_join(server), 0);
    close_pair(&p);
    return 0;
}

TEST(a_round_trip_is_one_recv_and_one_send_a_side)
{
    run_with(1, count_calls, NULL);
}

/* ---- edges ---- */

/* Data and the end of the stream in one go, read short: no edge comes after it. */
static int data_and_end_at_once(void *arg)
{
    char buf[16];

    (void)arg;
    for (int i = 0; i < 100; i++) {
        struct pair p = open_pair();
        EXPECT_EQ(ae_write(p.a, "12", 2), 2);
        EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 2);
        EXPECT_EQ(ae_write(p.a, "data", 4), 4);
        ae_close(p.a);
        if (i % 2) yield_times(3);
        EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 4);
        EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 0);
        ae_close(p.b);
    }
    return 0;
}

TEST(an_end_that_comes_with_data_is_seen)
{
    run_both(data_and_end_at_once, NULL);
}

/* A read stops short at urgent data although more is there behind it. */
static int urgent_data(void *arg)
{
    struct pair p = open_pair();
    ae_scope scope;
    char buf[64];
    ssize_t n = 0, got = 0;

    (void)arg;
    EXPECT_EQ(ae_write(p.a, "1", 1), 1);
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 1);
    EXPECT_EQ(ae_write(p.a, "before", 6), 6);
    EXPECT_EQ(send(ae_stream_fd(p.a), "!", 1, MSG_OOB), 1);
    EXPECT_EQ(ae_write(p.a, "behind", 6), 6);
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 20 * AE_SEC); /* a failure, not a measure */
    while (got < 12 && (n = ae_read(p.b, buf + got, sizeof buf - (size_t)got)) > 0) got += n;
    EXPECT_EQ(ae_scope_end(&scope, n < 0 ? (int)n : 0), 0);
    EXPECT_EQ(got, 12);
    EXPECT_MEMEQ(buf, "beforebehind", 12);
    close_pair(&p);
    return 0;
}

TEST(urgent_data_does_not_hide_what_follows)
{
    run_both(urgent_data, NULL);
}

/* Both directions of one connection at full speed from two tasks. */
enum { BLOCK = 3000, BLOCKS = 300 };

static int write_blocks(void *arg)
{
    static const char block[BLOCK];

    for (int i = 0; i < BLOCKS; i++) EXPECT_EQ(ae_write(arg, block, BLOCK), BLOCK);
    return 0;
}

static int read_blocks(void *arg)
{
    char block[BLOCK];

    for (int i = 0; i < BLOCKS; i++) EXPECT_EQ(ae_read_full(arg, block, BLOCK), BLOCK);
    return 0;
}

static int both_ways(void *arg)
{
    struct pair p = open_pair();
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go(write_blocks, p.a), 0);
    EXPECT_EQ(ae_go(read_blocks, p.a), 0);
    EXPECT_EQ(ae_go(write_blocks, p.b), 0);
    EXPECT_EQ(ae_go(read_blocks, p.b), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    close_pair(&p);
    return 0;
}

TEST(both_directions_flow_at_the_same_time)
{
    run_both(both_ways, NULL);
}

/* ---- old kernels ---- */

/* From now on these system calls are not there, for this process. */
static void deny(int first, int second)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)first, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static int without_new_calls(void *arg)
{
    struct ae__driver *driver = create_driver();
    int64_t deadline_ns = ae_now() + 100 * AE_US;

    (void)arg;
    poll_until(driver, deadline_ns);
    EXPECT_GE(ae_now(), deadline_ns);
    EXPECT_TRUE(driver->no_pwait2);
    ae__epoll_ops.destroy(driver);
    EXPECT_EQ(ae_sleep(2 * AE_MS), 0);
    int n = ae__file_sys_open_beneath(-100, "../x", 0); /* AT_FDCWD */
    EXPECT_EQ(n, -EXDEV);
    return both_ways(NULL);
}

TEST(kernels_without_epoll_pwait2_and_openat2_will_do)
{
    deny(SYS_epoll_pwait2, SYS_openat2);
    run_both(without_new_calls, NULL);
}

TEST(the_driver_has_its_name)
{
    EXPECT_STREQ(ae__epoll_ops.name, "epoll");
}
