/* SPDX-License-Identifier: Apache-2.0 */
/* The router: a tree with one level for each path segment.
 *
 * Below a node a segment is looked up among the literals (sorted, so by binary search), then the
 * one parameter child is tried, then the rest child. A branch that leads nowhere, or only to other
 * methods, is left again, so precedence is a matter of order alone. The depth of the tree bounds
 * the recursion, and patterns, not requests, decide the depth. */
#include "router.h"

#include "escape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct router_node {
    char *literal; /* decoded; NULL for {x}, {x...} and the root */
    size_t length;
    struct router_node **children; /* literals, sorted by length and bytes */
    size_t child_count;
    struct router_node *param, *rest;
    struct route *routes;
};

/* ---- building ---- */

static int order(const struct router_node *node, const char *text, size_t length)
{
    if (node->length != length) return node->length < length ? -1 : 1;
    return memcmp(node->literal, text, length);
}

/* The place of a literal among the children, or where it would stand. */
static size_t place_of(const struct router_node *parent, const char *text, size_t length,
                       bool *found)
{
    size_t low = 0, high = parent->child_count;

    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int c = order(parent->children[middle], text, length);

        if (c < 0) {
            low = middle + 1;
        } else {
            high = middle;
            *found = c == 0;
        }
    }
    return *found ? high : low;
}

static struct router_node *add_literal(struct router_node *parent, const char *text, size_t length)
{
    bool found;
    size_t at = place_of(parent, text, length, &found);
    size_t count = parent->child_count;

    if (found) return parent->children[at];
    struct router_node **grown = realloc(parent->children, (count + 1) * sizeof(*grown));
    if (!grown) return NULL;
    parent->children = grown;
    struct router_node *node = calloc(1, sizeof(*node));
    if (!node) return NULL;
    node->literal = strndup(text, length);
    if (!node->literal) {
        free(node);
        return NULL;
    }
    node->length = length;
    memmove(grown + at + 1, grown + at, (count - at) * sizeof(*grown));
    grown[at] = node;
    parent->child_count++;
    return node;
}

static struct router_node *add_wild(struct router_node **slot)
{
    if (!*slot) *slot = calloc(1, sizeof(**slot));
    return *slot;
}

static bool name_ok(const char *at, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool letter = (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z');

        if (!letter && at[i] != '_' && (i == 0 || at[i] < '0' || at[i] > '9')) return false;
    }
    return length > 0;
}

/* Take a parameter's name down; no name twice in a pattern. */
static int add_name(struct route *route, const char *at, size_t length)
{
    if (!name_ok(at, length) || route->param_count == HTTP_PARAMS_MAX) return -EINVAL;
    for (unsigned i = 0; i < route->param_count; i++) {
        if (strlen(route->names[i]) == length && memcmp(route->names[i], at, length) == 0)
            return -EINVAL;
    }
    char *name = strndup(at, length);
    if (!name) return -ENOMEM;
    route->names[route->param_count++] = name;
    return 0;
}

/* One segment of a pattern; `last` if the pattern ends with it. */
static int add_segment(struct router_node **node, struct route *route, const char *at,
                       size_t length, bool last)
{
    struct router_node *parent = *node;
    int rc = 0;

    if (length == 0 && last) { /* "/docs/": everything below */
        *node = add_wild(&parent->rest);
    } else if (length == 3 && memcmp(at, "{$}", 3) == 0) {
        if (!last) return -EINVAL;
        *node = add_literal(parent, "", 0);
    } else if (at[0] == '{' && length > 5 && memcmp(at + length - 4, "...}", 4) == 0) {
        if (!last) return -EINVAL;
        rc = add_name(route, at + 1, length - 5);
        *node = add_wild(&parent->rest);
    } else if (at[0] == '{' && at[length - 1] == '}') {
        rc = add_name(route, at + 1, length - 2);
        *node = add_wild(&parent->param);
    } else {
        if (length == 0 || memchr(at, '{', length) || memchr(at, '}', length)) return -EINVAL;
        *node = add_literal(parent, at, length);
    }
    return *node ? rc : -ENOMEM;
}

static int add_path(struct router_node **node, struct route *route, const char *path)
{
    while (*path == '/') {
        const char *at = path + 1;
        size_t length = strcspn(at, "/");
        int rc = add_segment(node, route, at, length, at[length] == '\0');

        if (rc < 0) return rc;
        path = at + length;
    }
    return *path ? -EINVAL : 0;
}

static void route_free(struct route *route)
{
    if (!route) return;
    for (unsigned i = 0; i < route->param_count; i++)
        free((char *)route->names[i]);
    free((char *)route->method);
    free((char *)route->pattern);
    free(route);
}

static bool same_method(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int remember_method(struct router *router, const char *method)
{
    if (!method) return 0;
    for (unsigned i = 0; i < router->method_count; i++) {
        if (strcmp(router->methods[i], method) == 0) return 0;
    }
    if (router->method_count == HTTP_METHODS_MAX) return -EINVAL;
    router->methods[router->method_count++] = method;
    return 0;
}

static int insert(struct router *router, struct route *route)
{
    const char *path = strchr(route->pattern, '/');
    size_t before = path ? (size_t)(path - route->pattern) : 0;
    struct router_node *node;
    int rc;

    if (!path || (before > 0 && (before == 1 || path[-1] != ' '))) return -EINVAL;
    if (before > 0) {
        route->method = strndup(route->pattern, before - 1);
        if (!route->method) return -ENOMEM;
        if (strchr(route->method, ' ')) return -EINVAL;
    }
    if (!router->root) router->root = calloc(1, sizeof(*router->root));
    node = router->root;
    if (!node) return -ENOMEM;
    rc = add_path(&node, route, path);
    if (rc < 0) return rc;
    for (const struct route *r = node->routes; r; r = r->next) {
        if (same_method(r->method, route->method)) return -EEXIST;
    }
    rc = remember_method(router, route->method);
    if (rc < 0) return rc;
    route->next = node->routes;
    node->routes = route;
    return 0;
}

int ae__http_router_add(struct router *router, const char *pattern, ae_http_fn *fn, void *context)
{
    struct route *route = calloc(1, sizeof(*route));
    int rc = -ENOMEM;

    if (!route) return rc;
    route->fn = fn;
    route->context = context;
    route->pattern = strdup(pattern);
    if (route->pattern) rc = insert(router, route);
    if (rc < 0) route_free(route);
    return rc;
}

static void node_free(struct router_node *node)
{
    if (!node) return;
    for (size_t i = 0; i < node->child_count; i++)
        node_free(node->children[i]);
    node_free(node->param);
    node_free(node->rest);
    while (node->routes) {
        struct route *next = node->routes->next;

        route_free(node->routes);
        node->routes = next;
    }
    free(node->children);
    free(node->literal);
    free(node);
}

void ae__http_router_finish(struct router *router)
{
    node_free(router->root);
    *router = (struct router){ 0 };
}

/* ---- finding ---- */

struct search {
    const char *method;
    const char *end; /* of the path */
    bool escaped;    /* there is a '%' somewhere in it */
    struct arena *arena;
    struct route_match *m;
    int error;
};

static const struct route *route_for(const struct router_node *node, const char *method)
{
    const struct route *get = NULL, *any = NULL;
    bool head = strcmp(method, "HEAD") == 0;

    for (const struct route *r = node->routes; r; r = r->next) {
        if (!r->method) any = r;
        else if (strcmp(r->method, method) == 0) return r;
        else if (head && strcmp(r->method, "GET") == 0) get = r;
    }
    return get ? get : any;
}

/* The path ends at this node: does a route here take the method? */
static bool accept(struct search *s, const struct router_node *node)
{
    const unsigned most = sizeof(s->m->allowed) / sizeof(s->m->allowed[0]);

    if (!node->routes) return false;
    s->m->route = route_for(node, s->method);
    if (s->m->route) return true;
    if (s->m->allowed_count < most) s->m->allowed[s->m->allowed_count++] = node;
    return false;
}

static bool push_value(struct search *s, const char *at, size_t length)
{
    char *value = ae__http_arena_copy(s->arena, at, length);

    if (!value) s->error = -ENOMEM;
    if (!value || s->m->depth == HTTP_PARAMS_MAX) return false;
    s->m->values[s->m->depth++] = value;
    return true;
}

/* The rest as a value: an escaped slash in it could not be told from a real one. */
static bool push_rest(struct search *s, const char *at)
{
    size_t length = (size_t)(s->end - at);
    char *value = ae__http_arena_copy(s->arena, at, length);

    if (!value) s->error = -ENOMEM;
    if (!value || s->m->depth == HTTP_PARAMS_MAX) return false;
    if (s->escaped && ae__http_has_escaped_slash(at, length)) return false;
    if (s->escaped) ae__http_unescape(value, length, false);
    s->m->values[s->m->depth++] = value;
    return true;
}

static bool find(struct search *s, const struct router_node *node, const char *at);

static bool below(struct search *s, const struct router_node *node, const char *segment_end)
{
    return segment_end == s->end ? accept(s, node) : find(s, node, segment_end + 1);
}

static bool find_param(struct search *s, const struct router_node *node, const char *segment,
                       size_t length, const char *segment_end)
{
    unsigned depth = s->m->depth;

    if (!node->param || length == 0) return false;
    if (push_value(s, segment, length) && below(s, node->param, segment_end)) return true;
    s->m->depth = depth;
    return false;
}

static bool find_rest(struct search *s, const struct router_node *node, const char *at)
{
    unsigned depth = s->m->depth;

    if (!node->rest) return false;
    if (push_rest(s, at) && accept(s, node->rest)) return true;
    s->m->depth = depth;
    return false;
}

/* `at` is the first byte of a segment, maybe of an empty one at the path's end. */
static bool find(struct search *s, const struct router_node *node, const char *at)
{
    const char *slash = memchr(at, '/', (size_t)(s->end - at));
    const char *segment_end = slash ? slash : s->end;
    size_t length = (size_t)(segment_end - at);
    const char *segment = at;
    bool found;

    if (s->escaped && memchr(at, '%', length)) {
        char *copy = ae__http_arena_copy(s->arena, at, length);

        if (!copy) s->error = -ENOMEM;
        if (!copy) return false;
        length = ae__http_unescape(copy, length, false);
        segment = copy;
    }
    size_t place = place_of(node, segment, length, &found);
    if (found && below(s, node->children[place], segment_end)) return true;
    if (find_param(s, node, segment, length, segment_end)) return true;
    return find_rest(s, node, at);
}

int ae__http_router_find(const struct router *router, const char *method, const char *path,
                         size_t size, struct arena *arena, struct route_match *m)
{
    struct search s = { method, path + size, false, arena, m, 0 };

    m->route = NULL;
    m->depth = 0;
    m->allowed_count = 0;
    if (!ae__http_path_ok(path, size, &s.escaped)) return -EINVAL;
    if (router->root && find(&s, router->root, path + 1)) return 0;
    if (s.error) return s.error;
    return m->allowed_count > 0 ? -EPERM : -ENOENT;
}

/* ---- which methods ---- */

struct allow {
    const char *methods[HTTP_METHODS_MAX + 2];
    unsigned count;
    size_t bytes;
};

static void allow_add(struct allow *a, const char *method)
{
    for (unsigned i = 0; i < a->count; i++) {
        if (strcmp(a->methods[i], method) == 0) return;
    }
    if (a->count == HTTP_METHODS_MAX + 2) return;
    a->methods[a->count++] = method;
    a->bytes += strlen(method) + 2;
    if (strcmp(method, "GET") == 0) allow_add(a, "HEAD");
}

static void allow_node(struct allow *a, const struct router_node *node)
{
    for (const struct route *r = node->routes; r; r = r->next)
        allow_add(a, r->method);
}

const char *ae__http_router_allow(const struct router *router, const struct route_match *m,
                                  struct arena *arena)
{
    struct allow a = { .bytes = 1 };
    char *text, *at;

    for (unsigned i = 0; m && i < m->allowed_count; i++)
        allow_node(&a, m->allowed[i]);
    for (unsigned i = 0; !m && i < router->method_count; i++)
        allow_add(&a, router->methods[i]);
    allow_add(&a, "OPTIONS");
    text = at = ae__http_arena_alloc(arena, a.bytes);
    for (unsigned i = 0; text && i < a.count; i++) {
        size_t length = strlen(a.methods[i]);

        if (i > 0) at = (char *)memcpy(at, ", ", 2) + 2;
        memcpy(at, a.methods[i], length);
        at += length;
        *at = '\0';
    }
    return text;
}

bool ae__http_router_knows(const struct router *router, const char *method)
{
    static const char *const standard[] = { "GET", "HEAD", "POST", "PUT", "DELETE",
                                            "PATCH", "OPTIONS", "TRACE" };

    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
        if (strcmp(standard[i], method) == 0) return true;
    }
    for (unsigned i = 0; i < router->method_count; i++) {
        if (strcmp(router->methods[i], method) == 0) return true;
    }
    return false;
}
