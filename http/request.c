/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler asks about its request. Names and values are strings already; what needs a copy
 * (decoded parameters, parts of an absolute target) is copied when it is asked for. */
#include "request.h"

#include "escape.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

const char *ae_http_method(const ae_http *h)
{
    return h->method;
}

const char *ae_http_path(const ae_http *h)
{
    return h->path;
}

const char *ae_http_query_string(const ae_http *h)
{
    return h->query;
}

int ae_http_version(const ae_http *h)
{
    return h->version;
}

int ae_http_peer(const ae_http *h, ae_addr *out)
{
    return h->ops->peer(h, out);
}

/* The arena is the request's scratch memory: taking from it changes nothing one can see. */
static char *copy_span(const ae_http *h, struct h1_span s)
{
    struct arena *arena = (struct arena *)&h->arena;

    return ae__http_arena_copy(arena, h->base + s.at, s.length);
}

/* The '?' was overwritten to end the path; everything else is as it came. */
const char *ae_http_target(const ae_http *h)
{
    char *copy;

    if (!h->has_query) return h->base + h->target.at;
    copy = copy_span(h, h->target);
    if (!copy) return "";
    copy[h->target.length - strlen(h->query) - 1] = '?';
    return copy;
}

const char *ae_http_host(const ae_http *h)
{
    const char *copy;

    if (h->authority.length == 0) return h->host.length ? h->base + h->host.at : "";
    copy = copy_span(h, h->authority);
    return copy ? copy : "";
}

const char *ae_http_param(const ae_http *h, const char *name)
{
    const struct route *route = h->found == 0 ? h->match.route : NULL;

    for (unsigned i = 0; route && i < route->param_count; i++) {
        if (strcmp(route->names[i], name) == 0) return h->match.values[i];
    }
    return NULL;
}

int ae_http_param_i64(const ae_http *h, const char *name, int64_t *out)
{
    const char *text = ae_http_param(h, name);
    bool negative = text && *text == '-';
    int64_t value = 0;

    if (!text || !text[negative]) return -EINVAL;
    for (text += negative; *text; text++) {
        if (*text < '0' || *text > '9') return -EINVAL;
        if (__builtin_mul_overflow(value, 10, &value)) return -EINVAL;
        if (__builtin_sub_overflow(value, *text - '0', &value)) return -EINVAL;
    }
    if (!negative && value == INT64_MIN) return -EINVAL;
    *out = negative ? value : -value;
    return 0;
}

/* Is the name of this pair, decoded, the one that is looked for? */
static bool name_is(ae_http *h, const char *at, size_t length, const char *name, bool *no_memory)
{
    char *copy;

    if (!memchr(at, '%', length) && !memchr(at, '+', length))
        return strlen(name) == length && memcmp(at, name, length) == 0;
    copy = ae__http_arena_copy(&h->arena, at, length);
    if (!copy) *no_memory = true;
    if (!copy) return false;
    length = ae__http_unescape(copy, length, true);
    return strlen(name) == length && memcmp(copy, name, length) == 0;
}

const char *ae_http_query(ae_http *h, const char *name)
{
    bool no_memory = false;
    const char *at = h->query;

    while (*at && !no_memory) {
        size_t pair = strcspn(at, "&");
        const char *equals = memchr(at, '=', pair);
        size_t length = equals ? (size_t)(equals - at) : pair;

        if (name_is(h, at, length, name, &no_memory)) {
            const char *value = equals ? equals + 1 : at + pair;
            size_t size = (size_t)(at + pair - value);
            char *copy = ae__http_arena_copy(&h->arena, value, size);

            if (copy) ae__http_unescape(copy, size, true);
            return copy;
        }
        at += pair + (at[pair] == '&');
    }
    return NULL;
}

const char *ae_http_field(const ae_http *h, const char *name)
{
    size_t length = strlen(name);

    for (unsigned i = 0; i < h->field_count; i++) {
        const struct h1_field *f = &h->fields[i];

        if (f->name.length == length && strncasecmp(h->base + f->name.at, name, length) == 0)
            return h->base + f->value.at;
    }
    return NULL;
}

bool ae_http_field_at(const ae_http *h, size_t index, const char **name, const char **value)
{
    if (index >= h->field_count) return false;
    *name = h->base + h->fields[index].name.at;
    *value = h->base + h->fields[index].value.at;
    return true;
}

static bool list_has(const char *list, const char *token)
{
    size_t length = strlen(token);

    while (*list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, ",");
        size_t trimmed = n;

        while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == length && strncasecmp(list, token, length) == 0) return true;
        list += n;
    }
    return false;
}

bool ae_http_field_has(const ae_http *h, const char *name, const char *token)
{
    const char *at, *value;

    for (size_t i = 0; ae_http_field_at(h, i, &at, &value); i++) {
        if (strcasecmp(at, name) == 0 && list_has(value, token)) return true;
    }
    return false;
}

void *ae_http_context(const ae_http *h)
{
    return h->context;
}

void *ae_http_alloc(ae_http *h, size_t size)
{
    return ae__http_arena_alloc(&h->arena, size);
}

/* ---- the body ---- */

int64_t ae_http_body_length(const ae_http *h)
{
    return h->body_length;
}

void ae_http_body_limit(ae_http *h, uint64_t bytes)
{
    h->body_limit = bytes;
}

ssize_t ae_http_read(ae_http *h, void *buf, size_t size)
{
    return h->ops->read(h, buf, size);
}

/* Room for a body of `size` bytes more; what is announced is believed up to 64 KiB. */
static char *enlarge(ae_http *h, char *old, size_t used, size_t *room)
{
    size_t first = h->body_length >= 0 ? (size_t)h->body_length + 1 : 4096;
    char *grown;

    if (first > 64 * 1024) first = 64 * 1024;
    *room = *room ? *room * 2 : first;
    grown = ae__http_arena_alloc(&h->arena, *room + 1);
    if (grown && used > 0) memcpy(grown, old, used);
    return grown;
}

ssize_t ae_http_body(ae_http *h, const char **out)
{
    size_t used = 0, room = 0;
    char *text = NULL;
    ssize_t n = 1;

    while (n > 0) {
        if (used == room) text = enlarge(h, text, used, &room);
        if (!text) return -ENOMEM;
        n = h->ops->read(h, text + used, room - used);
        if (n < 0) return n;
        used += (size_t)n;
    }
    text[used] = '\0';
    *out = text;
    return (ssize_t)used;
}
