/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the listening socket, with errors that say what to do. */
#include "cli.h"

#include <aether/net.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "127.0.0.1:8080" and 8081 make "127.0.0.1:8081". Never longer than `out`: a port is. */
static void with_port(const char *address, unsigned port, char out[AE_ADDR_TEXT_MAX])
{
    const char *colon = strrchr(address, ':');

    snprintf(out, AE_ADDR_TEXT_MAX, "%.*s:%u", colon ? (int)(colon - address) : 0, address, port);
}

static int explain(int rc, const char *address, unsigned port)
{
    char other[AE_ADDR_TEXT_MAX];

    with_port(address, port && port < 65535 ? port + 1 : 8080, other);
    switch (-rc) {
    case EINVAL:
        return cli_fail(EXIT_USAGE, "\"%s\" is not an address to listen at: try 127.0.0.1:8080, "
                        ":8080 (all interfaces), [::1]:8080 or unix:/path", address);
    case EADDRINUSE:
        if (port == 0) {
            return cli_fail(EXIT_FAILURE, "address in use: a server listens at %s", address);
        }
        return cli_fail(EXIT_FAILURE, "address in use: %s is taken; `ss -ltnp sport = :%u` shows "
                        "by whom; or try -l %s", address, port, other);
    case EACCES: case EPERM:
        if (port == 0 || port >= 1024) break;
        with_port(address, 8080, other);
        return cli_fail(EXIT_FAILURE, "port %u needs privilege: try -l %s, or allow it once: "
                        "sudo setcap cap_net_bind_service=+ep \"$(command -v aether)\"", port,
                        other);
    case EADDRNOTAVAIL:
        return cli_fail(EXIT_FAILURE, "no interface of this machine has the address %s: "
                        "try 127.0.0.1:%u, or :%u for all of them", address, port, port);
    case EMFILE: case ENFILE:
        return cli_fail(EXIT_FAILURE, "too many open files: try ulimit -n 65536");
    }
    return cli_fail(EXIT_FAILURE, "cannot listen at %s: %s", address, ae_strerror(rc));
}

int cli_listen(ae_http_server *server, const char *address, unsigned tries)
{
    char text[AE_ADDR_TEXT_MAX];
    ae_listener *listener = NULL;
    ae_addr parsed;

    if (ae_addr_parse(address, &parsed) < 0) return explain(-EINVAL, address, 0);
    unsigned port = ae_addr_port(&parsed);
    int rc = ae_listen(address, NULL, &listener);
    for (unsigned i = 1; rc == -EADDRINUSE && port && i < tries && port + i < 65536; i++) {
        with_port(address, port + i, text);
        rc = ae_listen(text, NULL, &listener);
        if (rc == 0) fprintf(stderr, "aether: port %u is taken, using %u\n", port, port + i);
    }
    if (rc < 0) return explain(rc, address, port);
    rc = ae_http_adopt(server, listener);
    if (rc == 0) return 0;
    ae_listener_close(listener);
    return cli_fail(EXIT_FAILURE, "cannot serve: %s", ae_strerror(rc));
}

void cli_url(ae_http_server *server, char *out, size_t size)
{
    char text[AE_ADDR_TEXT_MAX] = "";
    ae_addr addr;

    if (ae_http_server_addr(server, 0, &addr) == 0) ae_addr_format(&addr, text, sizeof text);
    if (strncmp(text, "unix:", 5) == 0) {
        snprintf(out, size, "%s", text);
    } else if (strncmp(text, "0.0.0.0:", 8) == 0 || strncmp(text, "[::]:", 5) == 0) {
        snprintf(out, size, "http://127.0.0.1:%u/", ae_addr_port(&addr));
    } else {
        snprintf(out, size, "http://%s/", text);
    }
}
