/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions: which of 200, 206, 304 and 412 a request with If-* fields gets.
 *
 * The order is fixed by RFC 9110 §13.2.2; each step below names its line of it. A malformed list of
 * entity tags matches as far as it is well-formed; a malformed date counts as absent. */
#include "conditional.h"

#include <string.h>

enum comparison { STRONG, WEAK };

/* One element of a list of entity tags. Returns what follows it, or NULL at the end or where the
 * list stops making sense. */
static const char *next_tag(const char *p, const char **tag, size_t *length, bool *weak)
{
    p += strspn(p, ", \t");
    *weak = strncmp(p, "W/", 2) == 0;
    if (*weak) p += 2;
    if (*p != '"') return NULL;

    const char *end = strchr(p + 1, '"');
    if (!end) return NULL;
    *tag = p;
    *length = (size_t)(end + 1 - p);
    p = end + 1;
    p += strspn(p, " \t");
    return *p == ',' || !*p ? p : NULL;
}

/* Does `field` name our tag, or any (`*`)? Ours is strong, so only the asker's can be weak. */
static bool tag_listed(const char *field, const char *etag, enum comparison how)
{
    const char *tag = NULL;
    size_t length = 0, ours = strlen(etag);
    bool weak = false;

    if (strcmp(field, "*") == 0) return true;
    for (const char *p = field; (p = next_tag(p, &tag, &length, &weak));) {
        if (weak && how == STRONG) continue;
        if (length == ours && memcmp(tag, etag, ours) == 0) return true;
    }
    return false;
}

static bool modified_after(const char *field, const struct http_validators *have)
{
    int64_t date = ae__http_date_parse(field, have->now_s);

    return date != HTTP_NO_DATE && have->modified_s != HTTP_NO_DATE && have->modified_s > date;
}

/* False too when the date is malformed or in the future: then the field does not count. */
static bool not_modified_since(const char *field, const struct http_validators *have)
{
    int64_t date = ae__http_date_parse(field, have->now_s);

    if (date == HTTP_NO_DATE || date > have->now_s) return false;
    return have->modified_s != HTTP_NO_DATE && have->modified_s <= date;
}

/* A strong tag or the very date we gave out; anything else means "send all of it". */
static bool if_range_holds(const char *field, const struct http_validators *have)
{
    if (*field == '"') return strcmp(field, have->etag) == 0;
    if (strncmp(field, "W/", 2) == 0 || have->modified_s == HTTP_NO_DATE) return false;
    return ae__http_date_parse(field, have->now_s) == have->modified_s;
}

enum http_verdict ae__http_conditions(const struct http_conditions *asked,
                                      const struct http_validators *have)
{
    /* 1 and 2 */
    if (asked->if_match) {
        if (!tag_listed(asked->if_match, have->etag, STRONG)) return HTTP_PRECONDITION;
    } else if (asked->if_unmodified_since) {
        if (modified_after(asked->if_unmodified_since, have)) return HTTP_PRECONDITION;
    }

    /* 3 and 4 */
    if (asked->if_none_match) {
        if (tag_listed(asked->if_none_match, have->etag, WEAK)) {
            return asked->get_or_head ? HTTP_NOT_MODIFIED : HTTP_PRECONDITION;
        }
    } else if (asked->if_modified_since && asked->get_or_head) {
        if (not_modified_since(asked->if_modified_since, have)) return HTTP_NOT_MODIFIED;
    }

    /* 5 */
    if (!asked->range) return HTTP_WHOLE;
    if (asked->if_range && !if_range_holds(asked->if_range, have)) return HTTP_WHOLE;
    return HTTP_PARTIAL;
}
