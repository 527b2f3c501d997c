/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1 request after another: from the bytes received to struct ae_http, through the handler,
 * to the state in which the next request can be read. */
#include "exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ae__h1_grow(struct exchange *x, size_t size)
{
    size_t room = x->room + size;
    char *grown;

    if (x->in == x->in_local) {
        grown = malloc(room);
        if (grown) memcpy(grown, x->in, x->end);
    } else {
        grown = realloc(x->in, room);
    }
    if (!grown) return -ENOMEM;
    x->in = grown;
    x->room = room;
    return 0;
}

static const char *string_at(char *base, struct h1_span s)
{
    return base + s.at;
}

/* All of it but what is set where it is used: match, arena, the spans of names. */
static void begin_request(struct exchange *x, char *base)
{
    const struct h1_head *head = &x->head;
    struct ae_http *h = &x->h;

    h->ops = &ae__h1_ops;
    h->server = x->c->server;
    ae__http_arena_init(&h->arena, x->arena_room, ARENA_BYTES);
    h->base = base;
    h->fields = head->fields;
    h->field_count = head->field_count;
    h->version = head->minor == 0 ? 10 : 11;
    h->method = string_at(base, head->method);
    h->path = head->path.length > 0 ? string_at(base, head->path) : "/";
    h->path_length = head->path.length > 0 ? head->path.length : 1;
    h->query = head->has_query ? string_at(base, head->query) : "";
    h->has_query = head->has_query;
    h->target = head->target;
    h->authority = head->authority;
    h->host = head->host;
    h->is_head = head->method.length == 4 && memcmp(h->method, "HEAD", 4) == 0;
    h->is_asterisk = head->form == H1_ASTERISK;
    h->body_length = head->framing == H1_CHUNKED ? -1 : (int64_t)head->length;
    h->body_limit = x->c->server->opts.body_bytes;
    h->body_bytes = 0;
    h->read_error = h->read_status = 0;
    h->step = 0;
    h->context = NULL;
    h->status = 0;
    h->started = h->complete = false;
    h->sent = 0;
    h->length = -1;
    h->head_text = x->arena_room; /* no room yet, but a place */
    h->head_size = h->head_room = 0;
}

static void count_response(struct exchange *x)
{
    struct conn_counters *counters = &x->c->counters;

    ae__http_count(&counters->requests, 1);
    if (x->h.status >= 500) ae__http_count(&counters->responses_5xx, 1);
    else if (x->h.status >= 400) ae__http_count(&counters->responses_4xx, 1);
}

/* The request is answered: is the connection good for another one? */
static enum next end_request(struct exchange *x, int rc)
{
    if (rc == 0 && !x->h.complete) rc = ae__h1_end(x);
    count_response(x);
    if (rc < 0 || x->c->broken) return NEXT_CLOSE;
    if (!x->close && !x->body_ended) {
        if (ae__h1_flush(x) < 0) return NEXT_CLOSE;
        x->close = x->linger = !ae__h1_body_discard(x);
    }
    if (!x->close) return NEXT_MORE;
    /* A client that asked for the end and has sent nothing more will not send either. */
    if (x->linger || x->head.keep_alive || !x->body_ended || x->begin < x->end)
        return NEXT_LINGER;
    return NEXT_CLOSE;
}

static enum next answer(struct exchange *x, size_t length)
{
    size_t begin = x->begin;

    x->c->head_began_ns = 0;
    x->c->requests++;
    x->begin += length;
    if (x->head.framing == H1_CHUNKED && x->room - x->begin < BODY_ROOM &&
        ae__h1_grow(x, BODY_ROOM) < 0)
        return NEXT_CLOSE;
    x->body_at = x->begin;
    x->close = x->linger = false;
    ae__h1_head_terminate(&x->head, x->in + begin);
    begin_request(x, x->in + begin);
    ae__h1_body_begin(x);
    int rc = ae__http_dispatch(&x->h);
    enum next next = end_request(x, rc);
    ae__http_arena_finish(&x->h.arena);
    return next;
}

enum next ae__h1_refuse(struct exchange *x, int status, const char *reason)
{
    struct ae_http *h = &x->h;

    x->head.method = x->head.path = x->head.target = (struct h1_span){ 0, 0 };
    x->head.authority = x->head.host = x->head.method;
    x->head.form = H1_ORIGIN;
    x->head.field_count = 0;
    x->head.has_query = x->head.keep_alive = false;
    x->head.framing = H1_NO_BODY;
    x->head.minor = 1;
    begin_request(x, x->in);
    ae__h1_body_begin(x);
    x->want_100 = false;
    x->c->requests++;
    (void)ae_http_printf(h, status, "text/plain; charset=utf-8", "%d %s: %s\n", status,
                         ae__http_status_text(status), reason);
    count_response(x);
    atomic_fetch_add_explicit(&x->c->server->bad_requests, 1, memory_order_relaxed);
    ae__http_arena_finish(&h->arena);
    return ae__h1_flush(x) < 0 ? NEXT_CLOSE : NEXT_LINGER;
}

/* Move what is not complete to the front; the usual case is that nothing is left. */
static void compact(struct exchange *x)
{
    size_t left = x->end - x->begin;

    if (left > 0 && x->begin > 0) memmove(x->in, x->in + x->begin, left);
    x->begin = 0;
    x->end = left;
}

enum next ae__h1_requests(struct exchange *x)
{
    const struct h1_limits *limits = &x->c->server->limits;
    enum next next = NEXT_MORE;

    ae__http_conn_wait(x->c, CONN_BUSY, 0);
    while (next == NEXT_MORE && x->begin < x->end) {
        ssize_t n = ae__h1_head_parse(&x->head, limits, x->in + x->begin, x->end - x->begin);

        if (n < 0) return ae__h1_refuse(x, (int)-n, x->head.reason);
        if (n == 0) break;
        next = answer(x, (size_t)n);
    }
    if (ae__h1_flush(x) < 0) return NEXT_CLOSE;
    compact(x);
    return next;
}
