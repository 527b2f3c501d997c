/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP echo server: what a connection sends comes back.
 *
 *   echo [ADDRESS]                  then: nc 127.0.0.1 7000
 *
 * The scope owns the connections: after Ctrl-C ae_accept returns -ECANCELED, and ae_scope_end
 * returns when the last of them has closed its socket. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

static int echo(void *arg)
{
    ae_stream *peer = arg;
    char buf[4096];
    ssize_t n;

    while ((n = ae_read(peer, buf, sizeof buf)) > 0) {
        n = ae_write(peer, buf, (size_t)n);
        if (n < 0) break;
    }
    ae_close(peer);
    return n == -ECANCELED ? -ECANCELED : 0; /* a peer that went away is no error of ours */
}

static int serve(void *address)
{
    ae_listener *listener;
    int rc = ae_listen(address, NULL, &listener);
    if (rc < 0) return rc;

    ae_scope peers;
    ae_scope_begin(&peers);
    for (ae_stream *peer; (rc = ae_accept(listener, &peer, NULL)) == 0;) {
        if (ae_go(echo, peer) < 0) ae_close(peer);
    }
    ae_listener_close(listener);
    return ae_scope_end(&peers, rc);
}

int main(int argc, char **argv)
{
    int rc = ae_run(NULL, serve, argc > 1 ? argv[1] : "127.0.0.1:7000");

    if (rc == -ECANCELED) return 0; /* Ctrl-C */
    fprintf(stderr, "echo: %s\n", ae_strerror(rc));
    return 1;
}
