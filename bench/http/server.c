/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server that the HTTP benchmarks measure: `http_server ADDRESS`.
 *
 * Nothing is tuned or left out: the strict parser, the router, every limit and timeout, and Date
 * are on, as they are for anybody. The Server field is only there to make the response as long
 * as nginx's, which always sends "Server: nginx" and "Connection: keep-alive".
 */
#include <aether/http.h>

#include <stdio.h>

static const char server_name[] = "aether-http-padded-to-29-byte";
static const char body[] = "Hello, World!";

static int plaintext(ae_http *h)
{
    return ae_http_respond(h, 200, "text/plain", body, sizeof(body) - 1);
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
    return ae_http_run(server, argv[1]) ? 1 : 0;
}
