/* SPDX-License-Identifier: Apache-2.0 */
/* The request's arena. Blocks grow with what is asked for, so a handler that builds a large answer
 * costs few calls of malloc; nothing is kept between requests but the owner's first room. */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 4096
#define ALIGN _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    _Alignas(max_align_t) char data[];
};

void ae__http_arena_init(struct arena *arena, void *room, size_t size)
{
    arena->at = room;
    arena->end = arena->at + size;
    arena->blocks = NULL;
}

static void *add_block(struct arena *arena, size_t size)
{
    size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct arena_block *block = malloc(sizeof(*block) + room);

    if (!block) return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    if (room == size) return block->data; /* the rest of the block before stays in use */
    arena->at = block->data + size;
    arena->end = block->data + room;
    return block->data;
}

void *ae__http_arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2) return NULL;
    size_t pad = -(uintptr_t)arena->at & (ALIGN - 1);
    size_t left = (size_t)(arena->end - arena->at);

    size = (size + ALIGN - 1) & ~(ALIGN - 1);
    if (left < pad || left - pad < size) return add_block(arena, size);
    char *at = arena->at + pad;
    arena->at = at + size;
    return at;
}

char *ae__http_arena_copy(struct arena *arena, const char *text, size_t size)
{
    char *copy = ae__http_arena_alloc(arena, size + 1);

    if (!copy) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void ae__http_arena_finish(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
}
