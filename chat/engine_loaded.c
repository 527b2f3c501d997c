/* SPDX-License-Identifier: Apache-2.0 */
/* Models in memory: loaded at first use, kept while something uses them, at most LOADED_MAX; the
 * one that was used longest ago makes room. All of it runs on the blocking pool, except the count
 * of uses, which is atomic: the compute thread gives models back and may take no lock.
 *
 * Slots are what grows beside the weights (112 KiB a token for 3 B parameters), so those of a model
 * get a quarter of the machine's memory: as many as fit are made, and if not even one does, its
 * context is shorter. Streams without a slot wait for one. */
#include <stdio.h>
#include <unistd.h>

#include <aether/time.h>

#include "engine_private.h"

#define CONTEXT_TOKENS_DEFAULT 8192
#define CONTEXT_TOKENS_LEAST 512
#define MEMORY_PART 4 /* 1 / it of the machine's is for the slots of a model */

int chat_engine_backend(struct chat_engine *engine, const struct chat_backend **out)
{
    int rc = 0;
    if (engine->fake) {
        *out = engine->fake;
        return 0;
    }
    ae_mutex_lock(&engine->lists);
    if (!engine->module) {
        rc = chat_module_load(engine->config.module, &engine->module_handle, &engine->module);
    }
    *out = engine->module;
    ae_mutex_unlock(&engine->lists);
    return rc;
}

static void loaded_free(struct loaded *loaded)
{
    unsigned slots = atomic_load(&loaded->slots_count);
    for (unsigned i = 0; i < slots; i++) {
        loaded->backend->slot_close(loaded->slots[i].backend);
        free(loaded->slots[i].seen.ids);
    }
    if (loaded->model) loaded->backend->model_close(loaded->model);
    free(loaded);
}

/* One use more, if it is there. */
static struct loaded *find(struct chat_engine *engine, const char *name)
{
    ae_mutex_lock(&engine->lists);
    struct loaded *loaded = engine->loaded;
    while (loaded && strcmp(loaded->name, name) != 0) {
        loaded = loaded->next;
    }
    if (loaded) {
        atomic_fetch_add(&loaded->refs, 1);
        loaded->used_ns = ae_now();
    }
    ae_mutex_unlock(&engine->lists);
    return loaded;
}

/* Takes the oldest unused model out of the list if the list is full. Uses are only added under the
 * lock, so one that is unused stays so. -EAGAIN: all are in use. */
static int make_room(struct chat_engine *engine, struct loaded **out)
{
    struct loaded **oldest = NULL;
    unsigned count = 0;
    *out = NULL;
    ae_mutex_lock(&engine->lists);
    for (struct loaded **at = &engine->loaded; *at; at = &(*at)->next) {
        count++;
        if (atomic_load(&(*at)->refs) > 0) continue;
        if (!oldest || (*at)->used_ns < (*oldest)->used_ns) oldest = at;
    }
    if (count >= LOADED_MAX && oldest) {
        *out = *oldest;
        *oldest = (*oldest)->next;
    }
    ae_mutex_unlock(&engine->lists);
    return count >= LOADED_MAX && !oldest ? -EAGAIN : 0;
}

/* A descriptor's own name, so that what is loaded is what the scan found and opened. */
static int open_file(struct chat_engine *engine, struct loaded *loaded)
{
    char path[64];
    int fd = chat_models_open(engine->config.models_folder, loaded->name);
    if (fd == -EINVAL) return -ENOENT;
    if (fd < 0) return fd;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int rc = loaded->backend->model_open(path, engine->options, engine->config.threads,
                                         &loaded->model);
    close(fd);
    return rc;
}

static int open_fake(struct chat_engine *engine, struct loaded *loaded)
{
    if (strcmp(loaded->name, "fake") != 0) return -ENOENT;
    return loaded->backend->model_open(NULL, engine->options, engine->config.threads,
                                       &loaded->model);
}

static uint64_t memory_for_slots(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes / MEMORY_PART : UINT64_MAX;
}

static void set_limits(const struct chat_engine *engine, struct loaded *loaded)
{
    unsigned most = engine->config.context_tokens;
    loaded->context_tokens = loaded->backend->model_context(loaded->model);
    if (most == 0) most = CONTEXT_TOKENS_DEFAULT;
    if (loaded->context_tokens > most) loaded->context_tokens = most;
    size_t each = loaded->backend->token_bytes(loaded->model);
    uint64_t tokens = memory_for_slots() / (each > 0 ? each : 1);
    if (tokens < CONTEXT_TOKENS_LEAST) tokens = CONTEXT_TOKENS_LEAST;
    if (loaded->context_tokens > tokens) loaded->context_tokens = (unsigned)tokens;
    uint64_t slots = tokens / loaded->context_tokens;
    loaded->slots_max = engine->config.streams_max;
    if (loaded->slots_max > slots) loaded->slots_max = slots > 0 ? (unsigned)slots : 1;
}

static int load(struct chat_engine *engine, const char *name, struct loaded **out)
{
    struct loaded *loaded = calloc(1, sizeof(*loaded));
    if (!loaded) return -ENOMEM;
    snprintf(loaded->name, sizeof(loaded->name), "%s", name);
    int rc = chat_engine_backend(engine, &loaded->backend);
    if (rc == 0) rc = engine->fake ? open_fake(engine, loaded) : open_file(engine, loaded);
    if (rc < 0) {
        free(loaded);
        return rc;
    }
    set_limits(engine, loaded);
    *out = loaded;
    return 0;
}

static int load_and_add(struct chat_engine *engine, const char *name, struct loaded **out)
{
    struct loaded *gone = NULL, *loaded = NULL;
    int rc = load(engine, name, &loaded);
    if (rc < 0) return rc;
    rc = make_room(engine, &gone);
    if (gone) loaded_free(gone);
    if (rc < 0) {
        loaded_free(loaded);
        return rc;
    }
    atomic_init(&loaded->refs, 1);
    loaded->used_ns = ae_now();
    ae_mutex_lock(&engine->lists);
    loaded->next = engine->loaded;
    engine->loaded = loaded;
    ae_mutex_unlock(&engine->lists);
    *out = loaded;
    return 0;
}

int chat_loaded_acquire(struct chat_engine *engine, const char *name, struct loaded **out)
{
    if (!name || strlen(name) > CHAT_MODEL_NAME_MAX) return -ENOENT;
    *out = find(engine, name);
    if (*out) return 0;
    ae_mutex_lock(&engine->loading);
    *out = find(engine, name); /* somebody else may have loaded it meanwhile */
    int rc = *out ? 0 : load_and_add(engine, name, out);
    ae_mutex_unlock(&engine->loading);
    return rc;
}

void chat_loaded_release(struct loaded *loaded)
{
    atomic_fetch_sub(&loaded->refs, 1);
}

int chat_loaded_add_slot(struct chat_engine *engine, struct loaded *loaded)
{
    int rc = 0;
    ae_mutex_lock(&engine->loading);
    unsigned count = atomic_load(&loaded->slots_count);
    /* as many as there are uses of the model, so the first one makes one */
    bool wanted = count < loaded->slots_max && count < atomic_load(&loaded->refs);
    if (wanted) {
        struct slot *slot = &loaded->slots[count];
        rc = chat_tokens_reserve(&slot->seen, loaded->context_tokens);
        if (rc == 0) {
            rc = loaded->backend->slot_open(loaded->model, loaded->context_tokens, &slot->backend);
        }
        if (rc == 0) atomic_store(&loaded->slots_count, count + 1);
    }
    ae_mutex_unlock(&engine->loading);
    return count > 0 ? 0 : rc; /* with one slot there is a turn for everybody */
}

void chat_loaded_mark(struct chat_engine *engine, struct chat_models *models)
{
    ae_mutex_lock(&engine->lists);
    for (struct loaded *loaded = engine->loaded; loaded; loaded = loaded->next) {
        for (size_t i = 0; i < models->count; i++) {
            if (strcmp(models->items[i].name, loaded->name) == 0) models->items[i].loaded = true;
        }
    }
    ae_mutex_unlock(&engine->lists);
}

void chat_loaded_free_all(struct chat_engine *engine)
{
    for (struct loaded *loaded = engine->loaded, *next; loaded; loaded = next) {
        next = loaded->next;
        loaded_free(loaded);
    }
    engine->loaded = NULL;
}
