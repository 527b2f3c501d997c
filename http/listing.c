/* SPDX-License-Identifier: Apache-2.0 */
/* The page that shows what is in a directory: directories first, then files, each by name.
 *
 * All of it, reading, sorting and writing the HTML, runs as one job on the blocking pool: a
 * directory may hold thousands of entries and each costs a system call. Shown is exactly what a
 * request for it would be given: no dotfiles, no device files, no link that leaves the root. */
#include "files.h"

#include <aether/blocking.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_MAX 10000

struct entry {
    char *name;
    int64_t size;
    int64_t modified_s;
    bool is_directory;
};

struct listing {
    ae_file *root;
    const char *path, *title;
    bool has_parent, cut_short;
    struct entry *entries;
    size_t count, room;
    struct http_text *out;
};

static const char HEAD[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>"
    ":root{color-scheme:light dark;--ink:#1c2024;--dim:#667079;--line:#e3e6e9;--link:#0b62c4;"
    "--bg:#fcfcfd}@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--dim:#8e979f;"
    "--line:#2a2f34;--link:#7db7ff;--bg:#131619}}"
    "body{margin:0 auto;max-width:56rem;padding:2rem 1rem;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}h1{font-size:1.1rem;font-weight:600;"
    "overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}"
    "th{text-align:left;font-weight:400;color:var(--dim);font-size:.85rem}"
    "td,th{padding:.3rem .5rem .3rem 0;border-bottom:1px solid var(--line)}"
    "td:first-child{overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums;color:var(--dim)}a{color:var(--link);text-decoration:none}"
    "a:hover{text-decoration:underline}p{color:var(--dim)}@media(max-width:34rem){.d{display:none}}"
    "</style>";

static int by_kind_then_name(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    if (a->is_directory != b->is_directory) return a->is_directory ? -1 : 1;
    int order = strcasecmp(a->name, b->name);
    return order ? order : strcmp(a->name, b->name);
}

static int add_entry(struct listing *l, const char *name, const struct entry *like)
{
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct entry *entries = realloc(l->entries, room * sizeof *entries);
        if (!entries) return -ENOMEM;
        l->entries = entries;
        l->room = room;
    }
    struct entry *e = &l->entries[l->count];
    *e = *like;
    e->name = strdup(name);
    if (!e->name) return -ENOMEM;
    l->count++;
    return 0;
}

/* What a symbolic link leads to, if that is beneath the root. */
static bool follow_link(struct listing *l, const char *name, struct entry *out)
{
    char path[HTTP_PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s", l->path, name);
    ae_file *file;
    ae_file_stat st;

    if (length < 0 || (size_t)length >= sizeof path) return false;
    if (ae_file_open_beneath(l->root, path, O_PATH, &file) < 0) return false;
    int rc = ae_file_stat_of(file, &st);
    ae_file_close(file);
    if (rc < 0 || !(st.is_regular || st.is_directory)) return false;

    *out = (struct entry){ NULL, st.size, st.mtime_ns / 1000000000, st.is_directory };
    return true;
}

static bool look_at(struct listing *l, int dir_fd, const char *name, struct entry *out)
{
    struct stat st;

    if (name[0] == '.') return false;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return false;
    if (S_ISLNK(st.st_mode)) return follow_link(l, name, out);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return false;

    *out = (struct entry){ NULL, st.st_size, st.st_mtim.tv_sec, S_ISDIR(st.st_mode) };
    return true;
}

static int read_entries(struct listing *l, DIR *dir)
{
    for (struct dirent *d; (d = readdir(dir));) {
        struct entry e;
        if (!look_at(l, dirfd(dir), d->d_name, &e)) continue;
        if (l->count == ENTRIES_MAX) {
            l->cut_short = true;
            return 0;
        }
        int rc = add_entry(l, d->d_name, &e);
        if (rc < 0) return rc;
    }
    return 0;
}

static int read_directory(struct listing *l)
{
    ae_file *file;
    int rc = ae_file_open_beneath(l->root, l->path, O_RDONLY | O_DIRECTORY, &file);
    if (rc < 0) return rc;

    int fd = fcntl(ae_file_fd(file), F_DUPFD_CLOEXEC, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    rc = dir ? read_entries(l, dir) : -errno;
    if (dir) {
        closedir(dir);
    } else if (fd >= 0) {
        close(fd);
    }
    ae_file_close(file);
    return rc;
}

static void write_size(struct http_text *out, int64_t size)
{
    static const char *const UNITS[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
    double value = (double)size / 1024;
    size_t unit = 0;

    if (size < 1024) {
        ae__http_text_addf(out, "%" PRId64 " B", size);
        return;
    }
    for (; value >= 1024 && unit < 4; unit++) value /= 1024;
    ae__http_text_addf(out, "%.1f %s", value, UNITS[unit]);
}

static void write_entry(struct http_text *out, const struct entry *e)
{
    const char *slash = e->is_directory ? "/" : "";
    time_t when = (time_t)e->modified_s;
    char date[24] = "";
    struct tm tm;

    if (gmtime_r(&when, &tm)) strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);
    ae__http_text_addf(out, "<tr><td><a href=\"./");
    ae__http_text_add_url(out, e->name);
    ae__http_text_addf(out, "%s\">", slash);
    ae__http_text_add_html(out, e->name);
    ae__http_text_addf(out, "%s</a></td><td class=\"n\">", slash);
    if (e->is_directory) {
        ae__http_text_addf(out, "–");
    } else {
        write_size(out, e->size);
    }
    ae__http_text_addf(out, "</td><td class=\"n d\">%s</td></tr>\n", date);
}

static void write_page(struct listing *l)
{
    struct http_text *out = l->out;

    ae__http_text_add(out, HEAD, sizeof HEAD - 1);
    ae__http_text_addf(out, "<title>");
    ae__http_text_add_html(out, l->title);
    ae__http_text_addf(out, "</title></head><body><h1>");
    ae__http_text_add_html(out, l->title);
    ae__http_text_addf(out, "</h1>\n<table><thead><tr><th>Name</th><th class=\"n\">Size</th>"
                            "<th class=\"n d\">Modified, UTC</th></tr></thead><tbody>\n");
    if (l->has_parent) {
        ae__http_text_addf(out, "<tr><td><a href=\"../\">../</a></td><td></td>"
                                "<td class=\"d\"></td></tr>\n");
    }
    for (size_t i = 0; i < l->count; i++) write_entry(out, &l->entries[i]);
    ae__http_text_addf(out, "</tbody></table>\n");
    if (l->count == 0) ae__http_text_addf(out, "<p>Nothing here.</p>\n");
    if (l->cut_short) {
        ae__http_text_addf(out, "<p>Only the first %d entries are shown.</p>\n", ENTRIES_MAX);
    }
    ae__http_text_addf(out, "</body></html>\n");
}

static int make_listing(void *arg)
{
    struct listing *l = arg;
    int rc = read_directory(l);

    if (rc == 0) {
        if (l->count > 0) qsort(l->entries, l->count, sizeof l->entries[0], by_kind_then_name);
        write_page(l);
        if (l->out->failed) rc = -ENOMEM;
    }
    for (size_t i = 0; i < l->count; i++) free(l->entries[i].name);
    free(l->entries);
    return rc;
}

int ae__http_listing(ae_file *root, const char *path, const char *title, bool has_parent,
                     struct http_text *out)
{
    struct listing listing = {
        .root = root, .path = path, .title = title, .has_parent = has_parent, .out = out
    };
    static const ae_job_opts on_files = { .lane = AE_LANE_FILES };
    int rc = ae_blocking_opts(&on_files, make_listing, &listing);

    if (rc < 0) ae__http_text_free(out);
    return rc;
}
