/* SPDX-License-Identifier: Apache-2.0 */
/* A chat room over channels: what one guest says, all hear, in the same order.
 *
 * The room is a task. It alone reads `said` and writes the inboxes, so there is no lock and no
 * shared list. Closing `said` ends the room, which closes the inboxes, which ends the guests. */
#include <aether/aether.h>

#include <errno.h>
#include <stdio.h>

enum { ADA, BOB, CLEO, GUESTS, LINES = 6 };

struct line {
    int from;
    const char *text;
};
static const struct line script[LINES] = {
    { ADA, "knock, knock" }, { BOB, "who's there?" },
    { ADA, "a task" },       { BOB, "a task who?" },
    { ADA, "a task that parked and was never woken" },
    { CLEO, "then how did it knock?" },
};
static ae_chan *said, *inbox[GUESTS];

static int room(void *arg)
{
    const char *const *names = arg;
    struct line line;
    int rc;

    while ((rc = ae_recv(said, &line)) == 0) {
        printf("%s: %s\n", names[line.from], line.text);
        for (int i = 0; i < GUESTS && rc == 0; i++) {
            rc = ae_send(inbox[i], &line);
        }
    }
    for (int i = 0; i < GUESTS; i++) {
        ae_chan_close(inbox[i]);
    }
    return rc == -EPIPE ? 0 : rc;
}

static int guest(void *arg)
{
    int me = *(int *)arg, heard = 0, rc = 0;
    struct line line;

    while (rc == 0) {
        if (heard < LINES && script[heard].from == me) rc = ae_send(said, &script[heard]);
        if (heard == LINES) ae_chan_close(said); /* the last word is spoken */
        if (rc == 0) rc = ae_recv(inbox[me], &line);
        heard++;
    }
    return rc == -EPIPE ? 0 : rc;
}

static int evening(void *arg)
{
    int seats[GUESTS] = { ADA, BOB, CLEO };
    ae_scope scope;
    ae_scope_begin(&scope);
    int rc = ae_go(room, arg);
    for (int i = 0; i < GUESTS && rc == 0; i++) {
        rc = ae_go(guest, &seats[i]);
    }
    if (rc < 0) ae_scope_cancel(&scope, rc); /* nobody waits for a guest who never came */
    return ae_scope_end(&scope, rc);
}

int main(void)
{
    const char *names[GUESTS] = { "ada", "bob", "cleo" };
    bool ready = (said = ae_chan_create(sizeof(struct line), 1)) != NULL;
    for (int i = 0; i < GUESTS; i++) {
        ready &= (inbox[i] = ae_chan_create(sizeof(struct line), 1)) != NULL;
    }
    int rc = ready ? ae_run(NULL, evening, names) : -ENOMEM;
    printf("%s\n", rc < 0 ? ae_strerror(rc) : "good night");
    return rc < 0; /* the channels end with the process */
}
