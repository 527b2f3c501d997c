/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked coding (RFC 9112 §7.1), a byte at a time except for the data itself.
 *
 * Chunk extensions and trailer fields are checked against their grammar, counted against their
 * limits and dropped: nothing here knows any, and a trailer must never become a header (§7.1.2). */
#include "h1.h"

#define SIZE_DIGITS_MAX 15 /* hexadecimal; the value stays below 2^60 */

static int refuse(struct h1_chunked *c, int status, const char *reason)
{
    c->reason = reason;
    return -status;
}

static int to(struct h1_chunked *c, enum h1_chunk_state state)
{
    c->state = state;
    return 0;
}

static unsigned hex_value(char b)
{
    if (b <= '9') return (unsigned)(b - '0');
    return (unsigned)((b | 0x20) - 'a') + 10;
}

static bool is_space(char b)
{
    return b == ' ' || b == '\t';
}

static bool is_text(char b)
{
    return (unsigned char)b >= 0x20 ? b != 0x7f : b == '\t';
}

static int size_digit(struct h1_chunked *c, char b)
{
    if (!ae__h1_is(b, H1_HEX)) return refuse(c, 400, "malformed chunk size");
    if (++c->digits > SIZE_DIGITS_MAX) return refuse(c, 400, "huge chunk size");
    c->left = c->left * 16 + hex_value(b);
    return to(c, H1_SIZE);
}

/* Behind a size or an extension: the line's end, or one more extension. */
static int after_item(struct h1_chunked *c, char b)
{
    if (b == '\r') return to(c, H1_SIZE_LF);
    if (b == ';') return to(c, H1_EXT_START);
    return refuse(c, 400, "malformed chunk size line");
}

/* White space is allowed before ';' and '=' only (BWS): a size line must not end in it. */
static int ext_byte(struct h1_chunked *c, char b)
{
    switch (c->state) {
    case H1_EXT_START:
        if (is_space(b)) return 0;
        if (ae__h1_is(b, H1_TCHAR)) return to(c, H1_EXT_NAME);
        break;
    case H1_EXT_NAME:
        if (ae__h1_is(b, H1_TCHAR)) return 0;
        if (is_space(b)) return to(c, H1_EXT_NAME_BWS);
        if (b == '=') return to(c, H1_EXT_EQUALS);
        return after_item(c, b);
    case H1_EXT_NAME_BWS:
        if (is_space(b)) return 0;
        if (b == '=') return to(c, H1_EXT_EQUALS);
        if (b == ';') return to(c, H1_EXT_START);
        break;
    case H1_EXT_EQUALS:
        if (is_space(b)) return 0;
        if (b == '"') return to(c, H1_EXT_QUOTED);
        if (ae__h1_is(b, H1_TCHAR)) return to(c, H1_EXT_TOKEN);
        break;
    case H1_EXT_TOKEN:
        if (ae__h1_is(b, H1_TCHAR)) return 0;
        if (is_space(b)) return to(c, H1_SIZE_BWS);
        return after_item(c, b);
    case H1_EXT_QUOTED:
        if (b == '"') return to(c, H1_EXT_AFTER);
        if (b == '\\') return to(c, H1_EXT_QUOTED_PAIR);
        if (is_text(b)) return 0;
        break;
    case H1_EXT_QUOTED_PAIR:
        if (is_text(b)) return to(c, H1_EXT_QUOTED);
        break;
    case H1_EXT_AFTER:
        if (is_space(b)) return to(c, H1_SIZE_BWS);
        return after_item(c, b);
    default:
        break;
    }
    return refuse(c, 400, "malformed chunk extension");
}

static int size_line_end(struct h1_chunked *c, char b)
{
    if (b != '\n') return refuse(c, 400, "CR without LF in a chunk size line");
    c->digits = 0;
    return to(c, c->left > 0 ? H1_DATA : H1_TRAILER);
}

static int size_byte(struct h1_chunked *c, char b)
{
    switch (c->state) {
    case H1_SIZE_FIRST:
        return size_digit(c, b);
    case H1_SIZE:
        if (ae__h1_is(b, H1_HEX)) return size_digit(c, b);
        if (is_space(b)) return to(c, H1_SIZE_BWS);
        return after_item(c, b);
    case H1_SIZE_BWS:
        if (is_space(b)) return 0;
        if (b == ';') return to(c, H1_EXT_START);
        return refuse(c, 400, "white space behind a chunk size");
    case H1_SIZE_LF:
        return size_line_end(c, b);
    default:
        return ext_byte(c, b);
    }
}

/* *( field-line CRLF ) CRLF */
static int trailer_byte(struct h1_chunked *c, char b)
{
    switch (c->state) {
    case H1_TRAILER:
        if (b == '\r') return to(c, H1_LAST_LF);
        if (ae__h1_is(b, H1_TCHAR)) return to(c, H1_TRAILER_NAME);
        break;
    case H1_TRAILER_NAME:
        if (ae__h1_is(b, H1_TCHAR)) return 0;
        if (b == ':') return to(c, H1_TRAILER_VALUE);
        break;
    case H1_TRAILER_VALUE:
        if (b == '\r') return to(c, H1_TRAILER_LF);
        if (is_text(b)) return 0;
        break;
    case H1_TRAILER_LF:
        if (b == '\n') return to(c, H1_TRAILER);
        break;
    case H1_LAST_LF:
        if (b == '\n') return to(c, H1_DONE);
        break;
    default:
        break;
    }
    return refuse(c, 400, "malformed trailer");
}

static int frame_byte(struct h1_chunked *c, const struct h1_limits *limits, char b)
{
    switch (c->state) {
    case H1_DATA_CR:
        return b == '\r' ? to(c, H1_DATA_LF) : refuse(c, 400, "no CRLF behind chunk data");
    case H1_DATA_LF:
        return b == '\n' ? to(c, H1_SIZE_FIRST) : refuse(c, 400, "no CRLF behind chunk data");
    case H1_TRAILER:
    case H1_TRAILER_NAME:
    case H1_TRAILER_VALUE:
    case H1_TRAILER_LF:
    case H1_LAST_LF:
        if (++c->trailer > limits->trailer) return refuse(c, 431, "trailer too long");
        return trailer_byte(c, b);
    case H1_SIZE_FIRST:
    case H1_SIZE:
    case H1_SIZE_LF:
        return size_byte(c, b);
    default:
        if (++c->ext > limits->chunk_ext) return refuse(c, 400, "chunk extensions too long");
        return size_byte(c, b);
    }
}

static size_t take_data(struct h1_chunked *c, size_t size)
{
    size_t n = size < c->left ? size : (size_t)c->left;

    c->left -= n;
    if (c->left == 0) c->state = H1_DATA_CR;
    return n;
}

int ae__h1_chunked_next(struct h1_chunked *c, const struct h1_limits *limits, const char *in,
                        size_t size, size_t *used, size_t *data)
{
    size_t at = 0;
    int rc = 0;

    *data = 0;
    while (rc == 0 && at < size && c->state != H1_DATA && c->state != H1_DONE)
        rc = frame_byte(c, limits, in[at++]);
    if (rc == 0 && c->state == H1_DATA) {
        *data = take_data(c, size - at);
        at += *data;
    }
    *used = at;
    if (rc < 0) return rc;
    return c->state == H1_DONE;
}
