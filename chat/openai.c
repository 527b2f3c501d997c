/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAI-shaped API: /v1/models and /v1/chat/completions, whole or as server-sent events.
 * Nothing is kept. A client that leaves ends its answer here too: while a whole answer is being
 * written, blanks go out, which JSON allows before its first bracket. */
#include "answer.h"
#include "server.h"

#include <aether/time.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define BODY_BYTES (4 * 1024 * 1024)
#define SILENT_NS (100 * AE_MS) /* so long an error can still become an error status */

struct completing {
    ae_http *h;
    struct chat *chat;
    struct generation *generation;
    struct chat_stream *stream;
    bool streamed, usage, role_sent;
    char id[48];
    char model[CHAT_MODEL_NAME_MAX + 1];
    int64_t created_s, began_ns;
    struct json_writer json, text; /* text: of a whole answer, as plain bytes */
};

/* ---- models ---- */

static void render_model(struct json_writer *w, const char *name)
{
    json_open(w, '{');
    json_member_string(w, "id", name);
    json_member_string(w, "object", "model");
    json_member_int(w, "created", 0);
    json_member_string(w, "owned_by", "local");
    json_close(w, '}');
}

int openai_models(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct json_writer w = { 0 };
    struct chat_models models = { 0 };
    int rc = chat_engine_models(chat->engine, &models);
    if (rc < 0) return answer_engine_error(h, rc);

    json_open(&w, '{');
    json_member_string(&w, "object", "list");
    json_name(&w, "data");
    json_open(&w, '[');
    for (size_t i = 0; i < models.count; i++) render_model(&w, models.items[i].name);
    json_close(&w, ']');
    json_close(&w, '}');
    chat_models_free(&models);
    return answer_json(h, 200, &w);
}

int openai_model(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    const char *name = ae_http_param(h, "model");
    struct json_writer w = { 0 };
    struct chat_models models = { 0 };
    int rc = chat_engine_models(chat->engine, &models);
    if (rc < 0) return answer_engine_error(h, rc);

    bool found = name && chat_models_find(&models, name);
    chat_models_free(&models);
    if (!found) return answer_engine_error(h, -ENOENT);
    render_model(&w, name);
    return answer_json(h, 200, &w);
}

/* ---- pieces of an answer ---- */

static const char *finish_reason(enum chat_end end)
{
    return end == CHAT_LENGTH ? "length" : "stop";
}

static void render_head(struct completing *c, const char *object)
{
    json_member_string(&c->json, "id", c->id);
    json_member_string(&c->json, "object", object);
    json_member_int(&c->json, "created", c->created_s);
    json_member_string(&c->json, "model", c->model);
}

static void render_usage(struct json_writer *w, const struct chat_result *result)
{
    json_name(w, "usage");
    json_open(w, '{');
    json_member_int(w, "prompt_tokens", result->prompt_tokens);
    json_member_int(w, "completion_tokens", result->completion_tokens);
    json_member_int(w, "total_tokens", (int64_t)result->prompt_tokens + result->completion_tokens);
    json_close(w, '}');
}

static int send_chunk(struct completing *c)
{
    int rc = c->json.error;

    if (rc == 0) rc = ae_http_sse_send(c->h, NULL, NULL, c->json.data);
    json_writer_clear(&c->json);
    return rc;
}

/* A delta, or (text NULL) the end. */
static int send_choice(struct completing *c, const char *text, size_t size, const char *reason)
{
    struct json_writer *w = &c->json;

    json_open(w, '{');
    render_head(c, "chat.completion.chunk");
    json_name(w, "choices");
    json_open(w, '[');
    json_open(w, '{');
    json_member_int(w, "index", 0);
    json_name(w, "delta");
    json_open(w, '{');
    if (!c->role_sent) json_member_string(w, "role", "assistant");
    if (text) {
        json_name(w, "content");
        json_put_text(w, text, size);
    }
    json_close(w, '}');
    json_member_string(w, "finish_reason", reason);
    json_close(w, '}');
    json_close(w, ']');
    if (c->usage) json_member_string(w, "usage", NULL);
    json_close(w, '}');
    c->role_sent = true;
    return send_chunk(c);
}

static int send_usage(struct completing *c, const struct chat_result *result)
{
    json_open(&c->json, '{');
    render_head(c, "chat.completion.chunk");
    json_name(&c->json, "choices");
    json_open(&c->json, '[');
    json_close(&c->json, ']');
    render_usage(&c->json, result);
    json_close(&c->json, '}');
    return send_chunk(c);
}

static int send_failure(struct completing *c, int error)
{
    json_open(&c->json, '{');
    json_name(&c->json, "error");
    json_open(&c->json, '{');
    json_member_string(&c->json, "code", engine_error_code(error));
    json_member_string(&c->json, "message", chat_engine_error(error));
    json_member_string(&c->json, "type", "server_error");
    json_close(&c->json, '}');
    json_close(&c->json, '}');
    return send_chunk(c);
}

static void render_whole(struct completing *c, const struct chat_result *result)
{
    struct json_writer *w = &c->json;

    json_open(w, '{');
    render_head(c, "chat.completion");
    json_name(w, "choices");
    json_open(w, '[');
    json_open(w, '{');
    json_member_int(w, "index", 0);
    json_name(w, "message");
    json_open(w, '{');
    json_member_string(w, "role", "assistant");
    json_name(w, "content");
    json_put_text(w, c->text.data ? c->text.data : "", c->text.size);
    json_member_string(w, "refusal", NULL);
    json_close(w, '}');
    json_member_string(w, "logprobs", NULL);
    json_member_string(w, "finish_reason", finish_reason(result->end));
    json_close(w, '}');
    json_close(w, ']');
    render_usage(w, result);
    json_close(w, '}');
}

/* ---- while it is written ---- */

static int blank(struct completing *c)
{
    if (!ae_http_started(c->h)) {
        int rc = ae_http_header(c->h, "Content-Type", "application/json");
        if (rc == 0) rc = ae_http_header(c->h, "Cache-Control", "no-store");
        if (rc < 0) return rc;
    }
    int rc = ae_http_write(c->h, "\n", 1);
    return rc < 0 ? rc : ae_http_flush(c->h);
}

static int on_quiet(void *context)
{
    struct completing *c = context;

    if (c->streamed) return ae_http_sse_heartbeat(c->h);
    return ae_now() - c->began_ns < SILENT_NS ? 0 : blank(c);
}

static int on_text(void *context, const char *text, size_t size)
{
    struct completing *c = context;

    if (c->streamed) return send_choice(c, text, size, NULL);
    json_put_bytes(&c->text, text, size);
    return c->text.error ? c->text.error : on_quiet(c);
}

/* ---- its end ---- */

static int end_stream(struct completing *c, const struct chat_result *result)
{
    if (result->end == CHAT_FAILED) return send_failure(c, result->error);
    int rc = send_choice(c, NULL, 0, finish_reason(result->end));
    if (rc == 0 && c->usage) rc = send_usage(c, result);
    return rc < 0 ? rc : ae_http_sse_send(c->h, NULL, NULL, "[DONE]");
}

/* An error behind a begun body ends the connection: the client must not take it for whole. */
static int end_whole(struct completing *c, const struct chat_result *result)
{
    bool begun = ae_http_started(c->h);

    if (result->end == CHAT_FAILED) {
        return begun ? -EIO : answer_engine_error(c->h, result->error);
    }
    render_whole(c, result);
    if (!begun) return answer_json(c->h, 200, &c->json);
    return c->json.error ? c->json.error : ae_http_write(c->h, c->json.data, c->json.size);
}

static int write_completion(struct completing *c, const struct chat_request *request)
{
    struct chat_result result;
    int rc = chat_stream_start(c->chat->engine, request, &c->stream);
    if (rc < 0) return answer_engine_error(c->h, rc);

    generation_attach(c->generation, c->stream);
    if (c->streamed) rc = ae_http_sse_open(c->h);
    if (rc == 0) rc = pump_run(&(struct pump){ c->stream, on_text, on_quiet, c });
    if (rc < 0) return rc;
    chat_stream_result(c->stream, &result);
    if (result.end == CHAT_CANCELLED) { /* by the server's end: the answer is not whole */
        result.end = CHAT_FAILED;
        result.error = -ESHUTDOWN;
    }
    return c->streamed ? end_stream(c, &result) : end_whole(c, &result);
}

static int complete(struct completing *c, struct completion_request *wanted)
{
    int rc = chat_pick_model(c->chat, wanted->engine.model, c->model);
    if (rc < 0) return answer_engine_error(c->h, rc);

    rc = generation_begin(c->chat, 0, &c->generation);
    if (rc == -ESHUTDOWN) return answer_error(c->h, 503, "ending", "The server is ending.");
    if (rc < 0) return rc;
    wanted->engine.model = c->model;
    c->streamed = wanted->stream;
    c->usage = wanted->usage;
    rc = write_completion(c, &wanted->engine);
    generation_end(c->generation);
    chat_stream_free(c->stream);
    json_writer_free(&c->json);
    json_writer_free(&c->text);
    return rc;
}

int openai_completions(ae_http *h)
{
    static atomic_ullong last;
    struct completing c = { .h = h, .chat = ae_http_context(h), .began_ns = ae_now(),
                            .created_s = unix_ms() / 1000 };
    struct completion_request wanted;
    struct request r = { 0 };
    const char *body;
    ssize_t size = read_body(h, BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = request_completion(&r, body, (size_t)size, &wanted);
    if (rc < 0) return answer_refused(h, &r, rc);
    snprintf(c.id, sizeof c.id, "chatcmpl-%llx-%llx", (unsigned long long)c.created_s,
             atomic_fetch_add(&last, 1) + 1);
    rc = complete(&c, &wanted);
    request_free(&r);
    return rc;
}
