/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1 engine: bytes in, request heads and body bytes out; no sockets, no memory of its own.
 *
 * Strict where RFC 9110 and 9112 leave a choice: what two servers could read in two ways is
 * refused. A refusal is the negative HTTP status that it should be answered with; the connection
 * ends behind it, since the place of the next request is not known.
 *
 * Every answer depends on the bytes alone, never on how they were cut into reads: a refusal of a
 * prefix is the refusal of every continuation. tests/http checks each case at each cut. */
#ifndef AETHER_HTTP_H1_H
#define AETHER_HTTP_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define H1_FIELDS_MAX 256
#define H1_METHOD_MAX 32

struct h1_limits {
    uint32_t request_line; /* bytes without its CRLF; more: 414 */
    uint32_t head;         /* bytes of the field section with its CRLFs; more: 431 */
    uint32_t fields;       /* at most H1_FIELDS_MAX; more: 431 */
    uint32_t trailer;      /* bytes; more: 431 */
    uint32_t chunk_ext;    /* bytes in one body; more: 400 */
};

/* Places are offsets from the buffer's start, so that the buffer may move between two calls. */
struct h1_span {
    uint32_t at, length;
};

struct h1_field {
    struct h1_span name, value;
};

enum h1_form {
    H1_ORIGIN,   /* "/path?query" */
    H1_ABSOLUTE, /* "http://host/path?query" */
    H1_ASTERISK, /* "*", of OPTIONS */
};

enum h1_framing {
    H1_NO_BODY,
    H1_LENGTH,
    H1_CHUNKED,
};

struct h1_head {
    struct h1_span method;
    struct h1_span target;    /* as sent */
    struct h1_span authority; /* of an absolute target; else empty */
    struct h1_span path;      /* without the query; empty in "http://host" and "*" */
    struct h1_span query;     /* behind the '?' */
    enum h1_form form;
    enum h1_framing framing;
    uint64_t length;          /* of the body, for H1_LENGTH */
    unsigned minor;           /* 0 or 1: later ones of HTTP/1 count as 1 */
    bool keep_alive;
    bool expect_continue;
    bool has_query;
    const char *reason;       /* of a refusal, for the log */
    struct h1_span host;      /* the Host field's value */
    unsigned field_count;
    struct h1_field fields[H1_FIELDS_MAX];

    /* while parsing */
    bool has_host, has_length, has_coding, has_close, has_keep_alive;
};

/* Parse the request head at the start of `buf`. Returns its length with the final CRLF, 0 if it is
 * not complete yet, or a negative HTTP status. The buffer is not changed. The caller passes the
 * same bytes and more each time; what was found before is not kept. */
ssize_t ae__h1_head_parse(struct h1_head *head, const struct h1_limits *limits, const char *buf,
                          size_t size);

/* Put a NUL behind method, path, query, names and values of a complete head, in place. */
void ae__h1_head_terminate(const struct h1_head *head, char *buf);

/* ---- h1_fields.c: what the fields say about the connection and the body ---- */

/* Take one field into account; a negative status refuses it. */
int ae__h1_field_note(struct h1_head *head, const char *buf, const struct h1_field *field);
/* uri-host [ ":" port ], maybe empty. */
bool ae__h1_host_ok(const char *at, size_t size);
/* After the last one: framing, keep-alive, missing fields. */
int ae__h1_fields_finish(struct h1_head *head);

/* ---- chunked bodies ---- */

enum h1_chunk_state {
    H1_SIZE_FIRST, H1_SIZE, H1_SIZE_BWS, H1_EXT_START, H1_EXT_NAME, H1_EXT_NAME_BWS,
    H1_EXT_EQUALS, H1_EXT_TOKEN, H1_EXT_QUOTED, H1_EXT_QUOTED_PAIR, H1_EXT_AFTER, H1_SIZE_LF,
    H1_DATA, H1_DATA_CR, H1_DATA_LF,
    H1_TRAILER, H1_TRAILER_NAME, H1_TRAILER_VALUE, H1_TRAILER_LF, H1_LAST_LF, H1_DONE,
};

/* All 0 at a body's start. */
struct h1_chunked {
    enum h1_chunk_state state;
    unsigned digits;
    uint64_t left;     /* of this chunk */
    uint32_t ext, trailer; /* bytes seen of either */
    const char *reason;
};

/* Decode from `in`. `*used` gets the bytes consumed, of which the last `*data` (0 or more) are body
 * bytes. 1: the body has ended; 0: call again with what follows; negative: a refusal. It stops
 * behind each piece of body bytes, and never takes a byte behind the body's end. */
int ae__h1_chunked_next(struct h1_chunked *c, const struct h1_limits *limits, const char *in,
                        size_t size, size_t *used, size_t *data);

/* ---- h1_chars.c: the character classes of RFC 9110 §5.6.2, RFC 3986 ---- */

enum h1_class {
    H1_TCHAR = 1,  /* of a token */
    H1_TARGET = 2, /* of a request target, as lenient as browsers need it */
    H1_PATH = 4,   /* of its path */
    H1_HOST = 8,   /* of a host, without brackets and port */
    H1_HEX = 16,
};

extern const uint8_t ae__h1_chars[256];

static inline bool ae__h1_is(char c, enum h1_class class)
{
    return (ae__h1_chars[(uint8_t)c] & class) != 0;
}

/* True if all bytes may stand in a field value: no control but HTAB. */
bool ae__h1_value_ok(const char *at, size_t size);
bool ae__h1_token_ok(const char *at, size_t size);
/* The same text but for ASCII case; `lower` is lower-case. */
bool ae__h1_same(const char *at, size_t size, const char *lower);
/* True if a comma-separated list holds the token. */
bool ae__h1_list_has(const char *at, size_t size, const char *lower);

#endif
