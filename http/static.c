/* SPDX-License-Identifier: Apache-2.0 */
/* The handler for static files: from a path to a file, from the file and the request's conditions
 * to a response. It uses only the public API, like any handler.
 *
 * Security rests on two walls: path.c refuses dot segments, dotfiles and escaped slashes, and the
 * kernel refuses every step out of the directory (ae_file_open_beneath), symbolic links included.
 * What may not be seen is 404, not 403, so that its existence does not show. */
#include <aether/http_static.h>

#include "conditional.h"
#include "files.h"

#include <aether/http.h>
#include <aether/time.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SMALL_BYTES (16 * 1024) /* up to here: one read, one write, instead of sendfile */

/* Where the files stand in a server; how deep, counted in slashes, and under which name. */
struct mount {
    struct mount *next;
    ae_http_files *files;
    const char *prefix;
    int depth;
};

struct ae_http_files {
    ae_file *root;
    ae_http_files_opts opts;
    struct mount *mounts;
};

/* A request on its way to a file. */
struct lookup {
    const struct mount *mount;
    char path[HTTP_PATH_BYTES]; /* beneath the root */
    bool slash;                 /* the request's path ends with one */
};

/* One regular file as a response's body. */
struct entity {
    ae_file *file;
    int64_t size;
    const char *type;
    struct http_validators validators;
    char etag[56];
    char modified[HTTP_DATE_BYTES];
};

/* ---- the body ---- */

static int send_small(ae_http *h, const struct entity *e)
{
    size_t size = (size_t)e->size, done = 0;
    char *data = ae_http_alloc(h, size + 1);

    if (!data) return -ENOMEM;
    while (done < size) {
        ssize_t n = ae_file_readat(e->file, data + done, size - done, (int64_t)done);
        if (n <= 0) return n < 0 ? (int)n : -EIO; /* it shrank */
        done += (size_t)n;
    }
    return ae_http_respond(h, 200, e->type, data, size);
}

static int send_whole(ae_http *h, const struct entity *e)
{
    bool head = strcmp(ae_http_method(h), "HEAD") == 0;

    if (!head && e->size <= SMALL_BYTES) return send_small(h, e);
    int rc = ae_http_header(h, "Content-Type", e->type);
    if (rc == 0) rc = ae_http_length(h, (uint64_t)e->size);
    if (rc < 0 || head) return rc;
    return ae_http_send_file(h, e->file, 0, (uint64_t)e->size);
}

static int64_t range_bytes(const struct http_range *r)
{
    return r->last - r->first + 1;
}

static int send_one_range(ae_http *h, const struct entity *e, const struct http_range *r)
{
    const char *where = ae_http_format(h, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, r->first,
                                       r->last, e->size);
    if (!where) return -ENOMEM;
    int rc = ae_http_status(h, 206);
    if (rc == 0) rc = ae_http_header(h, "Content-Type", e->type);
    if (rc == 0) rc = ae_http_header(h, "Content-Range", where);
    if (rc == 0) rc = ae_http_length(h, (uint64_t)range_bytes(r));
    if (rc == 0) rc = ae_http_send_file(h, e->file, r->first, (uint64_t)range_bytes(r));
    return rc;
}

/* What stands before each part; the boundary is unlikely in the file and not foreseeable. */
static const char *part_head(ae_http *h, const struct entity *e, const struct http_range *r,
                             const char *boundary)
{
    return ae_http_format(h,
                          "\r\n--%s\r\nContent-Type: %s\r\n"
                          "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n\r\n",
                          boundary, e->type, r->first, r->last, e->size);
}

static const char *make_boundary(ae_http *h)
{
    uint64_t a = (uint64_t)ae_now() * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t b = ((uint64_t)(uintptr_t)h ^ a >> 29) * UINT64_C(0xbf58476d1ce4e5b9);

    return ae_http_format(h, "%016" PRIx64 "%016" PRIx64, a, b ^ b >> 32);
}

static int send_ranges(ae_http *h, const struct entity *e, const struct http_range *ranges,
                       int count)
{
    const char *heads[HTTP_RANGES_MAX];
    const char *boundary = make_boundary(h);
    if (!boundary) return -ENOMEM;
    const char *end = ae_http_format(h, "\r\n--%s--\r\n", boundary);
    const char *type = ae_http_format(h, "multipart/byteranges; boundary=%s", boundary);
    if (!end || !type) return -ENOMEM;

    uint64_t total = strlen(end);
    for (int i = 0; i < count; i++) {
        heads[i] = part_head(h, e, &ranges[i], boundary);
        if (!heads[i]) return -ENOMEM;
        total += strlen(heads[i]) + (uint64_t)range_bytes(&ranges[i]);
    }
    int rc = ae_http_status(h, 206);
    if (rc == 0) rc = ae_http_header(h, "Content-Type", type);
    if (rc == 0) rc = ae_http_length(h, total);
    for (int i = 0; rc == 0 && i < count; i++) {
        uint64_t bytes = (uint64_t)range_bytes(&ranges[i]);
        rc = ae_http_write(h, heads[i], strlen(heads[i]));
        if (rc == 0) rc = ae_http_send_file(h, e->file, ranges[i].first, bytes);
    }
    return rc < 0 ? rc : ae_http_write(h, end, strlen(end));
}

/* ---- the decision ---- */

/* All fields of that name as one list, or NULL. */
static const char *joined_field(ae_http *h, const char *wanted)
{
    const char *all = NULL, *name, *value;

    for (size_t i = 0; ae_http_field_at(h, i, &name, &value); i++) {
        if (strcasecmp(name, wanted) != 0) continue;
        all = all ? ae_http_format(h, "%s, %s", all, value) : value;
        if (!all) return ""; /* no memory: a list that matches nothing */
    }
    return all;
}

static int set_validators(ae_http *h, const struct entity *e, const struct mount *mount)
{
    const char *cache = mount->files->opts.cache_control;
    int rc = ae_http_header(h, "ETag", e->etag);

    if (rc == 0 && cache) rc = ae_http_header(h, "Cache-Control", cache);
    if (rc == 0) rc = ae_http_header(h, "X-Content-Type-Options", "nosniff");
    return rc;
}

static int not_satisfiable(ae_http *h, const struct entity *e)
{
    const char *where = ae_http_format(h, "bytes */%" PRId64, e->size);
    if (!where) return -ENOMEM;
    int rc = ae_http_header(h, "Content-Range", where);
    return rc < 0 ? rc : ae_http_fail(h, 416, "The file has %" PRId64 " bytes.", e->size);
}

static int send_entity(ae_http *h, const struct entity *e, const struct mount *mount,
                       const char *range)
{
    struct http_range ranges[HTTP_RANGES_MAX];
    int count = range ? ae__http_ranges(range, e->size, ranges) : 0;
    if (count < 0) return not_satisfiable(h, e);

    int rc = set_validators(h, e, mount);
    if (rc == 0 && e->modified[0]) rc = ae_http_header(h, "Last-Modified", e->modified);
    if (rc == 0) rc = ae_http_header(h, "Accept-Ranges", "bytes");
    if (rc < 0) return rc;
    if (count == 0) return send_whole(h, e);
    return count == 1 ? send_one_range(h, e, ranges) : send_ranges(h, e, ranges, count);
}

static int answer_file(ae_http *h, const struct entity *e, const struct mount *mount)
{
    bool get = strcmp(ae_http_method(h), "GET") == 0;
    struct http_conditions asked = {
        .get_or_head = true, /* no other method is routed here */
        .if_match = joined_field(h, "If-Match"),
        .if_unmodified_since = ae_http_field(h, "If-Unmodified-Since"),
        .if_none_match = joined_field(h, "If-None-Match"),
        .if_modified_since = ae_http_field(h, "If-Modified-Since"),
        .range = get ? joined_field(h, "Range") : NULL,
        .if_range = ae_http_field(h, "If-Range"),
    };

    switch (ae__http_conditions(&asked, &e->validators)) {
    case HTTP_PRECONDITION:
        return ae_http_fail(h, 412, "The file is not the one you have.");
    case HTTP_NOT_MODIFIED: {
        int rc = set_validators(h, e, mount);
        return rc < 0 ? rc : ae_http_respond(h, 304, NULL, NULL, 0);
    }
    case HTTP_PARTIAL: return send_entity(h, e, mount, asked.range);
    case HTTP_WHOLE: break;
    }
    return send_entity(h, e, mount, NULL);
}

static int serve_file(ae_http *h, const struct lookup *l, const char *name, ae_file *file,
                      const ae_file_stat *st)
{
    int64_t modified_s = st->mtime_ns / AE_SEC - (st->mtime_ns % AE_SEC < 0);
    struct entity e = { .file = file, .size = st->size, .type = ae__http_mime_type(name) };

    snprintf(e.etag, sizeof e.etag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)st->mtime_ns, (uint64_t)st->size, st->inode);
    e.validators = (struct http_validators){ e.etag, modified_s, (int64_t)time(NULL) };
    if (modified_s > e.validators.now_s) {
        e.validators.modified_s = HTTP_NO_DATE; /* a Last-Modified must not be in the future */
    } else {
        ae__http_date_format(modified_s, e.modified);
    }
    return answer_file(h, &e, l->mount);
}

/* ---- from the path to the file ---- */

static int not_found(ae_http *h)
{
    return ae_http_fail(h, 404, "There is no such file here.");
}

static int open_failed(ae_http *h, int rc)
{
    switch (-rc) {
    case ENOENT: case ENOTDIR: case ELOOP: case EXDEV: case ENAMETOOLONG: case ENXIO:
        return not_found(h);
    case EACCES: case EPERM:
        return ae_http_fail(h, 403, "The server may not read this file.");
    case EMFILE: case ENFILE:
        return ae_http_fail(h, 503, "Too many files are open.");
    default: return rc;
    }
}

/* Opens without blocking on a FIFO, and without taking anything but files and directories. */
static int open_and_stat(const struct mount *mount, const char *path, ae_file **file,
                         ae_file_stat *st)
{
    int rc = ae_file_open_beneath(mount->files->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, file);
    if (rc < 0) return rc;
    rc = ae_file_stat_of(*file, st);
    if (rc == 0 && !st->is_regular && !st->is_directory) rc = -ENOENT;
    if (rc < 0) ae_file_close(*file);
    return rc;
}

static int redirect_to_slash(ae_http *h)
{
    const char *query = ae_http_query_string(h);
    const char *to = ae_http_format(h, "%s/%s%s", ae_http_path(h), *query ? "?" : "", query);

    return to ? ae_http_redirect(h, 301, to) : -ENOMEM;
}

static int serve_listing(ae_http *h, const struct lookup *l)
{
    static const char POLICY[] = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                                 "form-action 'none'; frame-ancestors 'none'";
    bool at_root = strcmp(l->path, ".") == 0;
    const char *title = ae_http_format(h, "%s%s%s", l->mount->prefix, at_root ? "" : l->path,
                                       at_root ? "" : "/");
    struct http_text page = { 0 };
    if (!title) return -ENOMEM;

    int rc = ae__http_listing(l->mount->files->root, l->path, title, !at_root, &page);
    if (rc < 0) return open_failed(h, rc);
    rc = ae_http_header(h, "Content-Security-Policy", POLICY);
    if (rc == 0) rc = ae_http_header(h, "X-Content-Type-Options", "nosniff");
    if (rc == 0) rc = ae_http_header(h, "Cache-Control", "no-cache");
    if (rc == 0) rc = ae_http_respond(h, 200, "text/html; charset=utf-8", page.data, page.length);
    ae__http_text_free(&page);
    return rc;
}

static int serve_directory(ae_http *h, const struct lookup *l)
{
    ae_file *file;
    ae_file_stat st;

    if (!l->slash) return redirect_to_slash(h);
    const char *index = ae_http_format(h, "%s/index.html", l->path);
    if (!index) return -ENOMEM;

    int rc = open_and_stat(l->mount, index, &file, &st);
    if (rc == 0 && st.is_directory) {
        ae_file_close(file);
        rc = -ENOENT;
    }
    if (rc == -ENOENT) return l->mount->files->opts.no_listing ? not_found(h) : serve_listing(h, l);
    if (rc < 0) return open_failed(h, rc);
    rc = serve_file(h, l, index, file, &st);
    ae_file_close(file);
    return rc;
}

static int serve_path(ae_http *h, const struct lookup *l)
{
    ae_file *file;
    ae_file_stat st;
    int rc = open_and_stat(l->mount, l->path, &file, &st);

    if (rc < 0) return open_failed(h, rc);
    if (st.is_directory) {
        rc = serve_directory(h, l);
    } else {
        rc = l->slash ? not_found(h) : serve_file(h, l, l->path, file, &st);
    }
    ae_file_close(file);
    return rc;
}

/* The part of the path behind the mount point, still escaped, so that it is decoded once. */
static const char *behind(const char *path, int depth)
{
    for (; depth > 0 && path; depth--) {
        path = strchr(path, '/');
        if (path) path++;
    }
    return path ? path : "";
}

static int handle(ae_http *h)
{
    struct lookup *l = ae_http_alloc(h, sizeof *l);
    if (!l) return -ENOMEM;

    const char *path = ae_http_path(h), *slash = strrchr(path, '/');
    l->mount = ae_http_context(h);
    l->slash = slash && !slash[1];
    switch (-ae__http_path_decode(behind(path, l->mount->depth), l->path)) {
    case 0: return serve_path(h, l);
    case EINVAL: return ae_http_fail(h, 400, "This is not a path.");
    case ENAMETOOLONG: return ae_http_fail(h, 414, "The path is too long.");
    default: return not_found(h);
    }
}

/* ---- opening, mounting ---- */

int ae_http_files_open(const char *directory, const ae_http_files_opts *opts, ae_http_files **out)
{
    if (opts && opts->size != sizeof *opts) return -EINVAL;
    ae_http_files *files = calloc(1, sizeof *files);
    if (!files) return -ENOMEM;

    if (opts) files->opts = *opts;
    int rc = ae_file_open(directory, O_RDONLY | O_DIRECTORY, 0, &files->root);
    if (rc < 0) {
        free(files);
        return rc;
    }
    *out = files;
    return 0;
}

int ae_http_files_mount(ae_http_server *server, const char *prefix, ae_http_files *files)
{
    char pattern[512];
    int length = snprintf(pattern, sizeof pattern, "GET %s{path...}", prefix);
    if (length < 0 || (size_t)length >= sizeof pattern) return -EINVAL;
    if (prefix[0] != '/' || prefix[strlen(prefix) - 1] != '/') return -EINVAL;
    struct mount *m = calloc(1, sizeof *m);
    if (!m) return -ENOMEM;

    *m = (struct mount){ files->mounts, files, prefix, 0 };
    for (const char *p = prefix; *p; p++) m->depth += *p == '/';
    files->mounts = m;
    return ae_http_route(server, pattern, handle, m);
}

void ae_http_files_close(ae_http_files *files)
{
    if (!files) return;
    while (files->mounts) {
        struct mount *m = files->mounts;
        files->mounts = m->next;
        free(m);
    }
    ae_file_close(files->root);
    free(files);
}
