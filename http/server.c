/* SPDX-License-Identifier: Apache-2.0 */
/* The server as an object: its options, routes and listeners, from create to destroy. */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MAX_NS (250 * AE_MS)
#define TICK_MIN_NS (2 * AE_MS)

#define DEFAULT(field, value)                                                                      \
    if (opts->field == 0) opts->field = (value)

static void set_defaults(ae_http_opts *opts)
{
    DEFAULT(request_line_bytes, 8 * 1024);
    DEFAULT(head_bytes, 32 * 1024);
    DEFAULT(head_fields, 100);
    DEFAULT(trailer_bytes, 8 * 1024);
    DEFAULT(chunk_ext_bytes, 4 * 1024);
    DEFAULT(body_bytes, 2 * 1024 * 1024);
    DEFAULT(discard_bytes, 256 * 1024);
    DEFAULT(head_ns, 10 * AE_SEC);
    DEFAULT(body_idle_ns, 30 * AE_SEC);
    DEFAULT(body_rate_min, 500);
    DEFAULT(body_rate_after_ns, 5 * AE_SEC);
    DEFAULT(write_idle_ns, 30 * AE_SEC);
    DEFAULT(keep_alive_ns, 60 * AE_SEC);
    DEFAULT(linger_ns, 2 * AE_SEC);
    DEFAULT(drain_ns, 10 * AE_SEC);
    DEFAULT(drain_idle_ns, 1 * AE_SEC);
}

/* A quarter of the shortest timeout, so that none is late by more than half of itself. */
static int64_t tick_for(const ae_http_opts *opts)
{
    const int64_t timeouts[] = { opts->head_ns, opts->body_idle_ns, opts->body_rate_after_ns,
                                 opts->write_idle_ns, opts->keep_alive_ns, opts->linger_ns };
    int64_t tick = TICK_MAX_NS;

    for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        if (timeouts[i] / 4 < tick) tick = timeouts[i] / 4;
    }
    return tick < TICK_MIN_NS ? TICK_MIN_NS : tick;
}

static bool opts_ok(const ae_http_opts *opts)
{
    return opts->head_fields <= H1_FIELDS_MAX && opts->request_line_bytes <= 1 << 20 &&
           opts->head_bytes <= 1 << 24 && opts->head_ns >= 0 && opts->body_idle_ns >= 0 &&
           opts->body_rate_after_ns >= 0 && opts->write_idle_ns >= 0 && opts->keep_alive_ns >= 0 &&
           opts->linger_ns >= 0 && opts->drain_ns >= 0 && opts->drain_idle_ns >= 0;
}

int ae_http_server_create(const ae_http_opts *opts, ae_http_server **out)
{
    ae_http_server *server;
    size_t size = opts ? opts->size : 0;

    if (opts && (size < sizeof(size_t) || size > sizeof(*opts))) return -EINVAL;
    server = aligned_alloc(_Alignof(ae_http_server), sizeof(*server));
    if (!server) return -ENOMEM;
    memset(server, 0, sizeof(*server));
    if (size > 0) memcpy(&server->opts, opts, size);
    if (!opts_ok(&server->opts)) {
        free(server);
        return -EINVAL;
    }
    set_defaults(&server->opts);
    server->limits = (struct h1_limits){ server->opts.request_line_bytes, server->opts.head_bytes,
                                         server->opts.head_fields, server->opts.trailer_bytes,
                                         server->opts.chunk_ext_bytes };
    server->tick_ns = tick_for(&server->opts);
    server->list.next = server->list.previous = &server->list;
    pthread_mutex_init(&server->lock, NULL);
    *out = server;
    return 0;
}

void ae_http_server_destroy(ae_http_server *server)
{
    if (!server) return;
    for (size_t i = 0; i < server->listener_count; i++)
        ae_listener_close(server->listeners[i]);
    free(server->listeners);
    free(server->addresses);
    free(server->middleware);
    ae__http_router_finish(&server->router);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* ---- routes ---- */

static int keep_error(ae_http_server *server, int rc, const char *what)
{
    if (rc < 0 && server->error == 0) {
        server->error = rc;
        ae_log(AE_ERROR, "http: route \"%s\": %s", what, ae_strerror(rc));
    }
    return rc;
}

int ae_http_route(ae_http_server *server, const char *pattern, ae_http_fn *fn, void *context)
{
    int rc = fn ? ae__http_router_add(&server->router, pattern, fn, context) : -EINVAL;

    return keep_error(server, rc, pattern);
}

int ae_http_use(ae_http_server *server, ae_http_fn *fn, void *context)
{
    size_t count = server->middleware_count;
    struct middleware *grown;

    if (!fn) return keep_error(server, -EINVAL, "middleware");
    grown = realloc(server->middleware, (count + 1) * sizeof(*grown));
    if (!grown) return keep_error(server, -ENOMEM, "middleware");
    server->middleware = grown;
    grown[count] = (struct middleware){ fn, context };
    server->middleware_count++;
    return 0;
}

/* ---- listeners ---- */

/* Addresses stay known when the listeners are closed. */
int ae_http_adopt(ae_http_server *server, ae_listener *listener)
{
    size_t count = server->listener_count;
    ae_listener **listeners;
    ae_addr *addresses;
    int rc;

    if (server->error) return server->error;
    listeners = realloc(server->listeners, (count + 1) * sizeof(*listeners));
    if (!listeners) return -ENOMEM;
    server->listeners = listeners;
    addresses = realloc(server->addresses, (count + 1) * sizeof(*addresses));
    if (!addresses) return -ENOMEM;
    server->addresses = addresses;
    rc = ae_listener_addr(listener, &addresses[count]);
    if (rc < 0) return rc;
    listeners[count] = listener;
    server->listener_count++;
    return 0;
}

int ae_http_listen(ae_http_server *server, const char *address)
{
    ae_listener *listener;
    int rc;

    if (server->error) return server->error;
    rc = ae_listen(address, NULL, &listener);
    if (rc < 0) return rc;
    rc = ae_http_adopt(server, listener);
    if (rc < 0) ae_listener_close(listener);
    return rc;
}

int ae_http_server_addr(ae_http_server *server, size_t index, ae_addr *out)
{
    if (index >= server->listener_count) return -ENOENT;
    *out = server->addresses[index];
    return 0;
}

void ae_http_stop(ae_http_server *server)
{
    ae_event_set(&server->stop);
}

/* ---- all of it ---- */

static int run_main(void *arg)
{
    return ae_http_serve(arg);
}

static void print_address(ae_http_server *server)
{
    char text[AE_ADDR_TEXT_MAX];
    ae_addr addr;

    if (ae_http_server_addr(server, 0, &addr) < 0) return;
    ae_addr_format(&addr, text, sizeof(text));
    printf("%s%s\n", strncmp(text, "unix:", 5) == 0 ? "" : "http://", text);
    fflush(stdout);
}

int ae_http_run(ae_http_server *server, const char *address)
{
    int rc = ae_http_listen(server, address);

    if (rc == 0) {
        print_address(server);
        rc = ae_run(NULL, run_main, server);
    }
    if (rc < 0) ae_log(AE_ERROR, "http: %s: %s", address, ae_strerror(rc));
    ae_http_server_destroy(server);
    return rc;
}
