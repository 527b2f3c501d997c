/* SPDX-License-Identifier: Apache-2.0 */
/* The page of AetherAI, in the binary: one row per file, made by bundle.py. */
#ifndef AETHER_CHAT_WEB_ASSETS_H
#define AETHER_CHAT_WEB_ASSETS_H

#include <stddef.h>

struct chat_asset {
    const char *path; /* of its URL, exactly: "/" or "/assets/app.js" */
    const char *type; /* Content-Type */
    const unsigned char *data;
    size_t size;
    const char *etag; /* with its quotes; changes with the data */
};

extern const struct chat_asset chat_assets[];
extern const size_t chat_assets_count;

/* The Content-Security-Policy that goes with each of them. Everything comes from this server, no
 * script or style stands in the page itself, and no string ever becomes HTML. */
#define CHAT_PAGE_POLICY \
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; " \
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; " \
    "form-action 'none'; frame-ancestors 'none'; " \
    "require-trusted-types-for 'script'; trusted-types aether"

#endif
