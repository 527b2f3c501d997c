/* SPDX-License-Identifier: Apache-2.0 */
/* libaether-http, the server: routes, middleware, limits and timeouts, listening, draining. What a
 * handler does with its request is in http.h. Everything has a safe default and is on. */
#ifndef AETHER_HTTP_SERVER_H
#define AETHER_HTTP_SERVER_H

#include <aether/defs.h>
#include <aether/net.h>

AE_EXTERN_C_BEGIN

typedef struct ae_http ae_http;
typedef struct ae_http_server ae_http_server;

/* A handler or a middleware. It runs in a task and blocks like ordinary C. 0 when it has answered;
 * a negative errno value becomes an error response if nothing was sent yet (-ENOENT 404, -EACCES
 * 403, -EINVAL 400, -EMSGSIZE 413, -ETIMEDOUT 504, others 500), else the connection is closed
 * without the end of the response. 0 without an answer is 204. */
typedef int ae_http_fn(ae_http *h);

/* 0 = the default named behind each field. Start with AE_HTTP_OPTS. */
typedef struct ae_http_opts {
    size_t size;                    /* sizeof(ae_http_opts), set by AE_HTTP_OPTS */
    const char *server_name;        /* the Server field; NULL = none is sent. Borrowed */

    uint32_t request_line_bytes;    /* 8 KiB; more: 414 */
    uint32_t head_bytes;            /* 32 KiB of fields; more: 431 */
    uint32_t head_fields;           /* 100 (at most 256); more: 431 */
    uint32_t trailer_bytes;         /* 8 KiB behind a chunked body */
    uint32_t chunk_ext_bytes;       /* 4 KiB of chunk extensions in one body */
    uint64_t body_bytes;            /* 2 MiB; more: 413. ae_http_body_limit changes it */
    uint64_t discard_bytes;         /* 256 KiB of unread body are read so as to keep alive */
    uint32_t connections_max;       /* 80 % of RLIMIT_NOFILE */
    uint32_t requests_max;          /* of one connection; no limit */

    int64_t head_ns;                /* 10 s from a head's first byte to its end */
    int64_t body_idle_ns;           /* 30 s between two bytes of a body */
    uint32_t body_rate_min;         /* 500 bytes per second of waiting for a body ... */
    int64_t body_rate_after_ns;     /* ... looked at after 5 s */
    int64_t write_idle_ns;          /* 30 s without the client taking a byte */
    int64_t keep_alive_ns;          /* 60 s idle between requests */
    int64_t linger_ns;              /* 2 s for the client to read the last response and close */
    int64_t drain_ns;               /* 10 s for requests under way when the server ends */
    int64_t drain_idle_ns;          /* 1 s for idle connections to send their next request then */
} ae_http_opts;

#define AE_HTTP_OPTS .size = sizeof(ae_http_opts)

/* Make a server. NULL opts: the defaults. Errors: -EINVAL, -ENOMEM. Colour: any thread. */
AE_API int ae_http_server_create(const ae_http_opts *opts, ae_http_server **out) AE_MUST_CHECK;
/* Closes its listeners. Not while it serves. Accepts NULL. Colour: any thread. */
AE_API void ae_http_server_destroy(ae_http_server *server);

/* Answer what matches `pattern` by `fn`; ae_http_context(h) gives it `context`.
 *   "GET /users/{id}"   one segment, as the path parameter id
 *   "/files/{path...}"  the rest of the path, maybe empty; no method: every method
 *   "GET /docs/"        everything below /docs/          "GET /{$}"  only "/"
 * GET answers HEAD too. In each segment a literal goes before {x}, {x} before {x...}; a method goes
 * before none. Other methods of a known path get 405 with Allow, OPTIONS is answered.
 * -EEXIST: the same pattern twice; -EINVAL: not a pattern; -ENOMEM. The first error is also logged,
 * and returned by ae_http_listen and ae_http_serve, so that calls need no check of their own.
 * `context` is borrowed. Before serving. Colour: any thread. */
AE_API int ae_http_route(ae_http_server *server, const char *pattern, ae_http_fn *fn,
                         void *context);

/* Put `fn` around all handlers (404 and 405 too); what is added first is outermost. It calls
 * ae_http_next(h) for the rest. Errors and colour as ae_http_route. */
AE_API int ae_http_use(ae_http_server *server, ae_http_fn *fn, void *context);

/* Listen at an address of ae_addr_parse's form; any number of times.
 * Errors: those of ae_listen, of an earlier ae_http_route. Colour: any thread. */
AE_API int ae_http_listen(ae_http_server *server, const char *address) AE_MUST_CHECK;
/* The same with a listener that exists; it is the server's from now on (not after an error). */
AE_API int ae_http_adopt(ae_http_server *server, ae_listener *listener) AE_MUST_CHECK;
/* The address of the listener that was added as number `index`, with its real port.
 * -ENOENT: there is none. Colour: any thread. */
AE_API int ae_http_server_addr(ae_http_server *server, size_t index, ae_addr *out) AE_MUST_CHECK;

/* Serve until the caller's scope is cancelled, or ae_http_stop. Then drain: take the connections
 * that wait, close the listeners, answer every request that has begun, close. 0 after a clean
 * drain, -ETIMEDOUT when drain_ns cut something off; errors of an earlier ae_http_route; -EINVAL
 * without a listener. Colour: task, may suspend. */
AE_API int ae_http_serve(ae_http_server *server) AE_MUST_CHECK;

/* Begin the drain. Any number of times. Colour: any thread. */
AE_API void ae_http_stop(ae_http_server *server);

/* All of it for a main function: listen, start a runtime that ends by SIGINT and SIGTERM, serve,
 * destroy the server. Prints the address on stdout. 0 or the first error, which is also logged.
 * Takes `server`. Colour: a plain thread. */
AE_API int ae_http_run(ae_http_server *server, const char *address) AE_MUST_CHECK;

/* Counters since the start, except "now". */
typedef struct ae_http_stats {
    size_t size;                    /* in: sizeof(ae_http_stats), set by the caller */
    uint64_t connections;           /* now */
    uint64_t connections_total;
    uint64_t connections_evicted;   /* closed at connections_max to make room */
    uint64_t requests;              /* answered */
    uint64_t responses_4xx, responses_5xx;
    uint64_t bad_requests;          /* refused by the parser */
    uint64_t timeouts;              /* connections closed by one of the timeouts */
    uint64_t bytes_in, bytes_out;
} ae_http_stats;

/* Colour: any thread. */
AE_API void ae_http_server_stats(ae_http_server *server, ae_http_stats *out);

AE_EXTERN_C_END
#endif
