/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server that the HTTP benchmarks measure: `http_server ADDRESS`.
 *
 * Nothing is tuned or left out: the strict parser, the router, every limit and timeout, and Date
 * are on, as they are for anybody. The Server field is only there to make the response as long
 * as nginx's, which always sends "Server: nginx" and "Connection: keep-alive".
 */
#include <aether/http.h>
#include <aether/metrics.h>
#include <inttypes.h>
#include <stdio.h>

static const char server_name[] = "aether-http-padded-to-29-byte";
static const char body[] = "Hello, World!";

static int plaintext(ae_http *h)
{
    return ae_http_respond(h, 200, "text/plain", body, sizeof(body) - 1);
}

/* What bench/web.py divides by the requests: GET /-/calls. */
static int calls(ae_http *h)
{
    ae_metrics m = {.size = sizeof(m)};
    char text[128];

    if (ae_metrics_get(NULL, &m) < 0)
        return -1;
    int n = snprintf(text, sizeof(text),
                     "{\"driver\": \"%s\", \"syscalls\": %" PRIu64 ", \"entries\": %" PRIu64 "}",
                     m.driver, m.io_syscalls, m.io_polls);
    return ae_http_respond(h, 200, "application/json", text, (size_t)n);
}

int main(int argc, char **argv)
{
    ae_http_opts opts = {AE_HTTP_OPTS, .server_name = server_name};
    ae_http_server *server;

    if (argc != 2) {
        fprintf(stderr, "usage: http_server ADDRESS\n");
        return 2;
    }
    if (ae_http_server_create(&opts, &server))
        return 1;
    ae_http_route(server, "GET /plaintext", plaintext, NULL);
    ae_http_route(server, "GET /-/calls", calls, NULL);
    return ae_http_run(server, argv[1]) ? 1 : 0;
}
