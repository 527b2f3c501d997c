/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/driver/socket.c */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "io_test.h"

/* ---- many connections, many acceptors ---- */

enum { CONNECTIONS = 300, ACCEPTORS = 4 };

static _Atomic(int) accepted, echoed;

static int echo(void *arg)
{
    ae_stream *stream = arg;
    char buf[64];
    ssize_t n;

    while ((n = ae_read(stream, buf, sizeof buf)) > 0) EXPECT_EQ(ae_write(stream, buf, n), n);
    EXPECT_EQ(n, 0);
    ae_close(stream);
    return 0;
}

static int accept_until_closed(void *arg)
{
    ae_listener *listener = arg;
    ae_stream *stream;
    int rc;

    while ((rc = ae_accept(listener, &stream, NULL)) == 0) {
        accepted++;
        EXPECT_EQ(ae_go(echo, stream), 0);
    }
    EXPECT_EQ(rc, -ECANCELED);
    return 0;
}

static int talk(void *arg)
{
    ae_stream *stream;
    char out[16], in[16];

    EXPECT_EQ(ae_connect(arg, &stream), 0);
    for (int i = 0; i < 5; i++) {
        int length = snprintf(out, sizeof out, "message %d", i);
        EXPECT_EQ(ae_write(stream, out, (size_t)length), length);
        EXPECT_EQ(ae_read_full(stream, in, (size_t)length), length);
        EXPECT_MEMEQ(in, out, length);
    }
    ae_close(stream);
    echoed++;
    return 0;
}

static int serve_many(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_scope scope;

    (void)arg;
    accepted = echoed = 0;
    ae_scope_begin(&scope);
    for (int i = 0; i < ACCEPTORS; i++) EXPECT_EQ(ae_go(accept_until_closed, listener), 0);
    ae_scope clients;
    ae_scope_begin(&clients);
    for (int i = 0; i < CONNECTIONS; i++) EXPECT_EQ(ae_go(talk, address), 0);
    EXPECT_EQ(ae_scope_end(&clients, 0), 0);
    ae_listener_close(listener);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(accepted, CONNECTIONS);
    EXPECT_EQ(echoed, CONNECTIONS);
    return 0;
}

TEST(several_tasks_accept_many_connections_and_close_ends_them)
{
    run_both(serve_many, NULL);
}

/* ---- cancel ---- */

static int accept_once(void *arg)
{
    ae_stream *stream;

    return ae_accept(arg, &stream, NULL);
}

static int cancel_acceptors(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *a, *b;

    (void)arg;
    ae_task *first = ae_spawn(accept_once, listener);
    ae_task *second = ae_spawn(accept_once, listener);
    yield_times(10);
    ae_cancel(second); /* waits for its turn */
    EXPECT_EQ(ae_join(second), -ECANCELED);
    ae_cancel(first); /* waits for a connection */
    EXPECT_EQ(ae_join(first), -ECANCELED);
    EXPECT_EQ(ae_connect(address, &a), 0); /* and the listener is as good as before */
    EXPECT_EQ(ae_accept(listener, &b, NULL), 0);
    ae_close(a);
    ae_close(b);
    ae_listener_close(listener);
    ae_listener_close(NULL);
    return 0;
}

TEST(accept_is_cancellable_waiting_for_its_turn_or_a_connection)
{
    run_both(cancel_acceptors, NULL);
}

/* ---- descriptors run out ---- */

static _Atomic(int) complaints;

static void count_complaints(void *context, enum ae_log_level level, const char *line)
{
    (void)context;
    (void)level;
    if (strstr(line, "accept")) complaints++;
}

static int accept_and_close(void *arg)
{
    ae_stream *stream;

    int rc = ae_accept(arg, &stream, NULL);
    if (rc == 0) ae_close(stream);
    return rc;
}

static void limit_fds(rlim_t soft)
{
    struct rlimit limit;

    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = soft;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int accept_without_descriptors(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *client;
    int taken[64], n = 0;

    (void)arg;
    ae_log_set_sink(count_complaints, NULL);
    EXPECT_EQ(ae_connect(address, &client), 0);
    limit_fds(64);
    while (n < 64 && (taken[n] = dup(0)) >= 0) n++;
    ae_task *acceptor = ae_spawn(accept_and_close, listener);
    while (complaints == 0) ae_yield();
    EXPECT_EQ(ae_sleep(30 * AE_MS), 0); /* it tries again meanwhile, and says no more */
    EXPECT_EQ(complaints, 1);
    while (n > 0) close(taken[--n]);
    EXPECT_EQ(ae_join(acceptor), 0);
    ae_close(client);
    ae_listener_close(listener);
    ae_log_set_sink(NULL, NULL);
    return 0;
}

TEST(accept_survives_running_out_of_descriptors)
{
    run_with(1, accept_without_descriptors, NULL);
}

static int cancel_in_shortage(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *client;
    int taken[64], n = 0;

    (void)arg;
    ae_log_set_sink(count_complaints, NULL);
    EXPECT_EQ(ae_connect(address, &client), 0);
    limit_fds(64);
    while (n < 64 && (taken[n] = dup(0)) >= 0) n++;
    ae_task *acceptor = ae_spawn(accept_and_close, listener);
    while (complaints == 0) ae_yield();
    ae_cancel(acceptor);
    EXPECT_EQ(ae_join(acceptor), -ECANCELED);
    while (n > 0) close(taken[--n]);
    ae_close(client);
    ae_listener_close(listener);
    ae_log_set_sink(NULL, NULL);
    return 0;
}

TEST(accept_is_cancellable_while_descriptors_are_short)
{
    run_with(1, cancel_in_shortage, NULL);
}

/* ---- addresses ---- */

static int peers_agree(void *arg)
{
    ae_listener *listener;
    ae_stream *client, *server;
    ae_addr bound, peer, local, remote;
    char a[AE_ADDR_TEXT_MAX], b[AE_ADDR_TEXT_MAX];

    REQUIRE(ae_listen(arg, NULL, &listener) == 0);
    EXPECT_EQ(ae_listener_addr(listener, &bound), 0);
    ae_addr_format(&bound, a, sizeof a);
    REQUIRE(ae_connect(a, &client) == 0);
    EXPECT_EQ(ae_accept(listener, &server, &peer), 0);
    EXPECT_EQ(ae_stream_local(client, &local), 0);
    ae_addr_format(&peer, a, sizeof a);
    ae_addr_format(&local, b, sizeof b);
    EXPECT_STREQ(a, b);
    EXPECT_EQ(ae_stream_peer(server, &remote), 0);
    ae_addr_format(&remote, b, sizeof b);
    EXPECT_STREQ(a, b);
    ae_close(client);
    ae_close(server);
    ae_listener_close(listener);
    return 0;
}

TEST(accept_gives_the_address_of_the_peer)
{
    run_both(peers_agree, "127.0.0.1:0");
}

static bool have_ipv6(void)
{
    ae_listener *listener;

    if (ae_listen("[::1]:0", NULL, &listener) < 0) return false;
    ae_listener_close(listener);
    return true;
}

TEST(ipv6_works_where_there_is_one)
{
    if (!have_ipv6()) test_skip("no IPv6 here");
    run_both(peers_agree, "[::1]:0");
}

static int reach_all_interfaces(void *arg)
{
    ae_listener *listener;
    ae_stream *client, *server;
    char address[AE_ADDR_TEXT_MAX];
    ae_addr bound;

    (void)arg;
    REQUIRE(ae_listen(":0", NULL, &listener) == 0);
    EXPECT_EQ(ae_listener_addr(listener, &bound), 0);
    EXPECT_NE(ae_addr_port(&bound), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ae_addr_port(&bound));
    REQUIRE(ae_connect(address, &client) == 0);
    EXPECT_EQ(ae_accept(listener, &server, NULL), 0);
    ae_close(client);
    ae_close(server);
    ae_listener_close(listener);
    return 0;
}

TEST(a_port_alone_listens_on_all_interfaces)
{
    run_with(1, reach_all_interfaces, NULL);
}

static int accepted_options(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *client, *server;
    int on = 0;
    size_t size = sizeof on;

    (void)arg;
    REQUIRE(ae_connect(address, &client) == 0);
    REQUIRE(ae_accept(listener, &server, NULL) == 0);
    EXPECT_EQ(ae_stream_get_option(server, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    EXPECT_EQ(on, 1); /* inherited */
    EXPECT_EQ(fcntl(ae_stream_fd(server), F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(fcntl(ae_stream_fd(server), F_GETFL) & O_NONBLOCK);
    on = 0;
    EXPECT_EQ(ae_stream_get_option(client, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    EXPECT_EQ(on, 1);
    ae_close(client);
    ae_close(server);
    ae_listener_close(listener);
    return 0;
}

TEST(both_ends_have_no_delay_and_do_not_leak_into_children)
{
    run_with(1, accepted_options, NULL);
}

TEST(an_address_in_use_is_an_error)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *first = listen_local(address, sizeof address), *second = NULL;

    EXPECT_EQ(ae_listen(address, NULL, &second), -EADDRINUSE);
    EXPECT_NULL(second);
    ae_listener_close(first);
    EXPECT_EQ(ae_listen(address, NULL, &second), 0);
    ae_listener_close(second);
    EXPECT_EQ(ae_listen("nonsense", NULL, &second), -EINVAL);
}

TEST(reuse_port_lets_several_listen)
{
    const ae_listen_opts shared = { .reuse_port = true };
    ae_listener *first, *second;
    char address[AE_ADDR_TEXT_MAX];
    ae_addr bound;

    REQUIRE(ae_listen("127.0.0.1:0", &shared, &first) == 0);
    EXPECT_EQ(ae_listener_addr(first, &bound), 0);
    ae_addr_format(&bound, address, sizeof address);
    EXPECT_EQ(ae_listen(address, &shared, &second), 0);
    ae_listener_close(first);
    ae_listener_close(second);
}

/* ---- Unix sockets ---- */

static char path[96], unix_address[128];

static void make_directory(void)
{
    REQUIRE((size_t)snprintf(path, sizeof path, "%s/socket", test_folder()) < sizeof path);
    snprintf(unix_address, sizeof unix_address, "unix:%s", path);
}

static bool exists(void)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

TEST(unix_socket_files_are_private_and_removed_with_the_listener)
{
    ae_listener *listener;
    struct stat st;

    make_directory();
    run_both(peers_agree, unix_address);
    EXPECT_FALSE(exists());
    EXPECT_EQ(ae_listen(unix_address, NULL, &listener), 0);
    EXPECT_EQ(stat(path, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    ae_listener_close(listener);
    const ae_listen_opts open_to_all = { .unix_mode = 0666 };
    EXPECT_EQ(ae_listen(unix_address, &open_to_all, &listener), 0);
    EXPECT_EQ(stat(path, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0666);
    ae_listener_close(listener);
    EXPECT_EQ(rmdir(test_folder()), 0);
}

TEST(an_abstract_name_needs_no_file)
{
    char name[64];

    snprintf(name, sizeof name, "unix:@aether-test-%d", (int)getpid());
    run_both(peers_agree, name);
}

/* As a process that died leaves it. */
static void leave_stale_socket(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
}

TEST(a_stale_unix_socket_is_replaced_a_live_one_is_not)
{
    ae_listener *first, *second;

    make_directory();
    leave_stale_socket();
    EXPECT_EQ(ae_listen(unix_address, NULL, &first), 0);
    EXPECT_EQ(ae_listen(unix_address, NULL, &second), -EADDRINUSE);
    EXPECT_TRUE(exists());
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(ae_listen(unix_address, NULL, &second), 0);
    ae_listener_close(first); /* its file is gone: the one that is there is not its own */
    EXPECT_TRUE(exists());
    ae_listener_close(second);
    EXPECT_FALSE(exists());
    EXPECT_EQ(rmdir(test_folder()), 0);
}

TEST(a_file_that_is_no_socket_is_left_alone)
{
    ae_listener *listener;

    make_directory();
    close(open(path, O_CREAT | O_WRONLY, 0600));
    EXPECT_EQ(ae_listen(unix_address, NULL, &listener), -EADDRINUSE);
    EXPECT_TRUE(exists());
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(rmdir(test_folder()), 0);
}

/* ---- adopting, and a listener's life beside runtimes ---- */

static int raw_listener(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    EXPECT_EQ(listen(fd, 16), 0);
    return fd;
}

static int use_listener(void *arg)
{
    ae_listener *listener = arg;
    ae_stream *client, *server;
    char address[AE_ADDR_TEXT_MAX];
    ae_addr bound;

    EXPECT_EQ(ae_listener_addr(listener, &bound), 0);
    ae_addr_format(&bound, address, sizeof address);
    for (int i = 0; i < 3; i++) {
        ae_task *acceptor = ae_spawn(accept_and_close, listener); /* waits, so it registers */
        yield_times(5);
        EXPECT_EQ(ae_connect(address, &client), 0);
        EXPECT_EQ(ae_join(acceptor), 0);
        ae_close(client);
    }
    EXPECT_EQ(ae_connect(address, &client), 0);
    EXPECT_EQ(ae_accept(listener, &server, NULL), 0);
    ae_close(client);
    ae_close(server);
    return 0;
}

TEST(an_adopted_listener_serves_two_runtimes_in_a_row)
{
    ae_listener *listener;
    int fd = raw_listener();

    REQUIRE(ae_listener_adopt(fd, &listener) == 0);
    EXPECT_EQ(ae_listener_fd(listener), fd);
    run_with(1, use_listener, listener);
    run_with(2, use_listener, listener);
    ae_listener_close(listener);
}

TEST(what_does_not_listen_is_not_adopted)
{
    ae_listener *listener;
    int fds[2];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    EXPECT_EQ(ae_listener_adopt(fd, &listener), -EINVAL);
    close(fd);
    EXPECT_EQ(pipe(fds), 0);
    EXPECT_EQ(ae_listener_adopt(fds[0], &listener), -ENOTSOCK);
    close(fds[0]);
    close(fds[1]);
    EXPECT_EQ(ae_listener_adopt(-1, &listener), -EBADF);
}

/* ---- no memory ---- */

TEST(without_memory_nothing_is_opened_or_taken_over)
{
    ae_listener *listener = NULL;
    ae_stream *stream = NULL;
    int fd = raw_listener(), fds[2];

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    int before = test_open_fds();
    ae__mem_fail_after(1);
    EXPECT_EQ(ae_listen("127.0.0.1:0", NULL, &listener), -ENOMEM);
    ae__mem_fail_after(1);
    EXPECT_EQ(ae_listener_adopt(fd, &listener), -ENOMEM);
    ae__mem_fail_after(1);
    EXPECT_EQ(ae_stream_adopt(fds[0], &stream), -ENOMEM);
    ae__mem_fail_after(0);
    EXPECT_TRUE(listener == NULL && stream == NULL);
    EXPECT_EQ(test_open_fds(), before);
    close(fd);
    close(fds[0]);
    close(fds[1]);
}

static int accept_without_memory(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);
    ae_stream *lost, *client, *server = NULL;

    (void)arg;
    ae_log_set_sink(count_complaints, NULL);
    REQUIRE(ae_connect(address, &lost) == 0);
    REQUIRE(ae_connect(address, &client) == 0);
    ae__mem_fail_after(1);
    EXPECT_EQ(ae_accept(listener, &server, NULL), 0); /* the first one is dropped */
    EXPECT_EQ(complaints, 1);
    EXPECT_EQ(ae_write(client, "x", 1), 1);
    char byte;
    EXPECT_EQ(ae_read(server, &byte, 1), 1);
    EXPECT_LE(ae_read(lost, &byte, 1), 0);
    ae_close(lost);
    ae_close(client);
    ae_close(server);
    ae_listener_close(listener);
    ae_log_set_sink(NULL, NULL);
    return 0;
}

TEST(accept_survives_running_out_of_memory)
{
    run_with(1, accept_without_memory, NULL);
}
