/* SPDX-License-Identifier: Apache-2.0 */
/* See slab.h. */
#include "task/slab.h"

#include <errno.h>
#include <string.h>

#include "arch/os.h"
#include "base/assert.h"

#define BATCH AE__SLAB_BATCH
#define AHEAD 16u

int ae__slab_init(struct ae__slab *slab, uint32_t capacity)
{
    *slab = (struct ae__slab){ .capacity = capacity };
    AE_ASSERT(capacity > 0);
    slab->base = ae__os_map((size_t)capacity * AE__TASK_BYTES);
    if (slab->base) slab->free = ae__os_map((size_t)capacity * sizeof *slab->free);
    if (slab->free) return 0;
    ae__slab_finish(slab);
    return -ENOMEM;
}

void ae__slab_finish(struct ae__slab *slab)
{
    if (slab->base) ae__os_unmap(slab->base, (size_t)slab->capacity * AE__TASK_BYTES);
    if (slab->free) ae__os_unmap(slab->free, (size_t)slab->capacity * sizeof *slab->free);
    slab->base = NULL;
    slab->free = NULL;
}

/* A run of up to `want` blocks that nobody had before: [*from, *from + result). */
static uint32_t take_fresh(struct ae__slab *slab, uint32_t want, uint32_t *from)
{
    uint32_t used = atomic_load_explicit(&slab->used, memory_order_relaxed);
    uint32_t count;

    do {
        count = slab->capacity - used < want ? slab->capacity - used : want;
        *from = used;
    } while (count && !atomic_compare_exchange_weak_explicit(&slab->used, &used, used + count,
                                                             memory_order_relaxed,
                                                             memory_order_relaxed));
    return count;
}

/* Up to `want` places from the shared list into `out`. Their number. */
static uint32_t take_shared(struct ae__slab *slab, uint32_t want, uint32_t *out)
{
    ae__lock_acquire(&slab->lock);
    uint32_t count = slab->free_count < want ? slab->free_count : want;
    slab->free_count -= count;
    memcpy(out, slab->free + slab->free_count, count * sizeof *out);
    ae__lock_release(&slab->lock);
    return count;
}

static void give_back(struct ae__slab *slab, const uint32_t *places, uint32_t count)
{
    ae__lock_acquire(&slab->lock);
    AE_ASSERT(slab->free_count + count <= slab->capacity);
    memcpy(slab->free + slab->free_count, places, count * sizeof *places);
    slab->free_count += count;
    ae__lock_release(&slab->lock);
}

static struct ae__task *first_use(struct ae__slab *slab, uint32_t index)
{
    struct ae__task *task = ae__slab_at(slab, index);

    AE_DEBUG_ASSERT(index < slab->capacity);
    AE_DEBUG_ASSERT(task->state == AE__TASK_FREE); /* nobody had it */
    task->index = index;
    atomic_store_explicit(&task->generation, 1, memory_order_relaxed);
    return task;
}

static struct ae__task *get_uncached(struct ae__slab *slab)
{
    uint32_t index;

    if (take_shared(slab, 1, &index)) return ae__slab_at(slab, index);
    return take_fresh(slab, 1, &index) ? first_use(slab, index) : NULL;
}

static void refill(struct ae__slab *slab, struct ae__slab_cache *cache)
{
    AE_DEBUG_ASSERT(cache->count == 0);
    cache->count = take_shared(slab, BATCH, cache->free);
    if (!cache->count) {
        uint32_t count = take_fresh(slab, BATCH, &cache->fresh);
        cache->fresh_end = cache->fresh + count;
    }
    for (uint32_t i = 1; i <= AHEAD && i <= cache->count; i++) {
        ae__prefetch_task(ae__slab_at(slab, cache->free[cache->count - i]));
    }
}

/* Blocks are fetched a few turns ahead: one that is cold when it is filled stalls the next locked
 * instruction until its lines have come. */
struct ae__task *ae__slab_get(struct ae__slab *slab, struct ae__slab_cache *cache)
{
    if (!cache) return get_uncached(slab);
    if (AE_UNLIKELY(!cache->count && cache->fresh == cache->fresh_end)) refill(slab, cache);
    if (cache->count) {
        uint32_t count = --cache->count;
        if (count >= AHEAD) ae__prefetch_task(ae__slab_at(slab, cache->free[count - AHEAD]));
        return ae__slab_at(slab, cache->free[count]);
    }
    if (cache->fresh == cache->fresh_end) return NULL;
    ae__prefetch_task((const void *)((uintptr_t)ae__slab_at(slab, cache->fresh) +
                                     AHEAD * AE__TASK_BYTES));
    return first_use(slab, cache->fresh++);
}

void ae__slab_put(struct ae__slab *slab, struct ae__slab_cache *cache, struct ae__task *task)
{
    AE_DEBUG_ASSERT(task->state == AE__TASK_FREE);
    AE_DEBUG_ASSERT(ae__slab_at(slab, task->index) == task);
    if (!cache) {
        give_back(slab, &task->index, 1);
        return;
    }
    if (AE_UNLIKELY(cache->count == AE__SLAB_CACHE_MAX)) {
        cache->count -= BATCH;
        give_back(slab, cache->free + cache->count, BATCH);
    }
    cache->free[cache->count++] = task->index;
}

void ae__slab_cache_drain(struct ae__slab *slab, struct ae__slab_cache *cache)
{
    give_back(slab, cache->free, cache->count);
    cache->count = 0;
    while (cache->fresh < cache->fresh_end) {
        struct ae__task *task = first_use(slab, cache->fresh++);
        ae__slab_put(slab, NULL, task);
    }
}
