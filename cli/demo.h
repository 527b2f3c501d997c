/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `aether demo` share. */
#ifndef AETHER_CLI_DEMO_H
#define AETHER_CLI_DEMO_H

#include "histogram.h"

#include <aether/http_server.h>
#include <aether/sync.h>
#include <stdatomic.h>

struct chat;

struct demo {
    ae_http_server *server;
    struct chat *chat;     /* NULL: this build has none */
    int64_t started_ns;
    atomic_bool ending;    /* the drain has begun: event streams end themselves */
    atomic_uint watchers;  /* event streams open now */
    ae_sem hashing;        /* how many hashes may be on the pool at once */
    struct histogram latency;
};

/* demo_metrics.c */
int demo_measure(ae_http *h); /* middleware: what the handlers take */
int demo_events(ae_http *h);  /* the figures, four times a second */

/* demo_hash.c: /hash?n=COUNT&inline=1 */
int demo_hash(ae_http *h);

#endif
