/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the chat share: its parts, and the answers being written now. */
#ifndef AETHER_CHAT_SERVER_H
#define AETHER_CHAT_SERVER_H

#include <aether/http.h>
#include <aether/sync.h>

#include "chat.h"
#include "engine.h"
#include "guard.h"
#include "store.h"

struct generation;

struct chat {
    struct chat_opts opts;   /* set at start, as are the next four */
    struct guard guard;
    struct chat_engine *engine;
    struct chat_store *store;
    char models[4096];
    ae_mutex mutex;          /* held for a few instructions, guards what follows */
    struct generation *running;
    bool ending;
};

/* ---- generation.c: an answer being written, so that others can stop it ---- */

/* 0; -EBUSY: one is being written in that conversation (0: belongs to none); -ESHUTDOWN: the server
 * ends; -ENOMEM. Colour of all: any thread; only generation_stop may block. */
int generation_begin(struct chat *chat, int64_t conversation, struct generation **out)
    AE_MUST_CHECK;
/* From now on `stream` is what is cancelled; until generation_end, which comes before its free. */
void generation_attach(struct generation *g, struct chat_stream *stream);
void generation_end(struct generation *g);

/* Stop what is written in that conversation and wait until it is kept. 0, also if there was none;
 * -ECANCELED. */
int generation_stop(struct chat *chat, int64_t conversation) AE_MUST_CHECK;
/* All of them, and none from now on. Does not wait. */
void generation_stop_all(struct chat *chat);

/* ---- pump.c: from an engine's stream to a client that may leave ---- */

struct pump {
    struct chat_stream *stream;
    /* A piece of text came; a while passed without any. A negative result ends the stream. */
    int (*text)(void *context, const char *text, size_t size);
    int (*quiet)(void *context);
    void *context;
};

/* Until the stream has ended. 0, or what a callback returned; the stream has ended then too.
 * Colour: task, may suspend. */
int pump_run(const struct pump *pump) AE_MUST_CHECK;

/* ---- routes ---- */

int api_status(ae_http *h);
int api_health(ae_http *h);
int api_list(ae_http *h);
int api_create(ae_http *h);
int api_read(ae_http *h);
int api_rename(ae_http *h);
int api_delete(ae_http *h);
int api_import(ae_http *h);
int api_ask(ae_http *h);
int api_regenerate(ae_http *h);
int api_stop(ae_http *h);
int openai_models(ae_http *h);
int openai_model(ae_http *h);
int openai_completions(ae_http *h);

/* ---- what they share ---- */

int64_t unix_ms(void);
/* The name of the model that answers: `asked`, or the default. 0, or -ENOENT: there is none. */
int chat_pick_model(struct chat *chat, const char *asked, char out[CHAT_MODEL_NAME_MAX + 1])
    AE_MUST_CHECK;
const char *chat_default_model(const struct chat *chat, const struct chat_models *models);

#endif
