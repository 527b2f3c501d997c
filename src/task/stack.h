/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks: guarded, pooled, taken at a task's first run and given back when it returns.
 *
 * A stack is known by its head, a small record at its top. Memory comes in large mappings cut into
 * equal slots, each with a guard at its low end. Per-worker caches (LIFO, so that the next task
 * runs on warm pages) sit above one shared list per class. */
#ifndef AE_TASK_STACK_H
#define AE_TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/sanitize.h"
#include "task/lock.h"

#define AE__STACK_CLASSES 3 /* 64 KiB, 256 KiB, 1 MiB */
#define AE__STACK_CACHE_MAX 64

/* At the very top of the slot; what the task may use ends below it. */
struct ae__stack {
    char *low;               /* lowest usable byte, above the guard */
    uint8_t class;
    struct ae__san san;
};

struct ae__stack_chunk;

/* Of one runtime. */
struct ae__stack_pool {
    struct ae__lock lock;            /* guards the lists below */
    struct ae__stack **free[AE__STACK_CLASSES]; /* last in, first out; room for every slot made */
    size_t free_count[AE__STACK_CLASSES];
    size_t free_room[AE__STACK_CLASSES];
    size_t free_low[AE__STACK_CLASSES];  /* the least that were free since the last trim */
    size_t free_cold[AE__STACK_CLASSES]; /* so many of the first have no memory, nor a head */
    _Atomic(int64_t) trim_ns;            /* when to trim; 0: look soon; INT64_MAX: nothing to do */
    size_t slots_made[AE__STACK_CLASSES];
    struct ae__stack_chunk *chunks;  /* mappings, newest first; also read by the fault handler */
    bool guard_by_protect;
    size_t maps_left;                /* guards by mprotect cost mappings */
    size_t slots_cut;                /* of all classes */
    size_t slots_max;                /* SIZE_MAX; tests make it small */
    _Atomic(bool) unguarded;         /* to be told to the log, outside of the lock */
};

/* Of one worker; used by its thread only. Pointers, not links through the stacks: a stack that was
 * unused for long is cold, and its memory is fetched while the one before it is started. */
struct ae__stack_cache {
    struct ae__stack *free[AE__STACK_CLASSES][AE__STACK_CACHE_MAX];
    uint32_t count[AE__STACK_CLASSES];
};

void ae__stack_pool_init(struct ae__stack_pool *pool);
void ae__stack_pool_finish(struct ae__stack_pool *pool); /* no task is left */

/* The smallest class that has so many bytes (0: 256 KiB); the largest if none. */
uint8_t ae__stack_class(size_t bytes);
size_t ae__stack_class_bytes(uint8_t class);

/* A stack of the class. NULL: no memory. */
struct ae__stack *ae__stack_get(struct ae__stack_pool *pool, struct ae__stack_cache *cache,
                                uint8_t class);
/* The same when they are scarce: of the shared lists only, of a larger class if there is one. */
struct ae__stack *ae__stack_get_scarce(struct ae__stack_pool *pool, uint8_t class);
void ae__stack_put(struct ae__stack_pool *pool, struct ae__stack_cache *cache,
                   struct ae__stack *stack);
/* Give the whole cache back (a worker ends). */
void ae__stack_cache_drain(struct ae__stack_pool *pool, struct ae__stack_cache *cache);

/* Give the memory of stacks back that were in the shared list for a second. When to call again;
 * INT64_MAX: when there is something new. By workers that have nothing else to do. */
int64_t ae__stack_trim(struct ae__stack_pool *pool);

/* Where the stack begins: 64-byte aligned, coloured so that tops do not share cache sets. */
void *ae__stack_top(struct ae__stack *stack);

/* Does the address lie in the guard of some slot, or sp below the usable part of it? The slot's
 * size, or 0. Signal-safe. */
size_t ae__stack_overflowed(const struct ae__stack_pool *pool, uintptr_t address, uintptr_t sp);

/* Stacks that are in use or cached. */
size_t ae__stack_count(const struct ae__stack_pool *pool);

#endif
