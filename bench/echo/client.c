/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of the echo benchmark: `echo_client PORT CONNECTIONS SECONDS BYTES DEPTH`.
 *
 * One thread. Each connection sends DEPTH messages in one write, waits until as many bytes have
 * come back, compares them, and sends the next. It says "ready" when all are connected, begins
 * when it reads a line, and prints what it counted as one JSON object.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, BURST_MAX = 65536, SAMPLES_MAX = 1 << 20 };

struct conn {
    int fd;
    size_t got;          /* bytes of the burst that came back */
    int64_t sent_ns;
};

static char burst[BURST_MAX];
static size_t burst_bytes;
static uint32_t *samples; /* round trips in ns */
static size_t sample_count;
static uint64_t trips;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int dial(int port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void send_burst(struct conn *conn, int64_t at)
{
    conn->got = 0;
    conn->sent_ns = at;
    /* what is in flight is small: the socket takes it whole */
    if (send(conn->fd, burst, burst_bytes, MSG_NOSIGNAL) != (ssize_t)burst_bytes)
        die("send");
}

static void receive(struct conn *conn, int go_on)
{
    static char buf[BURST_MAX];
    ssize_t n = recv(conn->fd, buf, burst_bytes - conn->got, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || memcmp(buf, burst + conn->got, (size_t)n) != 0) {
        fprintf(stderr, "echo_client: the end, or other bytes than were sent\n");
        exit(1);
    }
    conn->got += (size_t)n;
    if (conn->got < burst_bytes)
        return;
    int64_t at = now();
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = (uint32_t)(at - conn->sent_ns);
    trips++;
    if (go_on)
        send_burst(conn, at);
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static double percentile(double part)
{
    return sample_count ? samples[(size_t)(part * (double)(sample_count - 1))] / 1000.0 : 0;
}

/* After the end what is under way is received, so that the server has answered all it counts. */
static void run(int epfd, struct conn *conns, int count, int seconds)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t start = now(), end = start + (int64_t)seconds * 1000000000;
    uint64_t sent;

    for (int i = 0; i < count; i++)
        send_burst(&conns[i], now());
    for (int64_t at = start; at < end; at = now()) {
        int n = epoll_wait(epfd, events, EVENTS_MAX, 1000);
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr, 1);
    }
    for (sent = trips + (uint64_t)count; trips < sent;) {
        int n = epoll_wait(epfd, events, EVENTS_MAX, 5000);
        if (n == 0)
            die("the last ones did not come back");
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr, 0);
    }
    qsort(samples, sample_count, sizeof(*samples), by_value);
    printf("{\"trips\": %llu, \"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (unsigned long long)trips, (double)(now() - start) / 1e9, percentile(0.5),
           percentile(0.99));
}

int main(int argc, char **argv)
{
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    char line[16];

    if (argc != 6 || epfd < 0) {
        fprintf(stderr, "usage: echo_client PORT CONNECTIONS SECONDS BYTES DEPTH\n");
        return 2;
    }
    int count = atoi(argv[2]);
    burst_bytes = (size_t)atoi(argv[4]) * (size_t)atoi(argv[5]);
    struct conn *conns = calloc((size_t)count, sizeof(*conns));
    samples = malloc(SAMPLES_MAX * sizeof(*samples));
    if (!conns || !samples || burst_bytes == 0 || burst_bytes > BURST_MAX)
        die("arguments");
    for (size_t i = 0; i < burst_bytes; i++)
        burst[i] = (char)('a' + i % 26);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
        conns[i].fd = dial(atoi(argv[1]));
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, conns[i].fd, &event))
            die("epoll_ctl");
    }
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        return 1;
    run(epfd, conns, count, atoi(argv[3]));
    return 0;
}
