/* SPDX-License-Identifier: Apache-2.0 */
/* Clients for a server that is run under aesim: they connect to whatever listens, say what they
 * were told to, in pieces and with pauses, hear the answer, and go; some go early, some break off.
 * Each is a simulated thread on the sockets of the simulated kernel. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "aether/time.h"
#include "base/assert.h"
#include "driver/sim_net.h"

#define PATIENCE_NS (2 * AE_SEC)
#define LOOK_NS (20 * AE_MS)
enum { ROUNDS = 3, LOOKS = 200, BUFFER = 4096, OUTSIDE = 0x0a0000fd };

static uint32_t left; /* clients that are not done */
static const char *words;

static uint32_t below(uint32_t bound)
{
    return ae__sim_below(AE__SIM_NETWORK, bound);
}

static void sleep_ns(int64_t ns)
{
    ae__sim_wait(NULL, ae__sim->now_ns + ns);
}

/* Wait for an edge, or in vain: false. */
static bool wait_edge(struct ae__sim_socket *socket)
{
    int64_t until_ns = ae__sim->now_ns + PATIENCE_NS;

    socket->sleeper = socket;
    ae__sim_wait(socket, until_ns);
    socket->sleeper = NULL;
    return ae__sim->now_ns < until_ns;
}

static struct ae__sim_socket *any_listener(void)
{
    struct ae__sim_socket *found = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < ae__sim->sockets_room; i++) {
        struct ae__sim_socket *socket = ae__sim->sockets[i];
        if (!socket || socket->state != AE__SIM_LISTENING) continue;
        if (below(++count) == 0) found = socket;
    }
    return found;
}

static struct ae__sim_socket *find_listener(void)
{
    for (int i = 0; i < LOOKS; i++) {
        struct ae__sim_socket *listener = any_listener();
        if (listener) return listener;
        sleep_ns(LOOK_NS);
    }
    return NULL;
}

/* 0: connected. */
static int meet(struct ae__sim_socket *socket, struct ae__sim_socket *listener)
{
    ae_addr addr;

    if (listener->family == AF_UNIX) return ae__sim_pair(socket, listener);
    ae__sim_addr_write(&addr, listener->node->address, listener->port);
    int rc = ae__sim_connect(socket, &addr);
    while (socket->state == AE__SIM_CONNECTING && wait_edge(socket)) {
        continue;
    }
    (void)rc;
    return socket->state == AE__SIM_CONNECTED ? 0 : -1;
}

/* False: it breaks off, or the other side did. */
static bool say(struct ae__sim_socket *socket)
{
    size_t length = strlen(words), done = 0;

    while (done < length) {
        size_t size = 1 + below((uint32_t)(length - done));
        struct iovec part = { (char *)words + done, size };
        ssize_t n = ae__sim_send(socket, &part, 1);
        if (n == -11 && !wait_edge(socket)) return false;
        if (n < 0 && n != -11) return false;
        if (n > 0) done += (size_t)n;
        if (below(8) == 0) sleep_ns(below(30) * AE_MS);
        if (below(64) == 0) return false;
    }
    return true;
}

static void hear(struct ae__sim_socket *socket)
{
    char buf[BUFFER];
    ssize_t n;

    do {
        n = ae__sim_receive(socket, buf, 1 + below(sizeof buf));
        if (n == -11 && wait_edge(socket)) n = 1;
    } while (n > 0);
}

static void visit(struct ae__sim_socket *listener)
{
    ae_sim_node *node = listener->node;

    if (!listener->loopback && listener->family != AF_UNIX) node = ae__sim_node_at(OUTSIDE);
    struct ae__sim_socket *socket = ae__sim_socket_make(node, listener->family);
    if (!socket || ae__sim_socket_number(socket) < 0) ae__fatal("no memory for a client");
    int number = socket->number;
    bool good = meet(socket, listener) == 0;
    for (uint32_t times = 1 + below(3); good && times > 0; times--) {
        good = say(socket);
    }
    if (good && below(4) == 0) ae__sim_finish(socket);
    if (good) hear(socket);
    ae__sim_socket_close(number);
}

static void tell_the_end(void *object, uint64_t value)
{
    (void)object;
    (void)value;
    (void)ae__sim_tell_the_end();
}

static void client(void *arg)
{
    struct ae__sim_socket *listener;

    (void)arg;
    sleep_ns(below(50) * AE_MS);
    for (int i = 0; i < ROUNDS && (listener = find_listener()); i++) {
        visit(listener);
        sleep_ns(below(20) * AE_MS);
    }
    if (--left == 0) ae__sim_after(AE_SEC, tell_the_end, NULL, 0);
}

void ae__sim_outside_begin(uint32_t clients, const char *say_this)
{
    ae_sim_node *node = ae__sim_node_make("outside", OUTSIDE);

    words = say_this && *say_this ? say_this : "hello\n";
    left = clients;
    for (uint32_t i = 0; i < clients; i++) {
        struct ae__sim_thread *thread = node ? ae__sim_thread_make("client", node, client, NULL)
                                             : NULL;
        if (!thread) ae__fatal("no memory for the simulation's clients");
        thread->detached = true;
    }
}
