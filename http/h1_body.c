/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the body of an HTTP/1 request: from what came with its head, then from the connection.
 * No read goes beyond the body's end unless it is chunked; what is read too much of those is the
 * next request's. */
#include "exchange.h"

#include <errno.h>
#include <string.h>

void ae__h1_body_begin(struct exchange *x)
{
    x->body_left = x->head.length;
    x->body_waited_ns = 0;
    x->body_ended = x->head.framing == H1_NO_BODY;
    x->want_100 = x->head.expect_continue;
    x->chunked = (struct h1_chunked){ 0 };
}

static ssize_t fail(ae_http *h, int rc, int status)
{
    h->read_error = rc;
    h->read_status = status;
    return rc;
}

/* How long the next bytes may take: what is left of the idle time and of the time that the lowest
 * rate gives for what has come so far. Only waiting counts, not what the handler does meanwhile. */
static int64_t patience(const struct exchange *x)
{
    const ae_http_opts *opts = &x->c->server->opts;
    int64_t earned = INT64_MAX;

    if (x->h.body_bytes < INT64_MAX / (uint64_t)AE_SEC)
        earned = (int64_t)x->h.body_bytes * AE_SEC / opts->body_rate_min;
    if (earned < opts->body_rate_after_ns) earned = opts->body_rate_after_ns;
    earned -= x->body_waited_ns;
    if (earned > opts->body_idle_ns) earned = opts->body_idle_ns;
    return earned > 0 ? earned : 0;
}

/* Read from the connection; before that all must be out that the client may be waiting for. */
static ssize_t receive(struct exchange *x, void *buf, size_t size)
{
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct conn *c = x->c;
    int rc = 0;

    if (x->want_100 && !x->h.started) rc = ae__h1_put(x, proceed, sizeof(proceed) - 1);
    x->want_100 = false;
    if (rc == 0) rc = ae__h1_flush(x);
    if (rc < 0) return fail(&x->h, rc, 0);
    int64_t before = ae__http_now(c->server);
    ae__http_conn_wait(c, CONN_BODY, patience(x));
    ssize_t n = ae_read(c->stream, buf, size);
    ae__http_conn_wait(c, CONN_BUSY, 0);
    x->body_waited_ns += ae__http_now(c->server) - before;
    if (n > 0) {
        ae__http_count(&c->counters.bytes_in, (uint64_t)n);
        return n;
    }
    x->close = x->linger = true;
    if (atomic_load_explicit(&c->timed_out, memory_order_relaxed))
        return fail(&x->h, -ETIMEDOUT, 408);
    return n < 0 ? fail(&x->h, (int)n, 0) : fail(&x->h, -EPIPE, 400);
}

static ssize_t read_sized(struct exchange *x, void *buf, size_t size)
{
    size_t buffered = x->end - x->begin;
    ssize_t n;

    if (size > x->body_left) size = (size_t)x->body_left;
    if (buffered > 0) {
        n = (ssize_t)(size < buffered ? size : buffered);
        memcpy(buf, x->in + x->begin, (size_t)n);
        x->begin += (size_t)n;
    } else {
        n = receive(x, buf, size);
    }
    if (n <= 0) return n;
    x->body_left -= (uint64_t)n;
    x->body_ended = x->body_left == 0;
    return n;
}

static int refill(struct exchange *x)
{
    x->begin = x->end = x->body_at;
    ssize_t n = receive(x, x->in + x->end, x->room - x->end);
    if (n < 0) return (int)n;
    x->end += (size_t)n;
    return 0;
}

/* Decoding no more bytes than fit gives no more body than fits. */
static ssize_t read_chunked(struct exchange *x, char *buf, size_t size)
{
    size_t used, data = 0;

    while (data == 0 && !x->body_ended) {
        if (x->begin == x->end) {
            int rc = refill(x);
            if (rc < 0) return rc;
        }
        size_t n = x->end - x->begin < size ? x->end - x->begin : size;
        int rc = ae__h1_chunked_next(&x->chunked, &x->c->server->limits, x->in + x->begin, n,
                                     &used, &data);
        if (rc < 0) {
            x->close = x->linger = true;
            return fail(&x->h, -EBADMSG, -rc);
        }
        x->begin += used;
        x->body_ended = rc == 1;
    }
    memcpy(buf, x->in + x->begin - data, data);
    return (ssize_t)data;
}

static bool too_long(const ae_http *h, uint64_t bytes)
{
    return bytes > h->body_limit;
}

ssize_t ae__h1_body_read(ae_http *h, void *buf, size_t size)
{
    struct exchange *x = (struct exchange *)h;
    ssize_t n;

    if (h->read_error) return h->read_error;
    if (x->head.framing == H1_LENGTH && too_long(h, x->head.length))
        return fail(h, -EMSGSIZE, 413);
    if (x->body_ended || size == 0) return 0;
    if (x->head.framing == H1_LENGTH) n = read_sized(x, buf, size);
    else n = read_chunked(x, buf, size);
    if (n <= 0) return n;
    h->body_bytes += (uint64_t)n;
    if (too_long(h, h->body_bytes)) return fail(h, -EMSGSIZE, 413);
    return n;
}

/* A client that still waits for its "100 Continue" may send the body or not: nobody can tell what
 * its next bytes are. */
bool ae__h1_body_discard(struct exchange *x)
{
    uint64_t most = x->c->server->opts.discard_bytes;
    uint64_t done = 0;
    char scrap[4096];

    x->h.body_limit = UINT64_MAX;
    if (x->h.read_error == -EMSGSIZE) x->h.read_error = 0;
    if (x->body_ended) return true;
    if (x->h.read_error || x->want_100) return false;
    if (x->head.framing == H1_LENGTH && x->body_left > most) return false;
    while (!x->body_ended && done <= most) {
        ssize_t n = ae__h1_body_read(&x->h, scrap, sizeof(scrap));

        if (n < 0) return false;
        done += (uint64_t)n;
    }
    return x->body_ended;
}
