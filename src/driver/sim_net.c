/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the simulated kernel outside the paths that move data: numbers, names, options,
 * readiness, and one attempt at an operation. */
#include "driver/sim_net.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "aether/time.h"
#include "aether/wait.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/files.h"

enum { NUMBERS_MAX = 1 << 20, FIRST_PORT = 32768, FILE_PART = 64 * 1024 };

/* ---- addresses ---- */

bool ae__sim_addr_read(const ae_addr *addr, uint32_t *host, uint16_t *port)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    sa_family_t family;

    memcpy(&family, addr->storage, sizeof family);
    if (family == AF_INET) {
        memcpy(&in, addr->storage, sizeof in);
        *host = ntohl(in.sin_addr.s_addr);
        *port = ntohs(in.sin_port);
        return true;
    }
    if (family != AF_INET6) return false;
    memcpy(&in6, addr->storage, sizeof in6);
    *port = ntohs(in6.sin6_port);
    *host = IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ? 0x7f000001 : 0;
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

void ae__sim_addr_write(ae_addr *addr, uint32_t host, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

    in.sin_addr.s_addr = htonl(host);
    memset(addr, 0, sizeof *addr);
    memcpy(addr->storage, &in, sizeof in);
    addr->length = sizeof in;
}

/* ---- numbers and lives ---- */

struct ae__sim_socket *ae__sim_socket_at(int number)
{
    uint32_t index = (uint32_t)(number - AE__SIM_NUMBERS);

    AE_ASSERT(ae__sim && index < ae__sim->sockets_room);
    struct ae__sim_socket *socket = ae__sim->sockets[index];
    AE_ASSERT(socket != NULL); /* EBADF: a number that was closed */
    return socket;
}

void ae__sim_hold(struct ae__sim_socket *socket)
{
    AE_ASSERT(socket->holds > 0);
    socket->holds++;
}

void ae__sim_release(struct ae__sim_socket *socket)
{
    AE_ASSERT(socket->holds > 0);
    if (--socket->holds > 0) return;
    AE_ASSERT(socket->gone && !socket->queued);
    ae__sim_flow_clear(&socket->sent);
    ae__sim_flow_clear(&socket->received);
    ae__mem_free(socket);
}

struct ae__sim_socket *ae__sim_socket_make(ae_sim_node *node, int family)
{
    struct ae__sim_socket *socket = ae__mem_zalloc(sizeof *socket);

    if (!socket) return NULL;
    socket->number = -1;
    socket->holds = 1;
    socket->family = family;
    socket->node = node;
    socket->sent.tail = &socket->sent.head;
    socket->received.tail = &socket->received.head;
    socket->waiting_end = &socket->waiting;
    return socket;
}

static bool grow(struct ae__sim *sim)
{
    uint32_t room = sim->sockets_room ? 2 * sim->sockets_room : 64;
    struct ae__sim_socket **sockets;

    if (room > NUMBERS_MAX) return false;
    sockets = ae__mem_zalloc(room * sizeof(struct ae__sim_socket *));
    if (!sockets) return false;
    if (sim->sockets) {
        memcpy(sockets, sim->sockets, sim->sockets_room * sizeof(struct ae__sim_socket *));
    }
    ae__mem_free(sim->sockets);
    sim->sockets = sockets;
    sim->sockets_room = room;
    return true;
}

int ae__sim_socket_number(struct ae__sim_socket *socket)
{
    struct ae__sim *sim = ae__sim;
    uint32_t index = 0;

    while (index < sim->sockets_room && sim->sockets[index]) {
        index++;
    }
    if (index == sim->sockets_room && !grow(sim)) return -EMFILE;
    sim->sockets[index] = socket;
    socket->number = AE__SIM_NUMBERS + (int)index;
    return socket->number;
}

int ae__sim_socket_open(int family)
{
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
    struct ae__sim_socket *socket = ae__sim_socket_make(ae__sim_here(), family);
    if (!socket) return -ENOMEM;
    int number = ae__sim_socket_number(socket);
    if (number < 0) {
        socket->gone = true;
        ae__sim_release(socket);
    }
    return number;
}

static void stop_watching(struct ae__sim_socket *socket)
{
    if (socket->queued) ae__sim_port_drop(socket->watcher->sim, socket);
    socket->queued = false;
    socket->watcher = NULL;
}

void ae__sim_forget_watcher(const struct ae__driver *driver)
{
    for (uint32_t i = 0; i < ae__sim->sockets_room; i++) {
        struct ae__sim_socket *socket = ae__sim->sockets[i];
        if (socket && socket->watcher == driver) stop_watching(socket);
    }
}

/* The kernel lets go of it; `silently`: nobody is told. */
static void close_socket(struct ae__sim_socket *socket, bool silently)
{
    struct ae__sim_socket *waiting;

    AE_ASSERT(!socket->gone);
    stop_watching(socket);
    while ((waiting = socket->waiting)) {
        socket->waiting = waiting->next_waiting;
        close_socket(waiting, silently);
    }
    socket->waiting_end = &socket->waiting;
    ae__sim_unix_unbind(socket);
    if (silently) {
        ae__sim_break(socket, ECONNRESET);
    } else if (socket->received_bytes > 0 || socket->number < 0) {
        ae__sim_reset(socket); /* it was not read, or not accepted */
    } else {
        ae__sim_finish(socket);
    }
    if (socket->number >= 0) ae__sim->sockets[socket->number - AE__SIM_NUMBERS] = NULL;
    socket->number = -1;
    socket->gone = true;
    ae__sim_dissolve(socket);
    ae__sim_release(socket);
}

void ae__sim_socket_close(int number)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    ae__sim_step("close", socket->node->name, (uint64_t)(number - AE__SIM_NUMBERS));
    close_socket(socket, false);
}

void ae__sim_drop_sockets(ae_sim_node *node, bool silently)
{
    for (uint32_t i = 0; i < ae__sim->sockets_room; i++) {
        struct ae__sim_socket *socket = ae__sim->sockets[i];
        if (socket && (!node || socket->node == node)) close_socket(socket, silently);
    }
}

/* ---- names ---- */

bool ae__sim_anybody_listens(void)
{
    for (uint32_t i = 0; i < ae__sim->sockets_room; i++) {
        struct ae__sim_socket *socket = ae__sim->sockets[i];
        if (socket && socket->state == AE__SIM_LISTENING) return true;
    }
    return false;
}

static bool is_bound(const struct ae__sim_socket *socket, const ae_sim_node *node, uint16_t port)
{
    return socket && socket->node == node && socket->port == port && socket->family != AF_UNIX;
}

/* Of several that share the port, the seed takes one. */
struct ae__sim_socket *ae__sim_listener_at(const ae_sim_node *node, uint16_t port, bool local)
{
    struct ae__sim_socket *found = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < ae__sim->sockets_room; i++) {
        struct ae__sim_socket *socket = ae__sim->sockets[i];
        if (!is_bound(socket, node, port) || socket->state != AE__SIM_LISTENING) continue;
        if (socket->loopback && !local) continue;
        if (ae__sim_below(AE__SIM_NETWORK, ++count) == 0) found = socket;
    }
    return found;
}

static bool is_taken(const struct ae__sim_socket *self, uint16_t port)
{
    for (uint32_t i = 0; i < ae__sim->sockets_room; i++) {
        struct ae__sim_socket *socket = ae__sim->sockets[i];
        if (socket == self || !is_bound(socket, self->node, port)) continue;
        if (socket->other || (socket->reuse && self->reuse)) continue;
        return true;
    }
    return false;
}

uint16_t ae__sim_free_port(ae_sim_node *node)
{
    struct ae__sim_socket probe = { .node = node };

    do {
        node->port = node->port < FIRST_PORT ? FIRST_PORT : (uint16_t)(node->port + 1);
    } while (node->port < FIRST_PORT || is_taken(&probe, node->port));
    return node->port;
}

int ae__sim_socket_bind(int number, const ae_addr *addr)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);
    uint32_t host;
    uint16_t port;

    if (socket->family == AF_UNIX) return ae__sim_unix_bind(socket, addr);
    if (!ae__sim_addr_read(addr, &host, &port)) return -EADDRNOTAVAIL;
    socket->loopback = host >> 24 == 127;
    if (host != 0 && !socket->loopback && host != socket->node->address) return -EADDRNOTAVAIL;
    if (port == 0) port = ae__sim_free_port(socket->node);
    if (is_taken(socket, port)) return -EADDRINUSE;
    socket->port = port;
    ae__sim_addr_write(&socket->local, host, port);
    return 0;
}

int ae__sim_socket_listen(int number, int backlog)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    if (socket->state != AE__SIM_FRESH) return -EINVAL;
    if (socket->family != AF_UNIX && socket->port == 0) {
        socket->port = ae__sim_free_port(socket->node);
        ae__sim_addr_write(&socket->local, 0, socket->port);
    }
    socket->state = AE__SIM_LISTENING;
    socket->waiting_max = backlog > 0 && backlog < 4096 ? (uint32_t)backlog : 4096;
    ae__sim_step("listen", socket->node->name, socket->port);
    return 0;
}

int ae__sim_socket_local(int number, ae_addr *out)
{
    *out = ae__sim_socket_at(number)->local;
    return 0;
}

int ae__sim_socket_peer(int number, ae_addr *out)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    if (socket->state != AE__SIM_CONNECTED) return -ENOTCONN;
    *out = socket->peer;
    return 0;
}

/* ---- options ---- */

int ae__sim_socket_set(int number, int level, int name, const void *value, size_t size)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    if (size < sizeof(int)) return -EINVAL;
    if (level == SOL_SOCKET && name == SO_REUSEPORT) socket->reuse = *(const int *)value != 0;
    return 0; /* the others change nothing that the simulation has */
}

static int option_of(struct ae__sim_socket *socket, int name)
{
    int error = socket->error;

    switch (name) {
    case SO_ERROR:
        socket->error = 0;
        return error;
    case SO_TYPE:
        return SOCK_STREAM;
    case SO_DOMAIN:
        return socket->family;
    case SO_ACCEPTCONN:
        return socket->state == AE__SIM_LISTENING;
    default:
        return 0;
    }
}

int ae__sim_socket_get(int number, int level, int name, void *value, size_t *size)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    if (level == IPPROTO_TCP && *size != sizeof(int)) return -ENOPROTOOPT;
    if (*size < sizeof(int)) return -EINVAL;
    *(int *)value = level == SOL_SOCKET ? option_of(socket, name) : 0;
    *size = sizeof(int);
    return 0;
}

int ae__sim_socket_shutdown(int number)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    if (socket->state != AE__SIM_CONNECTED) return -ENOTCONN;
    ae__sim_step("shutdown", socket->node->name, 0);
    ae__sim_finish(socket);
    return 0;
}

/* ---- readiness ---- */

static uint32_t events_of(const struct ae__sim_socket *socket)
{
    uint32_t events = 0;

    switch (socket->state) {
    case AE__SIM_LISTENING:
        return socket->waiting ? EPOLLIN : 0;
    case AE__SIM_FRESH:
        return EPOLLOUT | EPOLLHUP;
    case AE__SIM_CONNECTING:
        return 0;
    case AE__SIM_BROKEN:
        return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | (socket->error ? EPOLLERR : 0u);
    default:
        break;
    }
    if (socket->received_bytes > 0 || socket->ended) events |= EPOLLIN;
    if (socket->ended) events |= EPOLLRDHUP;
    if (socket->ended && socket->ends) events |= EPOLLHUP;
    if (3 * ae__sim_room(socket) >= socket->window) events |= EPOLLOUT;
    return events;
}

void ae__sim_edge(struct ae__sim_socket *socket)
{
    if (socket->sleeper) ae__sim_wake(socket->sleeper, 1);
    if (!socket->watcher || socket->queued) return;
    socket->queued = true;
    ae__sim_port_push(socket->watcher->sim, socket);
}

uint32_t ae__sim_harvest(struct ae__sim_socket *socket, uint64_t *name)
{
    AE_ASSERT(socket->queued);
    socket->queued = false;
    *name = socket->name;
    return events_of(socket);
}

int ae__sim_watch(struct ae__driver *driver, struct ae__fd *fd)
{
    if (!ae__sim_owns(fd->number) || !driver->sim) return -EOPNOTSUPP; /* real ones have no place */
    struct ae__sim_socket *socket = ae__sim_socket_at(fd->number);
    stop_watching(socket);
    socket->watcher = driver;
    socket->name = ae__fd_name(fd);
    if (events_of(socket)) ae__sim_edge(socket);
    return 0;
}

int ae__sim_poll_now(int number, unsigned events)
{
    uint32_t there = events_of(ae__sim_socket_at(number));
    unsigned now = 0;

    if (there & (EPOLLIN | EPOLLRDHUP)) now |= AE_READABLE;
    if (there & EPOLLOUT) now |= AE_WRITABLE;
    if (there & (EPOLLHUP | EPOLLERR)) now |= AE_READABLE | AE_WRITABLE;
    return (int)(now & events);
}

/* ---- one attempt ---- */

static struct ae__sim_socket *pop_waiting(struct ae__sim_socket *listener)
{
    struct ae__sim_socket *socket = listener->waiting;

    listener->waiting = socket->next_waiting;
    if (!listener->waiting) listener->waiting_end = &listener->waiting;
    listener->waiting_count--;
    return socket;
}

static ssize_t accept_one(struct ae__sim_socket *listener, const struct ae__op *op)
{
    if (listener->state != AE__SIM_LISTENING) return -EINVAL;
    if (!listener->waiting) return -EAGAIN;
    if (ae__sim_faulty()) return -EMFILE;
    struct ae__sim_socket *socket = pop_waiting(listener);
    if (ae__sim_faulty()) {
        close_socket(socket, false);
        return -ECONNABORTED;
    }
    int number = ae__sim_socket_number(socket);
    if (number < 0) {
        close_socket(socket, false);
        return number;
    }
    if (op->accept.addr) {
        memcpy(op->accept.addr, socket->peer.storage, socket->peer.length);
        *op->accept.length = socket->peer.length;
    }
    ae__sim_step("accept", socket->node->name, (uint64_t)(number - AE__SIM_NUMBERS));
    return number;
}

static ssize_t connect_one(struct ae__sim_socket *socket, struct ae__op *op)
{
    ae_addr addr = { .length = op->connect.length };

    if (op->begun) {
        int error = socket->error;
        socket->error = 0;
        if (socket->state == AE__SIM_CONNECTED) return 0;
        return error ? -error : -EAGAIN;
    }
    memcpy(addr.storage, op->connect.addr, op->connect.length);
    int rc = ae__sim_connect(socket, &addr);
    if (rc == -EAGAIN) return -EBUSY;
    if (rc != -EINPROGRESS) return rc;
    op->begun = true;
    return -EAGAIN;
}

static ssize_t receive_one(struct ae__sim_socket *socket, const struct ae__op *op,
                           enum ae__fd_left *left)
{
    ssize_t n = ae__sim_receive(socket, op->read.buf, op->read.size);

    if (n > 0 && (size_t)n < op->read.size) *left = AE__FD_LEFT_SHORT;
    return n;
}

static ssize_t send_file(struct ae__sim_socket *socket, const struct ae__op *op)
{
    size_t size = op->sendfile.size < FILE_PART ? op->sendfile.size : FILE_PART;
    char *part = ae__mem_alloc(size);

    if (!part) return -ENOMEM;
    ssize_t n = ae__file_sys_readat(op->sendfile.file, part, size, op->sendfile.offset);
    if (n > 0) n = ae__sim_send(socket, &(struct iovec){ part, (size_t)n }, 1);
    ae__mem_free(part);
    return n;
}

static ssize_t send_parts(struct ae__sim_socket *socket, const struct ae__op *op,
                          enum ae__fd_left *left)
{
    ssize_t n = ae__sim_send(socket, op->writev.iov, op->writev.count);

    if (n >= 0 && socket->full) *left = AE__FD_LEFT_SHORT;
    return n;
}

static ssize_t attempt(struct ae__op *op, int number, enum ae__fd_left *left)
{
    struct ae__sim_socket *socket = ae__sim_socket_at(number);

    switch (op->code) {
    case AE__OP_READ:
        return receive_one(socket, op, left);
    case AE__OP_WRITEV:
        return send_parts(socket, op, left);
    case AE__OP_ACCEPT:
        return accept_one(socket, op);
    case AE__OP_CONNECT:
        return connect_one(socket, op);
    case AE__OP_SENDFILE:
        return send_file(socket, op);
    default:
        break;
    }
    AE_ASSERT(!"an op code that is tried");
    return -EINVAL;
}

/* On its way out of the kernel a thread may lose the CPU, for a while even. */
ssize_t ae__sim_attempt(struct ae__op *op, int number, enum ae__fd_left *left)
{
    ssize_t n = attempt(op, number, left);
    uint32_t how = ae__sim_below(AE__SIM_NETWORK, 64);

    if (how == 0) {
        int64_t lost_ns = ae__sim_below(AE__SIM_NETWORK, 400) * AE_US;
        ae__sim_wait(NULL, ae__sim->now_ns + lost_ns);
    } else if (how < 16) {
        ae__sim_pass();
    }
    return n;
}

/* ---- begin and end ---- */

void ae__sim_net_begin(void)
{
    AE_ASSERT(!ae__sim->nodes);
    if (!ae__sim_node_make("local", 0x0a0000fe)) ae__fatal("no memory for the simulation");
}

/* What was under way is lost, whoever held it. */
void ae__sim_net_end(void)
{
    struct ae__sim *sim = ae__sim;

    ae__sim_links_clear();
    ae__sim_drop_sockets(NULL, true);
    ae__sim_fire_all(); /* what they hold is let go */
    ae__mem_free(sim->sockets);
    ae__sim_nodes_end();
}
