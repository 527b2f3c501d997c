/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-decoding, and the check that a path is one that may be routed at all: what two readers
 * could resolve to different resources ("/a/../b", "/%2e%2e/", "%00") is refused, not repaired. */
#include "escape.h"

#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape at `at` stands for, or -1. */
static int escape_at(const char *at, const char *end)
{
    if (end - at < 3 || hex(at[1]) < 0 || hex(at[2]) < 0) return -1;
    return hex(at[1]) * 16 + hex(at[2]);
}

static bool is_dot(const char **at, const char *end)
{
    if (*at < end && **at == '.') {
        *at += 1;
        return true;
    }
    if (*at < end && **at == '%' && escape_at(*at, end) == '.') {
        *at += 3;
        return true;
    }
    return false;
}

/* Is the segment that begins here "." or ".."? */
static bool is_dot_segment(const char *at, const char *end)
{
    if (!is_dot(&at, end)) return false;
    is_dot(&at, end);
    return at == end || *at == '/' || (*at == '%' && escape_at(at, end) == '/');
}

/* Without escapes only segments of dots can be wrong. */
static bool plain_path_ok(const char *path, const char *end)
{
    for (const char *at = path; at; at = memchr(at + 1, '/', (size_t)(end - at - 1))) {
        if (is_dot_segment(at + 1, end)) return false;
    }
    return true;
}

static bool escaped_path_ok(const char *path, const char *end)
{
    for (const char *at = path; at < end; at++) {
        int c = *at;

        if (c == '%') {
            c = escape_at(at, end);
            if (c <= 0) return false;
            if (c == '/' && is_dot_segment(at + 3, end)) return false;
        } else if (c == '/' && is_dot_segment(at + 1, end)) {
            return false;
        }
    }
    return true;
}

bool ae__http_path_ok(const char *path, size_t size, bool *escaped)
{
    *escaped = false;
    if (size == 0 || path[0] != '/') return false;
    *escaped = memchr(path, '%', size) != NULL;
    return *escaped ? escaped_path_ok(path, path + size) : plain_path_ok(path, path + size);
}

bool ae__http_has_escaped_slash(const char *at, size_t size)
{
    const char *end = at + size;

    while ((at = memchr(at, '%', (size_t)(end - at))) != NULL) {
        if (escape_at(at, end) == '/') return true;
        at++;
    }
    return false;
}

size_t ae__http_unescape(char *at, size_t size, bool plus)
{
    const char *end = at + size;
    char *out = at;

    for (const char *in = at; in < end; in++) {
        int c = *in == '%' ? escape_at(in, end) : -1;

        if (c >= 0) {
            *out++ = (char)c;
            in += 2;
        } else {
            *out++ = plus && *in == '+' ? ' ' : *in;
        }
    }
    *out = '\0';
    return (size_t)(out - at);
}
