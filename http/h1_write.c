/* SPDX-License-Identifier: Apache-2.0 */
/* Writing HTTP/1 responses. All goes through one buffer that is sent when the requests received so
 * far are answered, when it is full, or when somebody is about to wait: so a pipeline of sixteen
 * costs one write, and a small response is one send of head and body together. */
#include "exchange.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#define HEAD_FIXED 256 /* status line, Date, framing and connection, at most */

static struct exchange *exchange_of(ae_http *h)
{
    return (struct exchange *)h;
}

int ae__h1_flush(struct exchange *x)
{
    struct iovec part = { x->out, x->out_size };

    x->out_size = 0;
    return ae__http_conn_write(x->c, &part, 1);
}

int ae__h1_put(struct exchange *x, const char *data, size_t size)
{
    if (size > OUT_BYTES - x->out_size) {
        struct iovec parts[2] = { { x->out, x->out_size }, { (char *)data, size } };

        x->out_size = 0;
        return ae__http_conn_write(x->c, parts, 2);
    }
    if (size > 0) memcpy(x->out + x->out_size, data, size);
    x->out_size += size;
    return x->c->broken;
}

/* ---- the head ---- */

static char *add(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

#define ADD(at, literal) add((at), literal, sizeof(literal) - 1)

static char *add_number(char *at, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return add(at, digits + i, sizeof(digits) - i);
}

static char *add_status(char *at, int status)
{
    const char *text;

    if (status == 200) return ADD(at, "HTTP/1.1 200 OK\r\n");
    text = ae__http_status_text(status);
    at = ADD(at, "HTTP/1.1 ");
    at = add_number(at, (uint64_t)status);
    *at++ = ' ';
    at = add(at, text, strlen(text));
    return ADD(at, "\r\n");
}

static char *add_date(char *at, ae_http_server *server)
{
    at = ADD(at, "Date: ");
    ae__http_date_now(server, at);
    at += HTTP_DATE_BYTES - 1;
    return ADD(at, "\r\n");
}

/* RFC 9112 §6.1, §6.2: neither field with 1xx and 204, no coding for 1.0; 304 needs none. */
static char *add_framing(struct exchange *x, char *at, int64_t length)
{
    if (ae__http_status_bodyless(x->h.status)) return at;
    if (length >= 0) {
        at = ADD(at, "Content-Length: ");
        at = add_number(at, (uint64_t)length);
        return ADD(at, "\r\n");
    }
    if (x->head.minor == 0) return at; /* until the end of the connection */
    return ADD(at, "Transfer-Encoding: chunked\r\n");
}

static char *add_connection(const struct exchange *x, char *at)
{
    if (x->close) return ADD(at, "Connection: close\r\n");
    if (x->head.minor == 0) return ADD(at, "Connection: keep-alive\r\n");
    return at;
}

/* When the server ends, the last request that has arrived gets the "close", not one before it in
 * the same pipeline: what is behind a "close" is never answered. */
static bool drains(const struct exchange *x)
{
    bool more_arrived = x->body_ended && (x->begin < x->end || x->more);

    return atomic_load_explicit(&x->c->server->draining, memory_order_relaxed) && !more_arrived;
}

/* Will the connection end behind this response? Said in it, so that the client need not guess. */
static void decide_close(struct exchange *x, int64_t length)
{
    const ae_http_opts *opts = &x->c->server->opts;
    bool framed = length >= 0 || x->head.minor >= 1 || ae__http_status_bodyless(x->h.status);

    if (!x->head.keep_alive || !framed || x->want_100) x->close = true;
    if (drains(x)) x->close = true;
    if (opts->requests_max && x->c->requests >= opts->requests_max) x->close = true;
    if (x->h.read_error && x->h.read_error != -EMSGSIZE) x->close = true;
    if (!x->body_ended && x->head.framing == H1_LENGTH && x->body_left > opts->discard_bytes)
        x->close = true;
}

static char *build_head(struct exchange *x, char *at, const char *type, int64_t length)
{
    const char *name = x->c->server->opts.server_name;

    at = add_status(at, x->h.status);
    if (name) {
        at = ADD(at, "Server: ");
        at = add(at, name, strlen(name));
        at = ADD(at, "\r\n");
    }
    at = add_date(at, x->c->server);
    if (type) {
        at = ADD(at, "Content-Type: ");
        at = add(at, type, strlen(type));
        at = ADD(at, "\r\n");
    }
    at = add_framing(x, at, length);
    at = add(at, x->h.head_text, x->h.head_size);
    at = add_connection(x, at);
    return ADD(at, "\r\n");
}

/* length -1: not known. */
static int write_head(struct exchange *x, const char *type, int64_t length)
{
    const char *name = x->c->server->opts.server_name;
    size_t most = HEAD_FIXED + x->h.head_size + (type ? strlen(type) : 0) +
                  (name ? strlen(name) : 0);
    int rc = 0;

    decide_close(x, length);
    x->bodyless = x->h.is_head || ae__http_status_bodyless(x->h.status);
    x->chunk_out = !x->bodyless && length < 0 && x->head.minor >= 1;
    x->h.started = true;
    if (most > OUT_BYTES) {
        char *text = ae__http_arena_alloc(&x->h.arena, most);

        if (!text) return -ENOMEM;
        return ae__h1_put(x, text, (size_t)(build_head(x, text, type, length) - text));
    }
    if (most > OUT_BYTES - x->out_size) rc = ae__h1_flush(x);
    char *end = build_head(x, x->out + x->out_size, type, length);
    x->out_size = (size_t)(end - x->out);
    return rc;
}

/* ---- what a handler's response needs ---- */

static int respond(ae_http *h, const char *type, const void *body, size_t size)
{
    struct exchange *x = exchange_of(h);
    int rc = write_head(x, type, (int64_t)size);

    h->complete = true;
    if (rc == 0 && !x->bodyless) rc = ae__h1_put(x, body, size);
    return rc;
}

static int start(ae_http *h)
{
    return write_head(exchange_of(h), NULL, h->length);
}

static int put_chunk_size(struct exchange *x, uint64_t size)
{
    char text[20];
    size_t i = sizeof(text);

    text[--i] = '\n';
    text[--i] = '\r';
    do {
        text[--i] = "0123456789abcdef"[size & 15];
        size >>= 4;
    } while (size > 0);
    return ae__h1_put(x, text + i, sizeof(text) - i);
}

static int write_body(ae_http *h, const void *data, size_t size)
{
    struct exchange *x = exchange_of(h);
    int rc = 0;

    if (x->bodyless || size == 0) return x->c->broken;
    if (x->chunk_out) rc = put_chunk_size(x, size);
    if (rc == 0) rc = ae__h1_put(x, data, size);
    if (rc == 0 && x->chunk_out) rc = ae__h1_put(x, "\r\n", 2);
    return rc;
}

static int flush(ae_http *h)
{
    return ae__h1_flush(exchange_of(h));
}

/* In pieces, each of which has its own time to be taken. */
static int send_pieces(struct conn *c, ae_file *file, int64_t offset, uint64_t size)
{
    const uint64_t piece = 128 * 1024;

    while (size > 0 && !c->broken) {
        ae__http_conn_wait(c, CONN_WRITE, c->server->opts.write_idle_ns);
        ssize_t n = ae_sendfile(c->stream, file, offset, size < piece ? (size_t)size : piece);
        ae__http_conn_wait(c, CONN_BUSY, 0);
        if (n <= 0) {
            c->broken = n < 0 ? (int)n : -EIO;
            if (atomic_load_explicit(&c->timed_out, memory_order_relaxed)) c->broken = -ETIMEDOUT;
            break;
        }
        ae__http_count(&c->counters.bytes_out, (uint64_t)n);
        offset += n;
        size -= (uint64_t)n;
    }
    return c->broken;
}

static int send_file(ae_http *h, ae_file *file, int64_t offset, uint64_t size)
{
    struct exchange *x = exchange_of(h);
    int rc = 0;

    if (x->bodyless || size == 0) return x->c->broken;
    if (x->chunk_out) rc = put_chunk_size(x, size);
    if (rc == 0) rc = ae__h1_flush(x);
    if (rc == 0) rc = send_pieces(x->c, file, offset, size);
    if (rc == 0 && x->chunk_out) rc = ae__h1_put(x, "\r\n", 2);
    return rc;
}

static int peer(const ae_http *h, ae_addr *out)
{
    return ae_stream_peer(((const struct exchange *)h)->c->stream, out);
}

int ae__h1_end(struct exchange *x)
{
    x->h.complete = true;
    return x->chunk_out ? ae__h1_put(x, "0\r\n\r\n", 5) : 0;
}

const struct http_ops ae__h1_ops = {
    .read = ae__h1_body_read,
    .respond = respond,
    .start = start,
    .write = write_body,
    .send_file = send_file,
    .flush = flush,
    .peer = peer,
};
