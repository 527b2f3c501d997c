/* SPDX-License-Identifier: Apache-2.0 */
/* What threads share, learned while a search runs and kept over its executions: threads.c leaves
 * out choices that only matter where threads meet. Whoever learns something new says so, and the
 * search begins anew. Addresses are the same in all executions: statics and fibers' stacks. */
#include "explore.h"

#include <string.h>

enum {
    PLACES = 8192, /* power of two */
    CONDITIONS = 8,
};

static struct model__known places[PLACES];
static unsigned places_used;
static const char *conditions[CONDITIONS];
static unsigned conditions_used;

bool model__learned;

void model__known_reset(void)
{
    memset(places, 0, sizeof places);
    places_used = 0;
    conditions_used = 0;
    model__learned = false;
}

struct model__known *model__known_at(const void *address)
{
    uintptr_t key = (uintptr_t)address & ~(uintptr_t)7;
    size_t i = (size_t)((key / 8) * 0x9E3779B97F4A7C15ull >> 40) & (PLACES - 1);

    while (places[i].key && places[i].key != key)
        i = (i + 1) & (PLACES - 1);
    if (!places[i].key) {
        if (++places_used > PLACES / 2) model_fail("more than %d places are shared", PLACES / 2);
        places[i].key = key;
    }
    return &places[i];
}

void model__known_condition(const void *address)
{
    for (unsigned i = 0; i < conditions_used; i++)
        if (conditions[i] == address) return;
    if (!model__learning) return;
    if (conditions_used == CONDITIONS) model_fail("conditions read more than %d", CONDITIONS);
    conditions[conditions_used++] = address;
    model__learned = true;
}

bool model__known_in_condition(const void *address, unsigned size)
{
    for (unsigned i = 0; i < conditions_used; i++)
        if ((size_t)(conditions[i] + 8 - (const char *)address) < (size_t)size + 8) return true;
    return false;
}
