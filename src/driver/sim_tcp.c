/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the simulated kernel: handshake, segments, windows, ends and resets.
 *
 * What one side sends is cut into segments anywhere, which arrive one after the other, each in its
 * time; a lost one, or one that finds the network cut, is sent again later and later, as TCP does.
 * The sender may have `window` bytes that the other program has not read yet; the news that it has
 * read some travel, too. Data that reaches a closed socket is answered with a reset. It is a model
 * of TCP as programs see it, not of its packets: nothing is reordered within a connection.
 *
 * C1  A socket that is not gone, or has something to send, holds its other side (dissolve).
 * C2  At most one event at a time takes from `sent`; it holds the socket (delivering). */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "aether/time.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/sim_net.h"

#define RETRY_NS (200 * AE_MS)        /* doubled with each try */
#define SYN_RETRY_NS (1 * AE_SEC)
#define GIVE_UP_NS (15 * 60 * AE_SEC) /* tcp_retries2 */
enum { SYN_TRIES = 7, SEGMENT_MAX = 16 * 1024, WINDOW_MIN = 4096, WINDOW_SHIFTS = 7 };

/* ---- flows ---- */

static void flow_push(struct ae__sim_flow *flow, struct ae__sim_segment *segment)
{
    segment->next = NULL;
    *flow->tail = segment;
    flow->tail = &segment->next;
}

static struct ae__sim_segment *flow_pop(struct ae__sim_flow *flow)
{
    struct ae__sim_segment *segment = flow->head;

    AE_ASSERT(segment);
    flow->head = segment->next;
    if (!flow->head) flow->tail = &flow->head;
    return segment;
}

void ae__sim_flow_clear(struct ae__sim_flow *flow)
{
    while (flow->head) {
        ae__mem_free(flow_pop(flow));
    }
}

/* C1 */
void ae__sim_dissolve(struct ae__sim_socket *socket)
{
    struct ae__sim_socket *other = socket->other;

    if (!socket->gone || socket->delivering || !other) return;
    socket->other = NULL;
    ae__sim_release(other);
}

size_t ae__sim_room(const struct ae__sim_socket *socket)
{
    AE_ASSERT(socket->unacknowledged <= socket->window);
    return socket->window - socket->unacknowledged;
}

/* ---- ends ---- */

void ae__sim_break(struct ae__sim_socket *socket, int error)
{
    if (socket->state == AE__SIM_BROKEN) return;
    ae__sim_step("broken", socket->node->name, (uint64_t)error);
    socket->state = AE__SIM_BROKEN;
    socket->error = error;
    ae__sim_flow_clear(&socket->sent);
    ae__sim_edge(socket);
}

static void reset_arrives(void *object, uint64_t value)
{
    struct ae__sim_socket *socket = object;

    (void)value;
    ae__sim_break(socket, ECONNRESET);
    ae__sim_release(socket);
}

static void send_reset(const struct ae__sim_socket *from, struct ae__sim_socket *to)
{
    if (ae__sim_is_cut(from->node, to->node)) return; /* it will find out when it sends */
    ae__sim_hold(to);
    ae__sim_after(ae__sim_travel_ns(from->node, to->node), reset_arrives, to, 0);
}

void ae__sim_reset(struct ae__sim_socket *socket)
{
    if (socket->other) send_reset(socket, socket->other);
    ae__sim_break(socket, ECONNRESET);
    ae__sim_dissolve(socket);
}

/* ---- segments on their way ---- */

static void deliver(void *object, uint64_t value);

static void schedule_delivery(struct ae__sim_socket *socket, int64_t at_least_ns)
{
    struct ae__sim_segment *head = socket->sent.head;
    int64_t delay_ns = head->when_ns - ae__sim->now_ns;

    if (delay_ns < at_least_ns) delay_ns = at_least_ns;
    ae__sim_after(delay_ns, deliver, socket, 0);
}

static void begin_delivery(struct ae__sim_socket *socket)
{
    if (socket->delivering) return;
    socket->delivering = true; /* C2 */
    ae__sim_hold(socket);
    schedule_delivery(socket, 0);
}

static void end_delivery(struct ae__sim_socket *socket)
{
    socket->delivering = false;
    ae__sim_dissolve(socket);
    ae__sim_release(socket);
}

static int64_t backoff_ns(int64_t first_ns, uint32_t tries)
{
    return first_ns << (tries < 8 ? tries : 8);
}

/* It is sent again, or given up. */
static void fail_to_deliver(struct ae__sim_socket *socket)
{
    if (socket->stuck_ns == 0) socket->stuck_ns = ae__sim->now_ns;
    if (ae__sim->now_ns - socket->stuck_ns > GIVE_UP_NS) {
        ae__sim_break(socket, ETIMEDOUT);
        end_delivery(socket);
        return;
    }
    schedule_delivery(socket, backoff_ns(RETRY_NS, socket->tries++));
}

static void arrive(struct ae__sim_socket *from, struct ae__sim_socket *to,
                   struct ae__sim_segment *segment)
{
    if (to->gone || to->state == AE__SIM_BROKEN) {
        if (to->gone && segment->size > 0) send_reset(to, from);
        ae__mem_free(segment);
        return;
    }
    if (to->state == AE__SIM_CONNECTING) to->state = AE__SIM_CONNECTED;
    if (segment->fin) to->ended = true;
    to->received_bytes += segment->size;
    flow_push(&to->received, segment);
    ae__sim_edge(to);
}

static void deliver(void *object, uint64_t value)
{
    struct ae__sim_socket *socket = object, *other = socket->other;

    (void)value;
    AE_ASSERT(socket->delivering);
    if (socket->state == AE__SIM_BROKEN || !other) {
        end_delivery(socket);
        return;
    }
    if (ae__sim_is_cut(socket->node, other->node) || ae__sim_loses(socket->node, other->node)) {
        fail_to_deliver(socket);
        return;
    }
    socket->stuck_ns = 0;
    socket->tries = 0;
    struct ae__sim_segment *segment = flow_pop(&socket->sent);
    ae__sim_step("deliver", other->node->name, segment->size);
    arrive(socket, other, segment);
    if (socket->sent.head) {
        schedule_delivery(socket, 0);
    } else {
        end_delivery(socket);
    }
}

static bool push_segment(struct ae__sim_socket *socket, uint32_t size, bool fin,
                         struct ae__sim_segment **out)
{
    struct ae__sim_segment *segment = ae__mem_alloc(sizeof *segment + size);

    if (!segment) return false;
    segment->size = size;
    segment->read = 0;
    segment->fin = fin;
    segment->when_ns = ae__sim->now_ns;
    if (socket->other) {
        segment->when_ns += ae__sim_travel_ns(socket->node, socket->other->node);
    }
    flow_push(&socket->sent, segment);
    *out = segment;
    begin_delivery(socket);
    return true;
}

void ae__sim_finish(struct ae__sim_socket *socket)
{
    struct ae__sim_segment *segment;

    if (socket->ends || socket->state != AE__SIM_CONNECTED) return;
    socket->ends = true;
    if (!push_segment(socket, 0, true, &segment)) ae__fatal("no memory for a simulated segment");
}

/* ---- sending ---- */

static size_t total_of(const struct iovec *iov, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++) {
        total += iov[i].iov_len;
    }
    return total;
}

/* `size` bytes of the parts from `skip` on. */
static void gather(char *to, const struct iovec *iov, size_t skip, size_t size)
{
    for (; size > 0; iov++) {
        if (skip >= iov->iov_len) {
            skip -= iov->iov_len;
            continue;
        }
        size_t n = iov->iov_len - skip < size ? iov->iov_len - skip : size;
        memcpy(to, (const char *)iov->iov_base + skip, n);
        to += n;
        size -= n;
        skip = 0;
    }
}

/* Where the stream is cut: now and then after a few bytes, else as late as may be. */
static uint32_t draw_cut(size_t left)
{
    uint32_t most = left < SEGMENT_MAX ? (uint32_t)left : SEGMENT_MAX;
    uint32_t how = ae__sim_below(AE__SIM_NETWORK, 8);

    if (how == 0 && most > 1) return 1 + ae__sim_below(AE__SIM_NETWORK, most < 16 ? most : 16);
    if (how == 1) return 1 + ae__sim_below(AE__SIM_NETWORK, most);
    return most;
}

static int check_send(struct ae__sim_socket *socket)
{
    int error = socket->error;

    socket->error = 0;
    if (error) return -error;
    if (socket->ends || socket->state == AE__SIM_BROKEN) return -EPIPE;
    if (socket->state == AE__SIM_CONNECTING) return -EAGAIN;
    if (socket->state != AE__SIM_CONNECTED) return -ENOTCONN;
    if (!ae__sim_faulty()) return 0;
    ae__sim_reset(socket);
    socket->error = 0;
    return -ECONNRESET;
}

ssize_t ae__sim_send(struct ae__sim_socket *socket, const struct iovec *iov, int count)
{
    size_t total = total_of(iov, count), done = 0;
    struct ae__sim_segment *segment;

    int rc = check_send(socket);
    if (rc < 0) return rc;
    size_t size = total < ae__sim_room(socket) ? total : ae__sim_room(socket);
    socket->full = size < total;
    if (size == 0 && total > 0) return -EAGAIN;
    while (done < size) {
        uint32_t n = draw_cut(size - done);
        if (!push_segment(socket, n, false, &segment)) return done > 0 ? (ssize_t)done : -ENOBUFS;
        gather(segment->bytes, iov, done, n);
        done += n;
        socket->unacknowledged += n;
    }
    ae__sim_step("send", socket->node->name, size);
    return (ssize_t)size;
}

/* ---- receiving ---- */

static void acknowledge(void *object, uint64_t size)
{
    struct ae__sim_socket *sender = object;

    if (sender->other && ae__sim_is_cut(sender->other->node, sender->node)) {
        ae__sim_after(RETRY_NS, acknowledge, sender, size);
        return;
    }
    AE_ASSERT(sender->unacknowledged >= size);
    sender->unacknowledged -= size;
    if (sender->full && 3 * ae__sim_room(sender) >= sender->window) {
        sender->full = false;
        ae__sim_edge(sender);
    }
    ae__sim_release(sender);
}

static size_t take(struct ae__sim_socket *socket, char *buf, size_t size)
{
    size_t done = 0;

    while (done < size && socket->received.head) {
        struct ae__sim_segment *head = socket->received.head;
        size_t n = head->size - head->read;
        if (n > size - done) n = size - done;
        memcpy(buf + done, head->bytes + head->read, n);
        head->read += (uint32_t)n;
        done += n;
        if (head->read == head->size) ae__mem_free(flow_pop(&socket->received));
    }
    AE_ASSERT(socket->received_bytes >= done);
    socket->received_bytes -= done;
    return done;
}

ssize_t ae__sim_receive(struct ae__sim_socket *socket, void *buf, size_t size)
{
    if (socket->received_bytes > 0) {
        size_t n = take(socket, buf, size);
        ae__sim_step("receive", socket->node->name, n);
        if (socket->other) {
            ae__sim_hold(socket->other);
            ae__sim_after(ae__sim_travel_ns(socket->node, socket->other->node), acknowledge,
                          socket->other, n);
        }
        return (ssize_t)n;
    }
    int error = socket->error;
    socket->error = 0;
    if (error) return -error;
    if (socket->ended || socket->state == AE__SIM_BROKEN) return 0;
    return socket->state == AE__SIM_FRESH ? -ENOTCONN : -EAGAIN;
}

/* ---- connecting ---- */

static void connect_sides(struct ae__sim_socket *client, struct ae__sim_socket *server)
{
    client->other = server;
    server->other = client;
    ae__sim_hold(client);
    ae__sim_hold(server);
    client->window = (size_t)WINDOW_MIN << ae__sim_below(AE__SIM_NETWORK, WINDOW_SHIFTS);
    server->window = (size_t)WINDOW_MIN << ae__sim_below(AE__SIM_NETWORK, WINDOW_SHIFTS);
    server->state = AE__SIM_CONNECTED;
}

/* The server's side, in the listener's queue. NULL: no memory. */
static struct ae__sim_socket *meet(struct ae__sim_socket *client, struct ae__sim_socket *listener)
{
    struct ae__sim_socket *server = ae__sim_socket_make(listener->node, listener->family);

    if (!server) return NULL;
    server->local = client->peer;
    server->peer = client->local;
    connect_sides(client, server);
    *listener->waiting_end = server;
    listener->waiting_end = &server->next_waiting;
    listener->waiting_count++;
    ae__sim_edge(listener);
    return server;
}

static void refused(void *object, uint64_t value)
{
    struct ae__sim_socket *socket = object;

    (void)value;
    if (socket->state == AE__SIM_CONNECTING) ae__sim_break(socket, ECONNREFUSED);
    ae__sim_release(socket);
}

static void established(void *object, uint64_t value)
{
    struct ae__sim_socket *socket = object;

    (void)value;
    if (socket->state == AE__SIM_CONNECTING) {
        socket->state = AE__SIM_CONNECTED;
        ae__sim_step("connected", socket->node->name, 0);
        ae__sim_edge(socket);
    }
    ae__sim_release(socket);
}

/* A SYN arrives, or not; `where`: the node, and the port in its low half. */
static void syn(void *object, uint64_t where)
{
    struct ae__sim_socket *socket = object;
    ae_sim_node *node = ae__sim_node_at((uint32_t)(where >> 32));
    uint16_t port = (uint16_t)where;
    struct ae__sim_socket *listener = ae__sim_listener_at(node, port, node == socket->node);

    if (socket->gone || socket->state != AE__SIM_CONNECTING) {
        ae__sim_release(socket);
        return;
    }
    bool lost = ae__sim_is_cut(socket->node, node) || ae__sim_is_cut(node, socket->node) ||
                ae__sim_loses(socket->node, node);
    if (listener && listener->waiting_count >= listener->waiting_max) lost = true;
    if (lost && socket->tries == SYN_TRIES) {
        ae__sim_break(socket, ETIMEDOUT);
        ae__sim_release(socket);
    } else if (lost) {
        ae__sim_after(backoff_ns(SYN_RETRY_NS, socket->tries++), syn, socket, where);
    } else {
        socket->tries = 0;
        bool met = listener && meet(socket, listener);
        ae__sim_after(ae__sim_travel_ns(node, socket->node), met ? established : refused, socket,
                      0);
    }
}

/* The node that an address names, seen from another one, and the port; NULL: none. */
static ae_sim_node *node_of(ae_sim_node *here, const ae_addr *addr, uint16_t *port)
{
    uint32_t host;

    if (!ae__sim_addr_read(addr, &host, port)) return NULL;
    if (host == 0 || host >> 24 == 127) return here;
    return ae__sim_node_at(host);
}

int ae__sim_connect(struct ae__sim_socket *socket, const ae_addr *addr)
{
    uint16_t port = 0;

    if (socket->state != AE__SIM_FRESH) return -EISCONN;
    if (socket->family == AF_UNIX) return ae__sim_unix_connect(socket, addr);
    ae_sim_node *node = node_of(socket->node, addr, &port);
    if (!node) return -ENETUNREACH;
    if (socket->port == 0) socket->port = ae__sim_free_port(socket->node);
    bool loopback = node == socket->node;
    ae__sim_addr_write(&socket->local, loopback ? 0x7f000001 : socket->node->address,
                       socket->port);
    ae__sim_addr_write(&socket->peer, loopback ? 0x7f000001 : node->address, port);
    socket->state = AE__SIM_CONNECTING;
    ae__sim_step("connect", node->name, port);
    ae__sim_hold(socket);
    ae__sim_after(ae__sim_travel_ns(socket->node, node), syn, socket,
                  (uint64_t)node->address << 32 | port);
    return -EINPROGRESS;
}

int ae__sim_pair(struct ae__sim_socket *socket, struct ae__sim_socket *listener)
{
    if (listener->waiting_count >= listener->waiting_max) return -EAGAIN;
    if (!meet(socket, listener)) return -ENOMEM;
    socket->state = AE__SIM_CONNECTED;
    return 0;
}
