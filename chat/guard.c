/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: Host, Origin, key, content type, and the header fields that every answer has. */
#include "guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "answer.h"

#define HOST_MAX 255

/* ---- hosts ---- */

/* What stands in brackets; a name does not (RFC 3986 §3.2.2). */
static bool may_be_ipv6(const char *at, size_t length)
{
    return memchr(at, ':', length) && strspn(at, "0123456789abcdefABCDEF:.") == length;
}

/* The host of "host", "host:port", "[v6]" or "[v6]:port", in lower case, without brackets. */
static bool split_host(const char *authority, char host[HOST_MAX + 1])
{
    bool bracket = authority[0] == '[';
    const char *begin = authority + bracket;
    size_t length = strcspn(begin, bracket ? "]" : ":");
    const char *rest = begin + length;

    if (bracket && *rest++ != ']') return false;
    if (length == 0 || length > HOST_MAX) return false;
    if (bracket && !may_be_ipv6(begin, length)) return false;
    if (*rest == ':' && rest[1 + strspn(rest + 1, "0123456789")] != '\0') return false;
    if (*rest != ':' && *rest != '\0') return false;
    for (size_t i = 0; i < length; i++) {
        char c = begin[i];
        host[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    host[length] = '\0';
    if (!bracket && host[length - 1] == '.') host[length - 1] = '\0';
    return host[0] != '\0';
}

/* Four numbers from 0 to 255: nothing else that some resolver might take for an address. */
static bool is_ipv4(const char *host)
{
    int parts = 0;

    for (const char *at = host; parts < 4; parts++) {
        size_t digits = strspn(at, "0123456789");
        unsigned value = 0;

        for (size_t i = 0; i < digits && i < 4; i++) value = value * 10 + (unsigned)(at[i] - '0');
        if (digits < 1 || digits > 3 || value > 255) return false;
        at += digits;
        if (parts == 3) return *at == '\0';
        if (*at++ != '.') return false;
    }
    return false;
}

static bool is_address(const char *host)
{
    return is_ipv4(host) || (strchr(host, ':') && !host[strspn(host, "0123456789abcdef:.")]);
}

static bool is_this_machine(const char *host)
{
    size_t length = strlen(host);

    if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0) return true;
    if (length > 10 && strcmp(host + length - 10, ".localhost") == 0) return true;
    return is_ipv4(host) && strncmp(host, "127.", 4) == 0;
}

bool guard_host_ok(const struct guard *guard, const char *authority)
{
    char host[HOST_MAX + 1];

    if (!split_host(authority, host)) return false;
    if (is_this_machine(host)) return true;
    if (guard->any_address && is_address(host)) return true;
    for (size_t i = 0; i < guard->names_count; i++) {
        if (strcasecmp(host, guard->names[i]) == 0) return true;
    }
    return false;
}

/* A page's own requests come from where it came from. */
bool guard_origin_ok(const char *origin, const char *authority)
{
    size_t scheme = strncmp(origin, "http://", 7) == 0    ? 7
                    : strncmp(origin, "https://", 8) == 0 ? 8
                                                          : 0;

    return scheme && origin[scheme] && strcasecmp(origin + scheme, authority) == 0;
}

/* ---- keys ---- */

/* Takes as long for a wrong key as for the right one. */
bool guard_key_ok(const char *key, const char *authorization)
{
    size_t length = strlen(key), given;
    unsigned char differs = 0;

    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) return false;
    authorization += 7;
    given = strlen(authorization);
    for (size_t i = 0; i < length; i++) {
        char c = i < given ? authorization[i] : '\0';
        differs |= (unsigned char)(c ^ key[i]);
    }
    return differs == 0 && given == length;
}

bool guard_is_loopback(const char *address)
{
    char host[HOST_MAX + 1];

    if (strncmp(address, "unix:", 5) == 0) return true;
    return split_host(address, host) && is_this_machine(host);
}

/* ---- the middleware ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_api(const ae_http *h)
{
    const char *path = ae_http_path(h);

    return begins(path, "/api/") || begins(path, "/v1/");
}

static bool only_reads(const ae_http *h)
{
    const char *method = ae_http_method(h);

    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Browsers say where a request comes from in one of two fields; other programs in none. */
static bool from_elsewhere(const ae_http *h)
{
    const char *origin = ae_http_field(h, "Origin");
    const char *site = ae_http_field(h, "Sec-Fetch-Site");

    if (origin) return !guard_origin_ok(origin, ae_http_host(h));
    if (!site || (!is_api(h) && only_reads(h))) return false;
    return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
}

static bool has_body(const ae_http *h)
{
    const char *method = ae_http_method(h);

    return strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0 ||
           strcmp(method, "PUT") == 0 || ae_http_body_length(h) != 0;
}

/* What a form of a foreign page cannot send without asking first. */
static bool is_json(const char *type)
{
    static const char JSON[] = "application/json";
    size_t length = sizeof JSON - 1;

    if (!type || strncasecmp(type, JSON, length) != 0) return false;
    type += length;
    type += strspn(type, " \t");
    return *type == '\0' || *type == ';';
}

static int add_fields(ae_http *h, const struct guard *guard)
{
    static const char *const fields[][2] = {
        { "X-Content-Type-Options", "nosniff" },
        { "Referrer-Policy", "no-referrer" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "X-Frame-Options", "DENY" },
    };
    int rc = ae_http_header(h, "Content-Security-Policy", guard->policy);

    for (size_t i = 0; rc == 0 && i < sizeof fields / sizeof fields[0]; i++) {
        rc = ae_http_header(h, fields[i][0], fields[i][1]);
    }
    return rc;
}

static int refuse_key(ae_http *h)
{
    int rc = ae_http_header(h, "WWW-Authenticate", "Bearer");

    if (rc < 0) return rc;
    return answer_error(h, 401, "key", "This server wants its key: Authorization: Bearer KEY");
}

int guard_middleware(ae_http *h)
{
    const struct guard *guard = ae_http_context(h);
    int rc = add_fields(h, guard);

    if (rc < 0) return rc;
    if (!guard_host_ok(guard, ae_http_host(h))) {
        return answer_error(h, 421, "host", "This server does not go by that name. If it should: "
                            "aether chat --host NAME");
    }
    if (from_elsewhere(h)) {
        return answer_error(h, 403, "origin", "Requests of other sites' pages are refused.");
    }
    if (has_body(h) && !is_json(ae_http_field(h, "Content-Type"))) {
        return answer_error(h, 415, "content_type", "The body must be application/json.");
    }
    if (guard->key && is_api(h) && !guard_key_ok(guard->key, ae_http_field(h, "Authorization"))) {
        return refuse_key(h);
    }
    return ae_http_next(h);
}
