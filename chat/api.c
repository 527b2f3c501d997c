/* SPDX-License-Identifier: Apache-2.0 */
/* The page's API, all but the answers themselves (api_ask.c): conversations and the server's own
 * state. docs/chat-api.md is its description. */
#include "answer.h"
#include "server.h"
#include "fetch.h"
#include "render.h"

#include <aether/blocking.h>
#include <errno.h>

#define SMALL_BODY_BYTES (64 * 1024)
#define IMPORT_BODY_BYTES (16 * 1024 * 1024)

/* ---- the server ---- */

int api_health(ae_http *h)
{
    struct json_writer w = { 0 };

    json_open(&w, '{');
    json_member_string(&w, "status", "ok");
    json_close(&w, '}');
    return answer_json(h, 200, &w);
}

static void render_models(struct json_writer *w, const struct chat_models *models)
{
    json_name(w, "models");
    json_open(w, '[');
    for (size_t i = 0; i < models->count; i++) {
        json_open(w, '{');
        json_member_string(w, "name", models->items[i].name);
        json_member_int(w, "bytes", (int64_t)models->items[i].bytes);
        json_member_bool(w, "loaded", models->items[i].loaded);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static int read_fetch(void *out)
{
    return chat_fetch_read(out);
}

static void render_fetch(struct json_writer *w, const struct chat_fetch *fetch)
{
    static const char *const states[] = { [CHAT_FETCH_RUNNING] = "running",
                                          [CHAT_FETCH_FAILED] = "failed",
                                          [CHAT_FETCH_DONE] = "done" };

    json_open(w, '{');
    json_member_string(w, "file", fetch->file);
    json_member_int(w, "received", (int64_t)fetch->received);
    json_member_int(w, "total", (int64_t)fetch->total);
    json_member_string(w, "state", states[fetch->state]);
    json_member_string(w, "error", fetch->error[0] ? fetch->error : NULL);
    json_close(w, '}');
}

/* What can answer, and what is missing for it. */
static void render_status(struct json_writer *w, struct chat *chat,
                          const struct chat_models *models, const struct chat_fetch *fetch)
{
    int ready = chat_engine_ready(chat->engine);

    json_open(w, '{');
    json_member_string(w, "version", ae_version());
    json_member_string(w, "engine", chat_engine_kind(chat->engine));
    json_member_bool(w, "engine_ready", ready == 0);
    json_member_string(w, "engine_note", ready < 0 ? chat_engine_error(ready) : NULL);
    render_models(w, models);
    json_member_string(w, "default_model", chat_default_model(chat, models));
    json_name(w, "fetch");
    if (fetch) render_fetch(w, fetch);
    else json_put_null(w);
    json_member_string(w, "fetch_command", chat->opts.fetch);
    json_member_string(w, "live", chat->opts.live);
    json_close(w, '}');
}

int api_status(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct json_writer w = { 0 };
    struct chat_models models = { 0 };
    int rc = chat_engine_models(chat->engine, &models);
    if (rc < 0) return answer_engine_error(h, rc);

    struct chat_fetch *fetch = ae_http_alloc(h, sizeof *fetch);
    bool fetched = fetch && ae_blocking(read_fetch, fetch) == 0;
    render_status(&w, chat, &models, fetched ? fetch : NULL);
    chat_models_free(&models);
    return answer_json(h, 200, &w);
}

/* ---- conversations ---- */

int api_list(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct chat_conversations list;
    struct json_writer w = { 0 };
    int rc = chat_store_list(chat->store, &list);
    if (rc < 0) return answer_store_error(h, rc);

    json_open(&w, '{');
    json_name(&w, "conversations");
    json_open(&w, '[');
    for (size_t i = 0; i < list.count; i++) render_conversation(&w, &list.items[i]);
    json_close(&w, ']');
    json_close(&w, '}');
    chat_conversations_free(&list);
    return answer_json(h, 200, &w);
}

static int answer_conversation(ae_http *h, int status, struct chat_conversation *c)
{
    struct json_writer w = { 0 };

    render_conversation(&w, c);
    chat_conversation_free(c);
    return answer_json(h, status, &w);
}

int api_create(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct chat_conversation made;
    struct title_request title;
    struct request r = { 0 };
    const char *body;
    ssize_t size = read_body(h, SMALL_BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = request_title(&r, body, (size_t)size, &title);
    if (rc < 0) return answer_refused(h, &r, rc);
    rc = chat_store_create(chat->store, title.title, unix_ms(), &made);
    request_free(&r);
    return rc < 0 ? answer_store_error(h, rc) : answer_conversation(h, 201, &made);
}

/* The {id} of the path: 0 if it is none, which no conversation has. */
static int64_t id_of(const ae_http *h)
{
    int64_t id;

    return ae_http_param_i64(h, "id", &id) == 0 && id > 0 ? id : 0;
}

int api_read(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct json_writer w = { 0 };
    struct chat_thread thread;
    int rc = chat_store_read(chat->store, id_of(h), CHAT_SHOWN, &thread);
    if (rc < 0) return answer_store_error(h, rc);

    render_thread(&w, &thread);
    chat_thread_free(&thread);
    return answer_json(h, 200, &w);
}

int api_rename(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct chat_conversation renamed;
    struct title_request title;
    struct request r = { 0 };
    const char *body;
    ssize_t size = read_body(h, SMALL_BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = request_title(&r, body, (size_t)size, &title);
    if (rc < 0) return answer_refused(h, &r, rc);
    if (!title.title) {
        request_free(&r);
        return answer_error(h, 400, "invalid_request", "\"title\" is missing.");
    }
    rc = chat_store_rename(chat->store, id_of(h), title.title, unix_ms(), &renamed);
    request_free(&r);
    return rc < 0 ? answer_store_error(h, rc) : answer_conversation(h, 200, &renamed);
}

int api_delete(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    int64_t id = id_of(h);
    int rc = generation_stop(chat, id);

    if (rc == 0) rc = chat_store_delete(chat->store, id);
    return rc < 0 ? answer_store_error(h, rc) : ae_http_respond(h, 204, NULL, "", 0);
}

int api_import(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct chat_conversation made;
    struct import_request import;
    struct request r = { 0 };
    const char *body;
    ssize_t size = read_body(h, IMPORT_BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = request_import(&r, body, (size_t)size, &import);
    if (rc < 0) return answer_refused(h, &r, rc);
    rc = chat_store_import(chat->store, import.title, import.messages, import.count, unix_ms(),
                           &made);
    request_free(&r);
    return rc < 0 ? answer_store_error(h, rc) : answer_conversation(h, 201, &made);
}

int api_stop(ae_http *h)
{
    struct chat *chat = ae_http_context(h);
    struct request r = { 0 };
    const char *body;
    ssize_t size = read_body(h, SMALL_BODY_BYTES, &body);
    if (size < 0) return answer_read_error(h, size);

    int rc = size > 0 ? request_empty(&r, body, (size_t)size) : 0;
    if (rc < 0) return answer_refused(h, &r, rc);
    request_free(&r);
    rc = generation_stop(chat, id_of(h));
    return rc < 0 ? rc : ae_http_respond(h, 204, NULL, "", 0);
}
