/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server on a socket that somebody else opened (systemd's LISTEN_FDS): the service can be
 * restarted without refusing a connection. It shows each client what it sent.
 *
 *   systemd-socket-activate -l 8080 socket_activation */
#include <aether/aether.h>
#include <aether/http.h>

#include <stdio.h>
#include <stdlib.h>

#define FIRST_FD 3 /* sd_listen_fds(3) */

static int mirror(ae_http *h)
{
    const char *name, *value;
    int rc = ae_http_writef(h, "%s %s\n", ae_http_method(h), ae_http_target(h));

    for (size_t i = 0; rc == 0 && ae_http_field_at(h, i, &name, &value); i++) {
        rc = ae_http_writef(h, "%s: %s\n", name, value);
    }
    return rc;
}

/* The listener is the server's from the moment that it has taken it. */
static int take_socket(ae_http_server *server)
{
    ae_listener *listener;
    int rc = ae_listener_adopt(FIRST_FD, &listener);
    if (rc < 0) return rc;

    rc = ae_http_adopt(server, listener);
    if (rc < 0) ae_listener_close(listener);
    return rc;
}

static int serve(void *arg)
{
    (void)arg;
    ae_http_server *server;
    int rc = ae_http_server_create(NULL, &server);
    if (rc < 0) return rc;

    ae_http_route(server, "/{path...}", mirror, NULL); /* its error would show in ae_http_serve */
    rc = take_socket(server);
    if (rc == 0) rc = ae_http_serve(server); /* returns after the drain */
    ae_http_server_destroy(server);
    return rc;
}

int main(void)
{
    if (!getenv("LISTEN_FDS")) {
        fprintf(stderr, "socket_activation: no socket was passed (LISTEN_FDS)\n");
        return 1;
    }
    int rc = ae_run(NULL, serve, NULL);
    if (rc < 0) fprintf(stderr, "socket_activation: %s\n", ae_strerror(rc));
    return rc < 0;
}
