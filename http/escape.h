/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding (RFC 3986 §2.1) of paths and queries. */
#ifndef AETHER_HTTP_ESCAPE_H
#define AETHER_HTTP_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* False for a path with a bad escape, an escaped NUL, or a dot segment, however it is written.
 * `*escaped`: there is an escape in it. */
bool ae__http_path_ok(const char *path, size_t size, bool *escaped);
bool ae__http_has_escaped_slash(const char *at, size_t size);
/* Decode in place and put a NUL behind; gives the new length. Bad escapes stay as they are.
 * `plus`: '+' is a space, as in forms. */
size_t ae__http_unescape(char *at, size_t size, bool plus);

#endif
