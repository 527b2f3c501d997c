/* SPDX-License-Identifier: Apache-2.0 */
/* The server's clock and its timeouts: one task that wakes several times a second while there are
 * connections, sets the clock that all of them count from, and ends what is overdue. */
#include "server.h"

#include <time.h>

/* Acceptors call it too: the reaper sleeps while nobody is connected. */
void ae__http_clock_set(ae_http_server *server)
{
    atomic_store_explicit(&server->now_ns, ae_now(), memory_order_relaxed);
    atomic_store_explicit(&server->unix_s, (int64_t)time(NULL), memory_order_relaxed);
}

static void rest_if_empty(ae_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (server->live == 0) ae_event_reset(&server->populated);
    pthread_mutex_unlock(&server->lock);
}

int ae__http_reaper(void *arg)
{
    ae_http_server *server = arg;

    while (ae_event_wait(&server->populated) == 0 && ae_sleep(server->tick_ns) == 0) {
        ae__http_clock_set(server);
        ae__http_registry_sweep(server);
        rest_if_empty(server);
    }
    return 0;
}
