/* SPDX-License-Identifier: Apache-2.0 */
/* The server over real sockets: what a client sees of requests, responses and errors. */
#include "site.h"

#include <fcntl.h>

#define CLOSE "Host: x\r\nConnection: close\r\n\r\n"

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

static int echo_stream(ae_http *h)
{
    char buf[7];
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = ae_http_read(h, buf, sizeof(buf))) != 0)
        rc = n < 0 ? (int)n : ae_http_write(h, buf, (size_t)n);
    return rc;
}

static int ignore_body(ae_http *h)
{
    return ae_http_text(h, 200, "ignored");
}

static int show(ae_http *h)
{
    int64_t id;
    int rc = ae_http_param_i64(h, "id", &id);
    const char *q = ae_http_query(h, "q e");

    if (rc < 0) return rc;
    return ae_http_printf(h, 200, "text/plain", "%s|%s|%s|%s|%s|%d|%lld|%s", ae_http_method(h),
                          ae_http_target(h), ae_http_path(h), ae_http_query_string(h),
                          ae_http_host(h), ae_http_version(h), (long long)id, q ? q : "-");
}

static int pieces(ae_http *h)
{
    int rc = ae_http_header(h, "X-A", "1");

    if (rc == 0) rc = ae_http_header(h, "x-a", "2");
    if (rc == 0) rc = ae_http_header_add(h, "X-A", "3");
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = ae_http_writef(h, "piece %d;", i);
    return rc;
}

static int breaks(ae_http *h)
{
    int rc = ae_http_write(h, "half", 4);

    return rc < 0 ? rc : -EIO;
}

static int too_little(ae_http *h)
{
    int rc = ae_http_length(h, 100);

    return rc < 0 ? rc : ae_http_write(h, "half", 4);
}

static int fails(ae_http *h)
{
    (void)!ae_http_header(h, "X-Secret", "not in the error");
    return *(int *)ae_http_context(h);
}

static int empty(ae_http *h)
{
    (void)h;
    return 0;
}

static int split(ae_http *h)
{
    EXPECT_EQ(ae_http_header(h, "X", "a\r\nY: b"), -EINVAL);
    EXPECT_EQ(ae_http_header(h, "X\r\nY", "b"), -EINVAL);
    EXPECT_EQ(ae_http_header(h, "Content-Length", "5"), -EINVAL);
    EXPECT_EQ(ae_http_redirect(h, 302, "/a\r\nSet-Cookie: x"), -EINVAL);
    EXPECT_EQ(ae_http_respond(h, 200, "text/plain\r\nX: y", "", 0), -EINVAL);
    EXPECT_EQ(ae_http_status(h, 99), -EINVAL);
    EXPECT_EQ(ae_http_text(h, 200, "whole"), 0);
    EXPECT_EQ(ae_http_text(h, 200, "again"), -EALREADY);
    EXPECT_EQ(ae_http_write(h, "x", 1), -EALREADY);
    return 0;
}

static int big(ae_http *h)
{
    size_t size = 3 << 20;
    char *body = ae_http_alloc(h, size);

    if (!body) return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 23);
    return ae_http_respond(h, 200, "text/plain", body, size);
}

static int file(ae_http *h)
{
    ae_file *f;
    int rc = ae_file_open("/proc/self/exe", O_RDONLY, 0, &f);

    if (rc < 0) return rc;
    rc = ae_http_send_file(h, f, 1, 100000);
    ae_file_close(f);
    return rc;
}

static int events(ae_http *h)
{
    int rc = ae_http_sse_open(h);

    if (rc == 0) rc = ae_http_sse_send(h, "tick", "1", "a\nb");
    if (rc == 0) rc = ae_http_sse_heartbeat(h);
    return rc;
}

static int fields(ae_http *h)
{
    return ae_http_printf(h, 200, NULL, "%s|%d|%d", ae_http_field(h, "x-one"),
                          ae_http_field_has(h, "accept-encoding", "br"),
                          ae_http_field_has(h, "Accept-Encoding", "zstd"));
}

/* What is refused before a head is out, and all that is when it is. */
static int late(ae_http *h)
{
    EXPECT_EQ(ae_http_header(h, "", "b"), -EINVAL);
    EXPECT_EQ(ae_http_header_add(h, "Transfer-Encoding", "chunked"), -EINVAL);
    EXPECT_EQ(ae_http_length(h, (uint64_t)INT64_MAX + 1), -EINVAL);
    EXPECT_EQ(ae_http_status(h, 1000), -EINVAL);
    EXPECT_EQ(ae_http_respond(h, 1000, NULL, "", 0), -EINVAL);
    EXPECT_EQ(ae_http_length(h, 5), 0);
    EXPECT_FALSE(ae_http_started(h));
    EXPECT_EQ(ae_http_write(h, "123", 3), 0);
    EXPECT_TRUE(ae_http_started(h));
    EXPECT_EQ(ae_http_header(h, "X", "y"), -EALREADY);
    EXPECT_EQ(ae_http_header_add(h, "X", "y"), -EALREADY);
    EXPECT_EQ(ae_http_status(h, 201), -EALREADY);
    EXPECT_EQ(ae_http_length(h, 5), -EALREADY);
    EXPECT_EQ(ae_http_redirect(h, 302, "/a"), -EALREADY);
    EXPECT_EQ(ae_http_write(h, "456", 3), -EMSGSIZE);
    EXPECT_EQ(ae_http_flush(h), 0);
    return ae_http_write(h, "45", 2);
}

/* A piece that is longer than what is formatted at once; a header that does not fit in what was
 * set aside for the others. */
static int long_pieces(ae_http *h)
{
    char value[600];
    int rc;

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    rc = ae_http_header(h, "X-Short", "1");
    if (rc == 0) rc = ae_http_header(h, "X-Long", value);
    if (rc == 0) rc = ae_http_writef(h, "%1500d|", 7);
    return rc < 0 ? rc : ae_http_writef(h, "%s", value);
}

/* The query's pairs, the number in the path, and the fields one after the other. */
static int asked(ae_http *h)
{
    static const char *const names[] = { "a", "b", "c d", "e", "" };
    const char *name, *value;
    char text[256] = "";
    size_t used = 0, count = 0;
    int64_t id = 0;

    EXPECT_NULL(ae_http_param(h, "other"));
    EXPECT_EQ(ae_http_param_i64(h, "other", &id), -EINVAL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = ae_http_query(h, names[i]);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s;", value ? value : "-");
    }
    while (ae_http_field_at(h, count, &name, &value))
        count++;
    EXPECT_NULL(ae_http_field(h, "X-None"));
    EXPECT_FALSE(ae_http_field_has(h, "X-None", "a"));
    if (ae_http_param_i64(h, "id", &id) < 0) return ae_http_printf(h, 200, NULL, "%s no", text);
    return ae_http_printf(h, 200, NULL, "%s %lld %zu", text, (long long)id, count);
}

static int outer(ae_http *h)
{
    int rc = ae_http_header(h, "X-Outer", ae_http_context(h));

    return rc < 0 ? rc : ae_http_next(h);
}

static void begin(struct site *site)
{
    static int gone = -ENOENT, broken = -EIO;

    site_create(site, NULL);
    ae_http_route(site->server, "GET /hello", hello, NULL);
    ae_http_route(site->server, "POST /echo", echo, NULL);
    ae_http_route(site->server, "POST /stream", echo_stream, NULL);
    ae_http_route(site->server, "POST /ignore", ignore_body, NULL);
    ae_http_route(site->server, "GET /show/{id}", show, NULL);
    ae_http_route(site->server, "GET /pieces", pieces, NULL);
    ae_http_route(site->server, "GET /breaks", breaks, NULL);
    ae_http_route(site->server, "GET /too-little", too_little, NULL);
    ae_http_route(site->server, "GET /gone", fails, &gone);
    ae_http_route(site->server, "GET /broken", fails, &broken);
    ae_http_route(site->server, "GET /empty", empty, NULL);
    ae_http_route(site->server, "GET /split", split, NULL);
    ae_http_route(site->server, "GET /big", big, NULL);
    ae_http_route(site->server, "GET /file", file, NULL);
    ae_http_route(site->server, "GET /events", events, NULL);
    ae_http_route(site->server, "GET /fields", fields, NULL);
    ae_http_route(site->server, "GET /late", late, NULL);
    ae_http_route(site->server, "GET /long", long_pieces, NULL);
    ae_http_route(site->server, "GET /asked/{id}", asked, NULL);
    ae_http_use(site->server, outer, "yes");
    site_start(site);
}

TEST(a_connection_is_used_again)
{
    struct site site;
    char buf[4096];
    int fd;

    begin(&site);
    fd = dial(&site);
    for (int i = 0; i < 3; i++) {
        say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
        EXPECT_STREQ(body_of(buf), "Hello, World!");
        EXPECT_NOT_NULL(strstr(buf, "\r\nDate: "));
        EXPECT_NOT_NULL(strstr(buf, "\r\nX-Outer: yes\r\n"));
        EXPECT_NOT_NULL(strstr(buf, "\r\nContent-Type: text/plain\r\n"));
        EXPECT_NULL(strstr(buf, "Connection:"));
    }
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_request_may_come_byte_by_byte)
{
    static const char wire[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                               "Connection: close\r\n\r\nhello";
    struct site site;
    char buf[4096];
    int fd;

    begin(&site);
    fd = dial(&site);
    for (size_t i = 0; i < sizeof(wire) - 1; i++) {
        say_bytes(fd, wire + i, 1);
        pause_ms(1);
    }
    EXPECT_GT(hear_all(fd, buf, sizeof(buf)), 0);
    EXPECT_STREQ(body_of(buf), "hello");
    EXPECT_NOT_NULL(strstr(buf, "\r\nConnection: close\r\n"));
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_pipeline_is_answered_in_order)
{
    struct site site;
    char wire[16384] = "", buf[16384];
    int fd;

    begin(&site);
    fd = dial(&site);
    for (int i = 0; i < 100; i++)
        snprintf(wire + strlen(wire), sizeof(wire) - strlen(wire),
                 "GET /show/%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
    say(fd, wire);
    for (int i = 0; i < 100; i++) {
        char want[64];

        snprintf(want, sizeof(want), "|11|%d|-", i);
        EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
        EXPECT_NOT_NULL(strstr(body_of(buf), want));
    }
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(nothing_behind_a_bad_request_is_answered)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site,
                  "GET /hello HTTP/1.1\r\nHost: x\r\n\r\nBAD\r\n\r\n"
                  "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
                  buf, sizeof(buf)),
              200);
    EXPECT_NOT_NULL(strstr(buf, "HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    EXPECT_NULL(strstr(strstr(buf, "400 Bad"), "Hello"));
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(head_has_the_fields_of_get_and_no_body)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "HEAD /hello HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Content-Length: 13\r\n"));
    EXPECT_STREQ(body_of(buf), "");
    EXPECT_EQ(ask(&site, "HEAD /pieces HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "");
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_request_is_shown_as_it_is)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "GET /show/-12?a=b&q+e=%41+%2b HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)),
              200);
    EXPECT_STREQ(body_of(buf),
                 "GET|/show/-12?a=b&q+e=%41+%2b|/show/-12|a=b&q+e=%41+%2b|x|11|-12|A +");
    EXPECT_EQ(ask(&site, "GET http://y:1/show/5 HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "GET|http://y:1/show/5|/show/5||y:1|11|5|-");
    EXPECT_EQ(ask(&site, "GET http://y/show/5?q HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "GET|http://y/show/5?q|/show/5|q|y|11|5|-");
    EXPECT_EQ(ask(&site, "GET /show/5x HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 400);
    EXPECT_EQ(ask(&site, "GET /show/9223372036854775808 HTTP/1.0\r\n\r\n", buf, sizeof(buf)), 400);
    EXPECT_EQ(ask(&site,
                  "GET /fields HTTP/1.1\r\nX-One: 1\r\nAccept-Encoding: gzip\r\n"
                  "accept-encoding: deflate , BR\r\n" CLOSE,
                  buf, sizeof(buf)),
              200);
    EXPECT_STREQ(body_of(buf), "1|1|0");
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(queries_and_numbers_are_what_they_say_or_not_there)
{
    static const struct {
        const char *target, *body;
    } cases[] = {
        { "/asked/0?a=1&b=2&a=3", "1;2;-;-;-; 0 2" },
        { "/asked/-9223372036854775808?a&b=", ";;-;-;-; -9223372036854775808 2" },
        { "/asked/9223372036854775807?c%20d=x&=y", "-;-;x;-;y; 9223372036854775807 2" },
        { "/asked/-9223372036854775809?", "-;-;-;-;-; no" },
        { "/asked/92233720368547758070?c+d=%2", "-;-;%2;-;-; no" },
        { "/asked/-?&&e=1&", "-;-;-;1;; no" },
        { "/asked/1%2F?aa=1&%61=2", "2;-;-;-;-; no" },
        { "/asked/12:?b", "-;;-;-;-; no" },
    };
    char buf[4096], request[256];
    struct site site;

    begin(&site);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" CLOSE, cases[i].target);
        EXPECT_EQ(ask(&site, request, buf, sizeof(buf)), 200);
        EXPECT_STREQ(body_of(buf), cases[i].body);
    }
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(what_comes_after_the_head_is_refused_and_the_body_stays_whole)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "GET /late HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Content-Length: 5\r\n"));
    EXPECT_STREQ(body_of(buf), "12345");
    EXPECT_EQ(ask(&site, "GET /long HTTP/1.0\r\n\r\n", buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "X-Short: 1\r\n"));
    EXPECT_EQ(strlen(body_of(buf)), 1501 + 599);
    EXPECT_NOT_NULL(strstr(body_of(buf), "   7|vvv"));
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(bodies_are_read_in_both_framings)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE
                         "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nT: u\r\n\r\n",
                  buf, sizeof(buf)),
              200);
    EXPECT_STREQ(body_of(buf), "abcdefg");
    EXPECT_EQ(ask(&site, "POST /stream HTTP/1.1\r\nContent-Length: 20\r\n" CLOSE
                         "01234567890123456789",
                  buf, sizeof(buf)),
              200);
    EXPECT_STREQ(body_of(buf), "7\r\n0123456\r\n7\r\n7890123\r\n6\r\n456789\r\n0\r\n\r\n");
    EXPECT_EQ(ask(&site, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE "3\r\nabcd",
                  buf, sizeof(buf)),
              400);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(what_a_handler_leaves_of_a_body_does_not_become_a_request)
{
    struct site site;
    char buf[4096];
    int fd;

    begin(&site);
    fd = dial(&site);
    say(fd, "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 32\r\n\r\n"
            "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    say(fd, "POST /ignore HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    say(fd, "5\r\nGET /\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "Hello, World!");
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_body_that_is_too_long_is_413)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n", buf,
                  sizeof(buf)),
              413);
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_client_is_told_to_continue_when_its_body_is_read)
{
    struct site site;
    char buf[4096];
    int fd;

    begin(&site);
    fd = dial(&site);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_TRUE(hear_head(fd, buf, sizeof(buf)));
    EXPECT_STREQ(buf, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "ok");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "ok");
    say(fd, "POST /ignore HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            "Content-Length: 2\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200); /* no 100: nobody read it */
    EXPECT_NOT_NULL(strstr(buf, "Connection: close\r\n"));
    EXPECT_EQ(hear_all(fd, buf, sizeof(buf)), 0);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(responses_in_pieces_are_chunked_or_end_with_the_connection)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "GET /pieces HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "8\r\npiece 0;\r\n8\r\npiece 1;\r\n8\r\npiece 2;\r\n0\r\n\r\n");
    EXPECT_NOT_NULL(strstr(buf, "\r\nx-a: 2\r\nX-A: 3\r\n"));
    EXPECT_NULL(strstr(buf, "X-A: 1"));
    EXPECT_EQ(ask(&site, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", buf,
                  sizeof(buf)),
              200);
    EXPECT_STREQ(body_of(buf), "piece 0;piece 1;piece 2;");
    EXPECT_NULL(strstr(buf, "Transfer-Encoding"));
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(http_1_0_keeps_alive_when_it_asks_to)
{
    struct site site;
    char buf[4096];
    int fd;

    begin(&site);
    fd = dial(&site);
    say(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Connection: keep-alive\r\n"));
    say(fd, "GET /hello HTTP/1.0\r\n\r\n");
    EXPECT_GT(hear_all(fd, buf, sizeof(buf)), 0);
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(an_error_is_a_clean_response_or_no_end)
{
    struct site site;
    char buf[4096];

    ae_log_set_level(AE_ERROR);
    begin(&site);
    EXPECT_EQ(ask(&site, "GET /gone HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 404);
    EXPECT_NULL(strstr(buf, "X-Secret"));
    EXPECT_EQ(ask(&site, "GET /broken HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 500);
    EXPECT_EQ(ask(&site, "GET /empty HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 204);
    EXPECT_NULL(strstr(buf, "Content-Length"));
    EXPECT_EQ(ask(&site, "GET /split HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 200);
    EXPECT_STREQ(body_of(buf), "whole");
    (void)ask(&site, "GET /breaks HTTP/1.1\r\n" CLOSE, buf, sizeof(buf));
    EXPECT_NULL(strstr(buf, "0\r\n\r\n"));
    (void)ask(&site, "GET /too-little HTTP/1.1\r\nHost: x\r\n\r\n", buf, sizeof(buf));
    EXPECT_TRUE(strlen(body_of(buf)) < 100);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(paths_and_methods_that_are_not_there_are_told_apart)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "GET /nothing HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 404);
    EXPECT_EQ(ask(&site, "DELETE /hello HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 405);
    EXPECT_NOT_NULL(strstr(buf, "Allow: GET, HEAD, OPTIONS\r\n"));
    EXPECT_EQ(ask(&site, "OPTIONS /echo HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 204);
    EXPECT_NOT_NULL(strstr(buf, "Allow: POST, OPTIONS\r\n"));
    EXPECT_EQ(ask(&site, "OPTIONS * HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 204);
    EXPECT_EQ(ask(&site, "BREW /hello HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 501);
    EXPECT_EQ(ask(&site, "GET /hello/../hello HTTP/1.1\r\n" CLOSE, buf, sizeof(buf)), 400);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(large_bodies_arrive_whole)
{
    struct site site;
    size_t size = (3 << 20) + 4096;
    char *buf = malloc(size);
    const char *body;
    int fd;

    REQUIRE(buf);
    begin(&site);
    fd = dial(&site);
    say(fd, "GET /big HTTP/1.1\r\n" CLOSE);
    EXPECT_GT(hear_all(fd, buf, size), 3 << 20);
    body = body_of(buf);
    EXPECT_EQ(strlen(body), 3 << 20);
    for (size_t i = 0; i < 3 << 20; i++) {
        if (body[i] != (char)('a' + i % 23)) {
            test_fail(__FILE__, __LINE__, "byte %zu", i);
            break;
        }
    }
    close(fd);
    free(buf);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_part_of_a_file_is_sent)
{
    static char wanted[100000], buf[110000];
    struct site site;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int fd;

    begin(&site);
    REQUIRE(pread(self, wanted, sizeof(wanted), 1) == sizeof(wanted));
    close(self);
    fd = dial(&site);
    say(fd, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 200);
    EXPECT_MEMEQ(body_of(buf), wanted, sizeof(wanted));
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(events_are_sent_as_text_blocks)
{
    struct site site;
    char buf[4096];

    begin(&site);
    EXPECT_EQ(ask(&site, "GET /events HTTP/1.0\r\n\r\n", buf, sizeof(buf)), 200);
    EXPECT_NOT_NULL(strstr(buf, "Content-Type: text/event-stream\r\n"));
    EXPECT_STREQ(body_of(buf), "event: tick\nid: 1\ndata: a\ndata: b\n\n:\n\n");
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_client_that_has_ended_its_side_still_gets_its_answer)
{
    struct site site;
    char buf[4096];
    int fd;

    begin(&site);
    fd = dial(&site);
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    EXPECT_GT(hear_all(fd, buf, sizeof(buf)), 0);
    EXPECT_STREQ(body_of(buf), "Hello, World!");
    close(fd);
    EXPECT_EQ(site_stop(&site), 0);
}

TEST(a_refused_client_can_read_why)
{
    struct site site;
    size_t size = 200000;
    char *wire = malloc(size), buf[4096];
    int fd;

    REQUIRE(wire);
    begin(&site);
    memset(wire, 'a', size);
    memcpy(wire, "GET /", 5);
    fd = dial(&site);
    (void)send(fd, wire, 40000, MSG_NOSIGNAL);
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 414);
    close(fd);
    memcpy(wire, "GET / HTTP/1.1\r\nA: ", 19);
    fd = dial(&site);
    (void)send(fd, wire, 60000, MSG_NOSIGNAL);
    EXPECT_EQ(hear(fd, buf, sizeof(buf)), 431);
    close(fd);
    free(wire);
    EXPECT_EQ(site_stop(&site), 0);
}

/* ---- the corpus of the parser, over the wire ---- */

struct wire_case {
    int status;
    const char *wire;
    size_t size;
    const char *source;
};

#define CASE(status, bytes, source) { status, bytes, sizeof(bytes) - 1, source },
#define ACCEPT(bytes, minor, framing, length, keep, source)
static const struct wire_case cases[] = {
#include "corpus/heads.def"
};

TEST(every_refusal_of_the_corpus_reaches_the_client)
{
    struct site site;
    char buf[4096];

    begin(&site);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd, status;

        if (cases[i].status == 0) continue;
        fd = dial(&site);
        say_bytes(fd, cases[i].wire, cases[i].size);
        status = hear(fd, buf, sizeof(buf));
        if (status != cases[i].status || hear_all(fd, buf, sizeof(buf)) != 0)
            test_fail(__FILE__, __LINE__, "%d for: %s", status, cases[i].source);
        close(fd);
    }
    EXPECT_EQ(site_stop(&site), 0);
}
