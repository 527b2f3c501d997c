/* SPDX-License-Identifier: Apache-2.0 */
/* A chat's life: its parts made and ended, its routes, and which model answers. */
#include "chat.h"

#include <aether/log.h>
#include <aether/time.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "answer.h"
#include "assets.h"
#include "server.h"
#include "sample.h"

static const char NOTHING_RUNS[] = "default-src 'none'; frame-ancestors 'none'";

int64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- where things lie ---- */

/* Make the folders above a file. */
static int make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        int rc = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        *at = '/';
        if (rc < 0) return rc;
    }
    return 0;
}

int chat_data_path(const char *name, char *out, size_t size)
{
    const char *data = getenv("XDG_DATA_HOME"), *below = "";
    int n;

    if (!data || data[0] != '/') {
        data = getenv("HOME");
        below = "/.local/share";
    }
    if (!data || data[0] != '/') return -ENOENT;
    n = snprintf(out, size, "%s%s/aether/%s", data, below, name);
    if (n < 0 || (size_t)n >= size) return -ENAMETOOLONG;
    return make_folders(out);
}

/* ---- which model answers ---- */

/* The one that was named, else the largest: it knows most. */
const char *chat_default_model(const struct chat *chat, const struct chat_models *models)
{
    const struct chat_model *best = NULL;

    if (chat->opts.model) {
        best = chat_models_find(models, chat->opts.model);
        return best ? best->name : NULL;
    }
    for (size_t i = 0; i < models->count; i++) {
        if (!best || models->items[i].bytes > best->bytes) best = &models->items[i];
    }
    return best ? best->name : NULL;
}

int chat_pick_model(struct chat *chat, const char *asked, char out[CHAT_MODEL_NAME_MAX + 1])
{
    struct chat_models models = { 0 };
    int rc = chat_engine_models(chat->engine, &models);
    if (rc < 0) return rc;

    const struct chat_model *found = asked ? chat_models_find(&models, asked) : NULL;
    const char *name = asked ? (found ? found->name : NULL) : chat_default_model(chat, &models);
    if (name) snprintf(out, CHAT_MODEL_NAME_MAX + 1, "%s", name);
    else rc = -ENOENT;
    chat_models_free(&models);
    return rc;
}

/* ---- the page ---- */

static int asset(ae_http *h)
{
    const struct chat_asset *a = ae_http_context(h);
    const char *known = ae_http_field(h, "If-None-Match");
    int rc = ae_http_header(h, "Content-Security-Policy", CHAT_PAGE_POLICY);

    if (rc == 0) rc = ae_http_header(h, "ETag", a->etag);
    if (rc == 0) rc = ae_http_header(h, "Cache-Control", "no-cache");
    if (rc < 0) return rc;
    if (known && strcmp(known, a->etag) == 0) return ae_http_respond(h, 304, NULL, "", 0);
    return ae_http_respond(h, 200, a->type, a->data, a->size);
}

static void mount_page(ae_http_server *server)
{
    char pattern[256];

    for (size_t i = 0; i < chat_assets_count; i++) {
        const struct chat_asset *a = &chat_assets[i];
        bool root = strcmp(a->path, "/") == 0;

        snprintf(pattern, sizeof pattern, "GET %s", root ? "/{$}" : a->path);
        ae_http_route(server, pattern, asset, (void *)a);
    }
}

static int unknown(ae_http *h)
{
    return answer_error(h, 404, "not_found", "Nothing is at this path.");
}

void chat_mount(struct chat *chat, ae_http_server *server)
{
    static const struct {
        const char *pattern;
        ae_http_fn *fn;
    } routes[] = {
        { "GET /health", api_health },
        { "GET /api/status", api_status },
        { "GET /api/conversations", api_list },
        { "POST /api/conversations", api_create },
        { "GET /api/conversations/{id}", api_read },
        { "PATCH /api/conversations/{id}", api_rename },
        { "DELETE /api/conversations/{id}", api_delete },
        { "POST /api/conversations/{id}/messages", api_ask },
        { "POST /api/conversations/{id}/regenerate", api_regenerate },
        { "POST /api/conversations/{id}/stop", api_stop },
        { "POST /api/import", api_import },
        { "GET /v1/models", openai_models },
        { "GET /v1/models/{model}", openai_model },
        { "POST /v1/chat/completions", openai_completions },
        { "/api/", unknown },
        { "/v1/", unknown },
    };

    ae_http_use(server, guard_middleware, &chat->guard);
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        ae_http_route(server, routes[i].pattern, routes[i].fn, chat);
    }
    mount_page(server);
}

const char *chat_models_folder(const struct chat *chat)
{
    return chat->opts.models ? chat->opts.models : chat->models;
}

int chat_watch(void *arg)
{
    struct chat *chat = arg;

    while (ae_sleep(3600 * AE_SEC) == 0) continue;
    generation_stop_all(chat);
    return 0;
}

/* ---- life ---- */

static int explain(int rc, const char *what, const char *name, const char *why)
{
    fprintf(stderr, "aether: %s %s: %s\n", what, name ? name : "in memory", why);
    return rc;
}

static int make_store(struct chat *chat)
{
    int rc = chat_store_open(chat->opts.store, &chat->store);

    if (rc == 0) return 0;
    return explain(rc, "cannot open the store", chat->opts.store, chat_store_error(rc));
}

static int make_engine(struct chat *chat)
{
    struct chat_engine_config config = { .spec = chat->opts.engine,
                                         .models_folder = chat->opts.models };
    int rc = 0;

    if (!chat->opts.models) rc = chat_data_path("models/", chat->models, sizeof chat->models);
    if (rc < 0) { /* nowhere to keep them, so maybe there are some here */
        snprintf(chat->models, sizeof chat->models, "models");
    }
    config.models_folder = chat_models_folder(chat);
    rc = chat_engine_create(&config, &chat->engine);
    if (rc == 0) return 0;
    return explain(rc, "cannot start the engine", chat->opts.engine ? chat->opts.engine : "llama",
                   rc == -EINVAL ? "it is llama, or fake[:TOKEN_US[,PROMPT_US]]"
                                 : chat_engine_error(rc));
}

static void set_guard(struct chat *chat)
{
    struct guard *guard = &chat->guard;

    guard->key = chat->opts.key;
    guard->any_address = chat->opts.any_address;
    guard->policy = NOTHING_RUNS;
    for (size_t i = 0; i < chat->opts.hosts_count; i++) guard->names[i] = chat->opts.hosts[i];
    guard->names_count = chat->opts.hosts_count;
}

/* The sample's times are a wall clock's, noted as if in UTC: 10:42 AM stays that anywhere. */
static int64_t local_ms(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local;

    if (!localtime_r(&seconds, &local)) return wall_ms;
    return wall_ms - (int64_t)local.tm_gmtoff * 1000;
}

static int add_sample(struct chat *chat)
{
    struct chat_conversation made = { 0 };
    struct import_request import;
    struct request r = { 0 };
    int rc = request_import(&r, (const char *)chat_sample, chat_sample_size, &import);

    for (size_t i = 0; rc == 0 && i < import.count; i++) {
        import.messages[i].sent_ms = local_ms(import.messages[i].sent_ms);
        import.messages[i].finished_ms = local_ms(import.messages[i].finished_ms);
    }
    if (rc == 0) {
        rc = chat_store_import(chat->store, import.title, import.messages, import.count,
                               unix_ms(), &made);
    }
    if (rc == -EINVAL) ae_log(AE_ERROR, "chat: the sample: %s", r.why);
    request_free(&r);
    chat_conversation_free(&made);
    return rc;
}

int chat_create(const struct chat_opts *opts, struct chat **out)
{
    struct chat *chat = calloc(1, sizeof *chat);

    *out = NULL;
    if (!chat) return -ENOMEM;
    chat->opts = *opts;
    requests_prepare();
    set_guard(chat);
    int rc = make_store(chat);
    if (rc == 0) rc = make_engine(chat);
    if (rc == 0 && opts->sample) rc = add_sample(chat);
    if (rc < 0) chat_destroy(chat);
    else *out = chat;
    return rc;
}

void chat_destroy(struct chat *chat)
{
    if (!chat) return;
    chat_engine_destroy(chat->engine);
    chat_store_close(chat->store);
    free(chat);
}

int chat_demo(ae_http_server *server, struct chat **out)
{
    struct chat_opts opts = { .engine = getenv("AETHER_CHAT_ENGINE"), .sample = true,
                              .fetch = "./dev chat", .live = "/-/" };
    int rc = chat_create(&opts, out);

    if (rc == 0) chat_mount(*out, server);
    return rc;
}
