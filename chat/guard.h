/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask: a middleware before all routes. A chat on this machine must not be reached by a web
 * page of somebody else, neither by a name that resolves here (DNS rebinding: the Host must be
 * ours) nor by a request across sites (the Origin must be the page's own). */
#ifndef AETHER_CHAT_GUARD_H
#define AETHER_CHAT_GUARD_H

#include <aether/http.h>

#define GUARD_NAMES_MAX 16
#define GUARD_KEY_MIN 16

/* Set before serving; strings are borrowed. */
struct guard {
    const char *names[GUARD_NAMES_MAX]; /* hosts besides this machine's own names */
    size_t names_count;
    const char *key;     /* NULL: none is asked for */
    bool any_address;    /* listens beyond loopback: any IP address is a good Host, names are not */
    const char *policy;  /* the Content-Security-Policy of all answers that set none */
};

int guard_middleware(ae_http *h); /* its context: the guard */

/* Pieces of it, for tests and fuzzing. Colour: any thread. */
bool guard_host_ok(const struct guard *guard, const char *authority);
bool guard_origin_ok(const char *origin, const char *authority);
bool guard_key_ok(const char *key, const char *authorization);

/* Whether an address to listen at can be reached from this machine only. */
bool guard_is_loopback(const char *address);

#endif
