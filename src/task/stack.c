/* SPDX-License-Identifier: Apache-2.0 */
/* See stack.h.
 *
 * Guards: MADV_GUARD_INSTALL where it works (tested at start, not asked), which costs no mapping;
 * else mprotect, as long as half of the process's mappings are left, then a slot goes without one
 * (and the log says so, once). Sanitizer builds use mprotect: LeakSanitizer scans what the map
 * calls readable. */
#include "task/stack.h"

#include <string.h>

#include "aether/log.h"
#include "arch/os.h"
#include "base/assert.h"
#include "base/mem.h"

#define CHUNK_BYTES ((size_t)64 << 20)
#define BATCH 32u /* between a worker's cache and the shared list */
#define TRIM_NS 1000000000 /* unused for so long: cold */
#define TRIM_BATCH 16u     /* at a time: the lock is held */

#define SMALL_GUARD_BYTES ((size_t)16 << 10)
#if defined(__aarch64__)
#define GUARD_BYTES ((size_t)64 << 10) /* compilers probe every 64 KiB there */
#else
#define GUARD_BYTES SMALL_GUARD_BYTES
#endif

/* A class names its slot with the small guard in it; what a guard has beyond that comes on top. */

static const size_t class_bytes[AE__STACK_CLASSES] = {
    (size_t)64 << 10, (size_t)256 << 10, (size_t)1 << 20
};

struct ae__stack_chunk {
    struct ae__stack_chunk *next;
    char *base;
    size_t slot_bytes;
    size_t slots;
    _Atomic(size_t) used; /* slots cut so far */
};

uint8_t ae__stack_class(size_t bytes)
{
    if (bytes == 0) return 1;
    for (uint8_t class = 0; class < AE__STACK_CLASSES - 1; class++) {
        if (bytes <= class_bytes[class]) return class;
    }
    return AE__STACK_CLASSES - 1;
}

/* Sanitizers spread frames: their builds get twice the room. */
size_t ae__stack_class_bytes(uint8_t class)
{
    AE_ASSERT(class < AE__STACK_CLASSES);
    return class_bytes[class] * (AE_ASAN || AE_TSAN ? 2 : 1);
}

static size_t slot_bytes(uint8_t class)
{
    return ae__stack_class_bytes(class) + GUARD_BYTES - SMALL_GUARD_BYTES;
}

void ae__stack_pool_init(struct ae__stack_pool *pool)
{
    *pool = (struct ae__stack_pool){ .slots_max = SIZE_MAX, .trim_ns = INT64_MAX };
    pool->guard_by_protect = AE_ASAN || AE_TSAN || !ae__os_guard_works();
    pool->maps_left = ae__os_maps_max() / 2;
}

static void unmap_chunk(struct ae__stack_chunk *chunk)
{
    for (size_t i = 0; i < chunk->used; i++) { /* heads of cold ones are gone: not to be read */
        char *end = chunk->base + (i + 1) * chunk->slot_bytes;
        char *low = end - chunk->slot_bytes + GUARD_BYTES;
        ae__san_stack_gone(&((struct ae__stack *)end - 1)->san, low, (size_t)(end - low));
    }
    ae__os_unmap(chunk->base, CHUNK_BYTES);
    ae__mem_free(chunk);
}

void ae__stack_pool_finish(struct ae__stack_pool *pool)
{
    struct ae__stack_chunk *next;

    for (struct ae__stack_chunk *chunk = pool->chunks; chunk; chunk = next) {
        next = chunk->next;
        unmap_chunk(chunk);
    }
    pool->chunks = NULL;
    for (int class = 0; class < AE__STACK_CLASSES; class++) {
        ae__mem_free(pool->free[class]);
    }
}

/* Every slot must fit into the list of free ones, so that giving back cannot fail. */
static bool make_room(struct ae__stack_pool *pool, uint8_t class, size_t slots)
{
    size_t need = pool->slots_made[class] + slots;

    if (need > pool->free_room[class]) {
        size_t room = need * 2;
        struct ae__stack **grown = ae__mem_alloc(room * sizeof *grown);
        if (!grown) return false;
        size_t bytes = pool->free_count[class] * sizeof *grown;
        if (bytes) memcpy(grown, pool->free[class], bytes);
        ae__mem_free(pool->free[class]);
        pool->free[class] = grown;
        pool->free_room[class] = room;
    }
    pool->slots_made[class] = need;
    return true;
}

static struct ae__stack_chunk *add_chunk(struct ae__stack_pool *pool, uint8_t class)
{
    struct ae__stack_chunk *chunk = ae__mem_zalloc(sizeof *chunk);

    if (!chunk) return NULL;
    chunk->slot_bytes = slot_bytes(class);
    chunk->slots = CHUNK_BYTES / chunk->slot_bytes;
    if (!make_room(pool, class, chunk->slots)) {
        ae__mem_free(chunk);
        return NULL;
    }
    chunk->base = ae__os_map(CHUNK_BYTES);
    if (!chunk->base) {
        ae__mem_free(chunk);
        return NULL;
    }
    ae__os_no_huge_pages(chunk->base, CHUNK_BYTES);
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    return chunk;
}

/* What the lock's holder found out, for the log, which may take long. */
static void tell_unguarded(struct ae__stack_pool *pool)
{
    if (AE_LIKELY(!atomic_exchange_explicit(&pool->unguarded, false, memory_order_relaxed))) return;
    ae_log(AE_WARN, "stacks from here on have no guard: vm.max_map_count is used up");
}

static void install_guard(struct ae__stack_pool *pool, char *base)
{
    if (pool->guard_by_protect) {
        if (pool->maps_left < 2) {
            if (pool->maps_left == 1) return;
            pool->maps_left = 1;
        }
        if (pool->maps_left >= 4) {
            pool->maps_left -= 2;
            if (ae__os_guard(base, GUARD_BYTES, true)) return;
        }
        if (pool->maps_left > 1) {
            pool->maps_left = 1;
            atomic_store_explicit(&pool->unguarded, true, memory_order_relaxed);
        }
        return;
    }
    if (!ae__os_guard(base, GUARD_BYTES, false)) pool->guard_by_protect = true;
}

/* Cut the next slot of the chunk. Under the lock. */
static struct ae__stack *cut_slot(struct ae__stack_pool *pool, struct ae__stack_chunk *chunk,
                                  uint8_t class)
{
    size_t index = chunk->used;
    char *base = chunk->base + index * chunk->slot_bytes;
    char *end = base + chunk->slot_bytes;
    struct ae__stack *stack = (struct ae__stack *)end - 1;

    AE_ASSERT(index < chunk->slots);
    AE_ASSERT(chunk->slot_bytes == slot_bytes(class));
    install_guard(pool, base);
    stack->low = base + GUARD_BYTES;
    stack->class = class;
    ae__san_stack_made(&stack->san, stack->low, (size_t)(end - stack->low));
    atomic_store_explicit(&chunk->used, index + 1, memory_order_relaxed);
    pool->slots_cut++;
    return stack;
}

/* Under the lock; there is one. */
static struct ae__stack *pop_shared(struct ae__stack_pool *pool, uint8_t class)
{
    AE_ASSERT(pool->free_count[class] > 0);
    size_t count = --pool->free_count[class];
    struct ae__stack *stack = pool->free[class][count];

    if (count < pool->free_low[class]) pool->free_low[class] = count;
    if (AE_UNLIKELY(count < pool->free_cold[class])) { /* its memory was given back */
        pool->free_cold[class] = count;
        stack->low = (char *)(stack + 1) - slot_bytes(class) + GUARD_BYTES;
        stack->class = class;
    }
    return stack;
}

/* Under the lock. */
static struct ae__stack *take_shared(struct ae__stack_pool *pool, uint8_t class)
{
    if (pool->free_count[class] > 0) return pop_shared(pool, class);
    if (pool->slots_cut == pool->slots_max) return NULL;
    struct ae__stack_chunk *chunk = pool->chunks;
    size_t bytes = slot_bytes(class);
    while (chunk && (chunk->slot_bytes != bytes || chunk->used == chunk->slots)) {
        chunk = chunk->next;
        if (chunk && chunk->slot_bytes == bytes && chunk->used == chunk->slots) chunk = NULL;
    }
    if (!chunk) chunk = add_chunk(pool, class);
    return chunk ? cut_slot(pool, chunk, class) : NULL;
}

static void cache_push(struct ae__stack_cache *cache, uint8_t class, struct ae__stack *stack)
{
    AE_DEBUG_ASSERT(cache->count[class] < AE__STACK_CACHE_MAX);
    cache->free[class][cache->count[class]++] = stack;
}

/* For who comes after the next: the lines that its first frames will be in. */
static void prefetch(struct ae__stack *stack)
{
    char *top = ae__stack_top(stack);

    for (int line = 1; line <= 5; line++) {
        __builtin_prefetch(top - line * AE_CACHE_LINE, 1);
    }
}

static struct ae__stack *cache_pop(struct ae__stack_cache *cache, uint8_t class)
{
    AE_DEBUG_ASSERT(cache->count[class] > 0);
    uint32_t count = --cache->count[class];

    if (count >= 2) prefetch(cache->free[class][count - 2]);
    return cache->free[class][count];
}

/* Fresh slots are taken one by one, so that an idle program touches few; used ones by the batch. */
static void refill(struct ae__stack_pool *pool, struct ae__stack_cache *cache, uint8_t class)
{
    ae__lock_acquire(&pool->lock);
    for (unsigned i = 0; i < BATCH && (i == 0 || pool->free_count[class] > 0); i++) {
        struct ae__stack *stack = take_shared(pool, class);
        if (!stack) break;
        cache_push(cache, class, stack);
    }
    ae__lock_release(&pool->lock);
    tell_unguarded(pool);
}

struct ae__stack *ae__stack_get_scarce(struct ae__stack_pool *pool, uint8_t class)
{
    AE_ASSERT(class < AE__STACK_CLASSES);
    ae__lock_acquire(&pool->lock);
    struct ae__stack *stack = take_shared(pool, class);
    for (uint8_t larger = class + 1; !stack && larger < AE__STACK_CLASSES; larger++) {
        if (pool->free_count[larger] > 0) stack = pop_shared(pool, larger);
    }
    ae__lock_release(&pool->lock);
    tell_unguarded(pool);
    if (stack) ae__san_stack_reuse(&stack->san);
    return stack;
}

struct ae__stack *ae__stack_get(struct ae__stack_pool *pool, struct ae__stack_cache *cache,
                                uint8_t class)
{
    AE_DEBUG_ASSERT(class < AE__STACK_CLASSES);
    if (AE_UNLIKELY(cache->count[class] == 0)) refill(pool, cache, class);
    if (AE_UNLIKELY(cache->count[class] == 0)) return NULL;
    struct ae__stack *stack = cache_pop(cache, class);
    ae__san_stack_reuse(&stack->san);
    return stack;
}

static void spill(struct ae__stack_pool *pool, struct ae__stack_cache *cache, uint8_t class,
                  unsigned count)
{
    ae__lock_acquire(&pool->lock);
    for (unsigned i = 0; i < count && cache->count[class] > 0; i++) {
        AE_ASSERT(pool->free_count[class] < pool->free_room[class]);
        pool->free[class][pool->free_count[class]++] =
            cache->free[class][--cache->count[class]];
    }
    if (pool->trim_ns == INT64_MAX) pool->trim_ns = 0; /* at the next look */
    ae__lock_release(&pool->lock);
}

void ae__stack_put(struct ae__stack_pool *pool, struct ae__stack_cache *cache,
                   struct ae__stack *stack)
{
    uint8_t class = stack->class;

    AE_ASSERT(class < AE__STACK_CLASSES); /* the head is the stack's first victim from above */
    AE_ASSERT(stack->low == (char *)(stack + 1) - slot_bytes(class) + GUARD_BYTES);
    if (AE_UNLIKELY(cache->count[class] >= AE__STACK_CACHE_MAX)) spill(pool, cache, class, BATCH);
    cache_push(cache, class, stack);
}

void ae__stack_cache_drain(struct ae__stack_pool *pool, struct ae__stack_cache *cache)
{
    for (uint8_t class = 0; class < AE__STACK_CLASSES; class++) {
        spill(pool, cache, class, UINT32_MAX);
    }
}

/* Give back what nobody used since the last look. Under the lock. False: that was not all. */
static bool trim_class(struct ae__stack_pool *pool, uint8_t class)
{
    size_t cold = pool->free_low[class], end = pool->free_cold[class] + TRIM_BATCH;

    AE_ASSERT(pool->free_cold[class] <= cold);
    AE_ASSERT(cold <= pool->free_count[class]);
    if (end > cold) end = cold;
    for (size_t i = pool->free_cold[class]; i < end; i++) {
        char *slot_end = (char *)(pool->free[class][i] + 1);
        ae__os_discard(slot_end - slot_bytes(class) + GUARD_BYTES, slot_bytes(class) - GUARD_BYTES);
        pool->free_cold[class] = i + 1;
    }
    return end == cold;
}

static bool trim_all(struct ae__stack_pool *pool)
{
    bool done = true;

    for (uint8_t class = 0; class < AE__STACK_CLASSES && done; class++) {
        done = trim_class(pool, class);
    }
    return done;
}

/* What is free now and stays free until the next look is cold then. */
static int64_t next_trim(struct ae__stack_pool *pool, int64_t now_ns)
{
    bool any = false;

    for (int class = 0; class < AE__STACK_CLASSES; class++) {
        pool->free_low[class] = pool->free_count[class];
        any = any || pool->free_count[class] > pool->free_cold[class];
    }
    return any ? now_ns + TRIM_NS : INT64_MAX;
}

int64_t ae__stack_trim(struct ae__stack_pool *pool)
{
    int64_t trim_ns = atomic_load_explicit(&pool->trim_ns, memory_order_relaxed);

    /* With a sanitizer the head is not ours alone. */
    if (trim_ns == INT64_MAX || AE_ASAN || AE_TSAN) return INT64_MAX;
    int64_t now_ns = ae__os_now();
    if (now_ns < trim_ns) return trim_ns;
    ae__lock_acquire(&pool->lock);
    bool first = pool->trim_ns == 0;
    if (first || trim_all(pool)) pool->trim_ns = next_trim(pool, now_ns);
    trim_ns = pool->trim_ns;
    ae__lock_release(&pool->lock);
    return trim_ns;
}

void *ae__stack_top(struct ae__stack *stack)
{
    uintptr_t colour = ((uintptr_t)stack >> 16 ^ (uintptr_t)stack >> 20) % 16;
    uintptr_t top = (uintptr_t)stack - colour * AE_CACHE_LINE;

    return (void *)(top & ~(uintptr_t)63);
}

size_t ae__stack_overflowed(const struct ae__stack_pool *pool, uintptr_t address, uintptr_t sp)
{
    for (const struct ae__stack_chunk *chunk = pool->chunks; chunk; chunk = chunk->next) {
        uintptr_t base = (uintptr_t)chunk->base;
        if (sp - base >= CHUNK_BYTES && address - base >= CHUNK_BYTES) continue;
        if (address - base < CHUNK_BYTES && (address - base) % chunk->slot_bytes < GUARD_BYTES) {
            return chunk->slot_bytes;
        }
        if (sp - base < CHUNK_BYTES && (sp - base) % chunk->slot_bytes < GUARD_BYTES) {
            return chunk->slot_bytes;
        }
    }
    return 0;
}

size_t ae__stack_count(const struct ae__stack_pool *pool)
{
    size_t count = 0;

    for (const struct ae__stack_chunk *chunk = pool->chunks; chunk; chunk = chunk->next) {
        count += atomic_load_explicit(&chunk->used, memory_order_relaxed);
    }
    return count;
}
