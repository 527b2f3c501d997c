/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor on io_uring: the least a server on a ring can do for one HTTP request.
 *
 * One multishot accept, one multishot receive a connection into buffers that the kernel chooses,
 * one send for each batch of requests that came; everything that is ready goes to the kernel and
 * comes back with one system call. What it leaves out is what floor_epoll.c leaves out. The ring
 * layer is Aether's own. It takes the port; on SIGTERM it prints what it did. A second argument,
 * echo, makes it send back what came, from the buffer it came in: the floor of the echo benchmark.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "driver/ring.h"

enum {
    ENTRIES = 1024,
    COMPLETIONS = 8192,
    CONNECTIONS_MAX = 8192,
    BUFFERS = 1024,      /* a power of two */
    BUFFER_BYTES = 4096,
    BATCH_MAX = 1024,    /* responses laid out one behind another */
    TAIL = 3,            /* bytes of an unfinished CR LF CR LF */
};

enum { ACCEPTED, RECEIVED, SENT, ECHOED, CLOSED };

struct conn {
    unsigned char tail_len;
    char tail[TAIL];
};

static struct ae__ring ring;
static struct conn conns[CONNECTIONS_MAX];
static struct io_uring_buf_ring *buffers;
static char (*storage)[BUFFER_BYTES];
static char *responses;
static size_t response_len;
static unsigned long requests, syscalls;
static int echoes;
static volatile sig_atomic_t stopping; /* tidy: allow volatile: written by the handler */

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

/* ---- set-up ---- */

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
                                    "Server: floor-uring-padded-to-29-byte\r\n"
                                    "Date: %s\r\n"
                                    "Content-Type: text/plain\r\n"
                                    "Content-Length: 13\r\n\r\nHello, World!",
                                    date);
    responses = malloc(response_len * BATCH_MAX);
    if (!responses) die("malloc");
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
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4096)) die("listen");
    return fd;
}

static void give_buffer(unsigned id)
{
    unsigned short tail = buffers->tail;
    struct io_uring_buf *buf = &buffers->bufs[tail & (BUFFERS - 1)];

    buf->addr = (uintptr_t)storage[id];
    buf->len = BUFFER_BYTES;
    buf->bid = (unsigned short)id;
    __atomic_store_n(&buffers->tail, (unsigned short)(tail + 1), __ATOMIC_RELEASE);
}

static void register_buffers(void)
{
    struct io_uring_buf_reg reg = { .ring_entries = BUFFERS };

    storage = aligned_alloc(4096, (size_t)BUFFERS * BUFFER_BYTES);
    buffers = aligned_alloc(4096, BUFFERS * sizeof(struct io_uring_buf));
    if (!storage || !buffers) die("malloc");
    memset(buffers, 0, BUFFERS * sizeof(struct io_uring_buf));
    reg.ring_addr = (uintptr_t)buffers;
    if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
        die("io_uring_register");
    for (unsigned id = 0; id < BUFFERS; id++)
        give_buffer(id);
}

/* ---- requests to the kernel ---- */

static struct io_uring_sqe *entry(unsigned op, int fd, unsigned what)
{
    struct io_uring_sqe *sqe;
    uint32_t place;

    while (!(sqe = ae__ring_next(&ring, &place))) {
        syscalls++;
        ae__ring_submit(&ring);
    }
    sqe->opcode = (unsigned char)op;
    sqe->fd = fd;
    sqe->user_data = (unsigned long long)(unsigned)fd << 8 | what;
    return sqe;
}

static void want_connections(int listener)
{
    entry(IORING_OP_ACCEPT, listener, ACCEPTED)->ioprio = IORING_ACCEPT_MULTISHOT;
}

static void want_data(int fd)
{
    struct io_uring_sqe *sqe = entry(IORING_OP_RECV, fd, RECEIVED);

    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->ioprio = IORING_RECV_MULTISHOT;
}

static void respond(int fd, size_t count)
{
    struct io_uring_sqe *sqe = entry(IORING_OP_SEND, fd, SENT);

    sqe->addr = (uintptr_t)responses;
    sqe->len = (unsigned)(count * response_len);
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS; /* a failed one is followed by the end of the stream */
    requests += count;
}

static int report(char *text, size_t size)
{
    struct rusage usage;
    double per = requests ? (double)requests : 1.0;

    getrusage(RUSAGE_SELF, &usage);
    double user = (double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec;
    return snprintf(text, size,
                    "{\"requests\": %lu, \"syscalls\": %lu, \"syscalls_per_request\": %.3f, "
                    "\"user_us_per_request\": %.3f}\n",
                    requests, syscalls, (double)syscalls / per, user / per);
}

/* The buffer is the kernel's until the send is done; its number comes back in user_data. A message
 * that begins with '?' asks for the counts. */
static void send_back(int fd, unsigned id, size_t size)
{
    if (storage[id][0] == '?') {
        size = (size_t)report(storage[id], BUFFER_BYTES);
    } else {
        requests++;
    }
    struct io_uring_sqe *sqe = entry(IORING_OP_SEND, fd, ECHOED);
    sqe->user_data |= (unsigned long long)id << 40;
    sqe->addr = (uintptr_t)storage[id];
    sqe->len = (unsigned)size;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

/* ---- what comes back ---- */

static void accepted(int fd)
{
    int one = 1;

    if (fd < 0) return;
    if (fd >= CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    syscalls++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conns[fd] = (struct conn){ 0 };
    want_data(fd);
}

static size_t count_ends(const char *at, const char *end)
{
    size_t n = 0;

    while (at < end && (at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        n++;
        at += 4;
    }
    return n;
}

/* Keeps the bytes that may begin a CR LF CR LF which the next read completes. */
static void keep_tail(struct conn *conn, const char *buf, const char *end)
{
    size_t len = (size_t)(end - buf) < TAIL ? (size_t)(end - buf) : TAIL;

    if (end - buf >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0) len = 0;
    memcpy(conn->tail, end - len, len);
    conn->tail_len = (unsigned char)len;
}

static size_t ends_in(struct conn *conn, const char *data, size_t size)
{
    static char joined[TAIL + BUFFER_BYTES];
    size_t carried = conn->tail_len;

    if (carried > 0) {
        memcpy(joined, conn->tail, carried);
        memcpy(joined + carried, data, size);
        data = joined;
    }
    keep_tail(conn, data, data + carried + size);
    return count_ends(data, data + carried + size);
}

static void received(int fd, const struct io_uring_cqe *cqe)
{
    if (cqe->res > 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

        if (echoes) {
            send_back(fd, id, (size_t)cqe->res);
        } else {
            size_t ends = ends_in(&conns[fd], storage[id], (size_t)cqe->res);

            give_buffer(id);
            if (ends > 0) respond(fd, ends);
        }
    }
    if (cqe->flags & IORING_CQE_F_MORE) return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS) {
        want_data(fd);
    } else {
        entry(IORING_OP_CLOSE, fd, CLOSED)->flags = IOSQE_CQE_SKIP_SUCCESS;
    }
}

static void handle(const struct io_uring_cqe *cqe)
{
    int fd = (int)(unsigned)(cqe->user_data >> 8);

    switch (cqe->user_data & 0xff) {
    case ACCEPTED:
        accepted(cqe->res);
        if (!(cqe->flags & IORING_CQE_F_MORE)) want_connections(fd);
        break;
    case RECEIVED:
        received(fd, cqe);
        break;
    case ECHOED:
        give_buffer((unsigned)(cqe->user_data >> 40));
        break;
    default:
        break;
    }
}

int main(int argc, char **argv)
{
    struct sigaction term = { .sa_handler = on_term };
    const char *why = "";
    char text[256];

    if (argc < 2) {
        fprintf(stderr, "usage: floor_uring PORT [echo]\n");
        return 2;
    }
    echoes = argc > 2;
    sigaction(SIGTERM, &term, NULL);
    build_responses();
    if (ae__ring_open(&ring, ENTRIES, COMPLETIONS, &why) < 0) {
        fprintf(stderr, "floor_uring: %s\n", why);
        return 1;
    }
    if (ae__ring_enable(&ring, true) < 0) die("io_uring_register");
    register_buffers();
    want_connections(listen_on(atoi(argv[1])));
    while (!stopping) {
        struct io_uring_cqe cqe;

        syscalls++;
        ae__ring_wait(&ring, -1);
        while (ae__ring_pop(&ring, &cqe))
            handle(&cqe);
    }
    report(text, sizeof(text));
    fputs(text, stdout);
    return 0;
}
