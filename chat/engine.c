/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's outside: creating it, which models there are, counting tokens. What may wait for a
 * disk or compute for long runs on the blocking pool. */
#include "engine.h"

#include <unistd.h>

#include <aether/blocking.h>

#include "engine_private.h"

#define STREAMS_DEFAULT 4
#define QUEUE_DEFAULT 64

static int read_spec(struct chat_engine *engine, const char *spec)
{
    if (!spec || strcmp(spec, "llama") == 0) return 0;
    if (strncmp(spec, "fake", 4) != 0 || (spec[4] != '\0' && spec[4] != ':')) return -EINVAL;
    engine->fake = &chat_backend_fake;
    engine->options = spec[4] == ':' ? spec + 5 : NULL;
    struct chat_backend_model *probe = NULL;
    int rc = engine->fake->model_open(NULL, engine->options, 1, &probe);
    if (rc == 0) engine->fake->model_close(probe);
    return rc;
}

static unsigned half_the_cpus(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 2 ? 1 : (unsigned)cpus / 2;
}

static void fill_in(struct chat_engine_config *config)
{
    if (config->threads == 0) config->threads = half_the_cpus();
    if (config->streams_max == 0) config->streams_max = STREAMS_DEFAULT;
    if (config->streams_max > STREAMS_MAX) config->streams_max = STREAMS_MAX;
    if (config->queue_max == 0) config->queue_max = QUEUE_DEFAULT;
}

int chat_engine_create(const struct chat_engine_config *config, struct chat_engine **out)
{
    struct chat_engine *engine = calloc(1, sizeof(*engine));
    if (!engine) return -ENOMEM;
    engine->config = *config;
    fill_in(&engine->config);
    int rc = read_spec(engine, config->spec);
    if (rc == 0) rc = chat_sched_start(engine);
    if (rc < 0) {
        free(engine);
        return rc;
    }
    *out = engine;
    return 0;
}

void chat_engine_destroy(struct chat_engine *engine)
{
    if (!engine) return;
    chat_sched_stop(engine);
    chat_loaded_free_all(engine);
    chat_module_unload(engine->module_handle);
    free(engine);
}

const char *chat_engine_kind(const struct chat_engine *engine)
{
    return engine->fake ? "fake" : "llama";
}

/* ---- ready, models ---- */

static int ready_job(void *arg)
{
    const struct chat_backend *backend;
    return chat_engine_backend(arg, &backend);
}

int chat_engine_ready(struct chat_engine *engine)
{
    return ae_blocking(ready_job, engine);
}

struct models_job {
    struct chat_engine *engine;
    struct chat_models *out;
};

static int fake_models(struct chat_models *out)
{
    out->items = calloc(1, sizeof(*out->items));
    if (!out->items) return -ENOMEM;
    memcpy(out->items[0].name, "fake", sizeof("fake"));
    out->count = 1;
    return 0;
}

static int models_job(void *arg)
{
    struct models_job *job = arg;
    int rc = job->engine->fake ? fake_models(job->out)
                               : chat_models_scan(job->engine->config.models_folder, job->out);
    if (rc == 0) chat_loaded_mark(job->engine, job->out);
    return rc;
}

int chat_engine_models(struct chat_engine *engine, struct chat_models *out)
{
    struct models_job job = { engine, out };
    *out = (struct chat_models){ 0 };
    return ae_blocking(models_job, &job);
}

/* ---- counting ---- */

struct count_job {
    struct chat_engine *engine;
    const char *model;
    const char *text;
    size_t length;
    const struct chat_turn *turns; /* or these, if not NULL */
    size_t turns_count;
    size_t tokens; /* out */
};

static int count_job(void *arg)
{
    struct count_job *job = arg;
    struct loaded *loaded;
    int rc = chat_loaded_acquire(job->engine, job->model, &loaded);
    if (rc < 0) return rc;
    struct chat_tokens tokens = { 0 };
    if (job->turns) {
        rc = loaded->backend->render(loaded->model, job->turns, job->turns_count, &tokens);
    } else {
        rc = loaded->backend->tokenize(loaded->model, job->text, job->length, &tokens);
    }
    chat_loaded_release(loaded);
    job->tokens = tokens.count;
    free(tokens.ids);
    return rc;
}

static ssize_t count(struct count_job *job)
{
    int rc = ae_blocking(count_job, job);
    return rc < 0 ? rc : (ssize_t)job->tokens;
}

ssize_t chat_engine_count(struct chat_engine *engine, const char *model, const char *text,
                          size_t length)
{
    struct count_job job = { .engine = engine, .model = model, .text = text, .length = length };
    return count(&job);
}

ssize_t chat_engine_count_turns(struct chat_engine *engine, const char *model,
                                const struct chat_turn *turns, size_t turns_count)
{
    struct count_job job = {
        .engine = engine, .model = model, .turns = turns, .turns_count = turns_count
    };
    return count(&job);
}

const char *chat_engine_error(int rc)
{
    switch (rc) {
    case -ENOENT: return "there is no model of that name";
    case -ENODEV: return "the engine is not built yet; `./dev chat` builds it";
    case -ELIBBAD: return "the engine's module does not fit this program: build it again";
    case -ENOEXEC: return "the model's file is broken, or of a kind the engine does not know";
    case -ENOTSUP: return "the engine does not know the chat template of this model";
    case -E2BIG: return "the conversation is longer than the model's context";
    case -EAGAIN: return "too many answers are being written: try again soon";
    case -ENOMEM: return "not enough memory";
    case -EINVAL: return "the request cannot be understood";
    case -EIO: return "the engine failed while it computed";
    default: return ae_strerror(rc);
    }
}
