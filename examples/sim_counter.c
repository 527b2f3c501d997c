/* SPDX-License-Identifier: Apache-2.0 */
/* A counter on two machines, and a simulation that tries to make it lose what it has confirmed.
 *
 *   aesim --seeds 1..1000 sim_counter            survives
 *   aesim --seeds 1..1000 sim_counter --early    is found out
 *
 * The primary adds, tells the backup, and confirms once the backup has it. With --early it confirms
 * first and tells the backup in the background. Sooner or later the primary dies in between, and
 * nothing but luck, or a simulation with enough seeds, shows it. */
#include <aether/aether.h>
#include <aether/sim.h>

#include <stdio.h>
#include <string.h>

enum { ADDS = 30 };

struct counter {
    bool early;     /* the bug */
    int kept;       /* by the backup */
    int confirmed;  /* to the client */
};

/* One byte there and one back. */
static int ask(ae_stream *stream)
{
    char byte = '+';
    ssize_t n = ae_write(stream, &byte, 1);

    if (n == 1) n = ae_read_full(stream, &byte, 1);
    return n < 0 ? (int)n : 0;
}

/* The next connection; the listener is not needed for more. */
static int accept_one(ae_stream **out)
{
    ae_listener *listener;
    int rc = ae_listen(":1", NULL, &listener);
    if (rc < 0) return rc;

    rc = ae_accept(listener, out, NULL);
    ae_listener_close(listener);
    return rc;
}

static int backup(void *arg)
{
    struct counter *counter = arg;
    ae_stream *primary;
    char byte;
    int rc = accept_one(&primary);
    if (rc < 0) return rc;

    while (ae_read(primary, &byte, 1) == 1) {
        counter->kept++;
        if (ae_write(primary, &byte, 1) < 0) break;
    }
    ae_close(primary);
    return 0;
}

static int tell_backup(void *arg)
{
    return ask(arg);
}

static int serve(struct counter *counter, ae_stream *client, ae_stream *to_backup)
{
    ae_task *telling = NULL;
    char byte;
    int rc = 0;

    while (rc == 0 && ae_read(client, &byte, 1) == 1) {
        if (counter->early) {
            if (telling) rc = ae_join(telling);
            telling = ae_spawn(tell_backup, to_backup); /* the answer does not wait for it */
        } else {
            rc = ask(to_backup);
        }
        if (rc == 0 && ae_write(client, &byte, 1) < 0) break;
    }
    if (telling) (void)ae_join(telling);
    return rc;
}

static int primary(void *arg)
{
    ae_stream *to_backup, *client;
    int rc;

    while ((rc = ae_connect("backup:1", &to_backup)) < 0) {
        if (ae_sleep(AE_MS) < 0) return rc;
    }
    rc = accept_one(&client);
    if (rc == 0) {
        rc = serve(arg, client, to_backup);
        ae_close(client);
    }
    ae_close(to_backup);
    return rc;
}

static int client(void *arg)
{
    struct counter *counter = arg;
    ae_stream *stream;
    int rc;

    while ((rc = ae_connect("primary:1", &stream)) < 0) {
        if (ae_sleep(AE_MS) < 0) return rc;
    }
    while (counter->confirmed < ADDS && ask(stream) == 0) {
        counter->confirmed++;
    }
    ae_close(stream);
    return 0;
}

static int scenario(void *arg)
{
    struct counter *counter = arg;
    ae_sim_node *nodes[] = {
        ae_sim_node_create("backup", "10.0.0.1"),
        ae_sim_node_create("primary", "10.0.0.2"),
        ae_sim_node_create("client", "10.0.0.3"),
    };
    ae_fn *const mains[] = { backup, primary, client };

    for (int i = 0; i < 3; i++) {
        int rc = ae_sim_start(nodes[i], NULL, mains[i], counter);
        if (rc < 0) return rc;
    }
    int64_t alive_ns = (20 + ae_sim_random(40)) * AE_MS;
    int rc = ae_sleep(alive_ns);
    if (rc < 0) return rc;
    ae_sim_crash(nodes[1]); /* and with it what is under way from it */
    rc = ae_sleep(AE_SEC);
    if (rc < 0) return rc;
    ae_sim_stop(nodes[2]);
    ae_sim_stop(nodes[0]);
    ae_sim_sometimes(counter->confirmed == ADDS, "the client was done before the primary died");
    ae_sim_sometimes(counter->confirmed < ADDS, "the primary died before the client was done");
    ae_sim_always(counter->kept >= counter->confirmed, "what was confirmed is kept");
    return 0;
}

int main(int argc, char **argv)
{
    struct counter counter = { .early = argc > 1 && strcmp(argv[1], "--early") == 0 };
    int rc = ae_sim_run(NULL, scenario, &counter);

    if (rc < 0) fprintf(stderr, "sim_counter: %s\n", ae_strerror(rc));
    else printf("%d confirmed, %d kept\n", counter.confirmed, counter.kept);
    return rc < 0;
}
