/* SPDX-License-Identifier: Apache-2.0 */
/* Control blocks: one reserved range per runtime, type-stable until the runtime ends. A block's
 * place in it is half of the task's id; its generation, raised at each free, the other half. */
#ifndef AE_TASK_SLAB_H
#define AE_TASK_SLAB_H

#include "task/types.h"

#define AE__SLAB_CACHE_MAX 256u
#define AE__SLAB_BATCH 64u /* between a cache and the shared list */
/* Blocks that a worker may hold back while another finds none. */
#define AE__SLAB_CACHED_MAX (AE__SLAB_CACHE_MAX + AE__SLAB_BATCH)

struct ae__slab {
    char *base;               /* tasks_max blocks of AE__TASK_BYTES; touched as they are used */
    uint32_t capacity;
    _Atomic(uint32_t) used;   /* blocks below were handed out at least once */
    struct ae__lock lock;     /* guards the two below */
    uint32_t *free;           /* places of free blocks; room for all. Not links in the blocks: */
    uint32_t free_count;      /* a free block is cold, and following links waits for each */
};

/* Of one worker; used by its thread only. */
struct ae__slab_cache {
    uint32_t free[AE__SLAB_CACHE_MAX];
    uint32_t count;
    uint32_t fresh, fresh_end; /* a run of never used blocks */
};

int ae__slab_init(struct ae__slab *slab, uint32_t capacity); /* 0 or -ENOMEM */
void ae__slab_finish(struct ae__slab *slab);

/* A free block with index and generation set, the rest as it was left. cache NULL: a thread that
 * is no worker. NULL: all in use. */
struct ae__task *ae__slab_get(struct ae__slab *slab, struct ae__slab_cache *cache);
void ae__slab_put(struct ae__slab *slab, struct ae__slab_cache *cache, struct ae__task *task);
void ae__slab_cache_drain(struct ae__slab *slab, struct ae__slab_cache *cache);

static inline struct ae__task *ae__slab_at(const struct ae__slab *slab, uint32_t index)
{
    return (struct ae__task *)(slab->base + (size_t)index * AE__TASK_BYTES);
}

#endif
