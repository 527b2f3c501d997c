/* SPDX-License-Identifier: Apache-2.0 */
/* A deadline around any amount of code: the functions inside take no timeout parameter.
 *
 * Inside, the only news is -ECANCELED, which is passed up; the scope that owns the deadline turns
 * it into -ETIMEDOUT. Deadlines nest, and the nearest wins. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

struct query {
    const char *name;
    int64_t work_ns;
    int answer;
};

static int look_up(struct query *q) /* knows nothing of deadlines */
{
    int rc = ae_sleep(q->work_ns);

    if (rc < 0) return rc;
    q->answer = 42;
    return 0;
}

static int look_up_within(struct query *q, int64_t limit_ns)
{
    ae_scope scope;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + limit_ns);
    return ae_scope_end(&scope, look_up(q));
}

static int app(void *arg)
{
    (void)arg;
    struct query fast = { .name = "fast", .work_ns = 1 * AE_MS };
    struct query slow = { .name = "slow", .work_ns = 60 * AE_SEC };

    int rc = look_up_within(&fast, 10 * AE_SEC);
    if (rc < 0) return rc;
    printf("%s: the answer is %d\n", fast.name, fast.answer);

    rc = look_up_within(&slow, 50 * AE_MS);
    printf("%s: %s\n", slow.name, rc == -ETIMEDOUT ? "gave up after 50 ms" : ae_strerror(rc));
    return rc == -ETIMEDOUT ? 0 : rc;
}

int main(void)
{
    int rc = ae_run(NULL, app, NULL);

    if (rc < 0) fprintf(stderr, "timeout: %s\n", ae_strerror(rc));
    return rc < 0;
}
