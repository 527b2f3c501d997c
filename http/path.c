/* SPDX-License-Identifier: Apache-2.0 */
/* From the target of a request to a path beneath a directory.
 *
 * Each segment is decoded once and on its own, so that an escaped slash cannot make two of one and
 * an escaped "..", "%2e%2e", is seen as what it is. Dot segments are refused rather than resolved:
 * clients resolve them before they ask. The kernel refuses again whatever leaves the root
 * (ae_file_open_beneath), so a mistake here shows a wrong status, not a file. */
#include "files.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One character, decoded; moves *raw behind it. A negative errno value if it may not be there. */
static int decode_one(const char **raw)
{
    const char *p = *raw;

    if (*p != '%') {
        *raw = p + 1;
        return (unsigned char)*p;
    }
    int high = hex_digit(p[1]);
    int low = high < 0 ? -1 : hex_digit(p[2]);
    if (low < 0) return -EINVAL;

    int c = high * 16 + low;
    *raw = p + 3;
    return c == 0 || c == '/' ? -EINVAL : c;
}

static int check_segment(const char *segment, size_t length)
{
    if (length == 0) return -ENOENT;
    if (segment[0] != '.') return 0;
    if (length == 1 || (length == 2 && segment[1] == '.')) return -EINVAL;
    return -ENOENT;
}

int ae__http_path_decode(const char *raw, char out[HTTP_PATH_BYTES])
{
    size_t length = 0;

    while (*raw) {
        size_t start = length;
        while (*raw && *raw != '/') {
            int c = decode_one(&raw);
            if (c < 0) return c;
            if (length + 2 >= HTTP_PATH_BYTES) return -ENAMETOOLONG;
            out[length++] = (char)c;
        }
        int rc = check_segment(out + start, length - start);
        if (rc < 0) return rc;
        if (*raw == '/') {
            out[length++] = '/';
            raw++;
        }
    }
    if (length > 0 && out[length - 1] == '/') length--;
    if (length == 0) out[length++] = '.';
    out[length] = '\0';
    return 0;
}
