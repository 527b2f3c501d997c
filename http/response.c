/* SPDX-License-Identifier: Apache-2.0 */
/* The response as a handler makes it: fields kept as text until the head goes out, bodies whole or
 * in pieces. What could be read as more than one field or one response is refused here. */
#include "request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"

bool ae__http_status_bodyless(int status)
{
    return status == 204 || status == 304 || (status >= 100 && status < 200);
}

void ae__http_response_reset(ae_http *h)
{
    h->status = 0;
    h->length = -1;
    h->head_size = 0;
}

/* ---- fields ---- */

/* These are the engine's: a second opinion on framing is how responses are smuggled. */
static bool is_reserved(const char *name)
{
    static const char *const reserved[] = { "Content-Length", "Transfer-Encoding", "Connection",
                                            "Date", "Keep-Alive", "Trailer", "Upgrade" };

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (strcasecmp(name, reserved[i]) == 0) return true;
    }
    return false;
}

static int grow_head(ae_http *h, size_t need)
{
    size_t room = h->head_room ? h->head_room * 2 : 256;
    char *grown;

    while (room < need)
        room *= 2;
    grown = ae__http_arena_alloc(&h->arena, room);
    if (!grown) return -ENOMEM;
    if (h->head_size > 0) memcpy(grown, h->head_text, h->head_size);
    h->head_text = grown;
    h->head_room = room;
    return 0;
}

int ae_http_header_add(ae_http *h, const char *name, const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    size_t need = h->head_size + name_length + value_length + 4;
    char *at;

    if (h->started) return -EALREADY;
    if (!ae__h1_token_ok(name, name_length) || !ae__h1_value_ok(value, value_length) ||
        is_reserved(name))
        return -EINVAL;
    if (need > h->head_room && grow_head(h, need) < 0) return -ENOMEM;
    at = h->head_text + h->head_size;
    memcpy(at, name, name_length);
    memcpy(at + name_length, ": ", 2);
    memcpy(at + name_length + 2, value, value_length);
    memcpy(at + name_length + 2 + value_length, "\r\n", 2);
    h->head_size = need;
    return 0;
}

/* Take out every line of that name. */
static void remove_field(ae_http *h, const char *name)
{
    size_t length = strlen(name);
    char *at = h->head_text;
    char *end = at + h->head_size;

    while (at < end) {
        char *next = (char *)memchr(at, '\n', (size_t)(end - at)) + 1;

        if (strncasecmp(at, name, length) == 0 && at[length] == ':') {
            memmove(at, next, (size_t)(end - next));
            end -= next - at;
        } else {
            at = next;
        }
    }
    h->head_size = (size_t)(end - h->head_text);
}

int ae_http_header(ae_http *h, const char *name, const char *value)
{
    if (h->started) return -EALREADY;
    if (h->head_size > 0) remove_field(h, name);
    return ae_http_header_add(h, name, value);
}

int ae_http_status(ae_http *h, int status)
{
    if (h->started) return -EALREADY;
    if (status < 200 || status > 999) return -EINVAL;
    h->status = status;
    return 0;
}

int ae_http_length(ae_http *h, uint64_t bytes)
{
    if (h->started) return -EALREADY;
    if (bytes > INT64_MAX) return -EINVAL;
    h->length = (int64_t)bytes;
    return 0;
}

/* ---- whole bodies ---- */

int ae_http_respond(ae_http *h, int status, const char *type, const void *body, size_t size)
{
    int rc = ae_http_status(h, status);

    if (rc < 0) return rc;
    if (type && !ae__h1_value_ok(type, strlen(type))) return -EINVAL;
    return h->ops->respond(h, type, body, size);
}

int ae_http_text(ae_http *h, int status, const char *text)
{
    return ae_http_respond(h, status, TEXT_PLAIN, text, strlen(text));
}

/* In the request's memory, with its length; NULL: no memory. */
static char *format_text(ae_http *h, size_t *size, const char *format, va_list args)
{
    va_list again;
    char *text;
    int n;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0) return NULL;
    text = ae__http_arena_alloc(&h->arena, (size_t)n + 1);
    if (!text) return NULL;
    vsnprintf(text, (size_t)n + 1, format, args);
    *size = (size_t)n;
    return text;
}

int ae_http_printf(ae_http *h, int status, const char *type, const char *format, ...)
{
    va_list args;
    size_t size = 0;
    char *text;

    va_start(args, format);
    text = format_text(h, &size, format, args);
    va_end(args);
    return text ? ae_http_respond(h, status, type, text, size) : -ENOMEM;
}

int ae_http_fail(ae_http *h, int status, const char *format, ...)
{
    va_list args;
    size_t size = 0;
    char *text;

    va_start(args, format);
    text = format_text(h, &size, format, args);
    va_end(args);
    if (!text) return -ENOMEM;
    text[size] = '\n'; /* in place of the NUL */
    return ae_http_respond(h, status, TEXT_PLAIN, text, size + 1);
}

int ae_http_redirect(ae_http *h, int status, const char *location)
{
    int rc = ae_http_header(h, "Location", location);

    return rc < 0 ? rc : ae_http_fail(h, status, "See %s", location);
}

const char *ae_http_format(ae_http *h, const char *format, ...)
{
    va_list args;
    size_t size;
    char *text;

    va_start(args, format);
    text = format_text(h, &size, format, args);
    va_end(args);
    return text;
}

/* ---- bodies in pieces ---- */

/* Send the head if it is not out, and take `size` bytes into account. */
static int begin_piece(ae_http *h, uint64_t size)
{
    if (h->complete) return -EALREADY;
    if (h->length >= 0 && size > (uint64_t)h->length - h->sent) return -EMSGSIZE;
    h->sent += size;
    if (h->started) return 0;
    if (h->status == 0) h->status = 200;
    return h->ops->start(h);
}

int ae_http_write(ae_http *h, const void *data, size_t size)
{
    int rc = begin_piece(h, size);

    return rc < 0 ? rc : h->ops->write(h, data, size);
}

int ae_http_writef(ae_http *h, const char *format, ...)
{
    va_list args;
    char text[1024];
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0) return -EINVAL;
    if ((size_t)n < sizeof(text)) return ae_http_write(h, text, (size_t)n);
    size_t size = 0;
    va_start(args, format);
    char *all = format_text(h, &size, format, args);
    va_end(args);
    return all ? ae_http_write(h, all, size) : -ENOMEM;
}

int ae_http_flush(ae_http *h)
{
    int rc = h->complete ? 0 : begin_piece(h, 0);

    return rc < 0 ? rc : h->ops->flush(h);
}

int ae_http_send_file(ae_http *h, ae_file *file, int64_t offset, uint64_t size)
{
    if (!h->started && h->length < 0) {
        int rc = ae_http_length(h, size);
        if (rc < 0) return rc;
    }
    int rc = begin_piece(h, size);
    return rc < 0 ? rc : h->ops->send_file(h, file, offset, size);
}

bool ae_http_started(const ae_http *h)
{
    return h->started;
}

int ae_http_status_sent(const ae_http *h)
{
    return h->started ? h->status : 0;
}
