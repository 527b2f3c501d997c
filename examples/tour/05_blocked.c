/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 5: the wrong way, and what the runtime makes of it.
 *
 * One worker, two tasks. The first computes for some 200 ms without a pause, so the second, which
 * only wants a turn every millisecond, could not run at all. The monitor sees it: it has another
 * thread do what waits for the worker, and writes into the log who held it, where it was spawned
 * and where in the code it stood. AE_RESCUE=off shows what happens without. */
#include <aether/aether.h>

#include <stdio.h>

struct request {
    uint64_t data, hash;
    _Atomic(bool) done; /* the two may run at the same time */
    _Atomic(int) other_turns;
};

/* [blocked] */
static uint64_t heavy_crypto_operation(uint64_t data)
{
    for (int round = 0; round < 200 * 1000 * 1000; round++) {
        data = data * 6364136223846793005u + 1442695040888963407u;
    }
    return data;
}

static int handle_request(void *arg)
{
    struct request *r = arg;

    r->hash = heavy_crypto_operation(r->data); /* the worker is blocked, with all its other tasks */
    r->done = true;
    return 0;
}
/* [end] */

static int other_task(void *arg)
{
    struct request *r = arg;
    int rc = 0;

    while (rc == 0 && !r->done) {
        rc = ae_sleep(AE_MS);
        r->other_turns += !r->done;
    }
    return rc;
}

static int app(void *arg)
{
    struct request r = { .data = 1 };
    ae_task_opts opts = { .name = "handle_request" };

    (void)arg;
    ae_task *other = ae_spawn(other_task, &r), *task = ae_spawn_opts(&opts, handle_request, &r);
    int rc = ae_join(task), rc_other = ae_join(other);
    printf("the other task %s meanwhile\n", r.other_turns > 0 ? "went on" : "stood still");
    return rc < 0 ? rc : rc_other;
}

int main(void)
{
    ae_config config = { AE_CONFIG, .workers = 1 };
    int rc = ae_run(&config, app, NULL);

    if (rc < 0) fprintf(stderr, "blocked: %s\n", ae_strerror(rc));
    return rc < 0;
}
