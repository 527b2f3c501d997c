/* SPDX-License-Identifier: Apache-2.0 */
/* What the fields of a request say about its connection and the framing of its body (RFC 9112 §6,
 * RFC 9110 §7.2, §7.6.1, §10.1.1). This is where request smuggling is kept out: whatever could be
 * framed in two ways is refused, also where the RFC would allow to repair it. */
#include "h1.h"

#include <string.h>

static int refuse(struct h1_head *head, int status, const char *reason)
{
    head->reason = reason;
    return -status;
}

static bool digits_only(const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] < '0' || at[i] > '9') return false;
    }
    return true;
}

/* "[v6]" and what is behind it; the characters inside are checked, not the address. */
static size_t bracket_length(const char *at, size_t size)
{
    const char *close = memchr(at, ']', size);

    if (!close || close == at + 1) return 0;
    for (const char *c = at + 1; c < close; c++) {
        if (!ae__h1_is(*c, H1_HEX) && *c != ':' && *c != '.') return 0;
    }
    return (size_t)(close - at) + 1;
}

/* uri-host [ ":" port ]; no userinfo, no list, nothing that looks like a path. */
bool ae__h1_host_ok(const char *at, size_t size)
{
    size_t n = 0;

    if (size > 0 && at[0] == '[') {
        n = bracket_length(at, size);
        if (n == 0) return false;
    } else {
        while (n < size && ae__h1_is(at[n], H1_HOST))
            n++;
        if (n == 0 && size > 0) return false;
    }
    if (n == size) return true;
    return at[n] == ':' && size - n <= 6 && digits_only(at + n + 1, size - n - 1);
}

static int note_host(struct h1_head *head, const char *at, const struct h1_field *field)
{
    if (head->has_host) return refuse(head, 400, "Host twice");
    if (!ae__h1_host_ok(at, field->value.length)) return refuse(head, 400, "malformed Host");
    head->has_host = true;
    head->host = field->value;
    return 0;
}

/* Content-Length = 1*DIGIT; twice is refused even when equal. */
static int note_length(struct h1_head *head, const char *at, size_t size)
{
    uint64_t value = 0;

    if (head->has_length) return refuse(head, 400, "Content-Length twice");
    if (size == 0 || !digits_only(at, size)) return refuse(head, 400, "malformed Content-Length");
    for (size_t i = 0; i < size; i++) {
        uint64_t digit = (uint64_t)(at[i] - '0');

        if (value > (INT64_MAX - digit) / 10) return refuse(head, 400, "huge Content-Length");
        value = value * 10 + digit;
    }
    head->has_length = true;
    head->length = value;
    return 0;
}

static bool ends_in_chunked(const char *at, size_t size)
{
    return size >= 7 && ae__h1_same(at + size - 7, 7, "chunked") &&
           (size == 7 || strchr(", \t", at[size - 8]) != NULL);
}

/* "chunked" alone. Other codings before it are not implemented (501, RFC 9112 §6.1); if it is not
 * the last one, or there twice, the body's end cannot be told (400, §6.3). */
static int note_coding(struct h1_head *head, const char *at, size_t size)
{
    if (head->has_coding) return refuse(head, 400, "Transfer-Encoding twice");
    head->has_coding = true;
    if (ae__h1_same(at, size, "chunked")) return 0;
    if (!ends_in_chunked(at, size))
        return refuse(head, 400, "Transfer-Encoding does not end in chunked");
    if (ae__h1_list_has(at, size - 7, "chunked") || ae__h1_list_has(at, size - 7, "identity"))
        return refuse(head, 400, "chunked is not the only coding");
    for (size_t i = 0; i + 7 < size; i++) {
        if (!ae__h1_is(at[i], H1_TCHAR) && !strchr(", \t", at[i]))
            return refuse(head, 400, "malformed Transfer-Encoding");
    }
    if (strchr(", \t", at[0])) return refuse(head, 400, "malformed Transfer-Encoding");
    return refuse(head, 501, "unknown transfer coding");
}

static int note_expect(struct h1_head *head, const char *at, size_t size)
{
    if (head->minor == 0) return 0; /* RFC 9110 §10.1.1: ignored from 1.0 */
    if (!ae__h1_same(at, size, "100-continue")) return refuse(head, 417, "unknown expectation");
    head->expect_continue = true;
    return 0;
}

static int note_connection(struct h1_head *head, const char *at, size_t size)
{
    if (ae__h1_list_has(at, size, "close")) head->has_close = true;
    if (ae__h1_list_has(at, size, "keep-alive")) head->has_keep_alive = true;
    return 0;
}

int ae__h1_field_note(struct h1_head *head, const char *buf, const struct h1_field *field)
{
    const char *name = buf + field->name.at;
    const char *value = buf + field->value.at;
    size_t size = field->value.length;

    switch (field->name.length) {
    case 4:
        if (ae__h1_same(name, 4, "host")) return note_host(head, value, field);
        break;
    case 6:
        if (ae__h1_same(name, 6, "expect")) return note_expect(head, value, size);
        break;
    case 10:
        if (ae__h1_same(name, 10, "connection")) return note_connection(head, value, size);
        break;
    case 14:
        if (ae__h1_same(name, 14, "content-length")) return note_length(head, value, size);
        break;
    case 17:
        if (ae__h1_same(name, 17, "transfer-encoding")) return note_coding(head, value, size);
        break;
    default:
        break;
    }
    return 0;
}

int ae__h1_fields_finish(struct h1_head *head)
{
    if (head->minor >= 1 && !head->has_host) return refuse(head, 400, "no Host");
    if (head->has_coding && head->minor == 0)
        return refuse(head, 400, "Transfer-Encoding in HTTP/1.0"); /* RFC 9112 §6.1 */
    if (head->has_coding && head->has_length)
        return refuse(head, 400, "Transfer-Encoding and Content-Length"); /* RFC 9112 §6.3 */
    if (head->has_coding) head->framing = H1_CHUNKED;
    if (head->has_length && head->length > 0) head->framing = H1_LENGTH;
    if (head->framing == H1_NO_BODY) head->expect_continue = false;
    head->keep_alive = !head->has_close && (head->minor >= 1 || head->has_keep_alive);
    return 0;
}
