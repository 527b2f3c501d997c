/* SPDX-License-Identifier: Apache-2.0 */
/* The server's clock and its timeouts: one task that wakes several times a second while there are
 * connections, sets the clock that all of them count from, and ends what is overdue. When a crowd
 * has gone, it gives the memory of its requests back to the kernel. */
#include "server.h"

#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define CROWD 256    /* connections whose memory is worth the trouble */
#define CROWD_LEFT 8 /* a crowd has gone when one in so many is left */

_Static_assert(HTTP_DATE_BYTES <= DATE_WORDS * sizeof(uint64_t), "the date fits its words");

/* Whoever sees the second change first writes it down. */
static void set_date(struct date_cache *date, int64_t now)
{
    int64_t before = atomic_load_explicit(&date->second, memory_order_relaxed);
    uint64_t words[DATE_WORDS] = { 0 };
    char text[HTTP_DATE_BYTES];
    unsigned slot;

    if (now == before || !atomic_compare_exchange_strong(&date->second, &before, now)) return;
    ae__http_date_format(now, text);
    memcpy(words, text, sizeof(text));
    slot = (atomic_load_explicit(&date->slot, memory_order_relaxed) + 1) % DATE_SLOTS;
    for (int i = 0; i < DATE_WORDS; i++)
        atomic_store_explicit(&date->words[slot][i], words[i], memory_order_relaxed);
    atomic_store_explicit(&date->slot, slot, memory_order_release);
}

void ae__http_date_now(ae_http_server *server, char *out)
{
    struct date_cache *date = &server->date;
    unsigned slot = atomic_load_explicit(&date->slot, memory_order_acquire);
    uint64_t words[DATE_WORDS];

    for (int i = 0; i < DATE_WORDS; i++)
        words[i] = atomic_load_explicit(&date->words[slot][i], memory_order_relaxed);
    memcpy(out, words, HTTP_DATE_BYTES - 1);
}

/* Acceptors call it too: the reaper sleeps while nobody is connected. */
void ae__http_clock_set(ae_http_server *server)
{
    atomic_store_explicit(&server->now_ns, ae_now(), memory_order_relaxed);
    set_date(&server->date, (int64_t)time(NULL));
}

static void rest_if_empty(ae_http_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (server->live == 0) ae_event_reset(&server->populated);
    pthread_mutex_unlock(&server->lock);
}

/* malloc keeps what is freed: a crowd that sent 30 KB of head each would stay paid for. */
static int give_back(void *unused)
{
    (void)unused;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    return 0;
}

/* The most connections since the last call that found a crowd gone. On the pool: it takes long. */
static size_t after_crowd(ae_http_server *server, size_t most)
{
    size_t live = ae__http_registry_live(server);

    if (live > most) return live;
    if (most < CROWD || live > most / CROWD_LEFT) return most;
    (void)!ae_blocking(give_back, NULL);
    return live;
}

int ae__http_reaper(void *arg)
{
    ae_http_server *server = arg;
    size_t most = 0;

    while (ae_event_wait(&server->populated) == 0 && ae_sleep(server->tick_ns) == 0) {
        ae__http_clock_set(server);
        ae__http_registry_sweep(server);
        most = after_crowd(server, most);
        rest_if_empty(server);
    }
    return 0;
}
