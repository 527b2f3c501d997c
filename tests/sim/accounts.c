/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that keep accounts while everything that waits is cancelled, timed out, moved and pinned:
 * each item that was sent is received once, each permit comes back, each job ends. For aesim, and
 * for anybody: it is an ordinary program. */
#include <aether/aether.h>
#include <aether/sim.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SENDERS = 3, RECEIVERS = 3, ITEMS = 25, ALL = SENDERS * ITEMS, VISITS = 12, GUESTS = 6 };

struct ledger {
    ae_chan *chan;
    _Atomic(int) sent[ALL], received[ALL];
};

struct sender {
    struct ledger *ledger;
    int first;
};

static int64_t a_while(void)
{
    return (int64_t)((uint64_t)ae_now() * 2654435761u >> 7) % (300 * AE_US);
}

/* ---- channels ---- */

static int send_items(void *arg)
{
    struct sender *s = arg;
    int rc = 0;

    for (int i = s->first; i < s->first + ITEMS && rc == 0; i++) {
        rc = ae_send(s->ledger->chan, &i);
        if (rc == 0) s->ledger->sent[i]++;
    }
    return rc;
}

static int receive_with_patience(struct ledger *ledger)
{
    ae_scope scope;
    int item;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + a_while());
    int rc = ae_recv(ledger->chan, &item);
    rc = ae_scope_end(&scope, rc);
    if (rc == 0) ledger->received[item]++;
    return rc;
}

/* By a select with a timer every other time, by a receive with a deadline else. */
static int select_once(struct ledger *ledger)
{
    int item;
    ae_case cases[] = {
        { .op = AE_CASE_RECV, .chan = ledger->chan, .item = &item },
        { .op = AE_CASE_TIMER, .when_ns = ae_now() + a_while() },
    };
    int rc = ae_select(cases, 2);

    if (rc < 0) return rc;
    ae_sim_sometimes(rc == 1, "a select timed out");
    if (rc == 1) return -ETIMEDOUT;
    if (cases[0].rc == 0) ledger->received[item]++;
    return cases[0].rc;
}

static int receive_items(void *arg)
{
    struct ledger *ledger = arg;
    int rc = 0;

    for (int turn = 0; rc == 0 || rc == -ETIMEDOUT; turn++) {
        rc = turn % 2 ? select_once(ledger) : receive_with_patience(ledger);
        if (rc == -ETIMEDOUT) ae_sim_sometimes(true, "a receiver lost its patience");
        if (rc == -ETIMEDOUT && ae_sleep(a_while()) < 0) return -ECANCELED;
    }
    return rc == -EPIPE ? 0 : rc;
}

/* One that is cancelled in the midst of it, again and again. */
static int receive_and_be_cancelled(void *arg)
{
    int rc = 0;

    for (int i = 0; i < 8 && rc == 0; i++) {
        ae_task *task = ae_spawn(receive_items, arg);
        rc = ae_sleep(a_while());
        ae_cancel(task);
        int status = ae_join(task);
        ae_sim_sometimes(status == -ECANCELED, "a receiver was cancelled");
    }
    return rc;
}

static void settle_accounts(struct ledger *ledger)
{
    int item;

    while (ae_try_recv(ledger->chan, &item) == 0)
        ledger->received[item]++;
    for (int i = 0; i < ALL; i++) {
        ae_sim_always(ledger->sent[i] == ledger->received[i], "what was sent is received once");
    }
}

static int exchange(size_t capacity)
{
    struct ledger ledger = { .chan = ae_chan_create(sizeof(int), capacity) };
    struct sender senders[SENDERS];
    ae_scope scope, sending;

    if (!ledger.chan) return -ENOMEM;
    ae_scope_begin(&scope);
    int rc = ae_go(receive_and_be_cancelled, &ledger);
    for (int i = 0; i < RECEIVERS && rc == 0; i++)
        rc = ae_go(receive_items, &ledger);
    ae_scope_begin(&sending);
    for (int i = 0; i < SENDERS && rc == 0; i++) {
        senders[i] = (struct sender){ &ledger, i * ITEMS };
        rc = ae_go(send_items, &senders[i]);
    }
    rc = ae_scope_end(&sending, rc);
    ae_chan_close(ledger.chan);
    rc = ae_scope_end(&scope, rc);
    settle_accounts(&ledger);
    ae_chan_destroy(ledger.chan);
    return rc;
}

/* ---- locks, permits, pins, the pool ---- */

struct hall {
    ae_mutex mutex, turn;
    ae_sem sem;
    ae_event open;
    int inside;
};

static int job(void *arg)
{
    (void)arg;
    return ae_sleep(a_while()); /* on a pool thread */
}

static void count_in(struct hall *hall)
{
    ae_mutex_lock(&hall->mutex);
    hall->inside++;
    ae_sim_always(hall->inside <= 2, "two permits let two in");
    ae_mutex_unlock(&hall->mutex);
    ae_yield();
    ae_mutex_lock(&hall->mutex);
    hall->inside--;
    ae_mutex_unlock(&hall->mutex);
}

static int enter(struct hall *hall)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + a_while());
    int rc = ae_sem_acquire(&hall->sem, 1);
    rc = ae_scope_end(&scope, rc);
    if (rc == -ETIMEDOUT) return 0;
    if (rc < 0) return rc;
    count_in(hall);
    ae_pin();
    rc = ae_sleep(a_while());
    ae_mutex_lock(&hall->turn);
    if (rc == 0) rc = ae_sleep(a_while());
    ae_mutex_unlock(&hall->turn);
    ae_unpin();
    ae_sem_release(&hall->sem, 1);
    return rc;
}

static int guest(void *arg)
{
    struct hall *hall = arg;
    int rc = ae_event_wait(&hall->open);

    for (int i = 0; i < VISITS && rc == 0; i++) {
        rc = i % 4 == 3 ? ae_blocking(job, NULL) : enter(hall);
    }
    return rc;
}

static int party(void)
{
    struct hall hall = { .inside = 0 };
    ae_task *slow = ae_spawn_blocking(job, NULL);
    ae_scope scope;
    int rc = 0;

    ae_sem_init(&hall.sem, 2);
    ae_scope_begin(&scope);
    for (int i = 0; i < GUESTS && rc == 0; i++)
        rc = ae_go(guest, &hall);
    ae_event_set(&hall.open);
    rc = ae_scope_end(&scope, rc);
    ae_sim_always(ae_sem_available(&hall.sem) == 2, "each permit is back");
    int status = ae_join(slow);
    return rc < 0 ? rc : status;
}

static int accounts(void *arg)
{
    int64_t begun_ns = ae_now();
    int rc = 0;

    (void)arg;
    for (size_t capacity = 0; capacity < 3 && rc == 0; capacity++)
        rc = exchange(capacity);
    if (rc == 0) rc = party();
    /* A worker that is not woken wakes by itself, to look after its stacks, but a second late. */
    if (getenv("AE_SIM")) ae_sim_always(ae_now() - begun_ns < 500 * AE_MS, "nobody oversleeps");
    return rc;
}

int main(void)
{
    int rc = ae_run(NULL, accounts, NULL);

    printf("accounts: %s\n", rc < 0 ? ae_strerror(rc) : "settled");
    return rc < 0;
}
