/* SPDX-License-Identifier: Apache-2.0 */
/* Control blocks (task/slab.c): caches of two workers, the shared list, and the run of blocks that
 * nobody had before. No block is with two, none is lost, and a block's next owner sees what the one
 * before wrote (plain, so an unordered hand-over is a race). */
#include "environment.h"

#include <string.h>

#include "arch/os.h"
#include "task/slab.h"

enum { BLOCKS = 3 };

static _Alignas(256) char arena[BLOCKS * AE__TASK_BYTES + 256];
static size_t arena_used;
static struct ae__slab slab;
static struct ae__slab_cache caches[2];
static int owners[BLOCKS], failed[ACTORS];

void *ae__os_map(size_t bytes)
{
    void *base = arena + arena_used;

    model_assert(arena_used + bytes <= sizeof arena);
    arena_used += (bytes + 255) / 256 * 256;
    memset(base, 0, bytes);
    return base;
}

void ae__os_unmap(void *base, size_t bytes)
{
    (void)base;
    (void)bytes;
}

static void reset(uint32_t capacity)
{
    env_reset();
    arena_used = 0;
    model_assert(ae__slab_init(&slab, capacity) == 0);
    memset(caches, 0, sizeof caches);
    memset(owners, 0, sizeof owners);
    memset(failed, 0, sizeof failed);
    model_name(&slab.lock, "slab.lock");
    model_name(&slab.used, "slab.used");
    model_name(&slab, "slab");
    model_name(&arena, "blocks");
    model_name(&owners, "owners");
}

static struct ae__task *get(struct ae__slab_cache *cache)
{
    struct ae__task *task = ae__slab_get(&slab, cache);

    if (!task) {
        failed[model_self()]++;
        return NULL;
    }
    model_assert(task->index < slab.capacity);
    model_assert(owners[task->index] == 0); /* plain: a race if two have it */
    owners[task->index] = model_self();
    model_assert(task->generation > 0);
    return task;
}

static void put(struct ae__slab_cache *cache, struct ae__task *task)
{
    model_assert(owners[task->index] == model_self());
    owners[task->index] = 0;
    task->generation++;
    ae__slab_put(&slab, cache, task);
}

/* All blocks can be had again, each once. */
static void check(void)
{
    struct ae__task *task;
    unsigned count = 0;

    for (int i = 0; i < BLOCKS; i++)
        model_assert(owners[i] == 0);
    ae__slab_cache_drain(&slab, &caches[0]);
    ae__slab_cache_drain(&slab, &caches[1]);
    while ((task = ae__slab_get(&slab, NULL))) {
        model_assert(owners[task->index]++ == 0);
        count++;
    }
    model_assert(count == slab.capacity);
}

static void twice(void *arg)
{
    struct ae__slab_cache *cache = arg;

    for (int i = 0; i < 2; i++) {
        struct ae__task *task = get(cache);
        model_yield();
        if (task) put(cache, task);
    }
}

static void both(void *arg)
{
    struct ae__slab_cache *cache = arg;
    struct ae__task *first = get(cache), *second = get(cache);

    if (first) put(cache, first);
    if (second) put(cache, second);
}

/* Nobody has a cache: fresh blocks and the shared list. */
static void shared_setup(void)
{
    reset(BLOCKS);
    model_thread(twice, NULL);
    model_thread(twice, NULL);
    model_thread(both, NULL);
}

static void shared_check(void)
{
    check();
    model_assert(failed[1] + failed[2] + failed[3] <= 2);
}

MODEL(slab_shared, "three without a cache", shared_setup, shared_check, 3, 1)

static void caches_setup(void)
{
    reset(BLOCKS);
    model_thread(both, &caches[0]);
    model_thread(both, &caches[1]);
}

MODEL(slab_caches, "two workers with caches and three blocks", caches_setup, check, 7, 2)

/* A worker ends: what its cache held is for the others. */
static void drain(void *arg)
{
    both(arg);
    ae__slab_cache_drain(&slab, arg);
}

static void drain_setup(void)
{
    reset(BLOCKS);
    model_thread(drain, &caches[0]);
    model_thread(both, NULL);
}

MODEL(slab_drain, "a cache is drained while others take", drain_setup, check, 5, 1)
