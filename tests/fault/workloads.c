/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that keep accounts: what was sent is received, what was taken is given back, whatever
 * failed meanwhile. They return an error like any program; fault_wrong is for what must not be. */
#include "run.h"
#include "scenario.h"

#include <aether/aether.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int report(const char *name, int rc)
{
    if (rc < 0) fprintf(stderr, "%s: %s\n", name, ae_strerror(rc));
    if (rc == 0) printf("%s: done\n", name);
    return rc < 0;
}

/* ---- channels and select: no item is lost, none comes twice ---- */

enum { ITEMS = 12, SENDERS = 2 };

struct ledger {
    ae_chan *chan;
    _Atomic(int) sent[SENDERS * ITEMS], received[SENDERS * ITEMS];
};

struct sender {
    struct ledger *ledger;
    int first;
};

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

static int receive_items(void *arg)
{
    struct ledger *ledger = arg;
    int rc, item = -1;

    while ((rc = ae_recv(ledger->chan, &item)) == 0)
        ledger->received[item]++;
    return rc == -EPIPE ? 0 : rc;
}

static int select_items(void *arg)
{
    struct ledger *ledger = arg;
    int rc = 0, item = -1;

    while (rc >= 0) {
        ae_case cases[] = {
            { .op = AE_CASE_RECV, .chan = ledger->chan, .item = &item },
            { .op = AE_CASE_TIMER, .when_ns = ae_now() + 60 * AE_SEC },
        };
        rc = ae_select(cases, 2);
        if (rc == 0 && cases[0].rc == -EPIPE) return 0;
        if (rc == 0) ledger->received[item]++;
    }
    return rc;
}

static int exchange(struct ledger *ledger)
{
    struct sender senders[SENDERS] = { { ledger, 0 }, { ledger, ITEMS } };
    ae_task *tasks[SENDERS] = { NULL };
    ae_scope scope;
    int rc;

    ae_scope_begin(&scope);
    rc = ae_go(receive_items, ledger);
    if (rc == 0) rc = ae_go(select_items, ledger);
    if (rc < 0) ae_scope_cancel(&scope, rc);
    for (int i = 0; i < SENDERS; i++)
        tasks[i] = ae_spawn(send_items, &senders[i]);
    for (int i = 0; i < SENDERS; i++) {
        int joined = ae_join(tasks[i]);
        if (rc == 0) rc = joined;
    }
    ae_chan_close(ledger->chan);
    return ae_scope_end(&scope, rc);
}

/* Who was cancelled may have left items in the channel; nowhere else. */
static int settle_accounts(struct ledger *ledger)
{
    int item;

    while (ae_try_recv(ledger->chan, &item) == 0)
        ledger->received[item]++;
    for (int i = 0; i < SENDERS * ITEMS; i++) {
        if (ledger->sent[i] == ledger->received[i]) continue;
        fault_wrong("item %d was sent %d times and received %d times", i, ledger->sent[i],
                    ledger->received[i]);
    }
    return 0;
}

static int channels(void *arg)
{
    int rc = 0;

    (void)arg;
    for (size_t capacity = 0; capacity < 3 && rc == 0; capacity++) {
        struct ledger ledger = { .chan = ae_chan_create(sizeof(int), capacity) };
        if (!ledger.chan) return -ENOMEM;
        rc = exchange(&ledger);
        settle_accounts(&ledger);
        ae_chan_destroy(ledger.chan);
    }
    return rc;
}

int channels_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return report("channels", ae_run(NULL, channels, NULL));
}

/* ---- everything that waits ---- */

struct hall {
    ae_mutex mutex;
    ae_sem sem;
    ae_event open;
    ae_wait_group group;
    int inside, counted;
};

static int job(void *arg)
{
    (void)arg;
    return ae_sleep(1 * AE_MS); /* a pool thread */
}

static int guest_inside(struct hall *hall)
{
    int rc = ae_mutex_acquire(&hall->mutex);

    if (rc < 0) return rc;
    if (++hall->inside > 1) fault_wrong("two hold one mutex");
    ae_yield();
    hall->counted++;
    hall->inside--;
    ae_mutex_unlock(&hall->mutex);
    return ae_blocking(job, NULL);
}

static int guest(void *arg)
{
    struct hall *hall = arg;
    int rc = ae_event_wait(&hall->open);

    if (rc == 0) rc = ae_sem_acquire(&hall->sem, 1);
    if (rc == 0) {
        rc = guest_inside(hall);
        ae_sem_release(&hall->sem, 1);
    }
    ae_wait_group_done(&hall->group);
    return rc;
}

static int admit(struct hall *hall, int guests)
{
    ae_scope scope;
    int rc = 0, came = 0;

    ae_scope_begin(&scope);
    for (; came < guests && rc == 0; came++) {
        ae_wait_group_add(&hall->group, 1);
        rc = ae_go(guest, hall);
        if (rc < 0) ae_wait_group_done(&hall->group);
    }
    ae_event_set(&hall->open);
    if (rc == 0) rc = ae_wait_group_wait(&hall->group);
    if (rc == 0) rc = ae_scope_wait(&scope);
    return ae_scope_end(&scope, rc);
}

/* A deadline that passes, and a shield that holds a cancel off. */
static int bounded(void)
{
    ae_scope scope;
    ae_shield shield;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 2 * AE_MS);
    int rc = ae_sleep(60 * AE_SEC);
    ae_shield_begin(&shield, 10 * AE_SEC);
    if (ae_sleep(1 * AE_MS) == -ECANCELED && !ae_cancelled()) fault_wrong("cancelled by nobody");
    ae_shield_end(&shield);
    rc = ae_scope_end(&scope, rc);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int waits(void *arg)
{
    struct hall hall = { .counted = 0 };
    static const ae_local key = { NULL };

    (void)arg;
    ae_sem_init(&hall.sem, 1);
    int rc = ae_local_set(&key, &hall);
    if (rc == 0) rc = admit(&hall, 3);
    if (ae_sem_available(&hall.sem) != 1) fault_wrong("a permit is lost");
    if (!ae_mutex_try(&hall.mutex)) {
        fault_wrong("the mutex is held by nobody");
    } else {
        ae_mutex_unlock(&hall.mutex);
    }
    return rc == 0 ? bounded() : rc;
}

int waits_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return report("waits", ae_run(NULL, waits, NULL));
}

/* ---- streams: every byte that was taken arrives, in its place ---- */

enum { STREAM_BYTES = 40000, PART_BYTES = 7001 };

struct flow {
    ae_listener *listener;
    const char *address;
    size_t written, read;
    bool whole; /* the writer came to its end */
};

static char byte_at(size_t offset)
{
    return (char)(offset * 131 + offset / 251);
}

static int write_flow(void *arg)
{
    struct flow *flow = arg;
    char part[PART_BYTES];
    ae_stream *stream;
    ssize_t n = 0;
    int rc = ae_connect(flow->address, &stream);

    if (rc < 0) return rc;
    while (n >= 0 && flow->written < STREAM_BYTES) {
        for (size_t i = 0; i < sizeof part; i++)
            part[i] = byte_at(flow->written + i);
        n = ae_write(stream, part, sizeof part);
        if (n > 0) flow->written += (size_t)n;
    }
    flow->whole = flow->written >= STREAM_BYTES && ae_shutdown(stream) == 0;
    ae_close(stream);
    return n < 0 ? (int)n : 0;
}

static ssize_t read_part(ae_stream *stream, struct flow *flow)
{
    char part[5003];
    ssize_t n = ae_read(stream, part, sizeof part);

    for (ssize_t i = 0; i < n; i++) {
        if (part[i] == byte_at(flow->read + (size_t)i)) continue;
        fault_wrong("byte %zu of a stream is another one", flow->read + (size_t)i);
        return -EIO;
    }
    if (n > 0) flow->read += (size_t)n;
    return n;
}

/* The connection that there was may be lost: nobody waits for ever. */
static int accept_soon(ae_listener *listener, ae_stream **out)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 2 * AE_SEC);
    return ae_scope_end(&scope, ae_accept(listener, out, NULL));
}

static int read_flow(struct flow *flow)
{
    ae_stream *stream;
    ssize_t n;
    int rc = accept_soon(flow->listener, &stream);

    if (rc < 0) return rc;
    while ((n = read_part(stream, flow)) > 0) {
    }
    ae_close(stream);
    return (int)n;
}

static int flow_through(const char *listen_at, const char *host)
{
    char address[AE_ADDR_TEXT_MAX], named[AE_ADDR_TEXT_MAX + 16];
    struct flow flow = { .listener = NULL };
    ae_addr addr;
    int rc = ae_listen(listen_at, NULL, &flow.listener);

    if (rc < 0) return rc;
    rc = ae_listener_addr(flow.listener, &addr);
    if (rc == 0) {
        ae_addr_format(&addr, address, sizeof address);
        snprintf(named, sizeof named, "%s:%u", host ? host : "", ae_addr_port(&addr));
        flow.address = host ? named : address;
        ae_task *writer = ae_spawn(write_flow, &flow);
        if (writer) rc = read_flow(&flow);
        if (rc < 0) ae_cancel(writer);
        int wrote = ae_join(writer);
        if (rc == 0) rc = wrote;
        if (rc == 0 && flow.whole && flow.read != flow.written) {
            fault_wrong("%zu bytes were written and %zu read", flow.written, flow.read);
        }
    }
    ae_listener_close(flow.listener);
    return rc;
}

static int streams(void *arg)
{
    char path[64];

    (void)arg;
    snprintf(path, sizeof path, "unix:/tmp/ae-fault-%d", (int)getpid());
    int rc = flow_through("127.0.0.1:0", NULL);
    if (rc == 0) rc = flow_through("127.0.0.1:0", "localhost");
    if (rc == 0) rc = flow_through(":0", "127.0.0.1");
    if (rc == 0) rc = flow_through(path, NULL);
    (void)unlink(path + 5);
    return rc;
}

int streams_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return report("streams", ae_run(NULL, streams, NULL));
}

/* ---- files ---- */

static int read_note(ae_file *file)
{
    char text[64];
    ae_file_stat st;
    ssize_t n = 0, at = 0;
    int rc = ae_file_stat_of(file, &st);

    while (rc == 0 && (n = ae_file_readat(file, text + at, sizeof text - (size_t)at, at)) > 0) {
        at += n;
    }
    if (rc == 0 && n < 0) rc = (int)n;
    if (rc == 0 && (at != st.size || memcmp(text, "a note\n", 7) != 0)) {
        fault_wrong("a file of %lld bytes read as %zd", (long long)st.size, at);
    }
    return rc;
}

static int files(void *arg)
{
    ae_file *dir = NULL, *beneath = NULL, *direct = NULL, *outside = NULL;
    char path[128];

    snprintf(path, sizeof path, "%s/fault-note.txt", (const char *)arg);
    int rc = ae_file_open(arg, O_RDONLY | O_DIRECTORY, 0, &dir);
    if (rc == 0) rc = ae_file_open_beneath(dir, "fault-note.txt", O_RDONLY, &beneath);
    if (rc == 0) rc = read_note(beneath);
    if (rc == 0) rc = ae_file_open(path, O_RDONLY, 0, &direct);
    if (rc == 0) rc = read_note(direct);
    if (rc == 0 && ae_file_open_beneath(dir, "../etc/hostname", O_RDONLY, &outside) == 0) {
        fault_wrong("a file outside of the directory was opened");
    }
    ae_file_close(outside);
    ae_file_close(direct);
    ae_file_close(beneath);
    ae_file_close(dir);
    return rc;
}

int files_main(int argc, char **argv)
{
    (void)argc;
    return report("files", ae_run(NULL, files, argv[1]));
}

/* ---- tasks that wait without a stack ---- */

struct start {
    _Atomic(int) runs;
    int want_events;
};

static int started(void *arg)
{
    struct start *start = arg;
    int by = ae_started_by();

    start->runs++;
    if (by >= 0 && by != start->want_events) fault_wrong("started by %d", by);
    return 0;
}

static int go_all(struct start *starts, int *went, int read_end)
{
    ae_scope scope;
    int rc;

    ae_scope_begin(&scope);
    rc = ae_go_at(ae_now() + 1 * AE_MS, started, &starts[0]);
    went[0] = rc == 0;
    if (rc == 0) rc = ae_go_on_fd(read_end, AE_READABLE, ae_now() + AE_SEC, started, &starts[1]);
    went[1] = went[0] && rc == 0;
    if (rc < 0) ae_scope_cancel(&scope, rc);
    return ae_scope_end(&scope, rc);
}

static int poke(void *arg)
{
    int rc = ae_sleep(3 * AE_MS);

    return write(*(int *)arg, "x", 1) == 1 ? rc : -EIO;
}

static int deferred(void *arg)
{
    struct start starts[2] = { { 0, 0 }, { 0, AE_READABLE } };
    int went[2] = { 0 }, ends[2];
    ae_task *poker;

    (void)arg;
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    if (socketpair(AF_UNIX, type, 0, ends) < 0) return -EMFILE;
    poker = ae_spawn(poke, &ends[1]);
    int rc = poker ? go_all(starts, went, ends[0]) : -ENOMEM;
    int poked = ae_join(poker);
    if (rc == 0) rc = poked;
    for (int i = 0; i < 2; i++) {
        if (starts[i].runs != went[i]) fault_wrong("start %d ran %d times", i, starts[i].runs);
    }
    if (rc == 0) rc = ae_fd_wait(ends[0], AE_READABLE);
    ae_fd_forget(ends[0]);
    close(ends[0]);
    close(ends[1]);
    return rc < 0 ? rc : 0;
}

int deferred_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return report("deferred", ae_run(NULL, deferred, NULL));
}
