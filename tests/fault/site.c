/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server that passes through what the examples leave out: events, files sent by hand,
 * middleware, bodies that nobody reads, big responses. */
#include "run.h"
#include "scenario.h"

#include <aether/aether.h>
#include <aether/http.h>
#include <aether/http_static.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { BIG_BYTES = 60000 };

static int around(ae_http *h)
{
    int rc = ae_http_header(h, "X-Around", "1");

    return rc < 0 ? rc : ae_http_next(h);
}

static int hello(ae_http *h)
{
    return ae_http_text(h, 200, "hello");
}

static int big(ae_http *h)
{
    char *body = ae_http_alloc(h, BIG_BYTES);

    if (!body) return -ENOMEM;
    for (size_t i = 0; i < BIG_BYTES; i++)
        body[i] = (char)('a' + i % 23);
    return ae_http_respond(h, 200, "text/plain", body, BIG_BYTES);
}

static int echo(ae_http *h)
{
    const char *body;
    ssize_t n = ae_http_body(h, &body);

    return n < 0 ? (int)n : ae_http_respond(h, 200, "text/plain", body, (size_t)n);
}

static int events(ae_http *h)
{
    int rc = ae_http_sse_open(h);

    if (rc == 0) rc = ae_http_sse_send(h, "tick", "1", "one\ntwo");
    if (rc == 0) rc = ae_http_sse_heartbeat(h);
    return rc;
}

static int send_file(ae_http *h)
{
    ae_file *file;
    int rc = ae_file_open(ae_http_context(h), O_RDONLY, 0, &file);

    if (rc < 0) return rc;
    rc = ae_http_length(h, 5);
    if (rc == 0) rc = ae_http_send_file(h, file, 1, 5);
    ae_file_close(file);
    return rc;
}

static int ignored(ae_http *h)
{
    return ae_http_redirect(h, 303, "/");
}

struct site {
    const char *address, *folder;
    char note[128];
};

static int add_routes(struct site *site, ae_http_server *server, ae_http_files *files)
{
    static const struct {
        const char *pattern;
        ae_http_fn *fn;
    } routes[] = {
        { "GET /{$}", hello },     { "GET /big", big },          { "POST /echo", echo },
        { "GET /events", events }, { "POST /ignored", ignored }, { "GET /send-file", send_file },
    };
    int rc = ae_http_use(server, around, NULL);

    for (size_t i = 0; i < sizeof routes / sizeof *routes && rc == 0; i++) {
        rc = ae_http_route(server, routes[i].pattern, routes[i].fn, site->note);
    }
    return rc == 0 ? ae_http_files_mount(server, "/files/", files) : rc;
}

static int serve(void *arg)
{
    const ae_http_files_opts files_opts = { AE_HTTP_FILES_OPTS, .cache_control = "no-cache" };
    struct site *site = arg;
    ae_http_server *server;
    ae_http_files *files = NULL;
    int rc = ae_http_server_create(NULL, &server);

    if (rc < 0) return rc;
    rc = ae_http_files_open(site->folder, &files_opts, &files);
    if (rc == 0) rc = add_routes(site, server, files);
    if (rc == 0) rc = ae_http_listen(server, site->address);
    if (rc == 0) rc = ae_http_serve(server);
    ae_http_server_destroy(server);
    ae_http_files_close(files);
    return rc;
}

int site_main(int argc, char **argv)
{
    struct site site = { .address = argv[1], .folder = argv[2] };

    (void)argc;
    snprintf(site.note, sizeof site.note, "%s/fault-note.txt", site.folder);
    int rc = ae_run(NULL, serve, &site);
    if (rc < 0) fprintf(stderr, "site: %s\n", ae_strerror(rc));
    return rc < 0;
}
