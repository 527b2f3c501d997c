/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of the servers: plain blocking sockets in a thread whose calls never fail.
 *
 * What an answer shall be is what it was in the run without a fault. With one it may also be cut
 * short, or be an error of HTTP; it is never something else, and always something within the
 * client's patience: a connection that is forgotten is what this looks for. */
#include "run.h"
#include "scenario.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PROBE_TRIES 40  /* the last fault may have been in the way of accepting */
#define PAUSE       '|' /* in a request: let what is before it arrive alone */

#define INTERIM     "HTTP/1.1 100 Continue\r\n\r\n"
#define LISTING "GET /files/ HTTP/1.1\r\n"
#define CLOSE       "Host: x\r\nConnection: close\r\n\r\n"

/* ---- a connection ---- */

static int dial(int patience_ms)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atomic_load(&run->port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { patience_ms / 1000, patience_ms % 1000 * 1000L };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0) return fd;
    close(fd);
    return -1;
}

static void say(int fd, const char *text, size_t size)
{
    while (size > 0) {
        const char *pause = memchr(text, PAUSE, size);
        size_t part = pause ? (size_t)(pause - text) : size;

        if (part > 0 && send(fd, text, part, MSG_NOSIGNAL) < 0) return;
        size -= part;
        text += part;
        if (!pause) return;
        (void)poll(NULL, 0, 2);
        text++;
        size--;
    }
}

/* Until the end, or `size` bytes. False: nothing came for as long as the client waits. */
static bool hear(int fd, struct talk *talk, size_t size)
{
    ssize_t n = 1;

    while (n > 0 && talk->size < size) {
        n = recv(fd, talk->bytes + talk->size, size - talk->size, 0);
        if (n > 0) talk->size += (size_t)n;
    }
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

/* ---- comparing ---- */

static bool starts(const char *bytes, size_t size, const char *text)
{
    return size >= strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

/* Bytes of a line that differs from run to run: from here to its end. */
static size_t varying(const char *bytes, size_t size)
{
    const char *end;

    if (!starts(bytes, size, "Date: ") && !starts(bytes, size, "ETag: ") &&
        !starts(bytes, size, "Content-Type: multipart/") && !starts(bytes, size, "\r\n--")) {
        return 0;
    }
    end = size > 2 ? memchr(bytes + 2, '\r', size - 2) : NULL; /* a boundary has one before it */
    return end ? (size_t)(end - bytes) : size;
}

static bool is_error(const struct talk *got)
{
    return starts(got->bytes, got->size, "HTTP/1.1 4") ||
           starts(got->bytes, got->size, "HTTP/1.1 5");
}

/* An answer that was replaced by an error begins as one; several may stand in one connection. */
static bool error_at(const struct talk *got, size_t at)
{
    while (at > 0 && got->size - at < 10)
        at--;
    for (size_t i = at + 1; i-- > 0 && at - i < 16;) {
        const char *bytes = got->bytes + i;
        if (starts(bytes, got->size - i, "HTTP/1.1 4")) return true;
        if (starts(bytes, got->size - i, "HTTP/1.1 5")) return true;
    }
    return false;
}

/* "got" is "want", or its beginning, or becomes an error where an answer begins. */
static bool acceptable(const struct talk *want, const struct talk *got)
{
    size_t i = 0, j = 0;

    /* An interim answer is left out when the body is there already. */
    if (starts(want->bytes, want->size, INTERIM) && !starts(got->bytes, got->size, INTERIM)) {
        i = sizeof INTERIM - 1;
    }
    while (i < want->size && j < got->size) {
        size_t skip_i = varying(want->bytes + i, want->size - i);
        size_t skip_j = varying(got->bytes + j, got->size - j);
        if (skip_i && skip_j) {
            i += skip_i;
            j += skip_j;
            continue;
        }
        if (want->bytes[i] != got->bytes[j]) return is_error(got) || error_at(got, j);
        i++;
        j++;
    }
    return j == got->size || is_error(got);
}

static void compare(const struct talk *got, int index, const char *request)
{
    if (!run->expected) return;
    /* A listing leaves out what it cannot ask about: an entry may go at any time. */
    bool listing = starts(request, strlen(request), LISTING);
    if (listing && starts(got->bytes, got->size, "HTTP/1.1 200")) return;
    const struct talk *want = &run->expected[index];
    size_t least = want->size;
    if (starts(want->bytes, want->size, INTERIM)) least -= sizeof INTERIM - 1;
    bool whole = got->size >= least || !fault_is_hidden(&run->plan);
    if (acceptable(want, got) && whole) return;
    fault_wrong("another answer than without a fault to %.40s: %.200s", request, got->bytes);
}

/* One request on a connection of its own. size: of the answer, 0: until the end. */
static void talk_on(int fd, const char *request, size_t request_size, size_t size)
{
    int index = run->talks++;
    struct talk *talk = &run->got[index];

    if (fd < 0 || atomic_load(&run->ended)) {
        compare(talk, index, request);
        return;
    }
    say(fd, request, request_size);
    bool heard = hear(fd, talk, size ? size : TALK_BYTES_MAX - 1);
    if (!heard && run->plan.repeat < FAULT_FOR_EVER) {
        fault_wrong("no answer within %d ms to %.60s", run->patience_ms, request);
    }
    compare(talk, index, request);
}

static void talk(const char *request, size_t size)
{
    int fd = dial(run->patience_ms);

    talk_on(fd, request, strlen(request), size);
    if (fd >= 0) close(fd);
}

/* ---- scripts ---- */

void client_lines(void)
{
    int one = dial(run->patience_ms), two = dial(run->patience_ms);

    talk_on(one, "one\n", 4, 4);
    talk_on(two, "two\n", 4, 4);
    talk_on(one, "three\n", 6, 6);
    if (one >= 0) close(one);
    if (two >= 0) close(two);
}

void client_line(void)
{
    talk("one\n", 4);
}

void client_hello(void)
{
    const char request[] = "GET / HTTP/1.1\r\n" CLOSE;
    int one = dial(run->patience_ms), two = dial(run->patience_ms);

    talk_on(one, request, sizeof request - 1, 44);
    talk_on(two, request, sizeof request - 1, 44);
    talk_on(one, request, sizeof request - 1, 44);
    if (one >= 0) close(one);
    if (two >= 0) close(two);
}

void client_mirror(void)
{
    talk("GET /a?b HTTP/1.1\r\nB: 1\r\nA: 2\r\n" CLOSE, 0);
    talk("GET /hel|lo/you HTTP/1.1\r\n" CLOSE, 0);
}

void client_api(void)
{
    talk("POST /shout HTTP/1.1\r\nContent-Length: 5\r\n" CLOSE "qu|iet", 0);
    talk("POST /shout HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE "3\r\nabc\r\n|0\r\n\r\n",
         0);
    talk("GET /count/2 HTTP/1.1\r\n" CLOSE, 0);
    talk("GET /files/fault-note.txt HTTP/1.1\r\n" CLOSE, 0);
    talk("GET /count/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /count/x HTTP/1.1\r\n" CLOSE, 0);
}

void client_site(void)
{
    talk("GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.0\r\nHost: x\r\n\r\n", 0);
    talk("GET /big HTTP/1.1\r\n" CLOSE, 0);
    talk("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n" CLOSE "|body", 0);
    talk("GET /events HTTP/1.1\r\n" CLOSE, 0);
    talk(LISTING CLOSE, 0);
    talk("GET /files/fault-note.txt HTTP/1.1\r\nRange: bytes=2-3\r\n" CLOSE, 0);
    talk("GET /files/fault-note.txt HTTP/1.1\r\nRange: bytes=0-1,3-4\r\n" CLOSE, 0);
    talk("GET /files/nothing HTTP/1.1\r\n" CLOSE, 0);
    talk("GET /send-file HTTP/1.1\r\n" CLOSE, 0);
    talk("GET /nowhere HTTP/1.1\r\n" CLOSE, 0);
    talk("POST /ignored HTTP/1.1\r\nContent-Length: 9\r\n" CLOSE "not |read", 0);
    talk("BAD\r\n\r\n", 0);
}

/* ---- the thread ---- */

void listener_prepare(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd != 3) {
        dup2(fd, 3);
        close(fd);
    }
    if (bind(3, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(3, 16) < 0) abort();
    getsockname(3, (struct sockaddr *)&addr, &length);
    atomic_store(&run->port, ntohs(addr.sin_port));
    setenv("LISTEN_FDS", "1", 1);
}

static bool ended(void)
{
    return atomic_load(&run->ended);
}

/* Does it still serve, now that nothing fails any more? */
static void probe(const struct scenario *s)
{
    static const char request[] = "GET /probe HTTP/1.1\r\n" CLOSE;
    bool answered = false;

    for (int i = 0; i < PROBE_TRIES && !answered && !ended(); i++) {
        char byte;
        int fd = dial(run->probe_ms);
        if (fd >= 0) say(fd, request, sizeof request - 1);
        answered = fd >= 0 && recv(fd, &byte, 1, 0) == 1;
        if (fd >= 0) close(fd);
        if (!answered) (void)poll(NULL, 0, 25);
    }
    if (!answered && !ended()) fault_wrong("%s does not serve any more, nor end", s->name);
}

void *client_thread(void *scenario)
{
    const struct scenario *s = scenario;
    bool ends_all = run->plan.loop == LOOP_CANCEL && run->plan.how == CANCEL_ROOT;

    while (!atomic_load(&run->port) && !ended())
        (void)poll(NULL, 0, 1);
    s->client();
    atomic_store(&run->armed, false);
    if (!ends_all || atomic_load(&run->injected) == 0) probe(s);
    fault_end_program();
    return NULL;
}
