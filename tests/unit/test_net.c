/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting, adopting, options. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io_test.h"

/* A port that nobody listens on: bound, so that nobody else gets it. */
static int closed_port(char *address, size_t size)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t length = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&in, &length), 0);
    snprintf(address, size, "127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

static int connect_to_nobody(void *arg)
{
    ae_stream *stream = NULL;
    char address[64];
    int fd = closed_port(address, sizeof address);

    (void)arg;
    EXPECT_EQ(ae_connect(address, &stream), -ECONNREFUSED);
    EXPECT_EQ(ae_connect("unix:/nonexistent/socket", &stream), -ENOENT);
    EXPECT_EQ(ae_connect("unix:", &stream), -EINVAL);
    EXPECT_EQ(ae_connect("no-port", &stream), -EINVAL);
    EXPECT_EQ(ae_connect(":", &stream), -EINVAL);
    EXPECT_EQ(ae_connect("host:", &stream), -EINVAL);
    EXPECT_EQ(ae_connect("[:80", &stream), -EINVAL);
    EXPECT_NULL(stream);
    close(fd);
    return 0;
}

TEST(connect_tells_why_it_failed)
{
    run_both(connect_to_nobody, NULL);
}

static int connect_by_name(void *arg)
{
    char address[AE_ADDR_TEXT_MAX], name[64];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *a, *b;
    ae_addr bound;

    (void)arg;
    EXPECT_EQ(ae_listener_addr(listener, &bound), 0);
    snprintf(name, sizeof name, "localhost:%u", ae_addr_port(&bound));
    REQUIRE(ae_connect(name, &a) == 0); /* [::1] may come first and be refused */
    EXPECT_EQ(ae_accept(listener, &b, NULL), 0);
    ae_close(a);
    ae_close(b);
    ae_listener_close(listener);
    return 0;
}

TEST(names_are_resolved_and_all_their_addresses_tried)
{
    run_both(connect_by_name, NULL);
}

/* ---- cancel ---- */

enum { FILLERS = 8 };

struct full {
    char address[64];
    int listener, fillers[FILLERS];
};

/* A listener whose queue is full: the kernel drops what else wants in, and connect hangs. */
static void fill(struct full *f)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t length = sizeof in;

    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(f->listener, (struct sockaddr *)&in, sizeof in), 0);
    EXPECT_EQ(listen(f->listener, 0), 0);
    EXPECT_EQ(getsockname(f->listener, (struct sockaddr *)&in, &length), 0);
    snprintf(f->address, sizeof f->address, "127.0.0.1:%d", ntohs(in.sin_port));
    for (int i = 0; i < FILLERS; i++) {
        f->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(f->fillers[i], (struct sockaddr *)&in, sizeof in);
    }
}

static void empty(struct full *f)
{
    for (int i = 0; i < FILLERS; i++) close(f->fillers[i]);
    close(f->listener);
}

static int connect_there(void *arg)
{
    ae_stream *stream;

    int rc = ae_connect(arg, &stream);
    if (rc == 0) ae_close(stream);
    return rc;
}

static int cancel_a_connect(void *arg)
{
    struct full f;

    (void)arg;
    fill(&f);
    int before = test_open_fds();
    ae_task *task = ae_spawn(connect_there, f.address);
    yield_times(10);
    ae_cancel(task);
    EXPECT_EQ(ae_join(task), -ECANCELED);
    EXPECT_EQ(test_open_fds(), before);
    empty(&f);
    return 0;
}

TEST(a_cancelled_connect_closes_its_socket)
{
    run_both(cancel_a_connect, NULL);
}

/* A Unix listener with a full queue tells nobody when it has room again. */
static int connect_when_there_is_room(void *arg)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char address[128];
    int waiting[16], n = 0;

    (void)arg;
    int length = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "aether-full-%d", getpid());
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    snprintf(address, sizeof address, "unix:@%s", un.sun_path + 1);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(listener, (struct sockaddr *)&un, size), 0);
    EXPECT_EQ(listen(listener, 0), 0);
    for (; n < 16; n++) {
        waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(waiting[n], (struct sockaddr *)&un, size) < 0) break;
    }
    EXPECT_EQ(errno, EAGAIN);
    ae_task *cancelled = ae_spawn(connect_there, address);
    ae_task *patient = ae_spawn(connect_there, address);
    EXPECT_EQ(ae_sleep(5 * AE_MS), 0);
    ae_cancel(cancelled);
    EXPECT_EQ(ae_join(cancelled), -ECANCELED);
    int server = accept(listener, NULL, NULL);
    EXPECT_EQ(ae_join(patient), 0);
    close(server);
    for (; n >= 0; n--) close(waiting[n]);
    close(listener);
    return 0;
}

TEST(connect_waits_for_room_in_a_unix_queue)
{
    run_both(connect_when_there_is_room, NULL);
}

/* ---- adopting and options ---- */

static int use_adopted(void *arg)
{
    ae_stream **s = arg;
    char buf[8];

    EXPECT_EQ(ae_write(s[0], "ping", 4), 4);
    EXPECT_EQ(ae_read(s[1], buf, sizeof buf), 4);
    EXPECT_EQ(ae_read_full(s[1], buf, 0), 0);
    ae_close(s[0]);
    EXPECT_EQ(ae_read(s[1], buf, sizeof buf), 0);
    ae_close(s[1]);
    return 0;
}

TEST(streams_adopted_outside_a_runtime_work_in_one)
{
    int fds[2];
    ae_stream *s[2];

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    REQUIRE(ae_stream_adopt(fds[0], &s[0]) == 0);
    REQUIRE(ae_stream_adopt(fds[1], &s[1]) == 0);
    EXPECT_EQ(ae_stream_fd(s[0]), fds[0]);
    run_with(2, use_adopted, s);
}

static int wait_for_adopted(void *arg)
{
    ae_scope scope;
    char buf[8];

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + AE_MS);
    EXPECT_EQ(ae_scope_end(&scope, (int)ae_read(arg, buf, sizeof buf)), -ETIMEDOUT);
    return 0;
}

TEST(streams_may_outlive_their_runtime_and_be_used_in_the_next)
{
    int fds[2];
    ae_stream *s;

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    REQUIRE(ae_stream_adopt(fds[0], &s) == 0);
    run_with(1, wait_for_adopted, s);
    run_with(1, wait_for_adopted, s);
    ae_close(s);
    close(fds[1]);
}

TEST(only_connected_streams_are_adopted)
{
    ae_stream *s;
    int fds[2];
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0);

    EXPECT_EQ(ae_stream_adopt(datagrams, &s), -EINVAL);
    close(datagrams);
    EXPECT_EQ(pipe(fds), 0);
    EXPECT_EQ(ae_stream_adopt(fds[0], &s), -ENOTSOCK);
    close(fds[0]);
    close(fds[1]);
}

static int set_and_get(void *arg)
{
    struct pair p = open_pair();
    int off = 0, value = 7;
    size_t size = sizeof value;

    (void)arg;
    EXPECT_EQ(ae_stream_set_option(p.a, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off), 0);
    EXPECT_EQ(ae_stream_get_option(p.a, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    EXPECT_EQ(value, 0);
    EXPECT_EQ(ae_stream_set_option(p.a, IPPROTO_TCP, 12345, &off, sizeof off), -ENOPROTOOPT);
    close_pair(&p);
    return 0;
}

TEST(options_are_set_and_read_back)
{
    run_with(1, set_and_get, NULL);
}
