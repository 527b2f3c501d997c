/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting and draining.
 *
 *   accepting     one task a listener; ends when the caller's scope is cancelled, or by stop
 *     shield      from here on the caller's cancel is not felt: work that has begun is finished
 *       service   the reaper
 *         connections   all tasks of connections; its deadline is the drain's
 *
 * The drain drops nothing: new SYNs are refused, the accept queue is emptied, listeners are closed,
 * every response from now on says `Connection: close`, idle connections have a moment to send what
 * is on its way, and each connection lingers until its client has closed. */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PERMIT_WAIT_NS (20 * AE_MS) /* then somebody else may have become evictable */
#define QUIET_NS (20 * AE_MS)       /* an accept queue that gives nothing so long is empty */
#define QUEUE_MAX 65536             /* more is not a queue, but clients that go on connecting */
#define IDLE_PASS_NS (50 * AE_MS)   /* between two looks for idle connections to end */

struct acceptor {
    ae_http_server *server;
    ae_listener *listener;
    ae_scope *connections;
    ae_task *task;
};

struct serving {
    ae_http_server *server;
    ae_scope accepting, service, connections;
    ae_shield shield;
    struct acceptor *acceptors;
};

/* ---- accepting ---- */

static int wait_for_permit(ae_http_server *server)
{
    ae_scope scope;
    int rc;

    (void)ae__http_registry_evict(server);
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + PERMIT_WAIT_NS);
    rc = ae_sem_acquire(&server->permits, 1);
    return ae_scope_end(&scope, rc);
}

/* At the limit somebody who has not sent a head makes room. A connection that is there when the
 * drain begins is served even so. */
static void take(const struct acceptor *a, ae_stream *stream)
{
    ae_http_server *server = a->server;
    struct conn *c;

    if (!ae_sem_try(&server->permits, 1)) {
        while (wait_for_permit(server) == -ETIMEDOUT)
            ;
    }
    ae__http_clock_set(server);
    c = ae__http_conn_create(server, stream);
    if (!c) ae_sem_release(&server->permits, 1);
    else if (ae_go_in(a->connections, ae__http_conn_task, c) < 0) ae__http_conn_close(c);
}

static int accept_loop(void *arg)
{
    const struct acceptor *a = arg;
    ae_stream *stream;
    int rc;

    while ((rc = ae_accept(a->listener, &stream, NULL)) == 0)
        take(a, stream);
    return rc == -ECANCELED ? 0 : rc;
}

static int watch_stop(void *arg)
{
    struct serving *s = arg;

    if (ae_event_wait(&s->server->stop) == 0) ae_scope_cancel(&s->accepting, 0);
    return 0;
}

/* ---- draining ---- */

static int accept_queued(ae_listener *listener, ae_stream **out)
{
    ae_scope scope;
    int rc;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + QUIET_NS);
    rc = ae_accept(listener, out, NULL);
    return ae_scope_end(&scope, rc);
}

static void empty_queue(const struct acceptor *a)
{
    ae_stream *stream;

    for (int i = 0; i < QUEUE_MAX && accept_queued(a->listener, &stream) == 0; i++)
        take(a, stream);
}

/* 0: all are gone; -ETIMEDOUT: not yet; -ECANCELED: the drain's time is over. */
static int wait_for_connections(ae_http_server *server, int64_t ns)
{
    ae_scope nap;
    int rc;

    /* It may be set from a moment at which all were gone and the queue was not empty yet. Who goes
     * after this line sets it again. */
    ae_event_reset(&server->deserted);
    if (ae__http_registry_live(server) == 0) return 0;
    ae_scope_begin(&nap);
    ae_scope_deadline(&nap, ae_now() + ns);
    rc = ae_event_wait(&server->deserted);
    return ae_scope_end(&nap, rc);
}

static int drain(struct serving *s)
{
    ae_http_server *server = s->server;
    int rc;

    atomic_store(&server->draining, true);
    ae_scope_deadline(&s->connections, ae_now() + server->opts.drain_ns);
    for (size_t i = 0; i < server->listener_count; i++)
        ae__http_socket_refuse_new(server->listeners[i]);
    for (size_t i = 0; i < server->listener_count; i++) {
        empty_queue(&s->acceptors[i]);
        ae_listener_close(server->listeners[i]);
    }
    server->listener_count = 0;
    rc = wait_for_connections(server, server->opts.drain_idle_ns);
    while (rc == -ETIMEDOUT) {
        ae__http_registry_end_idle(server);
        rc = wait_for_connections(server, IDLE_PASS_NS);
    }
    return rc;
}

/* ---- serving ---- */

static int start_tasks(struct serving *s)
{
    ae_http_server *server = s->server;
    int rc = ae_go_in(&s->service, ae__http_reaper, server);

    if (rc == 0) rc = ae_go_in(&s->accepting, watch_stop, s);
    for (size_t i = 0; rc == 0 && i < server->listener_count; i++) {
        struct acceptor *a = &s->acceptors[i];

        a->task = ae_spawn_in(&s->accepting, accept_loop, a);
        if (!a->task) rc = -ENOMEM;
    }
    if (rc < 0) ae_scope_cancel(&s->accepting, 0);
    return rc;
}

/* The acceptors end together: one that fails ends the others. */
static int join_acceptors(struct serving *s, size_t count)
{
    int first = 0;

    for (size_t i = 0; i < count && s->acceptors[i].task; i++) {
        int rc = ae_join(s->acceptors[i].task);

        if (rc < 0 && first == 0) {
            first = rc;
            ae_scope_cancel(&s->accepting, 0);
        }
    }
    return first;
}

static void set_limits(ae_http_server *server)
{
    size_t most = server->opts.connections_max;

    if (most == 0) most = ae__http_descriptor_limit() / 10 * 8;
    if (most < 1) most = 1;
    ae_sem_init(&server->permits, most);
    ae__http_clock_set(server);
    atomic_store(&server->draining, false);
}

static int serve(struct serving *s)
{
    size_t count = s->server->listener_count;
    int rc, drained;

    ae_scope_begin(&s->accepting);
    ae_shield_begin(&s->shield, -1);
    ae_scope_begin(&s->service);
    ae_scope_begin(&s->connections);
    rc = start_tasks(s);
    int failed = join_acceptors(s, count);
    if (rc == 0) rc = failed;
    drained = ae_scope_end(&s->connections, drain(s));
    ae_scope_cancel(&s->service, 0);
    (void)!ae_scope_end(&s->service, 0);
    ae_shield_end(&s->shield);
    ae_scope_cancel(&s->accepting, 0);
    (void)!ae_scope_end(&s->accepting, 0);
    return rc < 0 ? rc : drained;
}

int ae_http_serve(ae_http_server *server)
{
    struct serving s = { .server = server };
    int rc;

    if (server->error) return server->error;
    if (server->listener_count == 0) return -EINVAL;
    s.acceptors = calloc(server->listener_count, sizeof(*s.acceptors));
    if (!s.acceptors) return -ENOMEM;
    for (size_t i = 0; i < server->listener_count; i++) /* the drain needs them all */
        s.acceptors[i] = (struct acceptor){ server, server->listeners[i], &s.connections, NULL };
    set_limits(server);
    rc = serve(&s);
    free(s.acceptors);
    return rc;
}
