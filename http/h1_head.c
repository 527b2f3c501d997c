/* SPDX-License-Identifier: Apache-2.0 */
/* The request head (RFC 9112 §2 to §5), line by line.
 *
 * A line is looked at once its LF is there; before, only its length counts. So the answer to a
 * prefix never depends on where it was cut, and no state is kept between two calls: who waits for
 * more calls again when an LF came in or a limit may be passed. */
#include "h1.h"

#include <string.h>

#define VERSION_BYTES 8 /* "HTTP/1.1" */

struct parser {
    struct h1_head *head;
    const struct h1_limits *limits;
    const char *buf;
    size_t size;
    size_t at; /* where the next line begins */
};

static int refuse(struct h1_head *head, int status, const char *reason)
{
    head->reason = reason;
    return -status;
}

/* Find the line that begins at p->at. 1: `*end` is the place of its CR; 0: not complete; or a
 * refusal. More than `most` bytes, counted with the CRLF, are refused with `status`. */
static int find_line(struct parser *p, size_t most, int status, size_t *end)
{
    const char *line = p->buf + p->at;
    size_t left = p->size - p->at;
    const char *lf = left ? memchr(line, '\n', left) : NULL;
    size_t length = lf ? (size_t)(lf - line) + 1 : left;

    /* Without its LF a line of exactly `most` bytes is already too long. */
    if (length > most || (!lf && length == most)) return refuse(p->head, status, "line too long");
    if (!lf) return 0;
    if (lf == line || lf[-1] != '\r') return refuse(p->head, 400, "LF without CR");
    *end = p->at + length - 2;
    return 1;
}

static struct h1_span span(const char *buf, const char *from, const char *to)
{
    return (struct h1_span){ (uint32_t)(from - buf), (uint32_t)(to - from) };
}

/* RFC 9112 §2.3: the name is case-sensitive, one digit on each side. */
static int parse_version(struct h1_head *head, const char *at, size_t size)
{
    if (size != VERSION_BYTES || memcmp(at, "HTTP/", 5) != 0 || at[6] != '.')
        return refuse(head, 400, "malformed version");
    if (at[5] < '0' || at[5] > '9' || at[7] < '0' || at[7] > '9')
        return refuse(head, 400, "malformed version");
    if (at[5] != '1') return refuse(head, 505, "not HTTP/1");
    head->minor = at[7] == '0' ? 0 : 1;
    return 0;
}

static const char *end_of(const char *at, const char *end, enum h1_class class)
{
    while (at < end && ae__h1_is(*at, class))
        at++;
    return at;
}

/* "/path?query", or what an absolute target has behind its authority. */
static int parse_path(struct h1_head *head, const char *buf, const char *at, const char *end)
{
    const char *path_end = end_of(at, end, H1_PATH);

    head->path = span(buf, at, path_end);
    head->query = span(buf, path_end, path_end);
    head->has_query = path_end < end && *path_end == '?';
    if (!head->has_query && path_end < end)
        return refuse(head, 400, "character not allowed in a path");
    if (!head->has_query) return 0;
    if (end_of(path_end, end, H1_TARGET) < end)
        return refuse(head, 400, "character not allowed in a target");
    head->query = span(buf, path_end + 1, end);
    return 0;
}

/* RFC 9112 §3.2.2; userinfo is refused (RFC 9110 §4.2.4). */
static int parse_absolute(struct h1_head *head, const char *buf, const char *at, const char *end)
{
    size_t scheme = 0;
    const char *host, *host_end;

    if (end - at > 7 && ae__h1_same(at, 7, "http://")) scheme = 7;
    if (end - at > 8 && ae__h1_same(at, 8, "https://")) scheme = 8;
    if (scheme == 0) return refuse(head, 400, "malformed target");
    host = at + scheme;
    host_end = host;
    while (host_end < end && *host_end != '/' && *host_end != '?')
        host_end++;
    head->form = H1_ABSOLUTE;
    head->authority = span(buf, host, host_end);
    if (host_end == host || !ae__h1_host_ok(host, (size_t)(host_end - host)))
        return refuse(head, 400, "malformed host in the target");
    return parse_path(head, buf, host_end, end);
}

static bool method_is(const struct h1_head *head, const char *buf, const char *name, size_t size)
{
    return head->method.length == size && memcmp(buf + head->method.at, name, size) == 0;
}

static int parse_target(struct h1_head *head, const char *buf, const char *at, const char *end)
{
    head->target = span(buf, at, end);
    head->authority = (struct h1_span){ 0, 0 };
    head->form = H1_ORIGIN;
    if (at == end) return refuse(head, 400, "no target");
    if (*at == '/') return parse_path(head, buf, at, end);
    head->path = span(buf, end, end);
    head->query = head->path;
    head->has_query = false;
    if (end - at == 1 && *at == '*' && method_is(head, buf, "OPTIONS", 7)) {
        head->form = H1_ASTERISK;
        return 0;
    }
    return parse_absolute(head, buf, at, end);
}

/* method SP request-target SP HTTP-version, each SP exactly one (RFC 9112 §3). */
static int parse_request_line(struct h1_head *head, const char *buf, const char *at,
                              const char *end)
{
    const char *method_end = end_of(at, end, H1_TCHAR);
    const char *version = method_end;
    int rc;

    if (method_end == at || method_end == end || *method_end != ' ')
        return refuse(head, 400, "malformed method");
    if (method_end - at > H1_METHOD_MAX) return refuse(head, 501, "method too long");
    head->method = span(buf, at, method_end);
    at = method_end + 1;
    version = memchr(at, ' ', (size_t)(end - at));
    if (!version) return refuse(head, 400, "no version");
    rc = parse_version(head, version + 1, (size_t)(end - version - 1));
    if (rc < 0) return rc;
    if (method_is(head, buf, "CONNECT", 7))
        return refuse(head, 501, "CONNECT is not supported");
    return parse_target(head, buf, at, version);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* field-name ":" OWS field-value OWS (RFC 9112 §5), no line folding (§5.2). */
static int parse_field(struct h1_head *head, const char *buf, const char *at, const char *end)
{
    struct h1_field *field = &head->fields[head->field_count];
    const char *name_end = end_of(at, end, H1_TCHAR);
    const char *value = name_end + 1;

    if (is_space(*at)) return refuse(head, 400, "line folding");
    if (name_end == at || name_end == end || *name_end != ':')
        return refuse(head, 400, "malformed field name");
    while (value < end && is_space(*value))
        value++;
    while (end > value && is_space(end[-1]))
        end--;
    if (!ae__h1_value_ok(value, (size_t)(end - value)))
        return refuse(head, 400, "control character in a field");
    field->name = span(buf, at, name_end);
    field->value = span(buf, value, end);
    head->field_count++;
    return ae__h1_field_note(head, buf, field);
}

/* 1: the empty line was found; 0: not yet; or a refusal. */
static int parse_fields(struct parser *p)
{
    size_t begin = p->at;
    size_t end;
    int rc;

    while ((rc = find_line(p, p->limits->head - (p->at - begin), 431, &end)) > 0) {
        size_t line = p->at;

        p->at = end + 2;
        if (end == line) return 1;
        if (p->head->field_count == p->limits->fields)
            return refuse(p->head, 431, "too many fields");
        rc = parse_field(p->head, p->buf, p->buf + line, p->buf + end);
        if (rc < 0) return rc;
    }
    return rc;
}

/* One empty line may stand before a request (RFC 9112 §2.2). */
static int skip_empty_line(struct parser *p)
{
    if (p->size == 0) return 0;
    if (p->buf[0] == '\r') {
        if (p->size == 1) return 0;
        if (p->buf[1] != '\n') return refuse(p->head, 400, "CR without LF");
        p->at = 2;
        if (p->size == 2) return 0;
    }
    if (!ae__h1_is(p->buf[p->at], H1_TCHAR)) return refuse(p->head, 400, "not a method");
    return 1;
}

static void begin_head(struct h1_head *head)
{
    head->field_count = 0;
    head->reason = NULL;
    head->framing = H1_NO_BODY;
    head->length = 0;
    head->host = (struct h1_span){ 0, 0 };
    head->keep_alive = head->expect_continue = false;
    head->has_host = head->has_length = head->has_coding = false;
    head->has_close = head->has_keep_alive = false;
}

ssize_t ae__h1_head_parse(struct h1_head *head, const struct h1_limits *limits, const char *buf,
                          size_t size)
{
    struct parser p = { head, limits, buf, size, 0 };
    size_t line, end;
    int rc;

    begin_head(head);
    rc = skip_empty_line(&p);
    if (rc <= 0) return rc;
    rc = find_line(&p, (size_t)limits->request_line + 2, 414, &end);
    if (rc <= 0) return rc;
    line = p.at;
    p.at = end + 2;
    rc = parse_request_line(head, buf, buf + line, buf + end);
    if (rc < 0) return rc;
    rc = parse_fields(&p);
    if (rc <= 0) return rc;
    rc = ae__h1_fields_finish(head);
    return rc < 0 ? rc : (ssize_t)p.at;
}

static void terminate(char *buf, struct h1_span s)
{
    buf[s.at + s.length] = '\0';
}

/* Each of these is followed by a delimiter that has done its work: SP, '?', ':', white space, CR.
 * An empty path keeps its delimiter: it is the query's '?' or the version's SP as well. */
void ae__h1_head_terminate(const struct h1_head *head, char *buf)
{
    terminate(buf, head->method);
    terminate(buf, head->target);
    if (head->path.length > 0) terminate(buf, head->path);
    for (unsigned i = 0; i < head->field_count; i++) {
        terminate(buf, head->fields[i].name);
        terminate(buf, head->fields[i].value);
    }
}
