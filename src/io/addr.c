/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses from and to text. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "aether/net.h"
#include "base/assert.h"
#include "driver/names.h"
#include "io/io.h"

#define UNIX_PREFIX "unix:"

enum { HOST_TEXT_MAX = 64, PORT_MAX = 65535 };

static void set_addr(ae_addr *out, const void *sockaddr, size_t length)
{
    AE_ASSERT(length <= sizeof out->storage);
    memset(out, 0, sizeof *out);
    memcpy(out->storage, sockaddr, length);
    out->length = (uint32_t)length;
}

int ae__addr_family(const ae_addr *addr)
{
    sa_family_t family = AF_UNSPEC;

    if (addr->length >= sizeof family) memcpy(&family, addr->storage, sizeof family);
    return family;
}

/* ---- from text ---- */

static int parse_unix(const char *name, ae_addr *out)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t length = strlen(name);

    if (length == 0 || length >= sizeof un.sun_path) return -EINVAL;
    memcpy(un.sun_path, name, length);
    if (*name == '@') {
        if (length == 1) return -EINVAL;
        un.sun_path[0] = '\0'; /* abstract: counted, not terminated */
    } else {
        length++;
    }
    set_addr(out, &un, offsetof(struct sockaddr_un, sun_path) + length);
    return 0;
}

static int parse_port(const char *text)
{
    int port = 0;

    if (*text == '\0' || strlen(text) > 5) return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -EINVAL;
        port = port * 10 + (*text - '0');
    }
    return port <= PORT_MAX ? port : -EINVAL;
}

static int make_ipv4(const char *host, int port, ae_addr *out)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    int rc = ae__names_parse(AF_INET, host, &in.sin_addr);
    if (rc == 0) set_addr(out, &in, sizeof in);
    return rc;
}

static int make_ipv6(const char *host, int port, ae_addr *out)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

    int rc = ae__names_parse(AF_INET6, host, &in6.sin6_addr);
    if (rc == 0) set_addr(out, &in6, sizeof in6);
    return rc;
}

int ae_addr_parse(const char *text, ae_addr *out)
{
    char host[HOST_TEXT_MAX];

    AE_ASSERT(text != NULL && out != NULL);
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return parse_unix(text + strlen(UNIX_PREFIX), out);
    }
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) return -EINVAL;
    int port = parse_port(colon + 1);
    if (port < 0) return port;
    if (colon == text) return make_ipv6("::", port, out);
    if (*text == '[') {
        if (colon - text < 3 || colon[-1] != ']') return -EINVAL;
        snprintf(host, sizeof host, "%.*s", (int)(colon - text - 2), text + 1);
        return make_ipv6(host, port, out);
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    return make_ipv4(host, port, out);
}

/* ---- to text ---- */

static void format_unix(const ae_addr *addr, char *buf, size_t size)
{
    struct sockaddr_un un = { 0 };
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t length = addr->length > head ? addr->length - head : 0;

    if (length > sizeof un.sun_path) length = sizeof un.sun_path;
    memcpy(un.sun_path, (const char *)addr->storage + head, length);
    if (length > 0 && un.sun_path[0] == '\0') un.sun_path[0] = '@';
    snprintf(buf, size, UNIX_PREFIX "%.*s", (int)length, un.sun_path);
}

static void format_ipv4(const ae_addr *addr, char *buf, size_t size)
{
    struct sockaddr_in in;
    char host[HOST_TEXT_MAX];

    memcpy(&in, addr->storage, sizeof in);
    ae__names_format(AF_INET, &in.sin_addr, host, sizeof host);
    snprintf(buf, size, "%s:%u", host, ntohs(in.sin_port));
}

static void format_ipv6(const ae_addr *addr, char *buf, size_t size)
{
    struct sockaddr_in6 in6;
    char host[HOST_TEXT_MAX];

    memcpy(&in6, addr->storage, sizeof in6);
    ae__names_format(AF_INET6, &in6.sin6_addr, host, sizeof host);
    snprintf(buf, size, "[%s]:%u", host, ntohs(in6.sin6_port));
}

void ae_addr_format(const ae_addr *addr, char *buf, size_t size)
{
    AE_ASSERT(size > 0);
    switch (ae__addr_family(addr)) {
    case AF_UNIX:
        format_unix(addr, buf, size);
        break;
    case AF_INET:
        format_ipv4(addr, buf, size);
        break;
    case AF_INET6:
        format_ipv6(addr, buf, size);
        break;
    default:
        snprintf(buf, size, "?");
    }
}

/* ---- parts ---- */

unsigned ae_addr_port(const ae_addr *addr)
{
    struct sockaddr_in in;
    int family = ae__addr_family(addr);

    if (family != AF_INET && family != AF_INET6) return 0;
    memcpy(&in, addr->storage, sizeof in); /* the port is at the same place in both */
    return ntohs(in.sin_port);
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "ae_addr_port reads both alike");

const char *ae__addr_path(const ae_addr *addr)
{
    const char *path = (const char *)addr->storage + offsetof(struct sockaddr_un, sun_path);

    if (ae__addr_family(addr) != AF_UNIX) return NULL;
    if (addr->length <= offsetof(struct sockaddr_un, sun_path)) return NULL;
    return *path ? path : NULL;
}

bool ae__addr_any_to_ipv4(ae_addr *addr)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    struct sockaddr_in6 in6;

    if (ae__addr_family(addr) != AF_INET6) return false;
    memcpy(&in6, addr->storage, sizeof in6);
    if (memcmp(&in6.sin6_addr, &any, sizeof any) != 0) return false;
    return make_ipv4("0.0.0.0", (int)ae_addr_port(addr), addr) == 0;
}
