/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the engine share: engine.c (create, models, counts), engine_loaded.c (which
 * models are in memory), stream.c (the reader's side), stream_text.c (what may be shown already),
 * sched.c (the compute thread).
 *
 * Who may do what. The compute thread has a lower priority, so it may be descheduled anywhere and
 * for long; a lock it held would then hold up workers. So it takes none, and calls nothing of the
 * runtime: streams come to it by an atomic list and a semaphore, and go from it by atomic words and
 * an eventfd of each stream. Everything that blocks otherwise (files, loading, tokenizing) runs on
 * the blocking pool. */
#ifndef AETHER_CHAT_ENGINE_PRIVATE_H
#define AETHER_CHAT_ENGINE_PRIVATE_H

#include <pthread.h>
#include <semaphore.h>

#include <aether/sync.h>

#include "backend.h"

#define STREAMS_MAX 16
#define LOADED_MAX 2 /* models in memory at once */
#define PIECE_BYTES_MAX 512
#define CHUNK_BYTES 4080

/* A slot of a model: made on the pool, then the compute thread's alone. */
struct slot {
    struct chat_backend_slot *backend;
    struct chat_tokens seen; /* what it holds: a new prompt that begins so need not read it again */
    bool busy;
};

struct loaded {
    struct loaded *next;
    struct chat_backend_model *model;
    const struct chat_backend *backend;
    unsigned context_tokens, slots_max;
    atomic_uint refs;
    int64_t used_ns;
    atomic_uint slots_count; /* published after the slot */
    struct slot slots[STREAMS_MAX];
    int64_t prompt_token_ns; /* compute thread: how long one took lately */
    char name[CHAT_MODEL_NAME_MAX + 1];
};

/* Text that was computed and may not be shown yet: half characters, what may become a stop. */
struct text_gate {
    char held[CHAT_STOP_BYTES_MAX + PIECE_BYTES_MAX + 8];
    size_t length;
    size_t stops_count;
    char stops[CHAT_STOPS_MAX][CHAT_STOP_BYTES_MAX + 1];
};

/* A list of chunks from one writer (the compute thread) to one reader. */
struct text_chunk {
    _Atomic(struct text_chunk *) next;
    atomic_uint used;
    char data[CHUNK_BYTES];
};

struct text_pipe {
    struct text_chunk *tail; /* writer */
    struct text_chunk *head; /* reader */
    unsigned taken;          /* reader: of head */
    char half[4];            /* reader: the beginning of a character */
    size_t half_length;
    atomic_bool ended;
    atomic_bool waiting;     /* the reader wants the eventfd written */
    int wake_fd;
};

enum phase { PHASE_WAITING, PHASE_PROMPT, PHASE_ANSWER };

struct chat_stream {
    /* set at start */
    struct chat_engine *engine;
    struct loaded *model;
    struct chat_tokens prompt;
    struct chat_sampling sampling;
    unsigned max_tokens;
    int64_t started_ns;

    /* shared */
    atomic_uint refs; /* the reader's and the compute thread's */
    atomic_bool cancelled;
    atomic_uint prompt_done, completion_tokens;
    struct text_pipe pipe;

    /* compute thread; result is the reader's once the pipe has ended */
    struct chat_stream *next;
    struct slot *slot;
    enum phase phase;
    int32_t last_token;
    int64_t admitted_ns, answering_ns;
    struct text_gate gate;
    struct chat_result result;
};

struct chat_engine {
    /* set at start */
    const struct chat_backend *fake; /* NULL: the llama module is looked for */
    const char *options;
    struct chat_engine_config config;
    pthread_t thread;

    /* under lists */
    ae_mutex lists;
    struct loaded *loaded;
    const struct chat_backend *module;
    void *module_handle;

    ae_mutex loading; /* held while a model is loaded; taken before lists */

    /* shared with the compute thread */
    atomic_uint streams; /* started and not ended */
    _Atomic(struct chat_stream *) submitted;
    atomic_bool ending;
    sem_t work;

    /* compute thread */
    struct chat_stream *queue, **queue_end;
    struct chat_stream *running[STREAMS_MAX];
    unsigned running_count;
    unsigned turn; /* whose prompt is next */
};

/* ---- engine_module.c ---- */

/* The module of the llama backend: -ENODEV if there is none, -ELIBBAD if it does not fit. Called
 * with `lists` held. */
int chat_module_load(const char *path, void **handle, const struct chat_backend **out);
void chat_module_unload(void *handle);

/* ---- engine_loaded.c: on plain threads ---- */

int chat_engine_backend(struct chat_engine *engine, const struct chat_backend **out);
int chat_loaded_acquire(struct chat_engine *engine, const char *name, struct loaded **out);
void chat_loaded_release(struct loaded *loaded); /* any thread */
int chat_loaded_add_slot(struct chat_engine *engine, struct loaded *loaded);
void chat_loaded_mark(struct chat_engine *engine, struct chat_models *models);
void chat_loaded_free_all(struct chat_engine *engine);

/* ---- sched.c ---- */

int chat_sched_start(struct chat_engine *engine);
void chat_sched_stop(struct chat_engine *engine);
void chat_sched_submit(struct chat_engine *engine, struct chat_stream *stream); /* any thread */

/* ---- stream_text.c ---- */

/* Takes bytes that were computed, gives what may be shown now in `out` (room for all that is held
 * and three times the bytes) and its length. True: a stop string came, the text ends before it. */
bool chat_gate_push(struct text_gate *gate, const char *bytes, size_t length, char *out,
                    size_t *shown);
/* The end: the rest. */
size_t chat_gate_flush(struct text_gate *gate, char *out);
#define GATE_OUT_MAX (3 * sizeof(((struct text_gate *)0)->held))

int chat_pipe_init(struct text_pipe *pipe);
void chat_pipe_finish(struct text_pipe *pipe);
int chat_pipe_write(struct text_pipe *pipe, const char *text, size_t length); /* 0, -ENOMEM */
void chat_pipe_end(struct text_pipe *pipe);
size_t chat_pipe_take(struct text_pipe *pipe, char *buf, size_t size);

/* ---- stream.c ---- */

void chat_stream_unref(struct chat_stream *stream); /* any thread */

#endif
