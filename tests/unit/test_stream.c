/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/io/op.c */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "io_test.h"

/* ---- reading ---- */

static int read_what_comes(void *arg)
{
    struct pair p = open_pair();
    char buf[16] = "";

    (void)arg;
    EXPECT_EQ(ae_write(p.a, "hello", 5), 5);
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 5);
    EXPECT_MEMEQ(buf, "hello", 5);
    EXPECT_EQ(ae_write(p.a, "0123456789", 10), 10);
    EXPECT_EQ(ae_read(p.b, buf, 4), 4);
    EXPECT_EQ(ae_read(p.b, buf, 16), 6);
    EXPECT_MEMEQ(buf, "456789", 6);
    EXPECT_EQ(ae_shutdown(p.a), 0);
    EXPECT_EQ(ae_read(p.b, buf, 16), 0);
    EXPECT_EQ(ae_read(p.b, buf, 16), 0);
    EXPECT_EQ(ae_buffered(p.b), 0);
    close_pair(&p);
    return 0;
}

TEST(read_gives_what_is_there_and_zero_at_the_end)
{
    run_both(read_what_comes, NULL);
}

static int write_in_pieces(void *arg)
{
    ae_stream *stream = arg;

    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(ae_write(stream, "0123456789", 10), 10);
        ae_yield();
    }
    EXPECT_EQ(ae_shutdown(stream), 0);
    return 0;
}

static int read_all_of_it(void *arg)
{
    struct pair p = open_pair();
    char buf[1000];

    (void)arg;
    ae_task *writer = ae_spawn(write_in_pieces, p.a);
    EXPECT_EQ(ae_read_full(p.b, buf, 995), 995);
    EXPECT_MEMEQ(buf + 990, "01234", 5);
    EXPECT_EQ(ae_read_full(p.b, buf, 6), -EPIPE);
    EXPECT_EQ(ae_read_full(p.b, buf, 0), 0);
    EXPECT_EQ(ae_join(writer), 0);
    close_pair(&p);
    return 0;
}

TEST(read_full_waits_for_all_and_reports_an_early_end)
{
    run_both(read_all_of_it, NULL);
}

/* ---- writing ---- */

enum { BULK = 3 * 1024 * 1024 };

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 12));
}

struct sink {
    ae_stream *stream;
    size_t got, wrong;
};

static int read_bulk(void *arg)
{
    struct sink *sink = arg;
    unsigned char buf[5000];
    ssize_t n;

    while ((n = ae_read(sink->stream, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++) sink->wrong += buf[i] != pattern(sink->got + (size_t)i);
        sink->got += (size_t)n;
    }
    return (int)n;
}

static void set_buffer(ae_stream *stream, int name, int bytes)
{
    EXPECT_EQ(ae_stream_set_option(stream, SOL_SOCKET, name, &bytes, sizeof bytes), 0);
}

/* Buffers far smaller than what is sent. TCP gets larger ones: with tiny windows it waits for its
 * own timers, not for us. */
static struct pair open_narrow(bool tcp)
{
    struct pair p = { NULL, NULL };
    int fds[2], bytes = tcp ? 128 * 1024 : 4096;

    if (tcp) {
        p = open_pair();
    } else {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        REQUIRE(ae_stream_adopt(fds[0], &p.a) == 0);
        REQUIRE(ae_stream_adopt(fds[1], &p.b) == 0);
    }
    set_buffer(p.a, SO_SNDBUF, bytes);
    set_buffer(p.b, SO_RCVBUF, bytes);
    return p;
}

static int write_bulk(void *arg)
{
    struct pair p = open_narrow(arg != NULL);
    struct sink sink = { .stream = p.b };
    unsigned char *data = malloc(BULK);

    for (size_t i = 0; i < BULK; i++) data[i] = pattern(i);
    ae_task *reader = ae_spawn(read_bulk, &sink);
    EXPECT_EQ(ae_write(p.a, data, BULK), BULK);
    EXPECT_EQ(ae_shutdown(p.a), 0);
    EXPECT_EQ(ae_join(reader), 0);
    EXPECT_EQ(sink.got, BULK);
    EXPECT_EQ(sink.wrong, 0);
    close_pair(&p);
    free(data);
    return 0;
}

TEST(write_of_more_than_the_buffers_hold_arrives_whole)
{
    run_both(write_bulk, NULL);
    run_both(write_bulk, "tcp");
}

/* More parts than one call takes, with empty ones between and at both ends. */
static int write_parts(void *arg)
{
    enum { PARTS = 200 };
    struct pair p = open_narrow(arg != NULL);
    struct sink sink = { .stream = p.b };
    struct iovec parts[PARTS];
    unsigned char *data = malloc(BULK);
    size_t at = 0;

    for (size_t i = 0; i < BULK; i++) data[i] = pattern(i);
    for (int i = 0; i < PARTS; i++) {
        size_t size = i % 5 == 0 || i == PARTS - 1 ? 0 : (size_t)i * 100;
        parts[i] = (struct iovec){ .iov_base = data + at, .iov_len = size };
        at += size;
    }
    ae_task *reader = ae_spawn(read_bulk, &sink);
    EXPECT_EQ(ae_writev(p.a, parts, PARTS), at);
    EXPECT_EQ(ae_writev(p.a, parts, 1), 0);
    EXPECT_EQ(ae_writev(p.a, parts, 0), 0);
    EXPECT_EQ(ae_shutdown(p.a), 0);
    EXPECT_EQ(ae_join(reader), 0);
    EXPECT_EQ(sink.got, at);
    EXPECT_EQ(sink.wrong, 0);
    close_pair(&p);
    free(data);
    return 0;
}

TEST(writev_sends_every_part_in_order)
{
    run_both(write_parts, NULL);
    run_both(write_parts, "tcp");
}

static int write_to_the_gone(void *arg)
{
    struct pair p = open_pair();
    char buf[4096] = "";
    ssize_t n;

    (void)arg;
    ae_close(p.b);
    do {
        n = ae_write(p.a, buf, sizeof buf);
    } while (n > 0);
    EXPECT_TRUE(n == -EPIPE || n == -ECONNRESET);
    EXPECT_EQ(ae_write(p.a, buf, sizeof buf), -EPIPE);
    ae_close(p.a);
    return 0;
}

TEST(write_to_a_closed_peer_is_an_error_and_no_signal)
{
    run_both(write_to_the_gone, NULL);
}

/* ---- cancel ---- */

struct reading {
    ae_stream *stream;
    ssize_t got;
    char buf[64];
};

static int read_once(void *arg)
{
    struct reading *r = arg;

    r->got = ae_read(r->stream, r->buf, sizeof r->buf);
    return 0;
}

static int cancel_a_read(void *arg)
{
    struct pair p = open_pair();
    struct reading r = { .stream = p.b };
    char buf[8];

    (void)arg;
    ae_task *reader = ae_spawn(read_once, &r);
    yield_times(5);
    ae_cancel(reader);
    EXPECT_EQ(ae_join(reader), 0);
    EXPECT_EQ(r.got, -ECANCELED);
    EXPECT_EQ(ae_write(p.a, "still", 5), 5); /* nothing was taken or broken */
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 5);
    close_pair(&p);
    return 0;
}

TEST(a_cancelled_read_takes_nothing)
{
    run_both(cancel_a_read, NULL);
}

static int read_although_ready(void *arg)
{
    struct pair p = open_pair();
    ae_scope scope;
    char buf[8];

    (void)arg;
    EXPECT_EQ(ae_write(p.a, "data", 4), 4);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, -EINTR);
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), -ECANCELED);
    EXPECT_EQ(ae_write(p.b, "x", 1), -ECANCELED);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), -EINTR);
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 4);
    close_pair(&p);
    return 0;
}

TEST(a_cancelled_caller_gets_nothing_even_if_it_is_there)
{
    run_both(read_although_ready, NULL);
}

struct writing {
    ae_stream *stream;
    ssize_t first, second;
};

static int write_too_much(void *arg)
{
    static const char data[BULK];
    struct writing *w = arg;

    w->first = ae_write(w->stream, data, sizeof data);
    w->second = ae_write(w->stream, data, sizeof data);
    return 0;
}

static int cancel_a_write(void *arg)
{
    struct pair p = open_narrow(arg != NULL);
    struct writing w = { .stream = p.a };
    char buf[4096];
    ssize_t n, got = 0;

    ae_task *writer = ae_spawn(write_too_much, &w);
    EXPECT_EQ(ae_read_full(p.b, buf, 100), 100); /* it has begun */
    ae_cancel(writer);
    EXPECT_EQ(ae_join(writer), 0);
    EXPECT_TRUE(w.first >= 100 && w.first < BULK);
    EXPECT_EQ(w.second, -ECANCELED);
    EXPECT_EQ(ae_shutdown(p.a), 0);
    while ((n = ae_read(p.b, buf, sizeof buf)) > 0) got += n;
    EXPECT_EQ(got + 100, w.first); /* to the byte */
    close_pair(&p);
    return 0;
}

TEST(a_cancelled_write_tells_how_much_was_taken)
{
    run_both(cancel_a_write, NULL);
    run_both(cancel_a_write, "tcp");
}

static int deadline_on_a_read(void *arg)
{
    struct pair p = open_pair();
    ae_scope scope;
    char buf[8];

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + AE_MS);
    EXPECT_EQ(ae_scope_end(&scope, (int)ae_read(p.b, buf, sizeof buf)), -ETIMEDOUT);
    close_pair(&p);
    return 0;
}

TEST(a_deadline_ends_a_read)
{
    run_both(deadline_on_a_read, NULL);
}

/* ---- close ---- */

static int close_under_a_reader(void *arg)
{
    struct pair p = open_pair();
    struct reading r = { .stream = p.b };
    char buf[8];

    (void)arg;
    ae_task *reader = ae_spawn(read_once, &r);
    yield_times(5);
    ae_close(p.b);
    EXPECT_EQ(ae_join(reader), 0);
    EXPECT_EQ(r.got, -ECANCELED);
    EXPECT_EQ(ae_read(p.a, buf, sizeof buf), 0); /* closed for the peer, too */
    ae_close(p.a);
    ae_close(NULL);
    return 0;
}

TEST(close_ends_a_waiting_read)
{
    run_with(1, close_under_a_reader, NULL);
}

static int close_under_a_writer(void *arg)
{
    struct pair p = open_narrow(arg != NULL);
    struct writing w = { .stream = p.a };
    char buf[100];

    ae_task *writer = ae_spawn(write_too_much, &w);
    EXPECT_EQ(ae_read_full(p.b, buf, 100), 100);
    ae_cancel(writer); /* so that it does not use the stream again */
    ae_close(p.b);
    EXPECT_EQ(ae_join(writer), 0);
    EXPECT_LT(w.first, BULK);
    ae_close(p.a);
    return 0;
}

TEST(close_of_the_peer_ends_a_waiting_write)
{
    run_both(close_under_a_writer, NULL);
    run_both(close_under_a_writer, "tcp");
}

/* ---- a stream that wraps another ---- */

struct upper {
    ae_stream stream;
    ae_stream *inner;
    char kept[4];
    size_t kept_bytes;
};

static ssize_t upper_read(ae_stream *stream, void *buf, size_t size)
{
    struct upper *u = (struct upper *)stream;

    if (u->kept_bytes == 0) {
        ssize_t n = ae_read(u->inner, u->kept, sizeof u->kept);
        if (n <= 0) return n;
        u->kept_bytes = (size_t)n;
    }
    (void)size;
    *(char *)buf = u->kept[0]; /* one byte a call: as short as reads get */
    memmove(u->kept, u->kept + 1, --u->kept_bytes);
    return 1;
}

static ssize_t upper_writev(ae_stream *stream, const struct iovec *parts, int count)
{
    return ae_writev(((struct upper *)stream)->inner, parts, count);
}

static int upper_shutdown(ae_stream *stream)
{
    return ae_shutdown(((struct upper *)stream)->inner);
}

static void upper_close(ae_stream *stream)
{
    ae_close(((struct upper *)stream)->inner);
}

static size_t upper_buffered(ae_stream *stream)
{
    return ((struct upper *)stream)->kept_bytes;
}

static ae_stream *upper_inner(ae_stream *stream)
{
    return ((struct upper *)stream)->inner;
}

static const ae_stream_ops upper_ops = {
    .read = upper_read,
    .writev = upper_writev,
    .shutdown = upper_shutdown,
    .close = upper_close,
    .buffered = upper_buffered,
    .inner = upper_inner,
};

static _Atomic(int) starts;

static int count_start(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_started_by(), AE_READABLE);
    starts++;
    return 0;
}

static int use_wrapped(void *arg)
{
    struct pair p = open_pair();
    struct upper u = { .stream = { &upper_ops }, .inner = p.b };
    ae_addr addr;
    char buf[4];

    (void)arg;
    EXPECT_EQ(ae_write(p.a, "abcdef", 6), 6);
    EXPECT_EQ(ae_read_full(&u.stream, buf, 2), 2);
    EXPECT_EQ(ae_buffered(&u.stream), 2);
    ae_scope scope;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(&u.stream, AE_READABLE, AE_FOREVER, count_start, NULL), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(starts, 1);
    EXPECT_EQ(ae_read_full(&u.stream, buf, 4), 4);
    EXPECT_MEMEQ(buf, "cdef", 4);
    EXPECT_EQ(ae_stream_fd(&u.stream), ae_stream_fd(p.b));
    EXPECT_EQ(ae_stream_peer(&u.stream, &addr), 0);
    EXPECT_EQ(ae_write(&u.stream, "back", 4), 4);
    EXPECT_EQ(ae_read_full(p.a, buf, 4), 4);
    ae_close(&u.stream);
    ae_close(p.a);
    return 0;
}

TEST(a_wrapper_works_like_what_it_wraps)
{
    run_with(1, use_wrapped, NULL);
}
