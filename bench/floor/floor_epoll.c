/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the least a server on epoll can do for one HTTP request.
 *
 * One level-triggered loop. For each readable connection: one recv, one count of request ends,
 * one send of that many ready-made responses. It parses nothing, limits nothing, times nothing
 * out, and its Date is that of its start; what a real server costs above this is what a real
 * server costs. It takes one argument, the port; on SIGTERM it prints what it did and exits.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 512,    /* events taken by one epoll_wait */
    CONNECTIONS_MAX = 8192,
    READ_MAX = 16384,
    BATCH_MAX = 1024,    /* responses laid out one behind another */
    TAIL = 3,            /* bytes of an unfinished CR LF CR LF */
};

/* A request end may be split between two reads, so up to three bytes are carried over. */
struct conn {
    unsigned char tail_len;
    char tail[TAIL];
};

static struct conn conns[CONNECTIONS_MAX];
static char *responses;
static size_t response_len;
static unsigned long requests;
static unsigned long syscalls;
static int echoes;
static volatile sig_atomic_t stopping;

static void on_term(int sig)
{
    (void)sig;
    stopping = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void build_responses(void)
{
    char date[64];
    char one[512];
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    response_len = (size_t)snprintf(one, sizeof(one),
                                    "HTTP/1.1 200 OK\r\n"
                                    "Server: floor-epoll-padded-to-29-byte\r\n"
                                    "Date: %s\r\n"
                                    "Content-Type: text/plain\r\n"
                                    "Content-Length: 13\r\n\r\nHello, World!",
                                    date);
    responses = malloc(response_len * BATCH_MAX);
    if (!responses)
        die("malloc");
    for (size_t i = 0; i < BATCH_MAX; i++)
        memcpy(responses + i * response_len, one, response_len);
}

static int listen_on(int port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4096))
        die("listen");
    return fd;
}

static void watch(int epfd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

static void accept_one(int epfd, int listener)
{
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    syscalls += 3;
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conns[fd] = (struct conn){0};
    watch(epfd, fd);
}

static size_t count_ends(const char *at, const char *end)
{
    size_t n = 0;

    while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        n++;
        at += 4;
        if (at == end)
            break;
    }
    return n;
}

/* Keeps the bytes that may begin a CR LF CR LF which the next read completes. */
static void keep_tail(struct conn *conn, const char *buf, const char *end)
{
    size_t len = (size_t)(end - buf) < TAIL ? (size_t)(end - buf) : TAIL;

    if (end - buf >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0)
        len = 0;
    memcpy(conn->tail, end - len, len);
    conn->tail_len = (unsigned char)len;
}

static int report(char *text, size_t size)
{
    struct rusage usage;
    double user;
    double per = requests ? (double)requests : 1.0;

    getrusage(RUSAGE_SELF, &usage);
    user = (double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec;
    return snprintf(text, size,
                    "{\"requests\": %lu, \"syscalls\": %lu, \"syscalls_per_request\": %.3f, "
                    "\"user_us_per_request\": %.3f}\n",
                    requests, syscalls, (double)syscalls / per, user / per);
}

/* A message that begins with '?' asks for the counts. */
static void send_back(int fd, const char *data, size_t size)
{
    char text[256];

    if (data[0] == '?') {
        size = (size_t)report(text, sizeof(text));
        data = text;
    } else {
        requests++;
    }
    syscalls++;
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        close(fd);
}

static void respond(int fd, struct conn *conn, const char *data, const char *end)
{
    size_t ends = count_ends(data, end);

    keep_tail(conn, data, end);
    if (ends == 0)
        return;
    requests += ends;
    syscalls++;
    /* No peer here lets its receive window fill; one that does is not measured, but dropped. */
    if (ends > BATCH_MAX ||
        send(fd, responses, ends * response_len, MSG_NOSIGNAL) != (ssize_t)(ends * response_len))
        close(fd);
}

static void serve(int fd)
{
    static char buf[TAIL + READ_MAX];
    struct conn *conn = &conns[fd];
    size_t carried = conn->tail_len;
    ssize_t n;

    memcpy(buf, conn->tail, carried);
    n = recv(fd, buf + carried, READ_MAX, 0);
    syscalls++;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        close(fd);
    else if (echoes)
        send_back(fd, buf, (size_t)n);
    else
        respond(fd, conn, buf, buf + carried + n);
}

static void loop(int epfd, int listener)
{
    struct epoll_event events[EVENTS_MAX];

    while (!stopping) {
        int n = epoll_wait(epfd, events, EVENTS_MAX, -1);

        syscalls++;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epfd, listener);
            else
                serve(events[i].data.fd);
        }
    }
}

int main(int argc, char **argv)
{
    struct sigaction term = {.sa_handler = on_term};
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    int listener;
    char text[256];

    if (argc < 2 || epfd < 0) {
        fprintf(stderr, "usage: floor_epoll PORT [echo]\n");
        return 2;
    }
    echoes = argc > 2;
    sigaction(SIGTERM, &term, NULL);
    build_responses();
    listener = listen_on(atoi(argv[1]));
    watch(epfd, listener);
    loop(epfd, listener);
    report(text, sizeof(text));
    fputs(text, stdout);
    return 0;
}
