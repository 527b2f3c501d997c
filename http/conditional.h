/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional and range requests (RFC 9110 §13, §14) as pure functions of strings and numbers, so
 * that every combination can be tested without a socket or a file. */
#ifndef AETHER_HTTP_CONDITIONAL_H
#define AETHER_HTTP_CONDITIONAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_DATE_BYTES 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */
#define HTTP_RANGES_MAX 16
#define HTTP_NO_DATE    INT64_MIN

/* The request's side: field values, NULL where the field is absent. Fields that came in several
 * lines are joined by commas before. */
struct http_conditions {
    bool get_or_head;
    const char *if_match;
    const char *if_unmodified_since;
    const char *if_none_match;
    const char *if_modified_since;
    const char *range; /* NULL for every method but GET */
    const char *if_range;
};

/* The selected representation's side. */
struct http_validators {
    const char *etag;   /* strong, with its quotes */
    int64_t modified_s; /* since the epoch, or HTTP_NO_DATE */
    int64_t now_s;
};

enum http_verdict {
    HTTP_WHOLE,        /* 200: as if there were no condition */
    HTTP_PARTIAL,      /* the Range field counts: 206 or 416 */
    HTTP_NOT_MODIFIED, /* 304 */
    HTTP_PRECONDITION, /* 412 */
};

/* What the preconditions make of the request, in the order of RFC 9110 §13.2.2. */
enum http_verdict ae__http_conditions(const struct http_conditions *asked,
                                      const struct http_validators *have);

struct http_range {
    int64_t first; /* both included */
    int64_t last;
};

/* The satisfiable ranges of a Range field, overlapping and touching ones joined, each at the place
 * of the first it was made of. Returns how many (1 to HTTP_RANGES_MAX), 0 when the field is to be
 * ignored (other unit, malformed, more than HTTP_RANGES_MAX, an empty file), or -ERANGE: 416
 * (nothing satisfiable, or together more than twice the file). */
int ae__http_ranges(const char *field, int64_t size, struct http_range out[HTTP_RANGES_MAX]);

/* Seconds since the epoch of an HTTP-date in any of its three forms, or HTTP_NO_DATE. */
int64_t ae__http_date_parse(const char *text, int64_t now_s);
void ae__http_date_format(int64_t when_s, char out[HTTP_DATE_BYTES]);

#endif
