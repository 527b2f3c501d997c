/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's side of an answer: start, read, cancel, free. The other side is sched.c. */
#include <unistd.h>

#include <aether/blocking.h>
#include <aether/task.h>
#include <aether/time.h>
#include <aether/wait.h>

#include "engine_private.h"

/* ---- start, on the blocking pool ---- */

static int take_stops(struct chat_stream *stream, const struct chat_request *request)
{
    if (request->stops_count > CHAT_STOPS_MAX) return -EINVAL;
    for (size_t i = 0; i < request->stops_count; i++) {
        size_t length = strlen(request->stops[i]);
        if (length == 0 || length > CHAT_STOP_BYTES_MAX) return -EINVAL;
        memcpy(stream->gate.stops[i], request->stops[i], length + 1);
    }
    stream->gate.stops_count = request->stops_count;
    return 0;
}

static int take_prompt(struct chat_stream *stream, const struct chat_request *request)
{
    struct loaded *model = stream->model;
    int rc = model->backend->render(model->model, request->turns, request->turns_count,
                                    &stream->prompt);
    if (rc < 0) return rc;
    size_t tokens = stream->prompt.count;
    if (tokens == 0) return -EINVAL;
    if (tokens >= model->context_tokens) return -E2BIG;
    unsigned left = model->context_tokens - (unsigned)tokens;
    stream->max_tokens = request->max_tokens;
    if (stream->max_tokens == 0 || stream->max_tokens > left) stream->max_tokens = left;
    stream->result.prompt_tokens = (unsigned)tokens;
    return 0;
}

static int prepare(struct chat_stream *stream, const struct chat_request *request)
{
    if (request->turns_count == 0) return -EINVAL;
    int rc = chat_pipe_init(&stream->pipe);
    if (rc == 0) rc = take_stops(stream, request);
    if (rc == 0) rc = chat_loaded_acquire(stream->engine, request->model, &stream->model);
    if (rc == 0) rc = take_prompt(stream, request);
    if (rc == 0) rc = chat_loaded_add_slot(stream->engine, stream->model);
    return rc;
}

static void stream_destroy(struct chat_stream *stream)
{
    if (stream->model) chat_loaded_release(stream->model);
    chat_pipe_finish(&stream->pipe);
    free(stream->prompt.ids);
    free(stream);
}

struct start_job {
    struct chat_engine *engine;
    const struct chat_request *request;
    struct chat_stream *stream; /* out */
};

static int start_job(void *arg)
{
    struct start_job *job = arg;
    const struct chat_request *request = job->request;
    struct chat_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) return -ENOMEM;
    stream->pipe.wake_fd = -1;
    stream->engine = job->engine;
    stream->started_ns = ae_now();
    stream->sampling = (struct chat_sampling){ request->temperature, request->top_p,
                                               request->top_k, request->seed, request->sampling };
    int rc = prepare(stream, request);
    if (rc < 0) {
        stream_destroy(stream);
        return rc;
    }
    atomic_init(&stream->refs, 2);
    job->stream = stream;
    return 0;
}

int chat_stream_start(struct chat_engine *engine, const struct chat_request *request,
                      struct chat_stream **out)
{
    struct start_job job = { engine, request, NULL };
    unsigned most = engine->config.queue_max + engine->config.streams_max;
    if (atomic_fetch_add(&engine->streams, 1) >= most) {
        atomic_fetch_sub(&engine->streams, 1);
        return -EAGAIN;
    }
    int rc = ae_blocking(start_job, &job);
    if (rc < 0) {
        atomic_fetch_sub(&engine->streams, 1);
        return rc;
    }
    *out = job.stream;
    chat_sched_submit(engine, job.stream);
    return 0;
}

/* ---- read ---- */

static void drain(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof(count)) > 0) {
    }
}

/* What there is: bytes, 0 at the end, or -EAGAIN. */
static ssize_t take(struct chat_stream *stream, char *buf, size_t size)
{
    bool ended = atomic_load(&stream->pipe.ended); /* before the look: nothing comes after it */
    size_t got = chat_pipe_take(&stream->pipe, buf, size);
    return got > 0 ? (ssize_t)got : ended ? 0 : -EAGAIN;
}

static ssize_t take_or_wait(struct chat_stream *stream, char *buf, size_t size)
{
    ssize_t got = take(stream, buf, size);
    if (got != -EAGAIN) return got;
    atomic_store(&stream->pipe.waiting, true);
    got = take(stream, buf, size);
    if (got != -EAGAIN) return got;
    int rc = ae_fd_wait(stream->pipe.wake_fd, AE_READABLE);
    if (rc < 0) return rc;
    drain(stream->pipe.wake_fd);
    return -EAGAIN;
}

ssize_t chat_stream_next(struct chat_stream *stream, char *buf, size_t size)
{
    if (size < 4) return -EINVAL;
    if (ae_cancelled()) return -ECANCELED;
    ssize_t got;
    do {
        got = take_or_wait(stream, buf, size);
    } while (got == -EAGAIN);
    return got;
}

/* ---- the end ---- */

void chat_stream_cancel(struct chat_stream *stream)
{
    atomic_store(&stream->cancelled, true);
}

void chat_stream_unref(struct chat_stream *stream)
{
    if (atomic_fetch_sub(&stream->refs, 1) == 1) stream_destroy(stream);
}

void chat_stream_free(struct chat_stream *stream)
{
    if (!stream) return;
    chat_stream_cancel(stream);
    ae_fd_forget(stream->pipe.wake_fd);
    chat_stream_unref(stream);
}

void chat_stream_result(struct chat_stream *stream, struct chat_result *out)
{
    if (atomic_load(&stream->pipe.ended)) {
        *out = stream->result;
        return;
    }
    *out = (struct chat_result){
        .prompt_tokens = (unsigned)stream->prompt.count,
        .prompt_done = atomic_load(&stream->prompt_done),
        .completion_tokens = atomic_load(&stream->completion_tokens),
    };
}
