/* SPDX-License-Identifier: Apache-2.0 */
/* A growing string with the two kinds of escaping that a directory listing needs. */
#include "files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct http_text *text, size_t more)
{
    if (text->failed) return false;
    if (more < text->room - text->length) return true;

    size_t room = (text->length + more + 1) * 2;
    char *data = realloc(text->data, room);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

void ae__http_text_add(struct http_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length)) return;
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void ae__http_text_addf(struct http_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int needed = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (needed < 0 || !reserve(text, (size_t)needed)) return;

    va_start(args, format);
    vsnprintf(text->data + text->length, (size_t)needed + 1, format, args);
    va_end(args);
    text->length += (size_t)needed;
}

static const char *html_entity(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void ae__http_text_add_html(struct http_text *text, const char *raw)
{
    for (; *raw; raw++) {
        const char *entity = html_entity(*raw);
        if (entity) {
            ae__http_text_add(text, entity, strlen(entity));
        } else {
            ae__http_text_add(text, raw, 1);
        }
    }
}

/* RFC 3986's unreserved characters stay; everything else, a colon too (which would make
 * "javascript:x" of a file a scheme), is escaped. The result needs no HTML escaping. */
void ae__http_text_add_url(struct http_text *text, const char *raw)
{
    static const char UNRESERVED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";

    for (; *raw; raw++) {
        if (strchr(UNRESERVED, *raw)) {
            ae__http_text_add(text, raw, 1);
        } else {
            ae__http_text_addf(text, "%%%02X", (unsigned char)*raw);
        }
    }
}

void ae__http_text_free(struct http_text *text)
{
    free(text->data);
    *text = (struct http_text){ 0 };
}
