/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 7: a batch of computations, in parallel and in order.
 *
 * The items are mapped on the compute pool, a thread per CPU. Costly ones and cheap ones may be
 * mixed: a thread that has nothing left takes half of what another one still has to do. */
#include <aether/aether.h>
#include <errno.h>
#include <stdio.h>

/* [batch-process] */
struct request_data {
    int limit;
};

struct result {
    int primes; /* below the limit */
};
static int process_item(void *arg, const void *in, void *out) /* on a compute thread */
{
    const struct request_data *item = in;
    struct result *result = out;

    (void)arg;
    if (item->limit < 0) return -EDOM;
    result->primes = 0;
    for (int n = 2; n < item->limit; n++) {
        int d = 2;
        while (d * d <= n && n % d != 0) {
            d++;
        }
        result->primes += d * d > n;
    }
    return 0;
}

struct batch {
    const struct request_data *items;
    struct result *results;
    int *status;
    size_t count;
};

static int map_all(void *arg)
{
    struct batch *b = arg;
    return ae_par_map_status(b->items, sizeof *b->items, b->results, sizeof *b->results, b->count,
                             b->status, process_item, NULL);
}

static int batch_process(struct batch *b)
{
    return ae_blocking(map_all, b); /* without ae_blocking it is the same: map_all(b) */
}
/* [end] */

static int app(void *arg)
{
    static const struct request_data items[] = { { 10 },   { 100 },   { -1 },    { 1000 },
                                                 { 2000 }, { 100000 }, { 20000 }, { -7 } };
    enum { COUNT = sizeof items / sizeof items[0] };
    struct result results[COUNT];
    int status[COUNT];
    struct batch batch = { items, results, status, COUNT };
    (void)arg;
    int rc = batch_process(&batch);
    if (rc < 0) return rc;
    for (int i = 0; i < COUNT; i++) {
        printf("below %d: ", items[i].limit);
        if (status[i] < 0) printf("%s\n", ae_strerror(status[i]));
        if (status[i] == 0) printf("%d primes\n", results[i].primes);
    }
    return 0;
}

int main(void)
{
    int rc = ae_run(NULL, app, NULL);
    if (rc < 0) fprintf(stderr, "batch: %s\n", ae_strerror(rc));
    return rc < 0;
}
