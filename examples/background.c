/* SPDX-License-Identifier: Apache-2.0 */
/* Work that outlives the scope it was started in, and a look at it that does not wait for ever.
 *
 * The task belongs to the runtime's root, so the end of the request's scope does not wait for it.
 * It computes for long, and ae_checkpoint in its loop lets others run and tells it of a cancel. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

struct census {
    long limit, primes;
};

static bool is_prime(long n)
{
    for (long i = 2; i * i <= n; i++) {
        if (n % i == 0) return false;
    }
    return n > 1;
}

static int count_primes(void *arg)
{
    struct census *census = arg;

    for (long n = 0; n < census->limit; n++) {
        census->primes += is_prime(n);
        int rc = ae_checkpoint();
        if (rc < 0) return rc;
    }
    return 0;
}

/* A request that starts the work and waits a little, in case it is quick. */
static int request(struct census *census, ae_task **work)
{
    ae_scope scope;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now()); /* no patience at all, so that the output is known */
    *work = ae_spawn_in(NULL, count_primes, census);
    int rc = *work ? ae_task_wait(*work) : -ENOMEM; /* keeps the handle, unlike ae_join */
    return ae_scope_end(&scope, rc);
}

static int app(void *arg)
{
    struct census census = { .limit = *(long *)arg };
    ae_task *work;

    int rc = request(&census, &work);
    if (rc == -ETIMEDOUT) printf("the request is over, the work goes on\n");
    if (!work) return rc;

    rc = ae_join(work); /* in every case: the work borrows our census */
    if (rc == 0) printf("%ld primes below %ld\n", census.primes, census.limit);
    return rc;
}

int main(void)
{
    long limit = 200 * 1000;
    int rc = ae_run(NULL, app, &limit);

    if (rc < 0) fprintf(stderr, "background: %s\n", ae_strerror(rc));
    return rc < 0;
}
