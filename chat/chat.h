/* SPDX-License-Identifier: Apache-2.0 */
/* AetherAI: a chat with local models as part of a server. `aether chat` is it alone; `aether demo`
 * mounts it beside what it has itself. */
#ifndef AETHER_CHAT_CHAT_H
#define AETHER_CHAT_CHAT_H

#include <aether/http_server.h>

#define CHAT_HOSTS_MAX 16

struct chat;

/* Zeroes are good defaults. Strings must live as long as the chat. */
struct chat_opts {
    const char *engine;      /* as chat_engine_config.spec */
    const char *models;      /* folder; NULL: the user's, made if need be */
    const char *model;       /* what answers unless asked otherwise; NULL: the best there is */
    const char *store;       /* file; NULL: in memory */
    const char *key;         /* what API requests must bear; NULL: none */
    const char *fetch;       /* the command that the page names for fetching a model */
    const char *live;        /* where the server's own page of figures is; NULL: it has none */
    const char *hosts[CHAT_HOSTS_MAX]; /* names it goes by, besides localhost */
    size_t hosts_count;
    bool any_address;        /* it listens beyond this machine */
    bool sample;             /* open with the sample conversation */
};

/* Errors: those of chat_store_open and chat_engine_create, explained on stderr. Ends by
 * chat_destroy, which accepts NULL, after the server. Colour: a plain thread. */
int chat_create(const struct chat_opts *opts, struct chat **out) AE_MUST_CHECK;
void chat_destroy(struct chat *chat);

/* Its routes and its guard, which is around all routes of the server. Before serving. Errors are
 * the server's. Colour: any thread. */
void chat_mount(struct chat *chat, ae_http_server *server);

/* A task to run beside the server: when its scope is cancelled, answers under way end and are kept.
 * Its argument: the chat. */
int chat_watch(void *chat);

/* Where it looks for models. Colour: any thread. */
const char *chat_models_folder(const struct chat *chat);

/* All of it for another command: in memory, with the sample conversation. */
int chat_demo(ae_http_server *server, struct chat **out) AE_MUST_CHECK;

/* The command `aether chat`. */
int cmd_chat(int argc, char **argv);

/* Where a user's models and conversations lie: below $XDG_DATA_HOME, made if need be.
 * 0 or -errno. */
int chat_data_path(const char *name, char *out, size_t size) AE_MUST_CHECK;

#endif
