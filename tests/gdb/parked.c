/* SPDX-License-Identifier: Apache-2.0 */
/* A program with a task parked in each way worth looking at from a debugger: tests/gdb/test_gdb.py
 * stops it in everybody_is_parked(), lists the tasks and walks their stacks. With an argument it
 * aborts there, for a core file. */
#include <aether/aether.h>

#include <stdio.h>
#include <stdlib.h>

static ae_chan *silence;
static ae_mutex lock;
static ae_listener *listener;

/* Not inlined: the test looks for these frames. */
__attribute__((noinline)) static int wait_for_a_word(int *word)
{
    int rc = ae_recv(silence, word);
    *word = rc;
    return rc;
}

static int receiver(void *arg)
{
    (void)arg;
    int word = 7;
    ae_self_set_name("receiver");
    return wait_for_a_word(&word);
}

static int sleeper(void *arg)
{
    (void)arg;
    ae_self_set_name("sleeper");
    int rc = ae_sleep(3600 * AE_SEC);
    return rc;
}

static int acceptor(void *arg)
{
    ae_stream *peer = NULL;
    ae_self_set_name("acceptor");
    int rc = ae_accept(listener, &peer, arg);
    ae_close(peer);
    return rc;
}

static int locker(void *arg)
{
    (void)arg;
    ae_self_set_name("locker");
    int rc = ae_mutex_acquire(&lock);
    if (rc == 0) ae_mutex_unlock(&lock);
    return rc;
}

void everybody_is_parked(bool dump);
__attribute__((noinline)) void everybody_is_parked(bool dump)
{
    puts("parked");
    fflush(stdout);
    if (dump) abort();
}

/* The other worker sleeps, so it has found nothing to run, and neither has this one. */
static int wait_until_parked(void)
{
    ae_metrics seen = { .size = sizeof seen };
    int rc = 0;

    while (rc == 0 && (seen.workers_parked == 0 || seen.slices < 6)) {
        rc = ae_sleep(50 * AE_MS);
        if (rc == 0) rc = ae_metrics_get(NULL, &seen);
    }
    return rc;
}

/* Joined by the app, which calls it: nobody else is there to run. */
static int stopper(void *dump)
{
    ae_self_set_name("stopper");
    everybody_is_parked(dump != NULL);
    return 0;
}

static int app(void *dump)
{
    int rc = ae_listen("127.0.0.1:0", NULL, &listener);
    if (rc < 0) return rc;
    ae_self_set_name("app");
    ae_mutex_lock(&lock);

    static ae_fn *const parked[] = { receiver, receiver, sleeper, acceptor, locker };
    ae_scope scope;
    ae_scope_begin(&scope);
    for (size_t i = 0; i < sizeof parked / sizeof *parked && rc == 0; i++) {
        rc = ae_go(parked[i], NULL);
    }
    if (rc == 0) rc = wait_until_parked();
    if (rc == 0) rc = ae_join(ae_spawn(stopper, dump));
    ae_mutex_unlock(&lock);
    ae_scope_cancel(&scope, 0);
    rc = ae_scope_end(&scope, rc);
    ae_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    silence = ae_chan_create(sizeof(int), 0);
    int rc = silence ? ae_run(&config, app, argc > 1 ? argv[1] : NULL) : 1;
    ae_chan_destroy(silence);
    return rc != 0;
}
