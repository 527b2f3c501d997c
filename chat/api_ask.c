/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and their answers, as server-sent events. The question is in the store before the
 * client hears of it; the answer is kept twice a second while it is written, and at its end. A
 * client that leaves ends its answer; what there is of it is kept. */
#include "answer.h"
#include "server.h"
#include "render.h"

#include <aether/scope.h>
#include <aether/time.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES (2 * TEXT_BYTES_MAX)
#define SAVE_EVERY_NS (500 * AE_MS)
#define PROGRESS_EVERY_NS (250 * AE_MS)
#define KEEP_GRACE_NS (10 * AE_SEC) /* for the last save, when the server or the client has gone */
#define TITLE_LETTERS 60

struct answering {
    ae_http *h;
    struct chat *chat;
    struct generation *generation;
    struct chat_stream *stream;
    int64_t conversation;
    struct chat_message message;  /* text and strings: below */
    size_t room;                  /* of message.text */
    char model[CHAT_MODEL_NAME_MAX + 1];
    int64_t began_ns, saved_ns, told_ns;
    int store_error;              /* of keeping it while it is written */
    struct json_writer json;
};

/* ---- events ---- */

static int send_event(struct answering *a, const char *event)
{
    int rc = a->json.error;

    if (rc == 0) rc = ae_http_sse_send(a->h, event, NULL, a->json.data);
    json_writer_clear(&a->json);
    return rc;
}

static int send_message(struct answering *a, const char *event, const struct chat_message *m)
{
    render_message(&a->json, m);
    return send_event(a, event);
}

static int send_delta(struct answering *a, const char *text, size_t size)
{
    json_open(&a->json, '{');
    json_name(&a->json, "text");
    json_put_text(&a->json, text, size);
    json_close(&a->json, '}');
    return send_event(a, "delta");
}

static int send_end(struct answering *a, const struct chat_totals *totals, enum chat_end end)
{
    static const char *const words[] = { [CHAT_RUNNING] = "cancelled", [CHAT_STOP] = "stop",
                                         [CHAT_LENGTH] = "length", [CHAT_CANCELLED] = "cancelled",
                                         [CHAT_FAILED] = "failed" };
    bool failed = a->message.state == MESSAGE_FAILED;

    json_open(&a->json, '{');
    if (failed) json_member_string(&a->json, "error", a->message.error);
    json_member_string(&a->json, "end", words[end]);
    json_name(&a->json, "message");
    render_message(&a->json, &a->message);
    json_name(&a->json, "totals");
    render_totals(&a->json, totals);
    json_close(&a->json, '}');
    return send_event(a, failed ? "failed" : "done");
}

/* ---- while it is written ---- */

static int append(struct answering *a, const char *text, size_t size)
{
    struct chat_message *m = &a->message;

    if (m->length + size + 1 > a->room) {
        size_t room = (m->length + size + 1) * 2;
        char *grown = realloc(m->text, room);
        if (!grown) return -ENOMEM;
        m->text = grown;
        a->room = room;
    }
    memcpy(m->text + m->length, text, size);
    m->length += size;
    m->text[m->length] = '\0';
    return 0;
}

static void take_figures(struct answering *a, const struct chat_result *result)
{
    a->message.tokens = result->completion_tokens;
    a->message.prompt_tokens = CHAT_UNKNOWN;
    if (result->prompt_tokens > 0) a->message.prompt_tokens = result->prompt_tokens;
    a->message.finished_ms = unix_ms();
    a->message.duration_ms = (ae_now() - a->began_ns) / AE_MS;
}

static int keep_sometimes(struct answering *a)
{
    struct chat_result result;
    int64_t now = ae_now();

    if (now - a->saved_ns < SAVE_EVERY_NS) return 0;
    a->saved_ns = now;
    chat_stream_result(a->stream, &result);
    take_figures(a, &result);
    int rc = chat_store_save(a->chat->store, a->conversation, &a->message, NULL);
    if (rc == -EBUSY) return 0; /* the next time, half a second later */
    if (rc < 0 && rc != -ECANCELED) a->store_error = rc;
    return rc;
}

static int on_text(void *context, const char *text, size_t size)
{
    struct answering *a = context;
    int rc = append(a, text, size);

    if (rc == 0) rc = send_delta(a, text, size);
    return rc < 0 ? rc : keep_sometimes(a);
}

/* Before the first word: how much of the prompt has been read. Later: only a sign of life. */
static int on_quiet(void *context)
{
    struct answering *a = context;
    struct chat_result result;
    int64_t now = ae_now();

    if (a->message.length > 0) {
        int rc = keep_sometimes(a);
        return rc < 0 ? rc : ae_http_sse_heartbeat(a->h);
    }
    if (now - a->told_ns < PROGRESS_EVERY_NS) return ae_http_sse_heartbeat(a->h);
    a->told_ns = now;
    chat_stream_result(a->stream, &result);
    json_open(&a->json, '{');
    json_member_int(&a->json, "prompt_done", result.prompt_done);
    json_member_int(&a->json, "prompt_tokens", result.prompt_tokens);
    json_close(&a->json, '}');
    return send_event(a, "progress");
}

/* ---- its end ---- */

static void set_end(struct answering *a, const struct chat_result *result)
{
    struct chat_message *m = &a->message;
    const char *error = NULL;

    if (result->end == CHAT_FAILED) error = chat_engine_error(result->error);
    if (a->store_error) error = chat_store_error(a->store_error);
    m->error = (char *)error;
    if (error) m->state = MESSAGE_FAILED;
    else if (result->end == CHAT_STOP || result->end == CHAT_LENGTH) m->state = MESSAGE_DONE;
    else m->state = MESSAGE_STOPPED;
    if (!m->text) m->text = (char *)""; /* there was not even memory for an empty one */
    take_figures(a, result);
}

/* The text alone, as the model would read it: what was written may have been split otherwise. */
static void count(struct answering *a)
{
    ssize_t tokens = a->message.length == 0 ? 0
                     : chat_engine_count(a->chat->engine, a->model, a->message.text,
                                         a->message.length);

    if (tokens >= 0) a->message.tokens = tokens;
}

/* Also when the client has left and when the server ends: hence the shield. */
static int finish(struct answering *a, const struct chat_result *result, int rc)
{
    struct chat_totals totals = { 0 };
    ae_shield shield;

    ae_shield_begin(&shield, KEEP_GRACE_NS);
    set_end(a, result);
    count(a);
    int kept = chat_store_save(a->chat->store, a->conversation, &a->message, &totals);
    ae_shield_end(&shield);
    if (kept == -ENOENT) kept = 0; /* the conversation was deleted meanwhile */
    if (kept < 0 && a->message.state != MESSAGE_FAILED) {
        a->message.state = MESSAGE_FAILED;
        a->message.error = (char *)chat_store_error(kept);
    }
    if (rc < 0 && a->message.state != MESSAGE_FAILED) return rc;
    return send_end(a, &totals, result->end);
}

static int write_answer(struct answering *a, const struct chat_turn *turns, size_t turns_count)
{
    struct chat_request request = { .model = a->model, .turns = turns,
                                    .turns_count = turns_count };
    struct chat_result result = { .end = CHAT_FAILED };
    int rc = chat_stream_start(a->chat->engine, &request, &a->stream);

    if (rc < 0) {
        result.error = rc;
        if (rc == -ECANCELED) result.end = CHAT_CANCELLED;
        return finish(a, &result, 0);
    }
    generation_attach(a->generation, a->stream);
    rc = pump_run(&(struct pump){ a->stream, on_text, on_quiet, a });
    chat_stream_result(a->stream, &result);
    return finish(a, &result, rc);
}

/* ---- the conversation so far ---- */

/* What was said; answers of which nothing came are left out. */
static size_t make_turns(const struct chat_thread *thread, struct chat_turn *turns)
{
    size_t n = 0;

    for (size_t i = 0; i < thread->count; i++) {
        const struct chat_message *m = &thread->messages[i];
        if (m->length > 0) turns[n++] = (struct chat_turn){ m->role, m->text, m->length };
    }
    return n;
}

static int answer_question(struct answering *a)
{
    struct chat_thread thread;
    int rc = chat_store_read(a->chat->store, a->conversation, a->message.parent, &thread);
    if (rc < 0) return rc;

    struct chat_turn *turns = calloc(thread.count + 1, sizeof *turns);
    rc = turns ? write_answer(a, turns, make_turns(&thread, turns)) : -ENOMEM;
    free(turns);
    chat_thread_free(&thread);
    return rc;
}

/* ---- what both routes share ---- */

static void begin_answer(struct answering *a)
{
    a->began_ns = a->saved_ns = a->told_ns = ae_now();
    a->message = (struct chat_message){
        .role = CHAT_ASSISTANT, .state = MESSAGE_STREAMING, .text = (char *)"", .model = a->model,
        .tokens = CHAT_UNKNOWN, .prompt_tokens = CHAT_UNKNOWN, .sent_ms = unix_ms(),
        .duration_ms = CHAT_UNKNOWN,
    };
}

/* The answer's row is there: from here on errors are events. */
static int stream_answer(struct answering *a, const struct chat_message *question)
{
    int rc = append(a, "", 0);

    if (rc == 0) rc = ae_http_sse_open(a->h);
    if (rc == 0 && question) rc = send_message(a, "question", question);
    if (rc == 0) rc = send_message(a, "answer", &a->message);
    if (rc == 0) return answer_question(a);
    int left = finish(a, &(struct chat_result){ .end = CHAT_CANCELLED }, rc);
    return left < 0 ? left : rc;
}

static int answer_begin_error(ae_http *h, int rc)
{
    if (rc == -EBUSY) {
        return answer_error(h, 409, "busy", "An answer is being written in this conversation.");
    }
    if (rc == -ESHUTDOWN) return answer_error(h, 503, "ending", "The server is ending.");
    return rc;
}

/* Ends what `a` holds, whatever happened. */
static int done(struct answering *a, int rc)
{
    if (a->generation) generation_end(a->generation);
    chat_stream_free(a->stream);
    if (a->room) free(a->message.text);
    json_writer_free(&a->json);
    return rc;
}

/* The model, and the right to write in this conversation. False: it was answered, with *result. */
static bool prepare(struct answering *a, const char *model, int *result)
{
    int rc = chat_pick_model(a->chat, model, a->model);

    if (rc == -ENOENT && !model) {
        *result = answer_error(a->h, 503, "no_model", "There is no model here yet.");
        return false;
    }
    if (rc < 0) {
        *result = answer_engine_error(a->h, rc);
        return false;
    }
    rc = generation_begin(a->chat, a->conversation, &a->generation);
    if (rc < 0) *result = answer_begin_error(a->h, rc);
    return rc == 0;
}

/* ---- a question ---- */

/* The beginning of the first line: whole words, at most so many letters. */
static void make_title(const char *text, char out[CHAT_TITLE_BYTES + 1])
{
    size_t length = 0, letters = 0, space = 0;

    text += strspn(text, " \t\r\n");
    while (text[length] && (unsigned char)text[length] >= ' ' && letters < TITLE_LETTERS) {
        if (text[length] == ' ') space = length;
        length++;
        while (((unsigned char)text[length] & 0xc0) == 0x80) length++;
        letters++;
    }
    bool cut = (unsigned char)text[length] >= ' ';
    if (cut && text[length] != ' ' && space > 0) length = space;
    snprintf(out, CHAT_TITLE_BYTES + 1, "%.*s%s", (int)length, text, cut ? "…" : "");
}

static int ask(struct answering *a, const struct ask_request *asked)
{
    char title[CHAT_TITLE_BYTES + 1];
    int64_t now = unix_ms();
    ssize_t tokens = chat_engine_count(a->chat->engine, a->model, asked->text, asked->length);
    if (tokens < 0) return answer_engine_error(a->h, (int)tokens);

    begin_answer(a);
    make_title(asked->text, title);
    struct chat_exchange exchange = { .title = title, .answer = a->message, .question = {
        .parent = asked->parent, .role = CHAT_USER, .text = (char *)asked->text,
        .length = asked->length, .tokens = tokens, .prompt_tokens = CHAT_UNKNOWN, .sent_ms = now,
        .finished_ms = now, .duration_ms = CHAT_UNKNOWN } };
    int rc = chat_store_ask(a->chat->store, a->conversation, &exchange);
    if (rc < 0) return answer_store_error(a->h, rc);
    a->message.id = exchange.answer.id;
    a->message.parent = exchange.answer.parent;
    a->message.text = NULL;
    return stream_answer(a, &exchange.question);
}

static int64_t conversation_of(const ae_http *h)
{
    int64_t id;

    return ae_http_param_i64(h, "id", &id) == 0 && id > 0 ? id : INT64_MAX;
}

int api_ask(ae_http *h)
{
    struct answering a = { .h = h, .chat = ae_http_context(h), .conversation = conversation_of(h) };
    struct ask_request asked;
    struct request r = { 0 };
    const char *body;
    int result;
    ssize_t size = read_body(h, BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = request_ask(&r, body, (size_t)size, &asked);
    if (rc < 0) return answer_refused(h, &r, rc);
    if (prepare(&a, asked.model, &result)) result = ask(&a, &asked);
    request_free(&r);
    return done(&a, result);
}

/* ---- another answer ---- */

static int regenerate(struct answering *a, int64_t old)
{
    begin_answer(a);
    int rc = chat_store_retry(a->chat->store, a->conversation, old, &a->message);
    if (rc < 0) return answer_store_error(a->h, rc);
    a->message.text = NULL;
    return stream_answer(a, NULL);
}

int api_regenerate(ae_http *h)
{
    struct answering a = { .h = h, .chat = ae_http_context(h), .conversation = conversation_of(h) };
    struct regenerate_request wanted;
    struct request r = { 0 };
    const char *body;
    int result;
    ssize_t size = read_body(h, BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = request_regenerate(&r, body, (size_t)size, &wanted);
    if (rc < 0) return answer_refused(h, &r, rc);
    if (prepare(&a, wanted.model, &result)) result = regenerate(&a, wanted.message);
    request_free(&r);
    return done(&a, result);
}
