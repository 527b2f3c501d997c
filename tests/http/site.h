/* SPDX-License-Identifier: Apache-2.0 */
/* A server on loopback in a runtime of its own, and a client that sees every byte: what the tests
 * of libaether-http share. The client is plain blocking sockets in the test's own thread. */
#ifndef AE_TESTS_SITE_H
#define AE_TESTS_SITE_H

#include "test.h"

#include <aether/aether.h>
#include <aether/http.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define SITE_PATIENCE_S 20 /* a guard against hanging, no measure */

struct site {
    ae_http_server *server;
    ae_runtime *rt;
    pthread_t thread;
    unsigned port;
    int result; /* of ae_http_serve */
};

static inline int site_serve(void *arg)
{
    struct site *site = arg;

    site->result = ae_http_serve(site->server);
    return 0;
}

static inline void *site_thread(void *arg)
{
    struct site *site = arg;

    EXPECT_EQ(ae_block_on(site->rt, site_serve, site), 0);
    return NULL;
}

static inline void site_create(struct site *site, const ae_http_opts *opts)
{
    memset(site, 0, sizeof(*site));
    REQUIRE(ae_http_server_create(opts, &site->server) == 0);
}

static inline void site_start(struct site *site)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    ae_addr addr;

    REQUIRE(ae_http_listen(site->server, "127.0.0.1:0") == 0);
    REQUIRE(ae_http_server_addr(site->server, 0, &addr) == 0);
    site->port = ae_addr_port(&addr);
    REQUIRE(ae_runtime_create(&config, &site->rt) == 0);
    REQUIRE(pthread_create(&site->thread, NULL, site_thread, site) == 0);
}

/* Drain, and give what serving returned. */
static inline int site_stop(struct site *site)
{
    ae_http_stop(site->server);
    pthread_join(site->thread, NULL);
    EXPECT_EQ(ae_runtime_destroy(site->rt), 0);
    ae_http_server_destroy(site->server);
    return site->result;
}

/* The server has its own clock and its own threads: what only time shows is waited for. */
static inline void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static inline int dial(const struct site *site)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons((uint16_t)site->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { SITE_PATIENCE_S, 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    REQUIRE(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    return fd;
}

static inline void say_bytes(int fd, const char *bytes, size_t size)
{
    REQUIRE(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* Everything until the server closes; -1 if it resets the connection or nothing comes. */
static inline ssize_t hear_all(int fd, char *buf, size_t size)
{
    size_t used = 0;
    ssize_t n;

    do {
        n = recv(fd, buf + used, size - 1 - used, 0);
        if (n > 0) used += (size_t)n;
    } while (n > 0 && used < size - 1);
    buf[used] = '\0';
    return n < 0 ? -1 : (ssize_t)used;
}

/* Exactly so many bytes, as a string. */
static inline bool hear_bytes(int fd, char *buf, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t n = recv(fd, buf + used, size - used, 0);
        if (n <= 0) break;
        used += (size_t)n;
    }
    buf[used] = '\0';
    return used == size;
}

/* Up to and with an empty line, a byte at a time so as to take nothing behind it. */
static inline bool hear_head(int fd, char *buf, size_t size)
{
    size_t used = 0;

    while (used < size - 1 && recv(fd, buf + used, 1, 0) == 1) {
        buf[++used] = '\0';
        if (used >= 4 && memcmp(buf + used - 4, "\r\n\r\n", 4) == 0) return true;
    }
    buf[used] = '\0';
    return false;
}

/* One response with a Content-Length (or none at all): its status; head and body in `buf`. */
static inline int hear(int fd, char *buf, size_t size)
{
    const char *length;
    size_t head;

    if (!hear_head(fd, buf, size)) return -1;
    head = strlen(buf);
    length = strstr(buf, "Content-Length: ");
    if (length) {
        size_t body = strtoul(length + 16, NULL, 10);

        if (head + body >= size || !hear_bytes(fd, buf + head, body)) return -1;
    }
    return atoi(buf + 9);
}

/* One request on a connection of its own; its status, with everything that came in `buf`. */
static inline int ask(const struct site *site, const char *request, char *buf, size_t size)
{
    int fd = dial(site);
    ssize_t n;

    say(fd, request);
    n = hear_all(fd, buf, size);
    close(fd);
    return n > 12 ? atoi(buf + 9) : -1;
}

static inline const char *body_of(const char *response)
{
    const char *end = strstr(response, "\r\n\r\n");

    return end ? end + 4 : "";
}

#endif
