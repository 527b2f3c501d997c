/* SPDX-License-Identifier: Apache-2.0 */
/* See slab.h. */
#include "task/slab.h"

#include <errno.h>

#include "arch/os.h"
#include "base/assert.h"

#define BATCH AE__SLAB_BATCH
#define AHEAD 4

int ae__slab_init(struct ae__slab *slab, uint32_t capacity)
{
    *slab = (struct ae__slab){ .capacity = capacity };
    slab->base = ae__os_map((size_t)capacity * AE__TASK_BYTES);
    return slab->base ? 0 : -ENOMEM;
}

void ae__slab_finish(struct ae__slab *slab)
{
    if (slab->base) ae__os_unmap(slab->base, (size_t)slab->capacity * AE__TASK_BYTES);
    slab->base = NULL;
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

/* Up to `want` blocks from the shared list. Their number; the chain in *out. */
static uint32_t take_shared(struct ae__slab *slab, uint32_t want, struct ae__actor **out)
{
    uint32_t count = 0;

    *out = NULL;
    ae__lock_acquire(&slab->lock);
    while (count < want && slab->free) {
        struct ae__actor *block = slab->free;
        slab->free = block->next;
        block->next = *out;
        *out = block;
        count++;
    }
    ae__lock_release(&slab->lock);
    return count;
}

static struct ae__task *first_use(struct ae__slab *slab, uint32_t index)
{
    struct ae__task *task = ae__slab_at(slab, index);

    task->index = index;
    atomic_store_explicit(&task->generation, 1, memory_order_relaxed);
    return task;
}

static struct ae__task *get_uncached(struct ae__slab *slab)
{
    struct ae__actor *block;
    uint32_t index;

    if (take_shared(slab, 1, &block)) return ae__task_of(block);
    return take_fresh(slab, 1, &index) ? first_use(slab, index) : NULL;
}

/* Blocks that were freed in a row are taken in a row: fetch where the row will be soon. A block
 * that is cold when it is filled stalls the next locked instruction until its lines have come. */
static void prefetch_along(const struct ae__task *task, const struct ae__task *next)
{
    intptr_t step = (intptr_t)next - (intptr_t)task;

    ae__prefetch_task((const void *)((intptr_t)next + AHEAD * step));
}

struct ae__task *ae__slab_get(struct ae__slab *slab, struct ae__slab_cache *cache)
{
    if (!cache) return get_uncached(slab);
    if (AE_UNLIKELY(!cache->free && cache->fresh == cache->fresh_end)) {
        cache->count = take_shared(slab, BATCH, &cache->free);
        if (!cache->count) {
            uint32_t count = take_fresh(slab, BATCH, &cache->fresh);
            cache->fresh_end = cache->fresh + count;
        }
    }
    if (cache->free) {
        struct ae__task *task = ae__task_of(cache->free);
        cache->free = task->actor.next;
        cache->count--;
        if (cache->free) prefetch_along(task, ae__task_of(cache->free));
        return task;
    }
    if (cache->fresh == cache->fresh_end) return NULL;
    ae__prefetch_task((const void *)((uintptr_t)ae__slab_at(slab, cache->fresh) +
                                     AHEAD * AE__TASK_BYTES));
    return first_use(slab, cache->fresh++);
}

static void give_back(struct ae__slab *slab, struct ae__slab_cache *cache, uint32_t count)
{
    ae__lock_acquire(&slab->lock);
    while (count-- && cache->free) {
        struct ae__actor *block = cache->free;
        cache->free = block->next;
        cache->count--;
        block->next = slab->free;
        slab->free = block;
    }
    ae__lock_release(&slab->lock);
}

void ae__slab_put(struct ae__slab *slab, struct ae__slab_cache *cache, struct ae__task *task)
{
    struct ae__slab_cache alone = { 0 };
    struct ae__slab_cache *into = cache ? cache : &alone;

    AE_DEBUG_ASSERT(task->state == AE__TASK_FREE);
    task->actor.next = into->free;
    into->free = &task->actor;
    into->count++;
    if (!cache) {
        give_back(slab, &alone, 1);
    } else if (AE_UNLIKELY(cache->count >= AE__SLAB_CACHE_MAX)) {
        give_back(slab, cache, BATCH);
    }
}

void ae__slab_cache_drain(struct ae__slab *slab, struct ae__slab_cache *cache)
{
    give_back(slab, cache, cache->count);
    while (cache->fresh < cache->fresh_end) {
        struct ae__task *task = first_use(slab, cache->fresh++);
        ae__slab_put(slab, NULL, task);
    }
}
