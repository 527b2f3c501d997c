/* SPDX-License-Identifier: Apache-2.0 */
/* What the server's files share: the server, its connections, and who may touch what.
 *
 *   server     listeners, routes, limits; lives longer than everything else here
 *   conn       a connection: a stream, a place in the registry, no stack while it waits
 *   exchange   (exchange.h) a connection that has a task: buffers, and one request after another
 *   ae_http    (request.h) what a handler sees of it
 *
 * Time. The hot path reads no clock and arms no timer: a connection stores until when it may wait
 * (conn.deadline), counted from a clock that the reaper sets several times a second, and the reaper
 * looks for what is overdue. A timeout is therefore late by up to two ticks, never early. */
#ifndef AETHER_HTTP_SERVER_PRIVATE_H
#define AETHER_HTTP_SERVER_PRIVATE_H

#include "conditional.h"
#include "h1.h"
#include "router.h"

#include <aether/aether.h>
#include <aether/http.h>
#include <pthread.h>
#include <stdatomic.h>

struct iovec;

/* A node of the registry's list; the reaper's marker is one without a connection. */
struct link {
    struct link *next, *previous;
};

/* What a connection waits for, as the reaper and the eviction see it. */
enum conn_waits {
    CONN_BUSY,   /* in a handler: nothing of ours is waited for */
    CONN_IDLE,   /* for the first byte of a request */
    CONN_HEAD,   /* for the rest of a head */
    CONN_BODY,
    CONN_WRITE,
    CONN_LINGER, /* for the client to close */
};

/* One writer, the connection's task; read by whoever asks for figures. */
struct conn_counters {
    _Atomic(uint64_t) requests, responses_4xx, responses_5xx, bytes_in, bytes_out;
};

/* Laid out so that a request touches two cache lines of it. */
struct conn {
    /* set once */
    _Alignas(64) ae_http_server *server;
    ae_stream *stream;

    /* written by the connection's task, read by the reaper */
    _Atomic(int64_t) deadline_ns;
    _Atomic(int64_t) since_ns; /* when it began to wait for a head */
    _Atomic(int) waits;        /* enum conn_waits */

    /* written by the reaper before it shuts the socket */
    _Atomic(bool) timed_out;

    /* the task's */
    bool fresh;          /* accepted, not waited for yet */
    bool lingers;        /* the last response is out */
    int broken;          /* the error of a write that failed */
    uint32_t requests;
    int64_t head_began_ns;
    char *kept;          /* the beginning of a head, while no task has it */
    struct conn_counters counters;
    size_t kept_size, kept_room;
    size_t discarded;

    /* the registry's, under its lock */
    struct link link;
    int64_t listed_ns; /* how old the eviction takes it for */
};

/* The text of the Date field, for readers that never wait. Each second goes to the next slot, so a
 * reader would have to be stopped for seconds to see half of a later one. */
#define DATE_SLOTS 4
#define DATE_WORDS 4
struct date_cache {
    _Atomic(uint64_t) words[DATE_SLOTS][DATE_WORDS];
    _Atomic(unsigned) slot;
    _Atomic(int64_t) second; /* since the epoch, of the newest slot */
};

struct middleware {
    ae_http_fn *fn;
    void *context;
};

struct ae_http_server {
    /* before serving */
    ae_http_opts opts;
    struct h1_limits limits;
    struct router router;
    struct middleware *middleware;
    unsigned middleware_count;
    ae_listener **listeners;
    ae_addr *addresses;
    size_t listener_count;
    int error; /* the first one of a route */
    int64_t tick_ns;

    /* the clock: set by reaper and acceptors, read by connections */
    _Alignas(64) _Atomic(int64_t) now_ns;
    _Atomic(bool) draining;
    struct date_cache date;

    /* the registry */
    _Alignas(64) pthread_mutex_t lock;
    struct link list; /* oldest first, roughly: see registry.c */
    struct link marker; /* where the sweep is; in the list only meanwhile */
    size_t live;
    struct conn_counters closed; /* sums of connections that are gone */
    uint64_t connections_total;
    ae_event stop;
    ae_event populated; /* set while there are connections: the reaper sleeps without */
    ae_event deserted;  /* set when the last connection goes while draining */
    ae_sem permits;     /* connections that may still be opened */
    _Atomic(uint64_t) evicted, timeouts, bad_requests;
};

/* ---- registry.c: all connections ---- */

void ae__http_registry_add(ae_http_server *server, struct conn *c);
void ae__http_registry_remove(struct conn *c);
size_t ae__http_registry_live(ae_http_server *server);
/* Shut the connection that has waited longest for a head. False: there is none. */
bool ae__http_registry_evict(ae_http_server *server);
/* Shut what waits for the first byte of a request. */
void ae__http_registry_end_idle(ae_http_server *server);
/* One look at every connection's deadline. Task, may suspend. */
void ae__http_registry_sweep(ae_http_server *server);

/* ---- reaper.c: the clock and the timeouts ---- */

void ae__http_clock_set(ae_http_server *server);
int ae__http_reaper(void *server);
/* HTTP_DATE_BYTES - 1 bytes, without a NUL. */
void ae__http_date_now(ae_http_server *server, char *out);

static inline int64_t ae__http_now(const ae_http_server *server)
{
    return atomic_load_explicit(&server->now_ns, memory_order_relaxed);
}

/* ---- conn.c: waiting for requests, reading, writing, closing ---- */

/* Takes the stream; NULL: no memory, and it is closed. */
struct conn *ae__http_conn_create(ae_http_server *server, ae_stream *stream);
int ae__http_conn_task(void *conn);
void ae__http_conn_close(struct conn *c);
/* Say what the task waits for, and for how long at most; CONN_BUSY: for nothing. */
void ae__http_conn_wait(struct conn *c, enum conn_waits what, int64_t patience_ns);
/* All bytes, or an error, which stays. Task, may suspend. */
int ae__http_conn_write(struct conn *c, struct iovec *parts, int count);

static inline void ae__http_count(_Atomic(uint64_t) *counter, uint64_t n)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

/* ---- socket.c: what the public stream API does not have ---- */

/* Make reads give what is there, then end of file; wakes who waits. Any thread. */
void ae__http_socket_end_reading(ae_stream *stream);
/* The same, and writes fail. */
void ae__http_socket_end_both(ae_stream *stream);
/* Closing will reset the connection instead of keeping what is unsent. */
void ae__http_socket_reset_on_close(ae_stream *stream);
/* No new connections; those that the kernel has begun with are completed. */
void ae__http_socket_refuse_new(ae_listener *listener);
size_t ae__http_descriptor_limit(void);

#endif
