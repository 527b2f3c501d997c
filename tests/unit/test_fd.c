/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: their objects in the driver (src/driver/fd.c), and waiting for foreign ones.
 * Covers: src/driver/foreign.c */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io.h"
#include "io_test.h"
#include "sched/sched.h"

/* ---- foreign descriptors ---- */

static void open_pipe(int fds[2])
{
    REQUIRE(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
}

static void close_pipe(int fds[2])
{
    ae_fd_forget(fds[0]);
    ae_fd_forget(fds[1]);
    close(fds[0]);
    close(fds[1]);
}

static int put_byte(void *arg)
{
    ae_yield();
    EXPECT_EQ(write(*(int *)arg, "x", 1), 1);
    return 0;
}

static int wait_for_a_pipe(void *arg)
{
    int fds[2];
    char byte;

    (void)arg;
    open_pipe(fds);
    EXPECT_EQ(ae_fd_wait(fds[1], AE_WRITABLE), AE_WRITABLE);
    EXPECT_EQ(ae_fd_wait(fds[1], AE_READABLE | AE_WRITABLE), AE_WRITABLE);
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(ae_go(put_byte, &fds[1]), 0);
        EXPECT_EQ(ae_fd_wait(fds[0], AE_READABLE), AE_READABLE);
        EXPECT_EQ(ae_fd_wait(fds[0], AE_READABLE), AE_READABLE); /* still there */
        EXPECT_EQ(read(fds[0], &byte, 1), 1);
    }
    close_pipe(fds);
    return 0;
}

TEST(a_foreign_descriptor_is_waited_for)
{
    run_both(wait_for_a_pipe, NULL);
}

static int wait_for_nonsense(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_fd_wait(-1, AE_READABLE), -EBADF);
    EXPECT_EQ(ae_fd_wait(12345, AE_READABLE), -EBADF);
    ae_fd_forget(-1);
    ae_fd_forget(12345);
    ae_fd_forget(INT32_MAX);
    int fd = open("/proc/self/exe", O_RDONLY);
    EXPECT_EQ(ae_fd_wait(fd, AE_READABLE), AE_READABLE); /* a file always is */
    ae_fd_forget(fd);
    close(fd);
    return 0;
}

TEST(bad_descriptors_are_told_and_files_are_ready)
{
    run_both(wait_for_nonsense, NULL);
}

struct waiting {
    int fd, rc;
};

static int wait_once(void *arg)
{
    struct waiting *w = arg;

    w->rc = ae_fd_wait(w->fd, AE_READABLE);
    return 0;
}

static int end_waits(void *arg)
{
    int fds[2];
    struct waiting w;

    (void)arg;
    open_pipe(fds);
    w = (struct waiting){ .fd = fds[0] };
    ae_task *task = ae_spawn(wait_once, &w);
    yield_times(5);
    ae_cancel(task);
    EXPECT_EQ(ae_join(task), 0);
    EXPECT_EQ(w.rc, -ECANCELED);
    task = ae_spawn(wait_once, &w);
    yield_times(5);
    ae_fd_forget(fds[0]);
    EXPECT_EQ(ae_join(task), 0);
    EXPECT_EQ(w.rc, -ECANCELED);
    EXPECT_EQ(write(fds[1], "x", 1), 1); /* the descriptor is as good as before */
    EXPECT_EQ(ae_fd_wait(fds[0], AE_READABLE), AE_READABLE);
    close_pipe(fds);
    return 0;
}

TEST(cancel_and_forget_end_a_wait)
{
    run_with(1, end_waits, NULL);
}

/* Closed without ae_fd_forget, and the number used again: wrong, but it must not hang. */
static int forget_to_forget(void *arg)
{
    int fds[2];
    char byte;

    (void)arg;
    for (int i = 0; i < 20; i++) {
        open_pipe(fds);
        EXPECT_EQ(ae_go(put_byte, &fds[1]), 0);
        EXPECT_EQ(ae_fd_wait(fds[0], AE_READABLE), AE_READABLE);
        EXPECT_EQ(read(fds[0], &byte, 1), 1);
        close(fds[0]);
        close(fds[1]);
    }
    return 0;
}

TEST(a_number_used_again_is_waited_for_anew)
{
    run_both(forget_to_forget, NULL);
}

static int hang_up(void *arg)
{
    int fds[2];

    (void)arg;
    open_pipe(fds);
    struct waiting w = { .fd = fds[0] };
    ae_task *task = ae_spawn(wait_once, &w);
    yield_times(5);
    close(fds[1]);
    EXPECT_EQ(ae_join(task), 0);
    EXPECT_EQ(w.rc, AE_READABLE); /* the end of file */
    ae_fd_forget(fds[0]);
    close(fds[0]);
    return 0;
}

TEST(the_end_of_a_pipe_is_readable)
{
    run_both(hang_up, NULL);
}

static int two_waiters(void *arg)
{
    int fds[2];
    struct waiting w;

    (void)arg;
    open_pipe(fds);
    w = (struct waiting){ .fd = fds[0] };
    ae_task *task = ae_spawn(wait_once, &w);
    yield_times(5);
    (void)!ae_fd_wait(fds[0], AE_READABLE);
    (void)task;
    return 0;
}

TEST(two_waiters_on_one_side_are_misuse)
{
    EXPECT_DEATH(run_with(1, two_waiters, NULL), "still_waits");
}

/* ---- objects ---- */

/* Descriptor numbers come back at once while events of their former owners are on the way. */
enum { ROUNDS = 400 };

static int churn(void *arg)
{
    char address[AE_ADDR_TEXT_MAX], buf[8];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *a, *b;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        REQUIRE(ae_connect(address, &a) == 0);
        REQUIRE(ae_accept(listener, &b, NULL) == 0);
        EXPECT_EQ(ae_write(a, "ping", 4), 4);
        EXPECT_EQ(ae_read_full(b, buf, 4), 4);
        if (i % 3 == 0) EXPECT_EQ(ae_write(b, "late", 4), 4); /* an event nobody reads */
        if (i % 2 == 0) ae_close(b);
        ae_close(a);
        if (i % 2 != 0) ae_close(b);
    }
    ae_listener_close(listener);
    return 0;
}

static int churn_in_many(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    for (int i = 0; i < 4; i++) EXPECT_EQ(ae_go(churn, arg), 0);
    return ae_scope_end(&scope, 0);
}

TEST(numbers_are_used_again_without_confusion)
{
    run_both(churn_in_many, NULL);
}

/* The reader is closed by another worker at any moment of its life. Its stream is not the one that
 * is closed: the descriptor is, below it. */
struct victim {
    struct ae__fd_ref ref;
    int rc;
};

static int read_victim(void *arg)
{
    struct victim *v = arg;
    const struct ae__driver_ops *ops = ae__parts.driver;
    char buf[16];
    struct ae__op op = {
        .code = AE__OP_READ,
        .fd = v->ref.fd,
        .generation = v->ref.generation,
        .read = { buf, sizeof buf },
    };
    ssize_t n;

    do {
        n = ops->try_op(ae__driver_self(), &op);
        ae_yield();
    } while (n > 0 || n == AE__WOULD_BLOCK);
    v->rc = (int)n;
    return 0;
}

static int close_while_used(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        int fds[2];
        struct victim v = { .rc = 0 };
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        REQUIRE(ae__parts.driver->fd_open(ae__runtime_self(), fds[0], 0, &v.ref) == 0);
        ae_task *reader = ae_spawn(read_victim, &v);
        for (int k = 0; k < 1 + i % 7; k++) {
            EXPECT_EQ(write(fds[1], "data", 4), 4);
            ae_yield();
        }
        ae__parts.driver->fd_close(v.ref.fd);
        EXPECT_EQ(ae_join(reader), 0);
        EXPECT_EQ(v.rc, -ECANCELED);
        close(fds[1]);
    }
    return 0;
}

TEST(close_never_lets_a_call_meet_another_descriptor)
{
    run_both(close_while_used, NULL);
}

/* An owner closes its descriptor while the first call on it binds it to the runtime: the number is
 * somebody else's a moment later, and that one has something to read. */
struct first_use {
    struct ae__socket socket;
    _Atomic(int) there;
    ssize_t n;
};

static void meet(struct first_use *f)
{
    f->there++;
    for (int i = 0; f->there < 2; i++) {
        if (i % 64 == 63) ae_yield();
    }
}

static int use_first(void *arg)
{
    struct first_use *f = arg;
    char buf[16];
    struct ae__op op = { .code = AE__OP_READ, .read = { buf, sizeof buf } };

    meet(f);
    f->n = ae__socket_use(&f->socket, &op);
    for (int i = 0; f->n == 0 && i < 20; i++) {
        ssize_t n = ae__parts.driver->try_op(ae__driver_self(), &op);
        if (n != AE__WOULD_BLOCK) f->n = n;
    }
    return 0;
}

static int close_at_first_use(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        int own[2], next[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, own) == 0);
        struct first_use f = { .socket = { .number = own[0] } };
        ae_task *task = ae_spawn(use_first, &f);
        meet(&f);
        ae__socket_end(&f.socket);
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, next) == 0);
        EXPECT_EQ(write(next[0], "mine", 4), 4);
        EXPECT_EQ(write(next[1], "mine", 4), 4);
        EXPECT_EQ(ae_join(task), 0);
        EXPECT_TRUE(f.n == 0 || f.n == -ECANCELED);
        close(own[1]);
        close(next[0]);
        close(next[1]);
    }
    return 0;
}

TEST(close_against_the_first_use_never_binds_the_number_of_another)
{
    run_both(close_at_first_use, NULL);
}
