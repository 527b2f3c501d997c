/* SPDX-License-Identifier: Apache-2.0 */
/* Graceful shutdown: on SIGTERM no new connection is taken, idle ones close at once, and a request
 * that has begun is answered.
 *
 *   graceful [ADDRESS]              a request is a line; its answer comes half a second later
 *
 * SIGTERM cancels the root scope. A task that waits for a request learns it from ae_read; one that
 * answers is behind a shield, which hides the cancel and gives each request five seconds. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

#define ANSWER_NS (5 * AE_SEC)

static int answer(ae_stream *peer, const char *line, size_t size)
{
    int rc = ae_sleep(500 * AE_MS); /* a database, say */
    if (rc < 0) return rc;

    ssize_t n = ae_write(peer, line, size);
    return n < 0 ? (int)n : 0;
}

static int serve_peer(void *arg)
{
    ae_stream *peer = arg;
    char line[512];
    int rc = 0;
    ssize_t n;

    while (rc == 0 && (n = ae_read(peer, line, sizeof line)) > 0) {
        ae_shield shield;
        ae_shield_begin(&shield, ANSWER_NS);
        rc = answer(peer, line, (size_t)n);
        ae_shield_end(&shield);
    }
    ae_close(peer);
    return 0;
}

static int serve(void *address)
{
    ae_listener *listener;
    int rc = ae_listen(address, NULL, &listener);
    if (rc < 0) return rc;

    ae_scope peers;
    ae_scope_begin(&peers);
    for (ae_stream *peer; (rc = ae_accept(listener, &peer, NULL)) == 0;) {
        if (ae_go(serve_peer, peer) < 0) ae_close(peer);
    }
    ae_listener_close(listener);
    printf("draining\n");
    rc = ae_scope_end(&peers, rc);
    printf("drained\n");
    return rc;
}

int main(int argc, char **argv)
{
    int rc = ae_run(NULL, serve, argc > 1 ? argv[1] : "127.0.0.1:7000");

    if (rc == -ECANCELED) return 0; /* told to stop, and everything was answered */
    fprintf(stderr, "graceful: %s\n", ae_strerror(rc));
    return 1;
}
