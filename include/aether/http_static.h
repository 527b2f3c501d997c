/* SPDX-License-Identifier: Apache-2.0 */
/* libaether-http, static files: a directory as part of a server.
 *
 *     ae_http_files *docs;
 *     int rc = ae_http_files_open("/srv/docs", NULL, &docs);
 *     if (rc == 0) rc = ae_http_files_mount(server, "/docs/", docs);
 *
 * Answers GET and HEAD with conditional requests (RFC 9110 §13), one or several byte ranges (§14),
 * index.html, a redirect to the directory's slash, and a listing. Files that begin with a dot do
 * not exist for it; nothing outside the directory is reached, neither by ".." nor by symbolic
 * links. Large files go out by sendfile(2). */
#ifndef AETHER_HTTP_STATIC_H
#define AETHER_HTTP_STATIC_H

#include <aether/defs.h>
#include <aether/http_server.h>

AE_EXTERN_C_BEGIN

typedef struct ae_http_files ae_http_files;

/* 0 or NULL is the default. Start with AE_HTTP_FILES_OPTS. */
typedef struct ae_http_files_opts {
    size_t size;               /* sizeof(ae_http_files_opts), set by AE_HTTP_FILES_OPTS */
    bool no_listing;           /* a directory without index.html is 404 */
    const char *cache_control; /* the field's value for files; NULL = none is sent. Borrowed */
} ae_http_files_opts;

#define AE_HTTP_FILES_OPTS .size = sizeof(ae_http_files_opts)

/* Open a directory. The one opened is served, also when it is renamed later.
 * Errors: those of open(2), -ENOTDIR, -EINVAL (opts), -ENOMEM. Colour: any thread, may block. */
AE_API int ae_http_files_open(const char *directory, const ae_http_files_opts *opts,
                              ae_http_files **out) AE_MUST_CHECK;

/* Serve it below `prefix`, which begins and ends with a slash ("/" for all of the server's paths
 * that no other route takes). May be mounted several times. `prefix` and `files` are borrowed.
 * Errors: those of ae_http_route. Before serving. Colour: any thread. */
AE_API int ae_http_files_mount(ae_http_server *server, const char *prefix, ae_http_files *files);

/* Not while a server that has it serves. Accepts NULL. Colour: any thread. */
AE_API void ae_http_files_close(ae_http_files *files);

AE_EXTERN_C_END
#endif
