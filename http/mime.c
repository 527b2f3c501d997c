/* SPDX-License-Identifier: Apache-2.0 */
/* Content types by the ending of a file's name. Anything unknown is bytes: with "nosniff" a browser
 * then offers to save it instead of guessing. */
#include "files.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *ending;
    const char *type;
} TYPES[] = {
    { "7z", "application/x-7z-compressed" },
    { "aac", "audio/aac" },
    { "apng", "image/apng" },
    { "atom", "application/atom+xml" },
    { "avif", "image/avif" },
    { "bmp", "image/bmp" },
    { "br", "application/x-brotli" },
    { "bz2", "application/x-bzip2" },
    { "c", "text/plain; charset=utf-8" },
    { "conf", "text/plain; charset=utf-8" },
    { "cpp", "text/plain; charset=utf-8" },
    { "css", "text/css; charset=utf-8" },
    { "csv", "text/csv; charset=utf-8" },
    { "eot", "application/vnd.ms-fontobject" },
    { "epub", "application/epub+zip" },
    { "flac", "audio/flac" },
    { "gif", "image/gif" },
    { "gz", "application/gzip" },
    { "h", "text/plain; charset=utf-8" },
    { "htm", "text/html; charset=utf-8" },
    { "html", "text/html; charset=utf-8" },
    { "ico", "image/vnd.microsoft.icon" },
    { "ics", "text/calendar; charset=utf-8" },
    { "ini", "text/plain; charset=utf-8" },
    { "jpeg", "image/jpeg" },
    { "jpg", "image/jpeg" },
    { "js", "text/javascript; charset=utf-8" },
    { "json", "application/json" },
    { "jsonld", "application/ld+json" },
    { "jxl", "image/jxl" },
    { "log", "text/plain; charset=utf-8" },
    { "m4a", "audio/mp4" },
    { "map", "application/json" },
    { "md", "text/markdown; charset=utf-8" },
    { "mjs", "text/javascript; charset=utf-8" },
    { "mov", "video/quicktime" },
    { "mp3", "audio/mpeg" },
    { "mp4", "video/mp4" },
    { "mpeg", "video/mpeg" },
    { "oga", "audio/ogg" },
    { "ogg", "audio/ogg" },
    { "ogv", "video/ogg" },
    { "opus", "audio/ogg" },
    { "otf", "font/otf" },
    { "pdf", "application/pdf" },
    { "png", "image/png" },
    { "py", "text/plain; charset=utf-8" },
    { "rs", "text/plain; charset=utf-8" },
    { "rss", "application/rss+xml" },
    { "rtf", "application/rtf" },
    { "sh", "text/plain; charset=utf-8" },
    { "svg", "image/svg+xml" },
    { "tar", "application/x-tar" },
    { "tif", "image/tiff" },
    { "tiff", "image/tiff" },
    { "toml", "application/toml" },
    { "ts", "text/plain; charset=utf-8" },
    { "ttf", "font/ttf" },
    { "txt", "text/plain; charset=utf-8" },
    { "vtt", "text/vtt; charset=utf-8" },
    { "wasm", "application/wasm" },
    { "wav", "audio/wav" },
    { "weba", "audio/webm" },
    { "webm", "video/webm" },
    { "webmanifest", "application/manifest+json" },
    { "webp", "image/webp" },
    { "woff", "font/woff" },
    { "woff2", "font/woff2" },
    { "xhtml", "application/xhtml+xml" },
    { "xml", "application/xml" },
    { "xz", "application/x-xz" },
    { "yaml", "application/yaml" },
    { "yml", "application/yaml" },
    { "zip", "application/zip" },
    { "zst", "application/zstd" },
};

/* Files that have a name but no ending. */
static const char *const PLAIN[] = { "LICENSE", "Makefile", "README", "Dockerfile", "CHANGELOG" };

static const char *by_ending(const char *ending)
{
    size_t low = 0, high = sizeof TYPES / sizeof TYPES[0];

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcasecmp(ending, TYPES[middle].ending);
        if (order == 0) return TYPES[middle].type;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return "application/octet-stream";
}

const char *ae__http_mime_type(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');

    if (dot && dot != base) return by_ending(dot + 1);
    for (size_t i = 0; i < sizeof PLAIN / sizeof PLAIN[0]; i++) {
        if (strcmp(base, PLAIN[i]) == 0) return "text/plain; charset=utf-8";
    }
    return "application/octet-stream";
}
