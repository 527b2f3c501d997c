/* SPDX-License-Identifier: Apache-2.0 */
/* See locals.h. Few keys per task, so a linear search beats hashing. */
#include "task/locals.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define ROUNDS_MAX 4 /* as PTHREAD_DESTRUCTOR_ITERATIONS */

struct entry {
    const ae_local *key;
    void *value;
};

struct ae__locals {
    uint32_t count, capacity;
    struct entry entries[];
};

static struct entry *find(const struct ae__locals *locals, const ae_local *key)
{
    for (uint32_t i = 0; locals && i < locals->count; i++) {
        if (locals->entries[i].key == key) return (struct entry *)&locals->entries[i];
    }
    return NULL;
}

void *ae__locals_get(const struct ae__locals *locals, const ae_local *key)
{
    const struct entry *entry = find(locals, key);

    return entry ? entry->value : NULL;
}

static int grow(struct ae__locals **locals)
{
    struct ae__locals *old = *locals;
    uint32_t capacity = old ? old->capacity * 2 : 4;
    struct ae__locals *grown = ae__mem_zalloc(sizeof *grown + capacity * sizeof(struct entry));

    if (!grown) return -ENOMEM;
    if (old) {
        AE_ASSERT(old->count == old->capacity); /* grown when full only */
        memcpy(grown->entries, old->entries, old->count * sizeof(struct entry));
        grown->count = old->count;
    }
    grown->capacity = capacity;
    ae__mem_free(old);
    *locals = grown;
    return 0;
}

int ae__locals_set(struct ae__locals **locals, const ae_local *key, void *value)
{
    struct entry *entry = find(*locals, key);

    AE_ASSERT(key);
    if (!entry) {
        if (!*locals || (*locals)->count == (*locals)->capacity) {
            int rc = grow(locals);
            if (rc < 0) return rc;
        }
        AE_ASSERT((*locals)->count < (*locals)->capacity);
        entry = &(*locals)->entries[(*locals)->count++];
        entry->key = key;
    }
    entry->value = value;
    return 0;
}

void ae__locals_destroy(struct ae__locals **locals)
{
    for (int round = 0; round < ROUNDS_MAX && *locals; round++) {
        struct ae__locals *table = *locals;
        *locals = NULL;
        AE_ASSERT(table->count <= table->capacity);
        for (uint32_t i = 0; i < table->count; i++) {
            const struct entry *entry = &table->entries[i];
            if (entry->value && entry->key->destroy) entry->key->destroy(entry->value);
        }
        ae__mem_free(table);
    }
    ae__mem_free(*locals);
    *locals = NULL;
}
