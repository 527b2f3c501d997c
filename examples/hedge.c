/* SPDX-License-Identifier: Apache-2.0 */
/* A hedged request (Dean and Barroso, "The Tail at Scale", 2013): ask one replica; if it fails or
 * says nothing for 20 ms, ask the next one as well; the first good answer cancels the others. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

#define HEDGE_NS (20 * AE_MS)

struct answer {
    const char *from;
    int rc;
};

struct replica {
    const char *name;
    int64_t latency_ns;
    int rc; /* what it answers */
    ae_chan *answers;
};

static int ask(void *arg)
{
    struct replica *r = arg;
    int rc = ae_sleep(r->latency_ns);

    if (rc < 0) return rc; /* somebody else was faster */
    return ae_send(r->answers, &(struct answer){ r->name, r->rc });
}

static int first_good(struct replica *replicas, size_t count, struct answer *out)
{
    size_t asked = 0, answered = 0;
    int rc = -EHOSTUNREACH;

    while (answered < count) {
        if (asked < count && (rc = ae_go(ask, &replicas[asked++])) < 0) break;
        ae_case cases[] = {
            { .op = AE_CASE_RECV, .chan = replicas->answers, .item = out },
            { .op = AE_CASE_TIMER, .when_ns = ae_now() + HEDGE_NS },
        };
        rc = ae_select(cases, asked < count ? 2 : 1);
        if (rc < 0) break;
        if (rc == 1) continue; /* slow: ask one more */
        rc = out->rc;
        if (rc == 0) break;
        answered++; /* failed: ask one more */
    }
    return rc;
}

static int app(void *arg)
{
    (void)arg;
    ae_chan *answers = ae_chan_create(sizeof(struct answer), 3); /* no answer ever waits */
    if (!answers) return -ENOMEM;
    struct replica replicas[] = {
        { "slow", 60 * AE_SEC, 0, answers },
        { "broken", 1 * AE_MS, -ECONNRESET, answers },
        { "good", 5 * AE_MS, 0, answers },
    };
    struct answer answer = { 0 };

    ae_scope race;
    ae_scope_begin(&race);
    int rc = first_good(replicas, 3, &answer);
    ae_scope_cancel(&race, 0);
    rc = ae_scope_end(&race, rc); /* the losers are gone: answers and replicas may go */
    ae_chan_destroy(answers);
    if (rc == 0) printf("answered by %s\n", answer.from);
    return rc;
}

int main(void)
{
    int rc = ae_run(NULL, app, NULL);
    if (rc < 0) fprintf(stderr, "hedge: %s\n", ae_strerror(rc));
    return rc < 0;
}
