/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one request: handed out by moving a pointer, given back all at once. The first bytes
 * come from room that the owner has anyway; what is too much for it is taken by malloc. */
#ifndef AETHER_HTTP_ARENA_H
#define AETHER_HTTP_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    char *at, *end;
    struct arena_block *blocks;
};

void ae__http_arena_init(struct arena *arena, void *room, size_t size);
/* Aligned for any type; NULL: no memory. */
void *ae__http_arena_alloc(struct arena *arena, size_t size);
/* A copy with a NUL behind it, or NULL. */
char *ae__http_arena_copy(struct arena *arena, const char *text, size_t size);
/* Frees all blocks; the arena must be initialised again before its next use. */
void ae__http_arena_finish(struct arena *arena);

#endif
