/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io_test.h"

enum { SIZE = 1024 * 1024 + 77 };

static char path[128];

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 13 + (i >> 11));
}

static void make_file(void)
{
    unsigned char *data = malloc(SIZE);

    for (size_t i = 0; i < SIZE; i++) data[i] = pattern(i);
    snprintf(path, sizeof path, "%s/XXXXXX", test_folder());
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    EXPECT_EQ(write(fd, data, SIZE), SIZE);
    close(fd);
    free(data);
}

/* Not in the page cache, where the file system allows it. */
static void drop_cache(void)
{
    int fd = open(path, O_RDONLY);

    fdatasync(fd);
    EXPECT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
}

struct sink {
    ae_stream *stream;
    size_t from, got, wrong;
};

static int drain(void *arg)
{
    struct sink *sink = arg;
    unsigned char buf[7000];
    ssize_t n;

    while ((n = ae_read(sink->stream, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            sink->wrong += buf[i] != pattern(sink->from + sink->got + (size_t)i);
        }
        sink->got += (size_t)n;
    }
    return (int)n;
}

static ssize_t through(ae_stream *out, ae_stream *in, size_t offset, size_t size)
{
    struct sink sink = { .stream = in, .from = offset };
    ae_file *file;

    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    ae_task *reader = ae_spawn(drain, &sink);
    ssize_t n = ae_sendfile(out, file, (int64_t)offset, size);
    EXPECT_EQ(ae_shutdown(out), 0);
    EXPECT_EQ(ae_join(reader), 0);
    EXPECT_EQ(sink.wrong, 0);
    EXPECT_EQ(sink.got, n < 0 ? 0 : n);
    ae_file_close(file);
    return n;
}

static ssize_t through_tcp(size_t offset, size_t size)
{
    struct pair p = open_pair();
    ssize_t n = through(p.a, p.b, offset, size);

    close_pair(&p);
    return n;
}

static int send_ranges(void *arg)
{
    (void)arg;
    EXPECT_EQ(through_tcp(0, SIZE), SIZE);
    drop_cache();
    EXPECT_EQ(through_tcp(0, SIZE), SIZE);
    EXPECT_EQ(through_tcp(100, 1), 1);
    EXPECT_EQ(through_tcp(300 * 1024, 400 * 1024), 400 * 1024);
    EXPECT_EQ(through_tcp(0, 0), 0);
    EXPECT_EQ(through_tcp(SIZE - 10, 100), 10); /* the file ends before */
    EXPECT_EQ(through_tcp(SIZE, 100), -ENODATA);
    return 0;
}

TEST(sendfile_sends_exactly_the_range)
{
    make_file();
    run_both(send_ranges, NULL);
    unlink(path);
}

static _Atomic(int) signals;

static void count_signal(int sig)
{
    (void)sig;
    signals++;
}

static int send_to_the_gone(void *arg)
{
    struct pair p = open_pair();
    ae_file *file;
    ssize_t n;

    (void)arg;
    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    ae_close(p.b);
    do {
        n = ae_sendfile(p.a, file, 0, SIZE);
    } while (n > 0);
    EXPECT_TRUE(n == -EPIPE || n == -ECONNRESET);
    EXPECT_EQ(ae_sendfile(p.a, file, 0, SIZE), -EPIPE);
    ae_close(p.a);
    ae_file_close(file);
    return 0;
}

static int send_on_this_thread(void *arg)
{
    const ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD };

    return ae_run(&config, send_to_the_gone, arg);
}

TEST(sendfile_to_a_closed_peer_is_an_error_and_no_signal)
{
    make_file();
    signal(SIGPIPE, count_signal);
    run_with(2, send_to_the_gone, NULL);
    EXPECT_EQ(send_on_this_thread(NULL), 0);
    EXPECT_EQ(signals, 0);
    raise(SIGPIPE); /* nothing was left pending or blocked */
    EXPECT_EQ(signals, 1);
    unlink(path);
}

/* ---- a stream that wraps another ---- */

struct upper {
    ae_stream stream;
    ae_stream *inner;
};

static ssize_t upper_writev(ae_stream *stream, const struct iovec *parts, int count)
{
    return ae_writev(((struct upper *)stream)->inner, parts, count);
}

static int upper_shutdown(ae_stream *stream)
{
    return ae_shutdown(((struct upper *)stream)->inner);
}

static ae_stream *upper_inner(ae_stream *stream)
{
    return ((struct upper *)stream)->inner;
}

static const ae_stream_ops upper_ops = {
    .writev = upper_writev,
    .shutdown = upper_shutdown,
    .inner = upper_inner,
};

static int send_through_wrapper(void *arg)
{
    static const size_t ranges[][3] = {
        { 0, SIZE, SIZE }, { 12345, 54321, 54321 }, { SIZE - 5, 50, 5 }
    };

    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct pair p = open_pair();
        struct upper u = { .stream = { &upper_ops }, .inner = p.a };
        EXPECT_EQ(through(&u.stream, p.b, ranges[i][0], ranges[i][1]), ranges[i][2]);
        close_pair(&p);
    }
    return 0;
}

TEST(sendfile_into_a_wrapper_copies)
{
    make_file();
    run_both(send_through_wrapper, NULL);
    unlink(path);
}

/* ---- cancel ---- */

static int send_all(void *arg)
{
    struct sink *s = arg;
    ae_file *file;

    REQUIRE(ae_file_open(path, O_RDONLY, 0, &file) == 0);
    for (int i = 0; i < 100; i++) {
        ssize_t n = ae_sendfile(s->stream, file, 0, SIZE);
        if (n == -ECANCELED) break;
        if (!EXPECT_GT(n, 0)) break;
        s->got += (size_t)n;
    }
    ae_file_close(file);
    return 0;
}

static int cancel_sending(void *arg)
{
    struct pair p = open_pair();
    struct sink sent = { .stream = p.a };
    char buf[4096];
    ssize_t n;
    size_t got = 100;

    (void)arg;
    ae_task *sender = ae_spawn(send_all, &sent);
    EXPECT_EQ(ae_read_full(p.b, buf, 100), 100);
    ae_cancel(sender);
    EXPECT_EQ(ae_join(sender), 0);
    EXPECT_EQ(ae_shutdown(p.a), 0);
    while ((n = ae_read(p.b, buf, sizeof buf)) > 0) got += (size_t)n;
    EXPECT_EQ(got, sent.got); /* to the byte */
    close_pair(&p);
    return 0;
}

TEST(a_cancelled_sendfile_tells_how_much_was_taken)
{
    make_file();
    run_both(cancel_sending, NULL);
    unlink(path);
}
