/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets.
 *
 * Any number of tasks may accept on one: they take turns by a fair mutex, so that one of them waits
 * for the descriptor and a connection wakes one task, not all. The listener's memory is counted:
 * ae_listener_close may come while tasks are in ae_accept, and the last one out frees it. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "aether/log.h"
#include "aether/net.h"
#include "aether/sync.h"
#include "aether/time.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/socket.h"
#include "io/io.h"
#include "sched/sched.h"

enum { BACKLOG_DEFAULT = 4096, UNIX_MODE_DEFAULT = 0600, TCP_NODELAY_OPTION = 1 };

#define SHORTAGE_WAIT_NS (10 * AE_MS) /* between two looks whether descriptors are free again */

struct ae_listener {
    struct ae__socket socket;
    int family;
    bool owns_path;              /* a file that we made and shall remove */
    struct ae__socket_file file; /* what it was then */
    ae_addr bound;               /* Unix: as given */

    ae_mutex turn;               /* who waits for the descriptor */
    _Atomic(uint32_t) users;     /* the owner, and each task in ae_accept */
    _Atomic(bool) short_logged;  /* descriptors ran out, and the log has it */
};

static void release(ae_listener *listener)
{
    /* acq_rel: whoever frees sees what the others did before they let go */
    uint32_t before = atomic_fetch_sub_explicit(&listener->users, 1, memory_order_acq_rel);

    AE_ASSERT(before > 0);
    if (before == 1) ae__mem_free(listener);
}

static ae_listener *create(int number, int family)
{
    ae_listener *listener = ae__mem_zalloc(sizeof *listener);

    if (!listener) return NULL;
    listener->socket.number = number;
    listener->family = family;
    atomic_store_explicit(&listener->users, 1, memory_order_relaxed);
    return listener;
}

/* ---- opening ---- */

/* A socket file that nobody listens on is left over from a process that died. */
static int bind_unix(int number, const ae_addr *addr)
{
    const char *path = ae__addr_path(addr);
    struct ae__socket_file file;

    int rc = ae__socket_bind(number, addr);
    if (rc != -EADDRINUSE || !path) return rc;
    if (ae__socket_file_of(path, &file) < 0) return rc; /* not a socket: leave it alone */
    int alive = ae__socket_file_alive(addr);
    if (alive != 0) return alive < 0 ? alive : rc;
    ae__socket_file_remove(path);
    return ae__socket_bind(number, addr);
}

static int bind_inet(int number, int family, const ae_addr *addr, const ae_listen_opts *opts)
{
    (void)ae__socket_set_int(number, SOL_SOCKET, SO_REUSEADDR, 1);
    /* accepted sockets inherit it: no call per connection */
    (void)ae__socket_set_int(number, IPPROTO_TCP, TCP_NODELAY_OPTION, 1);
    if (family == AF_INET6) {
        int rc = ae__socket_set_int(number, IPPROTO_IPV6, IPV6_V6ONLY, opts->ipv6_only);
        if (rc < 0) return rc;
    }
    if (opts->reuse_port) {
        int rc = ae__socket_set_int(number, SOL_SOCKET, SO_REUSEPORT, 1);
        if (rc < 0) return rc;
    }
    return ae__socket_bind(number, addr);
}

/* The file is ours from here on. Nobody can connect before listen, so its mode is never wide. */
static int claim_path(ae_listener *listener, unsigned mode)
{
    const char *path = ae__addr_path(&listener->bound);

    if (!path) return 0;
    int rc = ae__socket_file_of(path, &listener->file);
    if (rc < 0) return rc;
    listener->owns_path = true;
    return ae__socket_file_mode(path, mode ? mode : UNIX_MODE_DEFAULT);
}

static int set_up(ae_listener *listener, const ae_addr *addr, const ae_listen_opts *opts)
{
    int number = listener->socket.number;
    int rc;

    if (listener->family == AF_UNIX) {
        rc = bind_unix(number, addr);
        listener->bound = *addr;
        if (rc == 0) rc = claim_path(listener, opts->unix_mode);
    } else {
        rc = bind_inet(number, listener->family, addr, opts);
    }
    if (rc < 0) return rc;
    return ae__socket_listen(number, opts->backlog > 0 ? opts->backlog : BACKLOG_DEFAULT);
}

static int listen_at(const ae_addr *addr, const ae_listen_opts *opts, ae_listener **out)
{
    int family = ae__addr_family(addr);

    int number = ae__socket_open(family);
    if (number < 0) return number;
    ae_listener *listener = create(number, family);
    if (!listener) {
        ae__socket_close(number);
        return -ENOMEM;
    }
    int rc = set_up(listener, addr, opts);
    if (rc < 0) {
        ae_listener_close(listener);
        return rc;
    }
    *out = listener;
    return 0;
}

int ae_listen(const char *address, const ae_listen_opts *opts, ae_listener **out)
{
    static const ae_listen_opts defaults = { 0 };
    ae_addr addr;

    AE_ASSERT(address != NULL && out != NULL);
    int rc = ae_addr_parse(address, &addr);
    if (rc < 0) return rc;
    if (!opts) opts = &defaults;
    rc = listen_at(&addr, opts, out);
    if (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL) return rc;
    /* "all interfaces" without IPv6 */
    return *address == ':' && ae__addr_any_to_ipv4(&addr) ? listen_at(&addr, opts, out) : rc;
}

int ae_listener_adopt(int fd, ae_listener **out)
{
    int family = ae__socket_adopt(fd);

    if (family < 0) return family;
    if (ae__socket_is_listening(fd) != 1) return -EINVAL;
    ae_listener *listener = create(fd, family);
    if (!listener) return -ENOMEM;
    if (family != AF_UNIX) {
        (void)ae__socket_set_int(fd, IPPROTO_TCP, TCP_NODELAY_OPTION, 1);
    }
    *out = listener;
    return 0;
}

/* ---- accepting ---- */

/* The connection is gone, or the network had a passing trouble: accept(2) says to try again. */
static bool passes(ssize_t error)
{
    switch (error) {
    case -ECONNABORTED:
    case -EPROTO:
    case -EPERM:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -EOPNOTSUPP: /* of the connection: a listener is always of a kind that accepts */
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static bool is_shortage(ssize_t error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static int wait_out_shortage(ae_listener *listener, ssize_t error)
{
    if (!atomic_exchange_explicit(&listener->short_logged, true, memory_order_relaxed)) {
        ae_log(AE_WARN, "accept: %s: waiting until some are free", ae_strerror((int)error));
    }
    return ae_sleep(SHORTAGE_WAIT_NS);
}

/* One connection: its descriptor. With the turn. */
static ssize_t accept_one(ae_listener *listener, struct ae__op *op, ae_addr *peer)
{
    for (;;) {
        if (peer) peer->length = sizeof peer->storage;
        ssize_t n = ae__io(op, AE__WAIT_ACCEPT);
        if (passes(n)) continue;
        if (!is_shortage(n)) return n;
        int rc = wait_out_shortage(listener, n);
        if (rc < 0) return rc;
    }
}

static ssize_t accept_in_turn(ae_listener *listener, ae_addr *peer)
{
    struct ae__op op = { .code = AE__OP_ACCEPT };

    int rc = ae__socket_use(&listener->socket, &op);
    if (rc < 0) return rc;
    if (peer) {
        op.accept.addr = peer->storage;
        op.accept.length = &peer->length;
    }
    rc = ae_mutex_acquire(&listener->turn);
    if (rc < 0) return rc;
    ssize_t n = accept_one(listener, &op, peer);
    ae_mutex_unlock(&listener->turn);
    return n;
}

/* A stream around the next connection. 0; -ENOMEM: that connection is lost. */
static int accept_stream(ae_listener *listener, ae_stream **out, ae_addr *peer)
{
    ssize_t n = accept_in_turn(listener, peer);

    if (n < 0) return (int)n;
    int rc = ae__stream_open((int)n, ae__socket_flags_of(listener->family), out);
    if (rc < 0) ae__socket_close((int)n);
    return rc;
}

int ae_accept(ae_listener *listener, ae_stream **out, ae_addr *peer)
{
    int rc;

    AE_ASSERT(listener != NULL && out != NULL);
    AE_ASSERT(ae__in_task());
    atomic_fetch_add_explicit(&listener->users, 1, memory_order_relaxed);
    while ((rc = accept_stream(listener, out, peer)) == -ENOMEM) {
        rc = wait_out_shortage(listener, rc);
        if (rc < 0) break;
    }
    if (rc == 0) atomic_store_explicit(&listener->short_logged, false, memory_order_relaxed);
    release(listener);
    return rc;
}

/* ---- the rest ---- */

int ae_listener_addr(ae_listener *listener, ae_addr *out)
{
    return ae__socket_local(listener->socket.number, out);
}

int ae_listener_fd(ae_listener *listener)
{
    return listener->socket.number;
}

void ae_listener_close(ae_listener *listener)
{
    struct ae__socket_file now;

    if (!listener) return;
    if (listener->owns_path) {
        const char *path = ae__addr_path(&listener->bound);
        bool ours = ae__socket_file_of(path, &now) == 0 && now.inode == listener->file.inode &&
                    now.device == listener->file.device;
        if (ours) ae__socket_file_remove(path); /* not what somebody else put there */
    }
    ae__socket_end(&listener->socket);
    release(listener);
}
