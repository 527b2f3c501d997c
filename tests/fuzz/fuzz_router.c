/* SPDX-License-Identifier: Apache-2.0 */
/* The router: lines are patterns until an empty one, then methods and paths that are looked up. */
#include "../../http/router.h"
#include "fuzz.h"

#include <errno.h>

static int handler(ae_http *h)
{
    (void)h;
    return 0;
}

static void check_match(const struct route_match *m, const char *method)
{
    CHECK(m->route && m->route->fn == handler);
    CHECK(m->route->param_count <= HTTP_PARAMS_MAX);
    for (unsigned i = 0; i < m->route->param_count; i++) {
        CHECK(m->values[i] && m->route->names[i]);
    }
    const char *want = m->route->method;
    CHECK(!want || strcmp(want, method) == 0 ||
          (strcmp(want, "GET") == 0 && strcmp(method, "HEAD") == 0));
}

static void look_up(const struct router *router, char *line)
{
    char room[256], *path = strchr(line, ' ');
    struct route_match m;
    struct arena arena;

    if (!path || path[1] != '/') return;
    *path++ = '\0';
    ae__http_arena_init(&arena, room, sizeof room);
    int rc = ae__http_router_find(router, line, path, strlen(path), &arena, &m);
    if (rc == 0) check_match(&m, line);
    CHECK(rc == 0 || rc == -ENOENT || rc == -EPERM || rc == -EINVAL);
    if (rc == -EPERM) CHECK(ae__http_router_allow(router, &m, &arena) != NULL);
    (void)ae__http_router_knows(router, line);
    ae__http_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    struct router router = { 0 };
    char *line;

    while ((line = take_text(&in)) && *line) {
        int rc = ae__http_router_add(&router, line, handler, NULL);
        CHECK(rc == 0 || rc == -EINVAL || rc == -EEXIST);
        free(line);
    }
    free(line);
    while ((line = take_text(&in))) {
        look_up(&router, line);
        free(line);
    }
    ae__http_router_finish(&router);
    return 0;
}
