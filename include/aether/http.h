/* SPDX-License-Identifier: Apache-2.0 */
/* libaether-http, the handler's side: one pointer `ae_http *h` is request, response and memory.
 *
 * All functions here are called by a handler (ae_http_fn) with its own `h`. Colour: task, may
 * suspend where it says so, else never suspends. Strings handed out are NUL-terminated, belong to
 * the request and stay valid until the outermost handler returns; nothing is freed by hand.
 *
 * Head first, then body: the status line and the fields are kept back until the first byte of the
 * body has to go out, so an error before that still becomes a clean error response. A client that
 * is gone, too slow, or a server that ends makes reads and writes fail: return what they gave. */
#ifndef AETHER_HTTP_H
#define AETHER_HTTP_H

#include <aether/defs.h>
#include <aether/http_server.h>
#include <aether/stream.h>

AE_EXTERN_C_BEGIN

/* ---- the request ---- */

AE_API const char *ae_http_method(const ae_http *h);  /* "GET", as sent (HEAD stays "HEAD") */
AE_API const char *ae_http_target(const ae_http *h);  /* as sent: "/a%20b?x=1" */
AE_API const char *ae_http_path(const ae_http *h);    /* as sent, without the query: "/a%20b" */
AE_API const char *ae_http_query_string(const ae_http *h); /* behind the '?', else "" */
AE_API const char *ae_http_host(const ae_http *h);    /* of the target, else of Host; or "" */
AE_API int ae_http_version(const ae_http *h);         /* 10, 11 */
AE_API int ae_http_peer(const ae_http *h, ae_addr *out);

/* The part of the path that `{name}` or `{name...}` matched, percent-decoded; NULL: no such name.
 * Paths with ".." or "." segments, encoded or not, never reach a handler. */
AE_API const char *ae_http_param(const ae_http *h, const char *name);
/* The same as a number; -EINVAL (which becomes a 400) if it is none. */
AE_API int ae_http_param_i64(const ae_http *h, const char *name, int64_t *out) AE_MUST_CHECK;

/* The first value of a query parameter, decoded ('+' is a space); "" for a bare name, NULL: absent
 * (or out of memory). */
AE_API const char *ae_http_query(ae_http *h, const char *name);

/* The first field of that name (case is ignored), or NULL; and all fields one by one, in the order
 * they came, false behind the last. */
AE_API const char *ae_http_field(const ae_http *h, const char *name);
AE_API bool ae_http_field_at(const ae_http *h, size_t index, const char **name,
                             const char **value);
/* True if the comma-separated lists of all fields of that name hold `token` (case is ignored). */
AE_API bool ae_http_field_has(const ae_http *h, const char *name, const char *token);

AE_API void *ae_http_context(const ae_http *h); /* what the route or the middleware came with */

/* ---- its body ---- */

/* Read up to `size` bytes; 0 at the end. Sends the "100 Continue" a client waits for, once.
 * -EMSGSIZE: longer than the limit (413); -EBADMSG: not chunked rightly (400); -EPIPE: the client
 * closed before the end; -ETIMEDOUT (408), -ECANCELED. Returned by a handler, these make the
 * response in brackets. May suspend. */
AE_API ssize_t ae_http_read(ae_http *h, void *buf, size_t size) AE_MUST_CHECK;
/* The whole body, NUL-terminated; its length, or an error of ae_http_read, or -ENOMEM.
 * May suspend. */
AE_API ssize_t ae_http_body(ae_http *h, const char **out) AE_MUST_CHECK;
AE_API int64_t ae_http_body_length(const ae_http *h);         /* as announced, -1: chunked */
AE_API void ae_http_body_limit(ae_http *h, uint64_t bytes);   /* before reading */

/* ---- the response ---- */

/* All of these return 0 or the error to return. A second response, or a head after the body has
 * begun, gives -EALREADY. */

/* One body that is there. `type` NULL: no Content-Type. */
AE_API int ae_http_respond(ae_http *h, int status, const char *type, const void *body, size_t size);
AE_API int ae_http_text(ae_http *h, int status, const char *text);      /* text/plain, UTF-8 */
AE_API int ae_http_printf(ae_http *h, int status, const char *type, const char *format, ...)
    AE_PRINTF(4, 5);
/* A short text for people, also as the answer for an error. */
AE_API int ae_http_fail(ae_http *h, int status, const char *format, ...) AE_PRINTF(3, 4);
AE_API int ae_http_redirect(ae_http *h, int status, const char *location);

/* The head in pieces: the status (200 until set), one field replaced, one added. The values are
 * copied. -EINVAL: not a token, or CR, LF, NUL in the value, or one of the fields that are the
 * library's (Content-Length, Transfer-Encoding, Connection, Date). */
AE_API int ae_http_status(ae_http *h, int status);
AE_API int ae_http_header(ae_http *h, const char *name, const char *value);
AE_API int ae_http_header_add(ae_http *h, const char *name, const char *value);
/* Announce the length of a body that comes in pieces; otherwise it goes out chunked. */
AE_API int ae_http_length(ae_http *h, uint64_t bytes);

/* A body in pieces, and what is buffered sent now. The end is when the handler returns 0.
 * -EMSGSIZE: more than ae_http_length announced. May suspend: that is the back-pressure. */
AE_API int ae_http_write(ae_http *h, const void *data, size_t size) AE_MUST_CHECK;
AE_API int ae_http_writef(ae_http *h, const char *format, ...) AE_PRINTF(2, 3) AE_MUST_CHECK;
AE_API int ae_http_flush(ae_http *h) AE_MUST_CHECK;

/* A part of a file as the body (or as its next part), by sendfile where that can be. -EIO: the file
 * ended before. The file stays the caller's. May suspend. */
AE_API int ae_http_send_file(ae_http *h, ae_file *file, int64_t offset,
                             uint64_t size) AE_MUST_CHECK;

/* Server-sent events: the head; one event (`event`, `id` may be NULL; each line of `data` becomes a
 * data field), sent at once; a comment that keeps proxies from closing. The client's last id is
 * ae_http_field(h, "Last-Event-ID"). May suspend. */
AE_API int ae_http_sse_open(ae_http *h) AE_MUST_CHECK;
AE_API int ae_http_sse_send(ae_http *h, const char *event, const char *id,
                            const char *data) AE_MUST_CHECK;
AE_API int ae_http_sse_heartbeat(ae_http *h) AE_MUST_CHECK;

AE_API bool ae_http_started(const ae_http *h);     /* a response has been begun */
AE_API int ae_http_status_sent(const ae_http *h);  /* its status, 0 before that (for logs) */

/* ---- middleware, memory ---- */

/* Run what is inside: the next middleware or the handler; gives back its result. Once a call. */
AE_API int ae_http_next(ae_http *h);

/* Memory that lives as long as the request. NULL: no memory. Aligned for any type. */
AE_API void *ae_http_alloc(ae_http *h, size_t size) AE_MUST_CHECK;
AE_API const char *ae_http_format(ae_http *h, const char *format, ...) AE_PRINTF(2, 3);

AE_EXTERN_C_END
#endif
