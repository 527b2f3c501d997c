/* SPDX-License-Identifier: Apache-2.0 */
/* A bigger HTTP server: middleware that logs, a body with a limit, a response that streams, files.
 * `http_api 127.0.0.1:8080 DIRECTORY`, then: curl -d 'some text' http://127.0.0.1:8080/shout */
#include <aether/aether.h>
#include <aether/http.h>
#include <aether/http_static.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* Around every handler: one line per request, when it has been answered. */
static int log_request(ae_http *h)
{
    char peer[AE_ADDR_TEXT_MAX] = "?";
    ae_addr addr;
    int rc = ae_http_next(h);

    if (ae_http_peer(h, &addr) == 0) ae_addr_format(&addr, peer, sizeof peer);
    ae_log(AE_INFO, "%s %s %s %d%s", peer, ae_http_method(h), ae_http_path(h),
           ae_http_status_sent(h), rc < 0 && ae_http_started(h) ? ", cut short" : "");
    return rc; /* an error that was not answered yet becomes a response: 400, 413, 500 */
}

static int shout(ae_http *h)
{
    const char *body;

    ae_http_body_limit(h, 1024); /* more becomes a 413 */
    if (ae_http_body_length(h) == 0) return ae_http_fail(h, 400, "say something");
    ssize_t size = ae_http_body(h, &body);
    if (size < 0) return (int)size;

    char *loud = ae_http_alloc(h, (size_t)size); /* goes with the request */
    if (!loud) return -ENOMEM;
    for (ssize_t i = 0; i < size; i++) {
        loud[i] = (char)toupper((unsigned char)body[i]);
    }
    ae_http_header(h, "X-Length", ae_http_format(h, "%zd", size));
    return ae_http_respond(h, 200, "text/plain", loud, (size_t)size);
}

/* A line every 10 ms; the writes are the back-pressure, and fail when the client has gone. */
static int count_down(ae_http *h)
{
    int64_t n;
    int rc = ae_http_param_i64(h, "n", &n);
    for (; rc == 0 && n > 0; n--) {
        rc = ae_http_writef(h, "%lld\n", (long long)n);
        if (rc == 0) rc = ae_http_flush(h);
        if (rc == 0) rc = ae_sleep(10 * AE_MS);
    }
    return rc;
}

static int serve(const char *address, ae_http_files *files)
{
    ae_http_server *server;
    int rc = ae_http_server_create(NULL, &server);
    if (rc < 0) return rc;

    ae_http_use(server, log_request, NULL);
    ae_http_route(server, "POST /shout", shout, NULL);
    ae_http_route(server, "GET /count/{n}", count_down, NULL);
    ae_http_files_mount(server, "/files/", files);
    return ae_http_run(server, address); /* also says what was wrong with a route */
}

int main(int argc, char **argv)
{
    ae_http_files *files = NULL;
    int rc = ae_http_files_open(argc > 2 ? argv[2] : ".", NULL, &files);
    if (rc == 0) rc = serve(argc > 1 ? argv[1] : "127.0.0.1:8080", files);
    if (rc < 0) fprintf(stderr, "http_api: %s\n", ae_strerror(rc));
    ae_http_files_close(files);
    return rc < 0;
}
