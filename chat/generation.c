/* SPDX-License-Identifier: Apache-2.0 */
/* The answers being written now. Each belongs to the handler of its request; this list lets others
 * stop it and wait until it has been kept. */
#include "server.h"

#include <errno.h>
#include <stdlib.h>

struct generation {
    struct chat *chat;
    struct generation *next;
    int64_t conversation;
    /* under the chat's mutex: */
    struct chat_stream *stream;
    bool stopped;
    unsigned holders;
    ae_event ended;
};

static struct generation *find(struct chat *chat, int64_t conversation)
{
    struct generation *g = chat->running;

    while (g && g->conversation != conversation) g = g->next;
    return g;
}

static int add(struct chat *chat, struct generation *g)
{
    if (chat->ending) return -ESHUTDOWN;
    if (g->conversation && find(chat, g->conversation)) return -EBUSY;
    g->next = chat->running;
    chat->running = g;
    return 0;
}

int generation_begin(struct chat *chat, int64_t conversation, struct generation **out)
{
    struct generation *g = calloc(1, sizeof *g);
    if (!g) return -ENOMEM;

    g->chat = chat;
    g->conversation = conversation;
    g->holders = 1;
    ae_mutex_lock(&chat->mutex);
    int rc = add(chat, g);
    ae_mutex_unlock(&chat->mutex);
    if (rc < 0) free(g);
    else *out = g;
    return rc;
}

static void stop(struct generation *g)
{
    g->stopped = true;
    if (g->stream) chat_stream_cancel(g->stream);
}

void generation_attach(struct generation *g, struct chat_stream *stream)
{
    ae_mutex_lock(&g->chat->mutex);
    g->stream = stream;
    if (g->stopped) stop(g);
    ae_mutex_unlock(&g->chat->mutex);
}

static void release(struct generation *g)
{
    struct chat *chat = g->chat;

    ae_mutex_lock(&chat->mutex);
    bool last = --g->holders == 0;
    ae_mutex_unlock(&chat->mutex);
    if (last) free(g);
}

void generation_end(struct generation *g)
{
    struct generation **at = &g->chat->running;

    ae_mutex_lock(&g->chat->mutex);
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    g->stream = NULL;
    ae_mutex_unlock(&g->chat->mutex);
    ae_event_set(&g->ended);
    release(g);
}

int generation_stop(struct chat *chat, int64_t conversation)
{
    if (conversation <= 0) return 0; /* what belongs to no conversation is nobody else's to stop */
    ae_mutex_lock(&chat->mutex);
    struct generation *g = find(chat, conversation);
    if (g) {
        g->holders++;
        stop(g);
    }
    ae_mutex_unlock(&chat->mutex);
    if (!g) return 0;
    int rc = ae_event_wait(&g->ended);
    release(g);
    return rc;
}

void generation_stop_all(struct chat *chat)
{
    ae_mutex_lock(&chat->mutex);
    chat->ending = true;
    for (struct generation *g = chat->running; g; g = g->next) stop(g);
    ae_mutex_unlock(&chat->mutex);
}
