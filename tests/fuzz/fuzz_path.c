/* SPDX-License-Identifier: Apache-2.0 */
/* Paths: what passes leads nowhere above the root, and nothing in it means something else. */
#include "../../http/escape.h"
#include "../../http/files.h"
#include "fuzz.h"

#include <stdbool.h>

/* Is one of the segments "." or ".."? */
static bool has_dots(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length == 1 && path[0] == '.') return true;
        if (length == 2 && path[0] == '.' && path[1] == '.') return true;
        path += length + (path[length] == '/');
    }
    return false;
}

static void check_file(const char *raw)
{
    static char out[HTTP_PATH_BYTES];

    if (ae__http_path_decode(raw, out) != 0) return;
    CHECK(strlen(out) < HTTP_PATH_BYTES);
    CHECK(out[0] != '/');
    CHECK(strcmp(out, ".") == 0 || !has_dots(out));
}

static void check_route(const uint8_t *data, size_t size)
{
    char *copy = copy_of(data, size);
    bool escaped = false, ok = ae__http_path_ok(copy, size, &escaped);
    size_t length = ae__http_unescape(copy, size, false);

    CHECK(length <= size && copy[length] == '\0');
    if (ok && !memchr(data, '\0', size)) {
        CHECK(strlen(copy) == length);
        CHECK(!has_dots(copy));
        CHECK(escaped == (memchr(data, '%', size) != NULL));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = copy_of(data, size), *form = copy_of(data, size);

    check_file(text);
    check_route(data, size);
    CHECK(ae__http_unescape(form, size, true) <= size);
    free(form);
    free(text);
    return 0;
}
