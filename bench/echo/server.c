/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The echo server that is measured: `echo_server ADDRESS`.
 *
 * A task for each connection reads what came and writes it back: examples/echo.c with a count. A
 * message that begins with '?' is answered by what was done so far, for bench/echo.py.
 */
#include <aether/aether.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic(uint64_t) requests;

static int tell(ae_stream *stream)
{
    ae_metrics m = {.size = sizeof(m)};
    char text[160];

    if (ae_metrics_get(NULL, &m) < 0)
        return -1;
    int n = snprintf(text, sizeof(text),
                     "{\"driver\": \"%s\", \"requests\": %" PRIu64 ", \"syscalls\": %" PRIu64 "}\n",
                     m.driver, atomic_load(&requests), m.io_syscalls);
    return ae_write(stream, text, (size_t)n) < 0 ? -1 : 0;
}

static int serve(void *arg)
{
    ae_stream *stream = arg;
    char buf[4096];
    ssize_t n;

    while ((n = ae_read(stream, buf, sizeof(buf))) > 0) {
        if (buf[0] == '?') {
            if (tell(stream) < 0)
                break;
            continue;
        }
        if (ae_write_behind(stream, buf, (size_t)n) < n)
            break;
        atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed);
    }
    ae_close(stream);
    return 0;
}

static int accept_all(void *arg)
{
    ae_listener *listener;
    ae_stream *stream;
    int rc = ae_listen(arg, NULL, &listener);

    if (rc < 0)
        return rc;
    while ((rc = ae_accept(listener, &stream, NULL)) == 0) {
        if (ae_go(serve, stream) < 0)
            ae_close(stream);
    }
    ae_listener_close(listener);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: echo_server ADDRESS\n");
        return 2;
    }
    int rc = ae_run(NULL, accept_all, argv[1]);
    if (rc < 0 && rc != -ECANCELED)
        fprintf(stderr, "echo_server: %s\n", ae_strerror(rc));
    return rc < 0 && rc != -ECANCELED;
}
