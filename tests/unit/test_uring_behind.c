/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/driver/uring_behind.c src/io/stream.c
 * What was written behind: in order, whole, and told when it went wrong; with both drivers. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "uring_test.h"

static void run_everywhere(ae_fn *body)
{
    run_both(body, NULL);
    run_both_on_rings(body, NULL);
}

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 8));
}

/* ---- in order ---- */

enum { STREAM_BYTES = 600 * 1000, PIECE_MAX = 6000 };

struct content {
    ae_stream *stream;
    ae_file *file; /* the same bytes */
    unsigned char *data;
};

static void open_content(struct content *c)
{
    char path[128];

    snprintf(path, sizeof path, "%s/XXXXXX", test_folder());
    int number = mkstemp(path);
    REQUIRE(number >= 0);
    close(number);
    c->data = malloc(STREAM_BYTES);
    for (size_t i = 0; i < STREAM_BYTES; i++) c->data[i] = byte_at(i);
    REQUIRE(ae_file_open(path, O_RDWR, 0, &c->file) == 0);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(ae_file_write(c->file, c->data, STREAM_BYTES), STREAM_BYTES);
}

static ssize_t write_some(const struct content *c, size_t at, size_t size, unsigned turn)
{
    struct iovec parts[2] = { { c->data + at, size / 3 }, { c->data + at + size / 3, 0 } };

    parts[1].iov_len = size - size / 3;
    switch (turn % 7) {
    case 0:
        return ae_write(c->stream, c->data + at, size);
    case 1:
        return ae_writev_behind(c->stream, parts, 2);
    case 2:
        return ae_writev(c->stream, parts, 2);
    case 3:
        return ae_sendfile(c->stream, c->file, (int64_t)at, size);
    default:
        return ae_write_behind(c->stream, c->data + at, size);
    }
}

static int write_all_kinds(void *arg)
{
    const struct content *c = arg;
    unsigned turn = 0, state = 12345;

    for (size_t at = 0; at < STREAM_BYTES; turn++) {
        state = state * 1103515245 + 12345;
        size_t size = 1 + (state >> 8) % (turn % 3 ? 100 : PIECE_MAX);
        if (size > STREAM_BYTES - at) size = STREAM_BYTES - at;
        EXPECT_EQ(write_some(c, at, size, turn), size);
        at += size;
    }
    EXPECT_EQ(ae_write_behind(c->stream, "end", 3), 3);
    EXPECT_EQ(ae_shutdown(c->stream), 0);
    return 0;
}

static int all_kinds(void *arg)
{
    struct pair p = open_pair();
    struct content c = { .stream = p.a };
    unsigned char *got = malloc(STREAM_BYTES + 4);
    size_t at = 0;
    ssize_t n;

    (void)arg;
    open_content(&c);
    ae_task *writer = ae_spawn(write_all_kinds, &c);
    while ((n = ae_read(p.b, got + at, STREAM_BYTES + 4 - at)) > 0) at += (size_t)n;
    EXPECT_EQ(n, 0);
    EXPECT_EQ(ae_join(writer), 0);
    EXPECT_EQ(at, STREAM_BYTES + 3);
    EXPECT_TRUE(memcmp(got, c.data, STREAM_BYTES) == 0);
    EXPECT_MEMEQ(got + STREAM_BYTES, "end", 3);
    ae_file_close(c.file);
    free(c.data);
    free(got);
    close_pair(&p);
    return 0;
}

TEST(all_that_is_written_leaves_in_its_order)
{
    run_everywhere(all_kinds);
}

/* ---- ends ---- */

static int write_and_close(void *arg)
{
    EXPECT_EQ(ae_write_behind(arg, "the last words", 14), 14);
    ae_close(arg);
    return 0;
}

static int write_and_let_close(void *arg)
{
    EXPECT_EQ(ae_write_behind(arg, "the last words", 14), 14);
    return 0;
}

static int close_it(void *arg)
{
    ae_close(arg);
    return 0;
}

static int write_and_shut(void *arg)
{
    EXPECT_EQ(ae_write_behind(arg, "the last words", 14), 14);
    EXPECT_EQ(ae_shutdown(arg), 0);
    EXPECT_EQ(ae_write(arg, "x", 1), -EPIPE);
    ae_close(arg);
    return 0;
}

static void expect_last_words(ae_stream *stream)
{
    char buf[32];

    EXPECT_EQ(ae_read_full(stream, buf, 14), 14);
    EXPECT_MEMEQ(buf, "the last words", 14);
    EXPECT_EQ(ae_read(stream, buf, sizeof buf), 0);
}

static int ends(void *arg)
{
    (void)arg;
    for (int i = 0; i < 60; i++) {
        struct pair p = open_pair();
        if (i % 3 == 0) {
            EXPECT_EQ(ae_join(ae_spawn(write_and_close, p.a)), 0);
        } else if (i % 3 == 1) {
            EXPECT_EQ(ae_join(ae_spawn(write_and_shut, p.a)), 0);
        } else {
            EXPECT_EQ(ae_join(ae_spawn(write_and_let_close, p.a)), 0);
            EXPECT_EQ(ae_blocking(close_it, p.a), 0); /* a thread that is no worker */
        }
        expect_last_words(p.b);
        ae_close(p.b);
    }
    return 0;
}

TEST(what_was_written_behind_comes_before_the_end)
{
    run_everywhere(ends);
}

static int last_act(void *arg)
{
    ae_stream *stream;

    REQUIRE(ae_stream_adopt(*(int *)arg, &stream) == 0);
    return write_and_close(stream);
}

static void write_at_the_end(enum ae_driver driver)
{
    const ae_config config = { AE_CONFIG, .workers = 1, .driver = driver };
    char buf[32];
    int ends[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    EXPECT_EQ(ae_run(&config, last_act, &ends[0]), 0);
    EXPECT_EQ(read(ends[1], buf, sizeof buf), 14);
    EXPECT_EQ(read(ends[1], buf, sizeof buf), 0);
    close(ends[1]);
}

TEST(the_last_act_of_a_runtime_is_still_written)
{
    for (int i = 0; i < 20; i++) {
        write_at_the_end(AE_DRIVER_EPOLL);
        if (has_rings()) write_at_the_end(AE_DRIVER_URING);
    }
}

/* By a thread that is no task's: until the socket has no room. */
static size_t fill_socket(int number)
{
    static const char data[4096];
    size_t total = 0;
    ssize_t n;

    while ((n = send(number, data, sizeof data, MSG_DONTWAIT)) > 0) total += (size_t)n;
    return total;
}

static int settle_and_close(void *arg)
{
    EXPECT_EQ(ae_write_behind(arg, "the last words", 14), 14);
    EXPECT_EQ(ae_write(arg, NULL, 0), 0);
    EXPECT_EQ(ae_write(arg, NULL, 0), 0); /* there is nothing behind now */
    ae_close(arg);
    return 0;
}

static int slow_reader(void *arg)
{
    char buf[4096];

    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct pair p = open_pair();
        size_t there = fill_socket(ae_stream_fd(p.a)), got = 0;
        ae_task *writer = ae_spawn(settle_and_close, p.a);
        yield_times(200); /* one that does not wait has closed by then */
        while (got < there) {
            ssize_t n = ae_read(p.b, buf, there - got < sizeof buf ? there - got : sizeof buf);
            REQUIRE(n > 0);
            got += (size_t)n;
        }
        expect_last_words(p.b);
        EXPECT_EQ(ae_join(writer), 0);
        ae_close(p.b);
    }
    return 0;
}

TEST(a_write_of_nothing_waits_until_all_has_left)
{
    run_everywhere(slow_reader);
}

static int settle(void *arg)
{
    ssize_t n = ae_write_behind(arg, "x", 1);

    return n == 1 ? (int)ae_write(arg, NULL, 0) : (int)n;
}

static int nobody_reads(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct pair p = open_pair();
        (void)fill_socket(ae_stream_fd(p.a));
        ae_task *writer = ae_spawn(settle, p.a);
        yield_times(200);
        if (i % 2) {
            ae_cancel(writer);
            EXPECT_EQ(ae_join(writer), -ECANCELED);
        } else {
            ae_close(p.b);
            EXPECT_LT(ae_join(writer), 0);
            p.b = NULL;
        }
        close_pair(&p);
    }
    return 0;
}

TEST(that_wait_ends_with_an_error_or_a_cancel)
{
    run_everywhere(nobody_reads);
}

/* ---- what goes wrong ---- */

static int to_nobody(void *arg)
{
    struct pair p = open_pair();
    ssize_t n = 0;

    (void)arg;
    ae_close(p.b);
    for (int i = 0; i < 1000 && n >= 0; i++) {
        n = ae_write_behind(p.a, "x", 1);
        ae_yield();
    }
    EXPECT_TRUE(n == -EPIPE || n == -ECONNRESET);
    ae_close(p.a);
    return 0;
}

TEST(an_error_comes_with_a_later_write)
{
    run_everywhere(to_nobody);
}

static int fill_it(void *arg)
{
    char data[3000] = "";
    ssize_t n;

    do {
        n = ae_write_behind(arg, data, sizeof data);
    } while (n == sizeof data);
    return n < 0 ? (int)n : 1;
}

static int full(void *arg)
{
    int fds = test_open_fds();

    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct pair p = open_pair();
        ae_task *writer = ae_spawn(fill_it, p.a);
        yield_times(2000); /* by then it waits */
        ae_cancel(writer);
        int rc = ae_join(writer);
        EXPECT_TRUE(rc == -ECANCELED || rc == 1);
        close_pair(&p);
    }
    for (int i = 0; i < 100 && test_open_fds() > fds; i++) {
        EXPECT_EQ(ae_sleep(AE_MS), 0); /* what the kernel still had comes back */
    }
    EXPECT_LE(test_open_fds(), fds);
    return 0;
}

TEST(a_writer_that_is_too_fast_waits_and_can_be_cancelled)
{
    run_everywhere(full);
}

/* ---- what it is for ---- */

enum { PAIRS = 32, TRIPS = 300 };

static int answer(void *arg)
{
    char c;

    for (int i = 0; i < TRIPS; i++) {
        if (ae_read(arg, &c, 1) != 1 || ae_write_behind(arg, &c, 1) != 1) return -EIO;
    }
    return 0;
}

static int ask(void *arg)
{
    char c = 'q';

    for (int i = 0; i < TRIPS; i++) {
        if (ae_write_behind(arg, &c, 1) != 1 || ae_read(arg, &c, 1) != 1) return -EIO;
    }
    return 0;
}

static uint64_t calls_so_far(void)
{
    ae_metrics m = { .size = sizeof m };

    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    return m.io_syscalls;
}

static int ping_pong(void *arg)
{
    struct pair pairs[PAIRS];
    ae_scope scope;

    (void)arg;
    for (int i = 0; i < PAIRS; i++) pairs[i] = open_pair();
    uint64_t before = calls_so_far();
    ae_scope_begin(&scope);
    for (int i = 0; i < PAIRS; i++) {
        EXPECT_EQ(ae_go(answer, pairs[i].a), 0);
        EXPECT_EQ(ae_go(ask, pairs[i].b), 0);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    uint64_t calls = calls_so_far() - before;
    test_note("%.3f system calls a round trip", (double)calls / (PAIRS * TRIPS));
    EXPECT_LT(calls, PAIRS * TRIPS / 8);
    for (int i = 0; i < PAIRS; i++) close_pair(&pairs[i]);
    return 0;
}

TEST(what_many_tasks_write_goes_out_together)
{
    if (has_rings()) run_on_rings(1, ping_pong, NULL);
}
