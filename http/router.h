/* SPDX-License-Identifier: Apache-2.0 */
/* From a method and a path to a handler. Pure: no request, no server. The patterns are described
 * in include/aether/http_server.h. */
#ifndef AETHER_HTTP_ROUTER_H
#define AETHER_HTTP_ROUTER_H

#include "arena.h"

#include <aether/http_server.h>

#define HTTP_PARAMS_MAX 16
#define HTTP_METHODS_MAX 64

struct route {
    struct route *next;       /* of the same path, other methods */
    const char *method;       /* NULL: every method */
    const char *pattern;
    ae_http_fn *fn;
    void *context;
    const char *names[HTTP_PARAMS_MAX]; /* of the parameters, in the path's order */
    unsigned param_count;
};

struct router_node;

struct router {
    struct router_node *root;
    const char *methods[HTTP_METHODS_MAX]; /* all that were named, each once */
    unsigned method_count;
};

struct route_match {
    const struct route *route;
    const char *values[HTTP_PARAMS_MAX]; /* decoded */
    unsigned depth;
    /* when no route was found: what the path would allow */
    const struct router_node *allowed[8];
    unsigned allowed_count;
};

/* 0, -EINVAL (not a pattern), -EEXIST (there already), -ENOMEM. */
int ae__http_router_add(struct router *router, const char *pattern, ae_http_fn *fn, void *context);
void ae__http_router_finish(struct router *router);

/* 0: m->route is set; -ENOENT: no such path; -EPERM: not with this method, m->allowed says which;
 * -EINVAL: a path that is refused (dot segment, bad escape, NUL); -ENOMEM. Values are kept in the
 * arena. `path` is as sent, without the query, and begins with '/'. */
int ae__http_router_find(const struct router *router, const char *method, const char *path,
                         size_t size, struct arena *arena, struct route_match *m);

/* The value of an Allow field for a match that gave -EPERM, or for all routes (m NULL). In the
 * arena; NULL: no memory. */
const char *ae__http_router_allow(const struct router *router, const struct route_match *m,
                                  struct arena *arena);

/* True for the methods of RFC 9110 §9, PATCH, and those that a route names. */
bool ae__http_router_knows(const struct router *router, const char *method);

#endif
