/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a server over a network that loses, cuts, and machines that pause, die and come back:
 * what comes back is what was sent, and when all is healed everybody gets done. With `http` the
 * server is an HTTP server. */
#include <aether/aether.h>
#include <aether/http.h>
#include <aether/http_server.h>
#include <aether/sim.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 3, ROUNDS = 6, MOST = 20000, TROUBLES = 6 };

struct world {
    bool http;
    bool calm; /* no trouble at all */
    ae_sim_node *server, *clients[CLIENTS];
    int good[CLIENTS], bad;
};

struct visitor {
    struct world *world;
    int index;
};

/* ---- servers ---- */

static int echo(void *arg)
{
    ae_stream *peer = arg;
    char buf[2000];
    ssize_t n;

    while ((n = ae_read(peer, buf, sizeof buf)) > 0) {
        n = ae_write(peer, buf, (size_t)n);
        if (n < 0) break;
    }
    ae_close(peer);
    return 0;
}

static int serve_echo(void)
{
    ae_listener *listener;
    ae_scope peers;

    int rc = ae_listen(":80", NULL, &listener);
    if (rc < 0) return rc;
    ae_scope_begin(&peers);
    for (ae_stream *peer; (rc = ae_accept(listener, &peer, NULL)) == 0;) {
        if (ae_go(echo, peer) < 0) ae_close(peer);
    }
    ae_listener_close(listener);
    return ae_scope_end(&peers, rc);
}

static int mirror(ae_http *h)
{
    const char *body;
    ssize_t size = ae_http_body(h, &body);

    if (size < 0) return (int)size;
    return ae_http_respond(h, 200, "text/plain", body, (size_t)size);
}

static int serve_http(void)
{
    ae_http_server *server;

    int rc = ae_http_server_create(NULL, &server);
    if (rc < 0) return rc;
    ae_http_route(server, "POST /{$}", mirror, NULL);
    rc = ae_http_listen(server, ":80");
    if (rc == 0) rc = ae_http_serve(server);
    ae_http_server_destroy(server);
    return rc;
}

static int serve(void *arg)
{
    const struct world *world = arg;

    return world->http ? serve_http() : serve_echo();
}

/* ---- clients ---- */

struct message {
    ae_stream *stream;
    size_t size;
    bool http;
    char bytes[MOST];
};

static int say(void *arg)
{
    struct message *m = arg;
    char head[128];

    int length = snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: server\r\n"
                          "Connection: close\r\nContent-Length: %zu\r\n\r\n", m->size);
    ssize_t n = m->http ? ae_write(m->stream, head, (size_t)length) : 0;
    if (n >= 0) n = ae_write(m->stream, m->bytes, m->size);
    if (n < 0) return (int)n;
    return m->http ? 0 : ae_shutdown(m->stream);
}

/* All until the end. */
static ssize_t hear(ae_stream *stream, char *buf, size_t size)
{
    size_t done = 0;
    ssize_t n;

    while (done < size && (n = ae_read(stream, buf + done, size - done)) > 0)
        done += (size_t)n;
    return n < 0 ? n : (ssize_t)done;
}

/* What must be true of an answer, however it was cut off. */
static bool is_whole(const struct message *m, const char *heard, size_t size)
{
    const char *body = heard;

    if (m->http) {
        if (size < 12) return false;
        ae_sim_always(memcmp(heard, "HTTP/1.1 ", 9) == 0, "an answer is one of HTTP");
        if (memcmp(heard + 9, "200", 3) != 0) return false; /* it may be too slow for a server */
        body = strstr(heard, "\r\n\r\n");
        if (!body) return false;
        body += 4;
    }
    size -= (size_t)(body - heard);
    ae_sim_always(size <= m->size, "no more comes back than was sent");
    ae_sim_always(memcmp(body, m->bytes, size) == 0, "what comes back is what was sent");
    return size == m->size;
}

static int ask(struct message *m, char *heard)
{
    int rc = ae_connect("server:80", &m->stream);
    if (rc < 0) return rc;

    ae_task *saying = ae_spawn(say, m);
    ssize_t n = hear(m->stream, heard, MOST + 1000);
    if (n < 0) ae_cancel(saying); /* nobody listens any more */
    rc = ae_join(saying);
    ae_close(m->stream);
    if (n < 0) return (int)n;
    heard[n] = '\0';
    return is_whole(m, heard, (size_t)n) ? 0 : rc < 0 ? rc : -EPIPE;
}

static int ask_with_patience(struct message *m, char *heard)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 40 * AE_SEC);
    return ae_scope_end(&scope, ask(m, heard));
}

static int visit_often(struct visitor *v, struct message *m, char *heard)
{
    struct world *world = v->world;

    while (world->good[v->index] < ROUNDS) {
        m->size = 1 + ae_sim_random(ae_sim_random(2) ? MOST - 1 : 100);
        memset(m->bytes, 'a' + (int)ae_sim_random(26), m->size);
        m->bytes[m->size / 2] = '!';
        int rc = ask_with_patience(m, heard);
        if (rc == 0) world->good[v->index]++;
        if (rc < 0) world->bad++;
        ae_sim_always(rc == 0 || rc == -ECONNREFUSED || !world->calm, "calm is calm");
        ae_sim_sometimes(rc == -ECONNREFUSED, "nobody listened");
        ae_sim_sometimes(rc == -ECONNRESET, "a connection was reset");
        ae_sim_sometimes(rc == -ETIMEDOUT, "a client lost its patience");
        rc = ae_sleep(ae_sim_random(200) * AE_MS);
        if (rc < 0) return rc;
    }
    return 0;
}

static int client(void *arg)
{
    struct message *m = calloc(1, sizeof *m);
    char *heard = malloc(MOST + 1001);
    struct visitor *v = arg;
    int rc = -ENOMEM;

    if (m && heard) {
        m->http = v->world->http;
        rc = visit_often(v, m, heard);
    }
    free(m);
    free(heard);
    return rc;
}

/* ---- trouble ---- */

static int restart(struct world *world)
{
    int rc = ae_sleep(ae_sim_random(3000) * AE_MS);

    return rc < 0 ? rc : ae_sim_start(world->server, NULL, serve, world);
}

static int make_trouble(struct world *world)
{
    const ae_sim_link bad = { 2 * AE_MS, 30 * AE_MS, 50 * 1000 };

    switch (ae_sim_random(7)) {
    case 0:
        ae_sim_cut(world->server, world->clients[ae_sim_random(CLIENTS)]);
        break;
    case 1:
        ae_sim_cut(world->clients[ae_sim_random(CLIENTS)], NULL);
        break;
    case 2:
        ae_sim_pause(world->server, ae_sim_random(8000) * AE_MS);
        break;
    case 3:
        ae_sim_kill(world->server);
        return restart(world);
    case 4:
        ae_sim_crash(world->server);
        return restart(world);
    case 5:
        ae_sim_link_set(world->server, NULL, &bad);
        break;
    default:
        ae_sim_heal();
    }
    return 0;
}

static int start_all(struct world *world, struct visitor *visitors)
{
    char name[16], address[16];

    world->server = ae_sim_node_create("server", "10.0.0.1");
    int rc = world->server ? ae_sim_start(world->server, NULL, serve, world) : -ENOMEM;
    for (int i = 0; i < CLIENTS && rc == 0; i++) {
        snprintf(name, sizeof name, "client%d", i);
        snprintf(address, sizeof address, "10.0.1.%d", i + 1);
        visitors[i] = (struct visitor){ world, i };
        world->clients[i] = ae_sim_node_create(name, address);
        rc = ae_sim_start(world->clients[i], NULL, client, &visitors[i]);
    }
    return rc;
}

static int scenario(void *arg)
{
    struct world *world = arg;
    struct visitor visitors[CLIENTS];
    int rc = start_all(world, visitors);

    world->calm = ae_sim_random(4) == 0;
    for (int i = 0; i < TROUBLES && rc == 0 && !world->calm; i++) {
        rc = ae_sleep(ae_sim_random(2000) * AE_MS);
        if (rc == 0) rc = make_trouble(world);
    }
    ae_sim_heal();
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        rc = ae_sim_wait(world->clients[i]);
    int ended = ae_sim_stop(world->server);
    ae_sim_always(ended == (world->http ? 0 : -ECANCELED), "the server ends as it should");
    ae_sim_sometimes(world->bad == 0, "nothing went wrong");
    return rc;
}

int main(int argc, char **argv)
{
    struct world world = { .http = argc > 1 && strcmp(argv[1], "http") == 0 };
    int rc = ae_sim_run(NULL, scenario, &world);

    printf("network: %s, %d tries failed\n", rc < 0 ? ae_strerror(rc) : "done", world.bad);
    return rc < 0;
}
