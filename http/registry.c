/* SPDX-License-Identifier: Apache-2.0 */
/* All connections of a server, in one list under one lock, for those who need to see them from
 * outside: the reaper, the eviction at the connection limit, the drain, the statistics.
 *
 * R1. A connection is in the list from before its first task until just before its stream is
 *     closed, so who holds the lock may shut the socket of what it finds there.
 * R2. A connection never takes the lock while it serves. The list is therefore not sorted by who
 *     waits longest; the eviction sorts it as it goes (a clock, as in page replacement): from the
 *     head, what is busy or has begun to wait again since it was listed goes to the tail. Each
 *     connection is passed over at most once for each time it was busy: O(1) amortized. */
#include "server.h"

#define SWEEP_BATCH 256 /* connections looked at under one hold of the lock */

static struct conn *conn_of(struct link *link)
{
    return (struct conn *)((char *)link - offsetof(struct conn, link));
}

static void link_out(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
}

static void link_behind(struct link *link, struct link *before)
{
    link->previous = before;
    link->next = before->next;
    before->next->previous = link;
    before->next = link;
}

void ae__http_registry_add(ae_http_server *server, struct conn *c)
{
    c->listed_ns = atomic_load_explicit(&c->since_ns, memory_order_relaxed);
    pthread_mutex_lock(&server->lock);
    link_behind(&c->link, server->list.previous);
    server->live++;
    server->connections_total++;
    pthread_mutex_unlock(&server->lock);
    ae_event_set(&server->populated);
}

static uint64_t value(_Atomic(uint64_t) *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_counters(struct conn_counters *to, struct conn_counters *from)
{
    ae__http_count(&to->requests, value(&from->requests));
    ae__http_count(&to->responses_4xx, value(&from->responses_4xx));
    ae__http_count(&to->responses_5xx, value(&from->responses_5xx));
    ae__http_count(&to->bytes_in, value(&from->bytes_in));
    ae__http_count(&to->bytes_out, value(&from->bytes_out));
}

void ae__http_registry_remove(struct conn *c)
{
    ae_http_server *server = c->server;
    size_t left;

    pthread_mutex_lock(&server->lock);
    link_out(&c->link);
    left = --server->live;
    add_counters(&server->closed, &c->counters);
    pthread_mutex_unlock(&server->lock);
    if (left == 0 && atomic_load(&server->draining)) ae_event_set(&server->deserted);
}

size_t ae__http_registry_live(ae_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t live = server->live;
    pthread_mutex_unlock(&server->lock);
    return live;
}

static int waits_for(const struct conn *c)
{
    return atomic_load_explicit(&c->waits, memory_order_relaxed);
}

/* One step of the clock on the list's first connection; true if it was shut. */
static bool try_evict(ae_http_server *server, struct conn *c)
{
    int waits = waits_for(c);
    int64_t since = atomic_load_explicit(&c->since_ns, memory_order_relaxed);
    bool waiting = waits == CONN_IDLE || waits == CONN_HEAD || waits == CONN_LINGER;

    link_out(&c->link);
    link_behind(&c->link, server->list.previous);
    if (!waiting) return false;
    if (since > c->listed_ns) {
        c->listed_ns = since;
        return false;
    }
    c->listed_ns = INT64_MAX; /* once is enough: a second one makes no more room */
    if (waits == CONN_LINGER) ae__http_socket_end_both(c->stream);
    else ae__http_socket_end_reading(c->stream); /* what has arrived is still answered */
    return true;
}

bool ae__http_registry_evict(ae_http_server *server)
{
    bool evicted = false;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < 2 * server->live && !evicted; i++) {
        struct link *first = server->list.next;

        if (first == &server->marker) first = first->next;
        if (first == &server->list) break;
        if (conn_of(first)->listed_ns == INT64_MAX) {
            link_out(first);
            link_behind(first, server->list.previous);
            continue;
        }
        evicted = try_evict(server, conn_of(first));
    }
    pthread_mutex_unlock(&server->lock);
    if (evicted) atomic_fetch_add_explicit(&server->evicted, 1, memory_order_relaxed);
    return evicted;
}

void ae__http_registry_end_idle(ae_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct link *l = server->list.next; l != &server->list; l = l->next) {
        if (l != &server->marker && waits_for(conn_of(l)) == CONN_IDLE)
            ae__http_socket_end_reading(conn_of(l)->stream);
    }
    pthread_mutex_unlock(&server->lock);
}

/* A write has nobody left to tell; everything else may still be answered with a 408. */
static void time_out(struct conn *c)
{
    int waits = waits_for(c);

    if (waits == CONN_BUSY) return;
    atomic_store_explicit(&c->timed_out, true, memory_order_relaxed);
    atomic_store_explicit(&c->deadline_ns, AE_FOREVER, memory_order_relaxed);
    if (waits == CONN_WRITE || waits == CONN_LINGER) ae__http_socket_end_both(c->stream);
    else ae__http_socket_end_reading(c->stream);
    atomic_fetch_add_explicit(&c->server->timeouts, 1, memory_order_relaxed);
}

/* From the marker on; leaves the marker where the next call goes on. False at the list's end. */
static bool sweep_batch(ae_http_server *server, int64_t now)
{
    struct link *l = server->marker.next;
    int n = 0;

    for (; l != &server->list && n < SWEEP_BATCH; l = l->next, n++) {
        struct conn *c = conn_of(l);

        __builtin_prefetch(l->next);
        if (atomic_load_explicit(&c->deadline_ns, memory_order_relaxed) <= now) time_out(c);
    }
    link_out(&server->marker);
    link_behind(&server->marker, l->previous);
    return l != &server->list;
}

void ae__http_registry_sweep(ae_http_server *server)
{
    int64_t now = ae__http_now(server);
    bool more = true;

    pthread_mutex_lock(&server->lock);
    link_behind(&server->marker, &server->list);
    while (more) {
        more = sweep_batch(server, now);
        pthread_mutex_unlock(&server->lock);
        ae_yield();
        pthread_mutex_lock(&server->lock);
    }
    link_out(&server->marker);
    pthread_mutex_unlock(&server->lock);
}

void ae_http_server_stats(ae_http_server *server, ae_http_stats *out)
{
    struct conn_counters sum = { 0 };
    ae_http_stats s = { 0 };

    pthread_mutex_lock(&server->lock);
    add_counters(&sum, &server->closed);
    for (struct link *l = server->list.next; l != &server->list; l = l->next) {
        if (l != &server->marker) add_counters(&sum, &conn_of(l)->counters);
    }
    s.connections = server->live;
    s.connections_total = server->connections_total;
    pthread_mutex_unlock(&server->lock);
    s.connections_evicted = value(&server->evicted);
    s.requests = value(&sum.requests);
    s.responses_4xx = value(&sum.responses_4xx);
    s.responses_5xx = value(&sum.responses_5xx);
    s.bad_requests = value(&server->bad_requests);
    s.timeouts = value(&server->timeouts);
    s.bytes_in = value(&sum.bytes_in);
    s.bytes_out = value(&sum.bytes_out);
    s.size = out->size;
    __builtin_memcpy(out, &s, out->size < sizeof(s) ? out->size : sizeof(s));
}
