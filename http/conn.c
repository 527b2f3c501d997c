/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: it waits without a stack, gets a task when bytes arrive, and the task
 * answers what is complete and lets the connection wait again.
 *
 * A head that is not complete waits without a stack too, in a block of its own size, so that ten
 * thousand slow senders cost ten thousand small blocks. Bytes are parsed again only when a line may
 * have been completed. */
#include "exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define WRITE_PIECE ((size_t)128 * 1024) /* each piece has write_idle_ns to be taken */
#define LINGER_BYTES ((size_t)64 * 1024) /* read and dropped behind the last response */

struct conn *ae__http_conn_create(ae_http_server *server, ae_stream *stream)
{
    struct conn *c = aligned_alloc(_Alignof(struct conn), sizeof(*c));

    if (!c) {
        ae_close(stream);
        return NULL;
    }
    memset(c, 0, sizeof(*c));
    c->server = server;
    c->stream = stream;
    c->fresh = true;
    ae__http_conn_wait(c, CONN_IDLE, server->opts.keep_alive_ns);
    ae__http_registry_add(server, c);
    return c;
}

void ae__http_conn_close(struct conn *c)
{
    ae_http_server *server = c->server;

    ae__http_registry_remove(c);
    if (c->broken && atomic_load_explicit(&c->timed_out, memory_order_relaxed))
        ae__http_socket_reset_on_close(c->stream);
    ae_close(c->stream);
    free(c->kept);
    free(c);
    ae_sem_release(&server->permits, 1);
}

void ae__http_conn_wait(struct conn *c, enum conn_waits what, int64_t patience_ns)
{
    int64_t now = ae__http_now(c->server);
    int64_t deadline = AE_FOREVER;

    if (what == CONN_IDLE) atomic_store_explicit(&c->since_ns, now, memory_order_relaxed);
    if (what != CONN_BUSY) deadline = now + c->server->tick_ns + patience_ns;
    atomic_store_explicit(&c->deadline_ns, deadline, memory_order_relaxed);
    atomic_store_explicit(&c->waits, (int)what, memory_order_relaxed);
}

/* ---- writing ---- */

static size_t total_of(const struct iovec *parts, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    return total;
}

/* Drop `size` bytes from the front. */
static void advance(struct iovec *parts, int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        size_t n = size < parts[i].iov_len ? size : parts[i].iov_len;

        parts[i].iov_base = (char *)parts[i].iov_base + n;
        parts[i].iov_len -= n;
        size -= n;
    }
}

/* The first piece of what is left; the usual response is one piece of one part. */
static ssize_t write_piece(struct conn *c, struct iovec *parts, int count, size_t total)
{
    while (parts->iov_len == 0) {
        parts++;
        count--;
    }
    if (total <= WRITE_PIECE && count > 1) return ae_writev_behind(c->stream, parts, count);
    size_t n = parts->iov_len < WRITE_PIECE ? parts->iov_len : WRITE_PIECE;
    return ae_write_behind(c->stream, parts->iov_base, n);
}

int ae__http_conn_write(struct conn *c, struct iovec *parts, int count)
{
    size_t total = total_of(parts, count);

    while (total > 0 && !c->broken) {
        ae__http_conn_wait(c, CONN_WRITE, c->server->opts.write_idle_ns);
        ssize_t n = write_piece(c, parts, count, total);
        ae__http_conn_wait(c, CONN_BUSY, 0);
        if (n < 0) {
            bool slow = atomic_load_explicit(&c->timed_out, memory_order_relaxed);

            c->broken = slow ? -ETIMEDOUT : (int)n;
            break;
        }
        ae__http_count(&c->counters.bytes_out, (uint64_t)n);
        advance(parts, count, (size_t)n);
        total -= (size_t)n;
    }
    return c->broken;
}

/* Close once the last response has left: the client may take it slowly. */
static void close_behind(struct conn *c)
{
    if (!c->broken) {
        ae__http_conn_wait(c, CONN_WRITE, c->server->opts.write_idle_ns);
        ssize_t rc = ae_write(c->stream, NULL, 0);
        if (rc < 0) c->broken = (int)rc;
        ae__http_conn_wait(c, CONN_BUSY, 0);
    }
    ae__http_conn_close(c);
}

/* ---- waiting ---- */

static int park(struct conn *c)
{
    int rc = ae_go_on(c->stream, AE_READABLE, AE_FOREVER, ae__http_conn_task, c);

    if (rc < 0) ae__http_conn_close(c);
    return 0; /* from here on the connection may run elsewhere, or be gone */
}

/* Keep the beginning of a head for the next task. */
static int keep(struct exchange *x)
{
    struct conn *c = x->c;
    size_t size = x->end - x->begin;

    if (x->in == x->in_local) {
        size_t room = size < 256 ? 256 : size;

        c->kept = malloc(room);
        if (!c->kept) return -ENOMEM;
        memcpy(c->kept, x->in + x->begin, size);
        c->kept_room = room;
    } else {
        memmove(x->in, x->in + x->begin, size);
        c->kept = x->in;
        c->kept_room = x->room;
        x->in = x->in_local;
    }
    c->kept_size = size;
    return 0;
}

static int park_idle(struct exchange *x)
{
    struct conn *c = x->c;
    ae_http_server *server = c->server;

    if (x->begin == x->end) {
        c->head_began_ns = 0;
        if (x->in != x->in_local) free(x->in);
        ae__http_conn_wait(c, CONN_IDLE, server->opts.keep_alive_ns);
        return park(c);
    }
    if (c->head_began_ns == 0) {
        c->head_began_ns = ae__http_now(server);
        atomic_store_explicit(&c->since_ns, c->head_began_ns, memory_order_relaxed);
    }
    if (keep(x) < 0) {
        ae__http_conn_close(c);
        return 0;
    }
    ae__http_conn_wait(c, CONN_HEAD,
                       c->head_began_ns + server->opts.head_ns - ae__http_now(server));
    return park(c);
}

/* ---- the last response is out ---- */

/* A close while bytes of the client's are unread resets the connection and may take the response
 * with it (RFC 9112 §9.6); so the client gets the end of the stream and some time. */
static int begin_linger(struct conn *c)
{
    if (c->broken || ae_shutdown(c->stream) < 0) {
        ae__http_conn_close(c);
        return 0;
    }
    c->lingers = true;
    ae__http_conn_wait(c, CONN_LINGER, c->server->opts.linger_ns);
    return park(c);
}

static int linger(struct conn *c)
{
    char scrap[4096];
    ssize_t n;

    do {
        n = ae_read(c->stream, scrap, sizeof(scrap));
        if (n > 0) c->discarded += (size_t)n;
    } while (n == sizeof(scrap) && c->discarded < LINGER_BYTES);
    if (n > 0 && c->discarded < LINGER_BYTES) return park(c);
    close_behind(c);
    return 0;
}

/* ---- the task ---- */

static void take_over(struct exchange *x, struct conn *c)
{
    x->c = c;
    x->begin = 0;
    x->out_size = 0;
    x->linger = x->more = false;
    if (c->kept) {
        x->in = c->kept;
        x->room = c->kept_room;
        x->end = c->kept_size;
        c->kept = NULL;
    } else {
        x->in = x->in_local;
        x->room = IN_BYTES;
        x->end = 0;
    }
}

/* Nothing more comes. What is there of a head was too slow, or will never be complete. */
static enum next at_end(struct exchange *x)
{
    bool timed_out = atomic_load_explicit(&x->c->timed_out, memory_order_relaxed);

    if (timed_out && x->end > x->begin) return ae__h1_refuse(x, 408, "the head took too long");
    return NEXT_CLOSE;
}

/* Could the bytes from `old` on complete a line, or pass a limit? The first few always count. */
static bool worth_parsing(const struct exchange *x, size_t old)
{
    const struct h1_limits *limits = &x->c->server->limits;
    uint32_t limit = limits->request_line < limits->head ? limits->request_line : limits->head;

    return old - x->begin < 3 || x->end - x->begin >= limit ||
           memchr(x->in + old, '\n', x->end - old) != NULL;
}

static enum next serve(struct exchange *x)
{
    enum next next = NEXT_MORE;

    while (next == NEXT_MORE) {
        size_t old = x->end;

        if (x->end == x->room && ae__h1_grow(x, x->room) < 0) return NEXT_CLOSE;
        size_t room = x->room - x->end;
        ssize_t n = ae_read(x->c->stream, x->in + x->end, room);
        if (n <= 0) return at_end(x);
        ae__http_count(&x->c->counters.bytes_in, (uint64_t)n);
        x->end += (size_t)n;
        x->more = (size_t)n == room;
        if (worth_parsing(x, old)) next = ae__h1_requests(x);
        if (next == NEXT_MORE && !x->more) next = NEXT_PARK;
    }
    return next;
}

int ae__http_conn_task(void *arg)
{
    struct conn *c = arg;
    struct exchange x;

    /* With hundreds of connections in turn each finds its memory cold. */
    __builtin_prefetch(c->stream);
    __builtin_prefetch(&c->counters, 1);
    if (ae_started_by() == -ECANCELED) {
        ae__http_conn_close(c);
        return 0;
    }
    if (c->lingers) return linger(c);
    if (c->fresh) {
        c->fresh = false;
        return park(c);
    }
    take_over(&x, c);
    enum next next = serve(&x);
    if (next == NEXT_PARK) return park_idle(&x);
    if (x.in != x.in_local) free(x.in);
    if (next == NEXT_LINGER) return begin_linger(c);
    close_behind(c);
    return 0;
}
