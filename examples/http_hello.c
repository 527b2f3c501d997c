/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server with routes, limits, timeouts and a graceful drain, all of them the defaults.
 *
 *   http_hello [ADDRESS]            then: curl http://127.0.0.1:8080/hello/you
 */
#include <aether/http.h>

#include <stddef.h>

/* [http] */
static int plain(ae_http *h)
{
    return ae_http_text(h, 200, "Hello, World!");
}

static int hello(ae_http *h)
{
    return ae_http_printf(h, 200, "text/plain", "hello, %s\n", ae_http_param(h, "name"));
}

int main(int argc, char **argv)
{
    ae_http_server *server;
    int rc = ae_http_server_create(NULL, &server);
    if (rc < 0) return 1;

    ae_http_route(server, "GET /{$}", plain, NULL);
    ae_http_route(server, "GET /hello/{name}", hello, NULL); /* errors show in ae_http_run */
    return ae_http_run(server, argc > 1 ? argv[1] : ":8080") < 0;
}
/* [end] */
