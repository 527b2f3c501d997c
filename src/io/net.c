/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting, adopting, and what there is to ask and set on the socket beneath a stream. */
#include "aether/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "aether/blocking.h"
#include "aether/time.h"
#include "base/assert.h"
#include "driver/names.h"
#include "driver/socket.h"
#include "io/io.h"
#include "sched/sched.h"

enum {
    ADDRESSES_MAX = 8, /* of one name that are tried */
    NAME_MAX_BYTES = 254,
    PORT_MAX_BYTES = 32,
    TCP_NODELAY_OPTION = 1, /* TCP_NODELAY; <netinet/tcp.h> is the driver's */
};

/* Unix sockets may give less than is there where descriptors were passed. */
unsigned ae__socket_flags_of(int family)
{
    return family == AF_UNIX ? AE__FD_EXACT : 0;
}

static void set_defaults(int number, int family)
{
    if (family != AF_INET && family != AF_INET6) return;
    (void)ae__socket_set_int(number, IPPROTO_TCP, TCP_NODELAY_OPTION, 1);
}

/* ---- connecting ---- */

/* A Unix listener's queue that is full gives no signal when it has room: look again. */
static ssize_t run_connect(struct ae__op *op)
{
    ssize_t rc;

    while ((rc = ae__io(op, AE__WAIT_CONNECT)) == -EBUSY) {
        rc = ae_sleep(AE_MS);
        if (rc < 0) return rc;
    }
    return rc;
}

static int connect_to(const ae_addr *addr, ae_stream **out)
{
    int family = ae__addr_family(addr);
    ae_stream *stream;

    int number = ae__socket_open(family);
    if (number < 0) return number;
    set_defaults(number, family);
    int rc = ae__stream_open(number, ae__socket_flags_of(family), &stream);
    if (rc < 0) {
        ae__socket_close(number);
        return rc;
    }
    struct ae__op op = {
        .code = AE__OP_CONNECT,
        .connect = { .addr = addr->storage, .length = addr->length },
    };
    rc = ae__socket_use(ae__stream_socket(stream), &op);
    if (rc == 0) rc = (int)run_connect(&op);
    if (rc < 0) {
        ae_close(stream);
        return rc;
    }
    *out = stream;
    return 0;
}

struct lookup {
    char host[NAME_MAX_BYTES];
    char port[PORT_MAX_BYTES];
    ae_addr found[ADDRESSES_MAX];
};

static int split(const char *address, struct lookup *lookup)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;

    if (length == 0 || length >= sizeof lookup->host) return -EINVAL;
    if (colon[1] == '\0' || strlen(colon + 1) >= sizeof lookup->port) return -EINVAL;
    bool brackets = *address == '[';
    if (brackets && (length < 3 || colon[-1] != ']')) return -EINVAL;
    snprintf(lookup->host, sizeof lookup->host, "%.*s", (int)length - 2 * brackets,
             address + brackets);
    snprintf(lookup->port, sizeof lookup->port, "%s", colon + 1);
    return 0;
}

static int resolve(void *arg)
{
    struct lookup *lookup = arg;

    return ae__names_resolve(lookup->host, lookup->port, lookup->found, ADDRESSES_MAX);
}

static int connect_by_name(const char *address, ae_stream **out)
{
    struct lookup lookup;

    int rc = split(address, &lookup);
    if (rc < 0) return rc;
    static const ae_job_opts on_names = { .lane = AE_LANE_NAMES };
    int count = ae_blocking_opts(&on_names, resolve, &lookup);
    if (count < 0) return count;
    rc = -ENOENT;
    for (int i = 0; i < count; i++) {
        rc = connect_to(&lookup.found[i], out);
        if (rc == 0 || rc == -ECANCELED) break;
    }
    return rc;
}

int ae_connect(const char *address, ae_stream **out)
{
    ae_addr addr;

    AE_ASSERT(address != NULL && out != NULL);
    AE_ASSERT(ae__in_task());
    if (ae_addr_parse(address, &addr) == 0) return connect_to(&addr, out);
    if (strncmp(address, "unix:", 5) == 0) return -EINVAL;
    return connect_by_name(address, out);
}

/* ---- adopting, options, addresses ---- */

int ae_stream_adopt(int fd, ae_stream **out)
{
    int family = ae__socket_adopt(fd);

    if (family < 0) return family;
    set_defaults(fd, family);
    return ae__stream_open(fd, ae__socket_flags_of(family), out);
}

int ae_stream_peer(ae_stream *stream, ae_addr *out)
{
    struct ae__socket *socket = ae__stream_socket(stream);

    return socket ? ae__socket_peer(socket->number, out) : -ENOTSOCK;
}

int ae_stream_local(ae_stream *stream, ae_addr *out)
{
    struct ae__socket *socket = ae__stream_socket(stream);

    return socket ? ae__socket_local(socket->number, out) : -ENOTSOCK;
}

int ae_stream_set_option(ae_stream *stream, int level, int name, const void *value, size_t size)
{
    struct ae__socket *socket = ae__stream_socket(stream);

    return socket ? ae__socket_set(socket->number, level, name, value, size) : -ENOTSOCK;
}

int ae_stream_get_option(ae_stream *stream, int level, int name, void *value, size_t *size)
{
    struct ae__socket *socket = ae__stream_socket(stream);

    return socket ? ae__socket_get(socket->number, level, name, value, size) : -ENOTSOCK;
}
