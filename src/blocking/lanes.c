/* SPDX-License-Identifier: Apache-2.0 */
/* The lanes of the blocking pool. Each has threads, a queue and a lock of its own, so that no kind
 * of work waits for another kind: hashes that keep every thread of theirs busy delay no file, and
 * a name server that does not answer delays neither. A thread that is idle in one lane is not lent
 * to another one, which costs a few sleeping threads at most. */
#include "blocking/lanes.h"

#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"

struct ae__lanes {
    struct ae__pool *lane[AE_LANES];
};

int ae__lanes_create(struct ae_runtime *rt, struct ae__lanes **out)
{
    static const char *const names[AE_LANES] = { "aether-pool", "aether-files", "aether-names" };
    const ae_config *config = ae__runtime_config(rt);
    const uint32_t threads_max[AE_LANES] = { config->blocking_threads_max,
                                             config->files_threads_max,
                                             config->names_threads_max };
    struct ae__lanes *lanes = ae__mem_zalloc(sizeof *lanes);
    int rc = lanes ? 0 : -ENOMEM;

    for (int i = 0; i < AE_LANES && rc == 0; i++) {
        rc = ae__pool_create(rt, names[i], threads_max[i], &lanes->lane[i]);
    }
    if (rc < 0) {
        ae__lanes_destroy(lanes);
        return rc;
    }
    *out = lanes;
    return 0;
}

/* In this order: what users' jobs ask for meanwhile is done by their own threads. */
void ae__lanes_stop(struct ae__lanes *lanes)
{
    for (int i = 0; i < AE_LANES; i++) {
        ae__pool_stop(lanes->lane[i]);
    }
}

void ae__lanes_destroy(struct ae__lanes *lanes)
{
    if (!lanes) return;
    for (int i = 0; i < AE_LANES; i++) {
        ae__pool_destroy(lanes->lane[i]);
    }
    ae__mem_free(lanes);
}

void ae__lanes_stats(struct ae__lanes *lanes, enum ae_lane lane, struct ae__pool_stats *out)
{
    ae__pool_stats(ae__lane(lanes, lane), out);
}

struct ae__pool *ae__lane(struct ae__lanes *lanes, enum ae_lane lane)
{
    AE_ASSERT(lane < AE_LANES);
    return lanes->lane[lane];
}
