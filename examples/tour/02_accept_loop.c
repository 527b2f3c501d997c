/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 2: an HTTP server's accept loop, a task for each connection, four workers that steal.
 *
 *   02_accept_loop [ADDRESS]        then: curl http://127.0.0.1:8080/
 *
 * Ctrl-C cancels the root scope: ae_accept and every ae_read return -ECANCELED, the tasks close
 * what they own and return, and ae_run comes back. handle_connection answers each read with one
 * response, which is all that curl needs; a real server hands the socket to libaether-http. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

static int handle_connection(void *arg)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
    ae_stream *socket = arg;
    char request[4096];
    ssize_t n;

    while ((n = ae_read(socket, request, sizeof request)) > 0) {
        n = ae_write(socket, hello, sizeof hello - 1);
        if (n < 0) break;
    }
    ae_close(socket);
    return 0; /* that a client went away is no error of ours */
}

/* [accept-loop] */
static int accept_loop(void *address)
{
    ae_listener *listener;
    int rc = ae_listen(address, NULL, &listener);
    if (rc < 0) return rc;
    for (ae_stream *socket; (rc = ae_accept(listener, &socket, NULL)) == 0;) {
        if (ae_go(handle_connection, socket) < 0) ae_close(socket);
    }
    ae_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    ae_config config = { AE_CONFIG, .flavor = AE_MULTI_THREAD, .workers = 4 };
    int rc = ae_run(&config, accept_loop, argc > 1 ? argv[1] : "0.0.0.0:8080");
    if (rc != -ECANCELED) fprintf(stderr, "accept_loop: %s\n", ae_strerror(rc));
    return rc != -ECANCELED; /* Ctrl-C is how it ends */
}
/* [end] */
