/* SPDX-License-Identifier: Apache-2.0 */
/* The step loop: one thread that computes all streams of an engine, in turn.
 *
 * A step is one token of every stream that is answering, then a chunk of one prompt that is being
 * read. So a long prompt that arrives costs the others a bounded gap, not its whole reading time:
 * the chunk's size follows what a prompt token took lately. Nobody else is answering: the chunk is
 * larger, since a batch reads faster. A cancelled stream is left between tokens, and in the middle
 * of a chunk.
 *
 * The thread is nicer than the workers (one that wakes gets the CPU soon; idle priority was tried:
 * beside a compiler that ran at nice 10 an answer came at 5 tokens a second instead of 150) and
 * therefore holds no lock but malloc's and calls nothing of the runtime: engine_private.h. ggml's
 * own threads inherit its niceness. */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <aether/time.h>

#include "engine_private.h"

#define NICER 5
#define CHUNK_BESIDE_NS (60 * AE_MS) /* of a prompt, while others are answering */
#define CHUNK_ALONE_NS (200 * AE_MS)
#define CHUNK_TOKENS_FIRST 16        /* before anything was measured */
#define CHUNK_TOKENS_LEAST 4
#define CHUNK_TOKENS_MOST 512

/* ---- the end of a stream ---- */

static void finish(struct chat_engine *engine, struct chat_stream *stream, enum chat_end end,
                   int error)
{
    char rest[GATE_OUT_MAX];
    size_t length = chat_gate_flush(&stream->gate, rest);
    if (chat_pipe_write(&stream->pipe, rest, length) < 0 && error == 0) {
        end = CHAT_FAILED;
        error = -ENOMEM;
    }
    struct chat_result *result = &stream->result;
    int64_t now = ae_now();
    int64_t admitted = stream->admitted_ns ? stream->admitted_ns : now;
    int64_t answering = stream->answering_ns ? stream->answering_ns : now;
    result->end = end;
    result->error = error;
    result->prompt_done = atomic_load(&stream->prompt_done);
    result->completion_tokens = atomic_load(&stream->completion_tokens);
    result->queued_ns = admitted - stream->started_ns;
    result->prompt_ns = answering - admitted;
    result->answer_ns = now - answering;
    if (stream->slot) stream->slot->busy = false;
    atomic_fetch_sub(&engine->streams, 1);
    chat_pipe_end(&stream->pipe);
    chat_stream_unref(stream);
}

static void finish_running(struct chat_engine *engine, unsigned index, enum chat_end end, int error)
{
    struct chat_stream *stream = engine->running[index];
    engine->running_count--;
    for (unsigned i = index; i < engine->running_count; i++) {
        engine->running[i] = engine->running[i + 1];
    }
    finish(engine, stream, end, error);
}

/* ---- coming in ---- */

/* The list is last in, first out. */
static void take_submitted(struct chat_engine *engine)
{
    struct chat_stream *stream = atomic_exchange(&engine->submitted, NULL), *in_order = NULL;
    while (stream) {
        struct chat_stream *next = stream->next;
        stream->next = in_order;
        in_order = stream;
        stream = next;
    }
    while (in_order) {
        *engine->queue_end = in_order;
        engine->queue_end = &in_order->next;
        in_order = in_order->next;
    }
}

static size_t common(const struct chat_tokens *a, const struct chat_tokens *b)
{
    size_t least = a->count < b->count ? a->count : b->count, same = 0;
    while (same < least && a->ids[same] == b->ids[same]) {
        same++;
    }
    return same;
}

/* The free slot that holds most of the prompt already. */
static struct slot *best_slot(struct loaded *model, const struct chat_tokens *prompt)
{
    struct slot *best = NULL;
    size_t best_same = 0;
    unsigned count = atomic_load(&model->slots_count);
    for (unsigned i = 0; i < count; i++) {
        struct slot *slot = &model->slots[i];
        if (slot->busy) continue;
        size_t same = common(&slot->seen, prompt);
        if (best && same <= best_same) continue;
        best = slot;
        best_same = same;
    }
    return best;
}

/* At least the last token of the prompt is computed: what follows it must be known. */
static void begin_prompt(struct chat_stream *stream, struct slot *slot)
{
    const struct chat_backend *backend = stream->model->backend;
    size_t keep = common(&slot->seen, &stream->prompt);
    if (keep == stream->prompt.count) keep--;
    if (!backend->truncate(slot->backend, keep)) keep = 0;
    slot->seen.count = keep;
    slot->busy = true;
    backend->begin(slot->backend, &stream->sampling);
    stream->slot = slot;
    stream->phase = PHASE_PROMPT;
    stream->admitted_ns = ae_now();
    atomic_store(&stream->prompt_done, (unsigned)keep);
}

static bool admit(struct chat_engine *engine, struct chat_stream *stream)
{
    if (engine->running_count >= engine->config.streams_max) return false;
    struct slot *slot = best_slot(stream->model, &stream->prompt);
    if (!slot) return false;
    begin_prompt(stream, slot);
    engine->running[engine->running_count++] = stream;
    return true;
}

/* In order; one whose model has no free slot lets others by. */
static void admit_waiting(struct chat_engine *engine)
{
    for (struct chat_stream **at = &engine->queue; *at;) {
        struct chat_stream *stream = *at, *next = stream->next;
        bool cancelled = atomic_load(&stream->cancelled);
        if (!cancelled && !admit(engine, stream)) {
            at = &stream->next;
            continue;
        }
        *at = next;
        if (!next) engine->queue_end = at;
        if (cancelled) finish(engine, stream, CHAT_CANCELLED, 0);
    }
}

/* ---- computing ---- */

static void remember(struct slot *slot, const int32_t *tokens, size_t count)
{
    memcpy(slot->seen.ids + slot->seen.count, tokens, count * sizeof(*tokens));
    slot->seen.count += count;
}

static int eval(struct chat_stream *stream, const int32_t *tokens, size_t count)
{
    int rc = stream->model->backend->eval(stream->slot->backend, tokens, count,
                                          &stream->cancelled);
    if (rc == 0) remember(stream->slot, tokens, count);
    return rc;
}

/* The next token, and its text to the reader. CHAT_RUNNING if more may follow. */
static enum chat_end next_token(struct chat_stream *stream, int *error)
{
    const struct chat_backend *backend = stream->model->backend;
    int32_t token = backend->sample(stream->slot->backend);
    if (token < 0) {
        *error = token;
        return CHAT_FAILED;
    }
    if (backend->ends(stream->model->model, token)) return CHAT_STOP;
    char piece[PIECE_BYTES_MAX], shown[GATE_OUT_MAX];
    size_t length = backend->piece(stream->model->model, token, piece, sizeof(piece)), count = 0;
    bool stop = chat_gate_push(&stream->gate, piece, length, shown, &count);
    unsigned tokens = atomic_fetch_add(&stream->completion_tokens, 1) + 1;
    *error = chat_pipe_write(&stream->pipe, shown, count);
    stream->last_token = token;
    if (*error < 0) return CHAT_FAILED;
    return stop ? CHAT_STOP : tokens >= stream->max_tokens ? CHAT_LENGTH : CHAT_RUNNING;
}

/* False: it has ended and is no longer at `index`. */
static bool go_on(struct chat_engine *engine, unsigned index, int rc)
{
    enum chat_end end = CHAT_RUNNING;
    int error = 0;
    if (rc == -ECANCELED) {
        end = CHAT_CANCELLED;
    } else if (rc < 0) {
        end = CHAT_FAILED;
        error = rc;
    } else {
        end = next_token(engine->running[index], &error);
    }
    if (end != CHAT_RUNNING) finish_running(engine, index, end, error);
    return end == CHAT_RUNNING;
}

static unsigned answer_step(struct chat_engine *engine)
{
    unsigned answering = 0;
    for (unsigned i = 0; i < engine->running_count;) {
        struct chat_stream *stream = engine->running[i];
        bool gone = atomic_load(&stream->cancelled);
        if (stream->phase != PHASE_ANSWER && !gone) {
            i++;
            continue;
        }
        bool runs = go_on(engine, i, gone ? -ECANCELED : eval(stream, &stream->last_token, 1));
        i += runs;
        answering += runs;
    }
    return answering;
}

/* ---- prompts ---- */

static size_t chunk_tokens(const struct loaded *model, int64_t budget_ns)
{
    if (model->prompt_token_ns == 0) return CHUNK_TOKENS_FIRST;
    int64_t tokens = budget_ns / model->prompt_token_ns;
    if (tokens < CHUNK_TOKENS_LEAST) return CHUNK_TOKENS_LEAST;
    return tokens > CHUNK_TOKENS_MOST ? CHUNK_TOKENS_MOST : (size_t)tokens;
}

/* The slower of the last measure and the average: a machine that became busy counts at once. */
static void measured(struct loaded *model, int64_t ns, size_t tokens)
{
    int64_t each = ns / (int64_t)tokens + 1;
    int64_t old = model->prompt_token_ns ? model->prompt_token_ns : each;
    model->prompt_token_ns = each > old ? each : (3 * old + each) / 4;
}

/* Whose turn it is to have a chunk read, or running_count. */
static unsigned next_prompt(struct chat_engine *engine)
{
    unsigned count = engine->running_count;
    for (unsigned i = 0; i < count; i++) {
        unsigned index = (engine->turn + i) % count;
        if (engine->running[index]->phase != PHASE_PROMPT) continue;
        engine->turn = index + 1;
        return index;
    }
    return count;
}

static void prompt_step(struct chat_engine *engine, bool beside)
{
    unsigned index = next_prompt(engine);
    if (index == engine->running_count) return;
    struct chat_stream *stream = engine->running[index];
    size_t done = atomic_load(&stream->prompt_done), left = stream->prompt.count - done;
    size_t tokens = chunk_tokens(stream->model, beside ? CHUNK_BESIDE_NS : CHUNK_ALONE_NS);
    if (tokens > left) tokens = left;
    int64_t begin = ae_now();
    int rc = eval(stream, stream->prompt.ids + done, tokens);
    if (rc < 0) {
        go_on(engine, index, rc);
        return;
    }
    if (tokens >= CHUNK_TOKENS_LEAST) measured(stream->model, ae_now() - begin, tokens);
    atomic_store(&stream->prompt_done, (unsigned)(done + tokens));
    if (tokens < left) return;
    stream->phase = PHASE_ANSWER;
    stream->answering_ns = ae_now();
    go_on(engine, index, 0);
}

/* ---- the thread ---- */

static void *compute(void *arg)
{
    struct chat_engine *engine = arg;
    setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + NICER);
    pthread_setname_np(pthread_self(), "aether-compute");
    while (!atomic_load(&engine->ending)) {
        take_submitted(engine);
        admit_waiting(engine);
        if (engine->running_count == 0) {
            while (sem_wait(&engine->work) < 0) {
            }
            continue;
        }
        unsigned answering = answer_step(engine);
        prompt_step(engine, answering > 0 || engine->running_count > 1);
    }
    return NULL;
}

static int start_thread(struct chat_engine *engine)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&engine->thread, NULL, compute, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int chat_sched_start(struct chat_engine *engine)
{
    engine->queue_end = &engine->queue;
    sem_init(&engine->work, 0, 0);
    int rc = start_thread(engine);
    if (rc < 0) sem_destroy(&engine->work);
    return rc;
}

static void end_all(struct chat_engine *engine)
{
    take_submitted(engine);
    while (engine->running_count > 0) {
        finish_running(engine, 0, CHAT_CANCELLED, 0);
    }
    for (struct chat_stream *stream = engine->queue, *next; stream; stream = next) {
        next = stream->next;
        finish(engine, stream, CHAT_CANCELLED, 0);
    }
    engine->queue = NULL;
}

void chat_sched_stop(struct chat_engine *engine)
{
    atomic_store(&engine->ending, true);
    sem_post(&engine->work);
    pthread_join(engine->thread, NULL);
    end_all(engine);
    sem_destroy(&engine->work);
}

void chat_sched_submit(struct chat_engine *engine, struct chat_stream *stream)
{
    stream->next = atomic_load(&engine->submitted);
    while (!atomic_compare_exchange_weak(&engine->submitted, &stream->next, stream)) {
    }
    sem_post(&engine->work);
}
