/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to an answer: the router, the middleware around it, the built-in answers (404,
 * 405, OPTIONS, 501), and what an error without an answer becomes. */
#include "request.h"

#include <errno.h>
#include <string.h>

/* OPTIONS for a path, or "*" for the server (RFC 9110 §9.3.7). */
static int answer_options(ae_http *h, const struct route_match *m)
{
    const char *allow = ae__http_router_allow(&h->server->router, m, &h->arena);
    int rc = allow ? ae_http_header(h, "Allow", allow) : -ENOMEM;

    return rc < 0 ? rc : ae_http_respond(h, 204, NULL, "", 0);
}

static int answer_method(ae_http *h)
{
    const char *allow;
    int rc;

    if (!ae__http_router_knows(&h->server->router, h->method))
        return ae_http_fail(h, 501, "The method %s is not known here.", h->method);
    if (h->found == -ENOENT) return ae_http_fail(h, 404, "Nothing is at this path.");
    if (strcmp(h->method, "OPTIONS") == 0) return answer_options(h, &h->match);
    allow = ae__http_router_allow(&h->server->router, &h->match, &h->arena);
    rc = allow ? ae_http_header(h, "Allow", allow) : -ENOMEM;
    return rc < 0 ? rc : ae_http_fail(h, 405, "%s is not for this path.", h->method);
}

/* The innermost step. */
static int run_route(ae_http *h)
{
    switch (h->found) {
    case 0:
        h->context = h->match.route->context;
        return h->match.route->fn(h);
    case -ENOENT:
    case -EPERM:
        return answer_method(h);
    case -EINVAL:
        return ae_http_fail(h, 400, "This path is not accepted.");
    case 1:
        return answer_options(h, NULL);
    default:
        return h->found;
    }
}

int ae_http_next(ae_http *h)
{
    void *context = h->context;
    unsigned step = h->step++;
    int rc;

    if (step < h->server->middleware_count) {
        h->context = h->server->middleware[step].context;
        rc = h->server->middleware[step].fn(h);
    } else {
        rc = run_route(h);
    }
    h->context = context;
    return rc;
}

static int status_for(const ae_http *h, int rc)
{
    if (h->read_error == rc && h->read_status) return h->read_status;
    switch (rc) {
    case -ENOENT:
        return 404;
    case -EACCES:
        return 403;
    case -EINVAL:
        return 400;
    case -EMSGSIZE:
        return 413;
    case -ETIMEDOUT:
        return 504;
    case -ECANCELED:
        return 503;
    default:
        return 500;
    }
}

/* The client's absence and the server's end are nobody's fault here. */
static void log_error(const ae_http *h, int rc)
{
    if (rc == -ECANCELED || rc == -EPIPE || rc == -ECONNRESET || rc == h->read_error) return;
    ae_log(AE_WARN, "http: %s %s: %s", h->method, h->path, ae_strerror(rc));
}

static int answer_error(ae_http *h, int rc)
{
    int status = status_for(h, rc);

    if (status >= 500 || h->started) log_error(h, rc);
    if (h->started) return h->complete ? 0 : rc;
    ae__http_response_reset(h);
    return ae_http_fail(h, status, "%s.", ae__http_status_text(status));
}

/* A handler that returned 0 and sent nothing: its status and fields are the answer. */
static int answer_empty(ae_http *h)
{
    if (h->length > 0 && !h->is_head && !ae__http_status_bodyless(h->status))
        return answer_error(h, -EIO); /* it announced a body and sent none */
    if (h->length >= 0) {
        if (h->status == 0) h->status = 200;
        return h->ops->start(h);
    }
    return ae_http_respond(h, h->status ? h->status : 204, NULL, "", 0);
}

int ae__http_dispatch(ae_http *h)
{
    int rc;

    h->found = 1;
    if (!h->is_asterisk)
        h->found = ae__http_router_find(&h->server->router, h->method, h->path, h->path_length,
                                        &h->arena, &h->match);
    rc = ae_http_next(h);
    if (rc < 0) return answer_error(h, rc);
    if (!h->started) return answer_empty(h);
    if (!h->complete && h->length >= 0 && h->sent < (uint64_t)h->length && !h->is_head) {
        log_error(h, -EIO);
        return -EIO; /* less than announced: the client must not take it for whole */
    }
    return 0;
}
