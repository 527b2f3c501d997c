/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer (RFC 8259): see json.h. */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *room_for(struct json_writer *w, size_t more)
{
    size_t need = w->size + more + 1, room = w->room ? w->room : 256;

    if (w->error) return NULL;
    while (room < need) room *= 2;
    if (room != w->room) {
        char *grown = realloc(w->data, room);
        if (!grown) {
            w->error = -ENOMEM;
            return NULL;
        }
        w->data = grown;
        w->room = room;
    }
    char *at = w->data + w->size;
    w->size += more;
    w->data[w->size] = '\0';
    return at;
}

static void put(struct json_writer *w, const char *bytes, size_t size)
{
    char *at = room_for(w, size);

    if (at && size > 0) memcpy(at, bytes, size);
}

void json_put_bytes(struct json_writer *w, const char *bytes, size_t size)
{
    put(w, bytes, size);
}

/* A value or a name follows: is there one before it in the same brackets? */
static void separate(struct json_writer *w)
{
    char last = w->size ? w->data[w->size - 1] : '[';

    if (last != '{' && last != '[' && last != ':') put(w, ",", 1);
}

void json_open(struct json_writer *w, char bracket)
{
    separate(w);
    put(w, &bracket, 1);
}

void json_close(struct json_writer *w, char bracket)
{
    put(w, &bracket, 1);
}

void json_name(struct json_writer *w, const char *name)
{
    json_put_string(w, name);
    put(w, ":", 1);
}

static void put_escape(struct json_writer *w, unsigned char c)
{
    static const char SHORT[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* what, and how it is written */
    char code[8];

    for (const char *s = SHORT; *s; s += 2) {
        if ((unsigned char)s[0] != c) continue;
        put(w, (char[]){ '\\', s[1] }, 2);
        return;
    }
    snprintf(code, sizeof code, "\\u%04x", c);
    put(w, code, 6);
}

static size_t plain_run(const char *text, size_t length)
{
    size_t n = 0;

    while (n < length && (unsigned char)text[n] >= ' ' && text[n] != '"' && text[n] != '\\') n++;
    return n;
}

void json_put_text(struct json_writer *w, const char *text, size_t length)
{
    separate(w);
    put(w, "\"", 1);
    for (size_t at = 0; at < length; ) {
        size_t n = plain_run(text + at, length - at);

        put(w, text + at, n);
        at += n;
        if (at < length) put_escape(w, (unsigned char)text[at++]);
    }
    put(w, "\"", 1);
}

void json_put_string(struct json_writer *w, const char *text)
{
    if (text) json_put_text(w, text, strlen(text));
    else json_put_null(w);
}

static void put_word(struct json_writer *w, const char *word)
{
    separate(w);
    put(w, word, strlen(word));
}

void json_put_int(struct json_writer *w, int64_t number)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRId64, number);
    put_word(w, digits);
}

void json_put_bool(struct json_writer *w, bool value)
{
    put_word(w, value ? "true" : "false");
}

void json_put_null(struct json_writer *w)
{
    put_word(w, "null");
}

void json_member_string(struct json_writer *w, const char *name, const char *text)
{
    json_name(w, name);
    json_put_string(w, text);
}

void json_member_int(struct json_writer *w, const char *name, int64_t number)
{
    json_name(w, name);
    json_put_int(w, number);
}

void json_member_known(struct json_writer *w, const char *name, int64_t number)
{
    json_name(w, name);
    if (number < 0) json_put_null(w);
    else json_put_int(w, number);
}

void json_member_bool(struct json_writer *w, const char *name, bool value)
{
    json_name(w, name);
    json_put_bool(w, value);
}

void json_writer_clear(struct json_writer *w)
{
    w->size = 0;
    w->error = 0;
}

void json_writer_free(struct json_writer *w)
{
    free(w->data);
    *w = (struct json_writer){ 0 };
}
