/* SPDX-License-Identifier: Apache-2.0 */
/* Engines: what answers. One engine serves all models of its folder; a stream is one answer being
 * written. `fake` and `llama` differ in their backend (backend.h); everything here is the same.
 *
 * Models are computed on threads of the engine's own, at a lower priority, never on a worker. The
 * running streams take turns a token each, and long prompts are read in chunks between them. */
#ifndef AETHER_CHAT_ENGINE_H
#define AETHER_CHAT_ENGINE_H

#include <aether/defs.h>

#include "models.h"

struct chat_engine;
struct chat_stream;

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };

/* One message of a conversation. The text is UTF-8 and never becomes special tokens. */
struct chat_turn {
    enum chat_role role;
    const char *text;
    size_t length;
};

/* Zeroes are good defaults. Strings must live as long as the engine. */
struct chat_engine_config {
    const char *spec;         /* "llama", or "fake[:token_us[,prompt_us]]"; NULL = "llama" */
    const char *models_folder; /* where the *.gguf lie; need not exist yet */
    const char *module;       /* file of the llama module; NULL = looked for, see engine_llama.c */
    unsigned threads;         /* that compute; 0 = half the CPUs */
    unsigned context_tokens;  /* of a stream, prompt and answer; 0 = the model's, at most 8192 */
    unsigned streams_max;     /* that run at once; 0 = 4. Others wait in order */
    unsigned queue_max;       /* that wait; 0 = 64 */
};

/* 0, -EINVAL (spec), -ENOMEM, -EAGAIN (no thread). A module or folder that is not there yet is no
 * error: both are looked for at each use, so no restart is needed. Colour: any thread. */
int chat_engine_create(const struct chat_engine_config *config, struct chat_engine **out)
    AE_MUST_CHECK;

/* Every stream must have been freed. Ends the compute thread (150 ms at most). Accepts NULL.
 * Colour: a plain thread. */
void chat_engine_destroy(struct chat_engine *engine);

/* "fake" or "llama". Colour: any thread. */
const char *chat_engine_kind(const struct chat_engine *engine);

/* 0: it can compute; -ENODEV: its module has not been built yet; -ELIBBAD: it does not fit.
 * Colour: any thread, may block. */
int chat_engine_ready(struct chat_engine *engine) AE_MUST_CHECK;

/* The models there are now, sorted by name, freed with chat_models_free. 0, -ENOMEM, -ECANCELED.
 * Colour: any thread, may block. */
int chat_engine_models(struct chat_engine *engine, struct chat_models *out) AE_MUST_CHECK;

/* Tokens of the text alone, in the tokenizer of that model, which is loaded if need be. A count or
 * -ENOENT (no such model), -ENODEV, -ENOEXEC (its file is broken), -ENOMEM, -ECANCELED.
 * Colour: any thread, may block. */
ssize_t chat_engine_count(struct chat_engine *engine, const char *model, const char *text,
                          size_t length) AE_MUST_CHECK;

/* The same for a conversation as the model will read it: with its template and special tokens. */
ssize_t chat_engine_count_turns(struct chat_engine *engine, const char *model,
                                const struct chat_turn *turns, size_t count) AE_MUST_CHECK;

struct chat_request {
    const char *model;
    const struct chat_turn *turns; /* copied */
    size_t turns_count;
    unsigned max_tokens;      /* of the answer; 0 = what the context has room for */
    bool sampling;            /* false: the four below are the engine's own choice */
    float temperature;        /* 0 = always the likeliest */
    float top_p;              /* 1 = off */
    unsigned top_k;           /* 0 = off */
    uint64_t seed;            /* 0 = random */
    const char *const *stops; /* end the answer, and are not in it; copied */
    size_t stops_count;       /* at most CHAT_STOPS_MAX */
};

#define CHAT_STOPS_MAX 8
#define CHAT_STOP_BYTES_MAX 128

/* Begin an answer: loads the model if need be, then queues. Free it with chat_stream_free.
 * 0; -E2BIG: the conversation does not fit into the context; -EAGAIN: too many wait; -EINVAL:
 * bad stops, no turns; and the errors of chat_engine_count. Colour: any thread, may block. */
int chat_stream_start(struct chat_engine *engine, const struct chat_request *request,
                      struct chat_stream **out) AE_MUST_CHECK;

/* The text written since the last call, waiting until there is some: its length, whole UTF-8
 * characters, at most `size` (>= 4); 0 at the end, then see chat_stream_result. -ECANCELED: the
 * caller's scope ended, the stream runs on. One reader at a time. Colour: task, may suspend. */
ssize_t chat_stream_next(struct chat_stream *stream, char *buf, size_t size) AE_MUST_CHECK;

/* Ask it to end: the compute thread leaves it within 50 ms between tokens and 150 ms in a prompt.
 * What was written is still delivered. Colour: any thread, never suspends. */
void chat_stream_cancel(struct chat_stream *stream);

/* Cancels it if it runs. Accepts NULL. Colour: any thread, never suspends. */
void chat_stream_free(struct chat_stream *stream);

enum chat_end {
    CHAT_RUNNING,
    CHAT_STOP,      /* the model ended its answer, or a stop string came */
    CHAT_LENGTH,    /* max_tokens or the end of the context */
    CHAT_CANCELLED,
    CHAT_FAILED,    /* see error */
};

struct chat_result {
    enum chat_end end;
    int error;                  /* of CHAT_FAILED: a negative errno value */
    unsigned prompt_tokens;     /* with template */
    unsigned prompt_done;       /* read so far */
    unsigned completion_tokens; /* text tokens written, without the end mark */
    int64_t queued_ns;          /* the three add up to the whole time */
    int64_t prompt_ns;
    int64_t answer_ns;
};

/* How far it is; final once chat_stream_next has returned 0. Colour: any thread. */
void chat_stream_result(struct chat_stream *stream, struct chat_result *out);

/* A sentence for people about an error of these functions. Colour: any thread. */
const char *chat_engine_error(int rc);

#endif
