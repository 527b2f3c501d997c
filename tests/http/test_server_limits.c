/* SPDX-License-Identifier: Apache-2.0 */
/* The server under bad clients and at its end: timeouts, the connection limit, draining. Timeouts
 * are made short; the tests say what must happen, and when it must not have happened yet. */
#include "site.h"

#include "../../http/server.h"

#define CLOSE "Host: x\r\nConnection: close\r\n\r\n"
#define GET "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

static int hello(ae_http *h)
{
    return ae_http_respond(h, 200, "text/plain", "Hello, World!", 13);
}

static int echo(ae_http *h)
{
    const char *body;
    ssize_t n = ae_http_body(h, &body);

    return n < 0 ? (int)n : ae_http_respond(h, 200, "text/plain", body, (size_t)n);
}

static _Atomic(int) sleepers, endless_rc, failed_reads;

static int slow(ae_http *h)
{
    sleepers++;
    int rc = ae_sleep(300 * AE_MS);
    return rc < 0 ? rc : hello(h);
}

static int endless(ae_http *h)
{
    static const char data[65536];
    int rc = 0;

    while (rc == 0)
        rc = ae_http_write(h, data, sizeof(data));
    endless_rc = rc;
    return rc;
}

static int stuck(ae_http *h)
{
    (void)h;
    sleepers++;
    return ae_sleep(60 * AE_SEC);
}

static int slow_read(ae_http *h)
{
    char buf[100];
    ssize_t n;

    while ((n = ae_http_read(h, buf, sizeof(buf))) > 0)
        ;
    if (n < 0) failed_reads++;
    return n < 0 ? (int)n : hello(h);
}

static void begin(struct site *site, const ae_http_opts *opts)
{
    ae_log_set_level(AE_ERROR);
    site_create(site, opts);
    ae_http_route(site->server, "GET /hello", hello, NULL);
    ae_http_route(site->server, "POST /echo", echo, NULL);
    ae_http_route(site->server, "GET /slow", slow, NULL);
    ae_http_route(site->server, "GET /endless", endless, NULL);
    ae_http_route(site->server, "GET /stuck", stuck, NULL);
    ae_http_route(site->server, "POST /read", slow_read, NULL);
    site_start(site);
}

static ae_http_stats stats_of(const struct site *site)
{
    ae_http_stats stats = { .size = sizeof(stats) };

    ae_http_server_stats(site->server, &stats);
    return stats;
}

/* ---- timeouts ---- */

TEST(a_head_that_takes_too_long_is_408)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .head_ns = 200 * AE_MS };
    struct site site;
    char buf[4096];
    int64_t start;
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    start = ae_now();
    say(fd, "GET /hello HTTP/1.1\r\n");
    for (int i = 0; i < 3; i++) { /* bytes that come do not extend the time */
        pause_ms(40);
        say(fd, "A: b\r\n");
    }
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 408);
    EXPECT_GE(ae_now() - start, 200 * AE_MS);
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    EXPECT_EQ(hear_all(fd, buf, sizeof(buf)), 0);
    close(fd);
    EXPECT_EQ(stats_of(&site).timeouts, 1);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(an_idle_connection_is_closed_without_a_word)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .keep_alive_ns = 150 * AE_MS };
    struct site site;
    char buf[4096];
    int64_t start;
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, GET);
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    start = ae_now();
    EXPECT_EQ(hear_all(fd, buf, sizeof(buf)), 0);
    EXPECT_GE(ae_now() - start, 100 * AE_MS);
    close(fd);
    fd = dial(&site); /* the same for one that never says anything */
    EXPECT_EQ(hear_all(fd, buf, sizeof(buf)), 0);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_body_that_stops_is_408)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .body_idle_ns = 150 * AE_MS };
    struct site site;
    char buf[4096];
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 408);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_body_below_the_lowest_rate_is_cut_off)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .body_rate_min = 10000,
                          .body_rate_after_ns = 200 * AE_MS };
    struct site site;
    char buf[4096];
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 500 && !failed_reads; i++) { /* 200 bytes a second */
        (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        pause_ms(5);
    }
    EXPECT_EQ(failed_reads, 1);
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 408);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_client_that_never_reads_is_cut_off)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .write_idle_ns = 200 * AE_MS };
    struct site site;
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 1000 && endless_rc == 0; i++)
        pause_ms(10);
    EXPECT_EQ(endless_rc, -ETIMEDOUT);
    for (int i = 0; i < 1000 && stats_of(&site).connections > 0; i++)
        pause_ms(10);
    EXPECT_EQ(stats_of(&site).connections, 0);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_client_that_is_gone_ends_the_handler_that_writes_to_it)
{
    struct site site;
    int fd;

    begin(&site, NULL);
    fd = dial(&site);
    say(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    pause_ms(50);
    close(fd);
    for (int i = 0; i < 1000 && endless_rc == 0; i++)
        pause_ms(10);
    EXPECT_TRUE(endless_rc == -EPIPE || endless_rc == -ECONNRESET);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_client_that_does_not_close_is_not_waited_for_long)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .linger_ns = 100 * AE_MS };
    struct site site;
    char buf[4096];
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, "bad\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 400);
    for (int i = 0; i < 1000 && stats_of(&site).connections > 0; i++)
        pause_ms(10);
    EXPECT_EQ(stats_of(&site).connections, 0);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

/* ---- the limits on connections ---- */

TEST(at_the_limit_the_oldest_without_a_head_makes_room)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .connections_max = 4 };
    struct site site;
    char buf[4096];
    int fds[4], extra;

    begin(&site, &opts);
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(&site);
        say(fds[i], i == 1 ? "GET /hel" : GET);
        if (i != 1) EXPECT_EQ(hear(fds[i], buf, sizeof(buf)), 200);
        pause_ms(20);
    }
    say(fds[0], GET); /* so that [1] has now waited longest */
    EXPECT_EQ(hear(fds[0], buf, sizeof(buf)), 200);
    for (int i = 0; i < 50; i++) {
        extra = dial(&site);
        say(extra, "GET /hello HTTP/1.1\r\n" CLOSE);
        EXPECT_GT(hear_all(extra, buf, sizeof(buf)), 0);
        close(extra);
    }
    EXPECT_EQ(hear_all(fds[1], buf, sizeof(buf)), 0);
    EXPECT_GE(stats_of(&site).connections_evicted, 1);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(slow_senders_do_not_lock_a_good_client_out)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .connections_max = 20 };
    struct site site;
    char buf[4096];
    int bad[200];

    begin(&site, &opts);
    for (int i = 0; i < 200; i++) {
        bad[i] = dial(&site);
        (void)!send(bad[i], "GET / HTTP/1.1\r\nA: b", 19, MSG_NOSIGNAL);
        if (i % 10 != 0) continue;
        EXPECT_EQ(ask(&site, "GET /hello HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    }
    EXPECT_LE(stats_of(&site).connections, 22);
    for (int i = 0; i < 200; i++)
        close(bad[i]);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_connection_ends_after_its_number_of_requests)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .requests_max = 2 };
    struct site site;
    char buf[4096];
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, GET GET GET);
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_NULL(strstr(buf, "Connection: close"));
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Connection: close"));
    EXPECT_EQ(hear_all(fd, buf, sizeof(buf)), 0);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

/* ---- the end ---- */

static void *stop_site(void *site)
{
    (void)site_stop(site);
    return NULL;
}

TEST(a_request_under_way_is_answered_when_the_server_ends)
{
    struct site site;
    pthread_t stopper;
    char buf[4096];
    int fd, partial, idle;

    begin(&site, NULL);
    idle = dial(&site);
    say(idle, GET);
    EXPECT_EQ(hear(idle, buf, sizeof(buf)), 200);
    partial = dial(&site);
    say(partial, "GET /hello HTT");
    fd = dial(&site);
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    while (sleepers == 0)
        pause_ms(1);
    REQUIRE(pthread_create(&stopper, NULL, stop_site, &site) == 0);
    pause_ms(100);
    say(partial, "P/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(hear(partial, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    say(idle, GET); /* within its second */
    EXPECT_EQ(hear(idle, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    close(fd);
    close(partial);
    close(idle);
    pthread_join(stopper, NULL);
    EXPECT_EQ(site.result, 0);
}

TEST(a_pipeline_that_has_arrived_is_answered_to_its_end_when_the_server_ends)
{
    struct site site;
    pthread_t stopper;
    char buf[4096];
    int fd;

    begin(&site, NULL);
    fd = dial(&site);
    say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" GET GET GET GET);
    while (sleepers == 0)
        pause_ms(1);
    REQUIRE(pthread_create(&stopper, NULL, stop_site, &site) == 0);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
        EXPECT_EQ(strstr(buf, "Connection: close\r\n") != NULL, i == 4);
    }
    close(fd);
    pthread_join(stopper, NULL);
    EXPECT_EQ(site.result, 0);
}

TEST(connections_in_the_accept_queue_are_answered_when_the_server_ends)
{
    struct site site;
    pthread_t stopper;
    char buf[4096];
    int fds[100];

    begin(&site, NULL);
    for (int i = 0; i < 100; i++) {
        fds[i] = dial(&site);
        say(fds[i], GET);
    }
    REQUIRE(pthread_create(&stopper, NULL, stop_site, &site) == 0);
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(hear(fds[i], buf, sizeof(buf)), 200);
        close(fds[i]);
    }
    pthread_join(stopper, NULL);
    EXPECT_EQ(site.result, 0);
}

TEST(idle_connections_do_not_hold_the_end_up)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .drain_idle_ns = 100 * AE_MS };
    struct site site;
    char buf[4096];
    int64_t start;
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, GET);
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    start = ae_now();
    EXPECT_EQ(site_stop(&site), 0);
    EXPECT_LT(ae_now() - start, 5 * AE_SEC);
    EXPECT_EQ(hear_all(fd, buf, sizeof(buf)), 0);
    close(fd);
}

/* As after a moment of the drain at which all had gone, before the last of the queue came. */
TEST(the_end_waits_for_no_idle_connection_that_came_late)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .drain_ns = 3600 * AE_SEC, .drain_idle_ns = AE_MS };
    struct site site;
    char answer[1024];

    begin(&site, &opts);
    ae_event_set(&site.server->deserted);
    int idle = dial(&site);
    say(idle, GET);
    REQUIRE(hear_bytes(idle, answer, 1));
    EXPECT_EQ(site_stop(&site), 0); /* or for an hour */
    close(idle);
}

TEST_TIMEOUT(a_server_that_gets_no_task_says_so, 30)
{
    for (unsigned tasks = 1; tasks <= 3; tasks++) {
        ae_config config = { AE_CONFIG, .workers = 2, .tasks_max = tasks };
        struct site site;
        site_create(&site, NULL);
        REQUIRE(ae_http_listen(site.server, "127.0.0.1:0") == 0);
        EXPECT_EQ(ae_run(&config, site_serve, &site), 0);
        EXPECT_EQ(site.result, -ENOMEM);
        ae_http_server_destroy(site.server);
    }
}

TEST(the_drain_has_an_end)
{
    ae_http_opts opts = { AE_HTTP_OPTS, .drain_ns = 300 * AE_MS, .drain_idle_ns = 10 * AE_MS };
    struct site site;
    char buf[4096];
    int fd;

    begin(&site, &opts);
    fd = dial(&site);
    say(fd, "GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
    while (sleepers == 0)
        pause_ms(1);
    EXPECT_EQ(site_stop(&site), -ETIMEDOUT);
    (void)hear_all(fd, buf, sizeof(buf));
    close(fd);
}

static _Atomic(int) load_requests, load_broken;

/* Asks until a response says close; a request without its whole response is a failure. */
static void *load(void *arg)
{
    const struct site *site = arg;
    int fd = dial(site);
    char buf[4096];
    bool ended = false;

    while (!ended) {
        if (send(fd, GET, sizeof(GET) - 1, MSG_NOSIGNAL) != sizeof(GET) - 1 ||
            hear(fd, buf, sizeof(buf)) != 200) {
            load_broken++;
            break;
        }
        load_requests++;
        ended = strstr(buf, "Connection: close") != NULL;
    }
    close(fd);
    return NULL;
}

TEST(under_load_no_request_goes_without_its_response)
{
    struct site site;
    pthread_t clients[16];

    begin(&site, NULL);
    for (size_t i = 0; i < 16; i++)
        REQUIRE(pthread_create(&clients[i], NULL, load, &site) == 0);
    pause_ms(200);
    EXPECT_EQ(site_stop(&site), 0);
    for (size_t i = 0; i < 16; i++)
        pthread_join(clients[i], NULL);
    EXPECT_GT(load_requests, 16);
    EXPECT_EQ(load_broken, 0);
}

/* A connection of its own for each request, until the port is closed. */
static void *load_anew(void *arg)
{
    const struct site *site = arg;
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons((uint16_t)site->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char buf[4096];
    bool open = true;

    while (open) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        open = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
        if (open) {
            bool sent = send(fd, GET, sizeof(GET) - 1, MSG_NOSIGNAL) == sizeof(GET) - 1;

            if (!sent || hear(fd, buf, sizeof(buf)) != 200) load_broken++;
            load_requests++;
        }
        close(fd);
    }
    return NULL;
}

TEST(a_connection_that_was_made_is_answered_or_was_never_made)
{
    struct site site;
    pthread_t clients[8];

    begin(&site, NULL);
    for (size_t i = 0; i < 8; i++)
        REQUIRE(pthread_create(&clients[i], NULL, load_anew, &site) == 0);
    pause_ms(200);
    EXPECT_EQ(site_stop(&site), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(clients[i], NULL);
    EXPECT_GT(load_requests, 8);
    EXPECT_EQ(load_broken, 0);
}

TEST(a_conflict_of_routes_is_a_start_up_error)
{
    ae_http_server *server;

    ae_log_set_level(AE_ERROR);
    REQUIRE(ae_http_server_create(NULL, &server) == 0);
    EXPECT_EQ(ae_http_route(server, "GET /a/{x}", hello, NULL), 0);
    EXPECT_EQ(ae_http_route(server, "GET /a/{y}", hello, NULL), -EEXIST);
    EXPECT_EQ(ae_http_listen(server, "127.0.0.1:0"), -EEXIST);
    ae_http_server_destroy(server);
}
