/* SPDX-License-Identifier: Apache-2.0 */
/* Host names by getaddrinfo(3): see names.h. */
#include "driver/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "aether/net.h"
#include "base/assert.h"
#include "driver/sim_net.h"
#include "driver/sim_start.h"

static int error_of(int rc)
{
    switch (rc) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
    case EAI_SERVICE:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno ? -errno : -EIO;
    default:
        return -EIO;
    }
}

int ae__names_resolve(const char *host, const char *port, struct ae_addr *out, int max)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list;
    int n = 0;

    AE_ASSERT(max > 0);
    if (ae__simulated()) return ae__sim_resolve(host, port, out);
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) return error_of(rc);
    for (const struct addrinfo *i = list; i && n < max; i = i->ai_next) {
        if (i->ai_addrlen > sizeof out[n].storage) continue;
        out[n].length = i->ai_addrlen;
        memcpy(out[n++].storage, i->ai_addr, i->ai_addrlen);
    }
    freeaddrinfo(list);
    return n > 0 ? n : -ENOENT;
}

int ae__names_parse(int family, const char *text, void *bytes)
{
    return inet_pton(family, text, bytes) == 1 ? 0 : -EINVAL;
}

void ae__names_format(int family, const void *bytes, char *buf, size_t size)
{
    if (!inet_ntop(family, bytes, buf, (socklen_t)size)) snprintf(buf, size, "?");
}
