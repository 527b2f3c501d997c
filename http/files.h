/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the static file handler share; its door is include/aether/http_static.h. */
#ifndef AETHER_HTTP_FILES_H
#define AETHER_HTTP_FILES_H

#include <aether/file.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_PATH_BYTES 4096

/* path.c: the part of a request's target behind the mount point ("docs/a%20b.html") as a path to
 * open beneath the root ("docs/a b.html"; "." for the root itself; a slash at the end goes).
 * 0, -EINVAL (bad escape, NUL, an escaped slash, a segment "." or ".."), -ENOENT (hidden: a segment
 * begins with a dot; or an empty segment), -ENAMETOOLONG. */
int ae__http_path_decode(const char *raw, char out[HTTP_PATH_BYTES]);

/* mime.c: the Content-Type by the name's ending, with a charset where it is text. Never NULL. */
const char *ae__http_mime_type(const char *name);

/* A string that grows; after a failed allocation it takes nothing more and `failed` is set. */
struct http_text {
    char *data;
    size_t length, room;
    bool failed;
};

/* text.c */
void ae__http_text_add(struct http_text *text, const char *bytes, size_t length);
void ae__http_text_addf(struct http_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ae__http_text_add_html(struct http_text *text, const char *raw); /* & < > " ' escaped */
void ae__http_text_add_url(struct http_text *text, const char *raw);  /* one path segment */
void ae__http_text_free(struct http_text *text);

/* listing.c: the HTML page of a directory. `path` is where it stands beneath `root` ("." at the
 * root), `title` the path as the visitor sees it, decoded. Runs opendir(3) on the blocking pool.
 * 0 or a negative errno value; on success the text is the caller's to free. */
int ae__http_listing(ae_file *root, const char *path, const char *title, bool has_parent,
                     struct http_text *out);

#endif
