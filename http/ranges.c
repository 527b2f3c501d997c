/* SPDX-License-Identifier: Apache-2.0 */
/* The Range field (RFC 9110 §14.1): parsed, clipped to the file, and joined where ranges overlap.
 *
 * Attacks to know: hundreds of tiny or overlapping ranges make a server send a file many times over
 * (CVE-2011-3192), hence the limits; numbers beyond 64 bits are legal and mean "very large". */
#include "conditional.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    return b > INT64_MAX - a ? INT64_MAX : a + b;
}

/* Saturates; returns false if there is no digit. */
static bool take_number(const char **p, int64_t *out)
{
    const char *start = *p;
    int64_t value = 0;

    for (; is_digit(**p); ++*p) {
        int digit = **p - '0';
        value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
    }
    *out = value;
    return *p > start;
}

/* One range-spec, clipped to the file. *satisfiable tells whether anything of it is left; false is
 * returned if it is malformed. */
static bool take_spec(const char **p, int64_t size, struct http_range *out, bool *satisfiable)
{
    int64_t first, last;

    if (**p == '-') { /* the last N bytes */
        ++*p;
        if (!take_number(p, &last)) return false;
        *satisfiable = last > 0;
        *out = (struct http_range){ last < size ? size - last : 0, size - 1 };
        return true;
    }
    if (!take_number(p, &first) || **p != '-') return false;
    ++*p;
    if (!is_digit(**p)) {
        last = INT64_MAX;
    } else if (!take_number(p, &last) || last < first) {
        return false;
    }
    *satisfiable = first < size;
    *out = (struct http_range){ first, last < size ? last : size - 1 };
    return true;
}

static bool touches(const struct http_range *a, const struct http_range *b)
{
    return a->first <= b->last + 1 && b->first <= a->last + 1;
}

/* Add `r`, joined with each one it touches; the result stands where the first of them stood. */
static int add_range(struct http_range *list, int count, struct http_range r)
{
    int place = -1, kept = 0;

    for (int i = 0; i < count; i++) {
        if (!touches(&list[i], &r)) {
            list[kept++] = list[i];
            continue;
        }
        if (list[i].first < r.first) r.first = list[i].first;
        if (list[i].last > r.last) r.last = list[i].last;
        if (place < 0) place = kept++;
    }
    list[place < 0 ? kept++ : place] = r;
    return kept;
}

int ae__http_ranges(const char *field, int64_t size, struct http_range out[HTTP_RANGES_MAX])
{
    int count = 0, specs = 0;
    int64_t asked = 0;

    if (strncasecmp(field, "bytes=", 6) != 0 || size == 0) return 0;
    for (const char *p = field + 6;;) {
        struct http_range r;
        bool satisfiable;

        p += strspn(p, ", \t");
        if (!*p) break;
        if (!take_spec(&p, size, &r, &satisfiable)) return 0;
        p += strspn(p, " \t");
        if (*p && *p != ',') return 0;
        if (++specs > HTTP_RANGES_MAX) return 0;
        if (!satisfiable) continue;
        asked = add_saturated(asked, r.last - r.first + 1);
        count = add_range(out, count, r);
    }
    if (specs == 0) return 0;
    if (count == 0 || asked - size > size) return -ERANGE;
    return count;
}
