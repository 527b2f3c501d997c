/* SPDX-License-Identifier: Apache-2.0 */
/* System calls on sockets that never wait: see socket.h. */
#include "driver/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aether/net.h"
#include "base/assert.h"
#include "driver/sim_net.h"
#include "driver/sim_start.h"

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((struct ae_addr *)0)->storage),
               "ae_addr has room for every family");

static int result(int rc)
{
    return rc < 0 ? -errno : rc;
}

int ae__socket_open(int family)
{
    ae__sim_start();
    if (ae__simulated()) return ae__sim_socket_open(family);
    return result(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void ae__socket_close(int number)
{
    AE_ASSERT(number >= 0);
    if (ae__sim_owns(number)) {
        ae__sim_socket_close(number);
    } else {
        close(number);
    }
}

int ae__socket_bind(int number, const struct ae_addr *addr)
{
    AE_ASSERT(addr->length <= sizeof addr->storage);
    if (ae__sim_owns(number)) return ae__sim_socket_bind(number, addr);
    return result(bind(number, (const struct sockaddr *)addr->storage, addr->length));
}

int ae__socket_listen(int number, int backlog)
{
    if (ae__sim_owns(number)) return ae__sim_socket_listen(number, backlog);
    return result(listen(number, backlog));
}

int ae__socket_local(int number, struct ae_addr *out)
{
    socklen_t length = sizeof out->storage;

    if (ae__sim_owns(number)) return ae__sim_socket_local(number, out);
    if (getsockname(number, (struct sockaddr *)out->storage, &length) < 0) return -errno;
    AE_ASSERT(length <= sizeof out->storage); /* else the kernel cut it off */
    out->length = length;
    return 0;
}

int ae__socket_peer(int number, struct ae_addr *out)
{
    socklen_t length = sizeof out->storage;

    if (ae__sim_owns(number)) return ae__sim_socket_peer(number, out);
    if (getpeername(number, (struct sockaddr *)out->storage, &length) < 0) return -errno;
    AE_ASSERT(length <= sizeof out->storage);
    out->length = length;
    return 0;
}

int ae__socket_set(int number, int level, int name, const void *value, size_t size)
{
    if (ae__sim_owns(number)) return ae__sim_socket_set(number, level, name, value, size);
    return result(setsockopt(number, level, name, value, (socklen_t)size));
}

int ae__socket_get(int number, int level, int name, void *value, size_t *size)
{
    socklen_t length = (socklen_t)*size;

    if (ae__sim_owns(number)) return ae__sim_socket_get(number, level, name, value, size);
    if (getsockopt(number, level, name, value, &length) < 0) return -errno;
    *size = length;
    return 0;
}

int ae__socket_set_int(int number, int level, int name, int value)
{
    return ae__socket_set(number, level, name, &value, sizeof value);
}

int ae__socket_shutdown(int number)
{
    if (ae__sim_owns(number)) return ae__sim_socket_shutdown(number);
    return result(shutdown(number, SHUT_WR));
}

static int int_option(int number, int name)
{
    int value = 0;
    size_t size = sizeof value;

    int rc = ae__socket_get(number, SOL_SOCKET, name, &value, &size);
    return rc < 0 ? rc : value;
}

int ae__socket_adopt(int number)
{
    int type = int_option(number, SO_TYPE);
    if (type < 0) return type;
    if (type != SOCK_STREAM) return -EINVAL;
    if (ae__sim_owns(number)) return int_option(number, SO_DOMAIN);
    int flags = fcntl(number, F_GETFL);
    if (flags < 0 || fcntl(number, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    if (fcntl(number, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    return int_option(number, SO_DOMAIN);
}

int ae__socket_is_listening(int number)
{
    return int_option(number, SO_ACCEPTCONN);
}

int ae__socket_file_of(const char *path, struct ae__socket_file *out)
{
    struct stat st;

    if (ae__simulated()) return ae__sim_file_of(path, out);
    if (lstat(path, &st) < 0) return -errno;
    if (!S_ISSOCK(st.st_mode)) return -ENOTSOCK;
    out->device = st.st_dev;
    out->inode = st.st_ino;
    return 0;
}

int ae__socket_file_mode(const char *path, unsigned mode)
{
    if (ae__simulated()) return 0;
    return result(chmod(path, mode));
}

void ae__socket_file_remove(const char *path)
{
    if (ae__simulated()) {
        ae__sim_file_remove(path);
    } else {
        (void)unlink(path); /* gone already: as good */
    }
}

int ae__socket_file_alive(const struct ae_addr *addr)
{
    AE_ASSERT(addr->length <= sizeof addr->storage);
    int probe = ae__socket_open(AF_UNIX);
    if (probe < 0) return probe;
    int rc = ae__sim_owns(probe)
                 ? ae__sim_unix_connect(ae__sim_socket_at(probe), addr)
                 : result(connect(probe, (const struct sockaddr *)addr->storage, addr->length));
    ae__socket_close(probe);
    return rc != -ECONNREFUSED && rc != -ENOENT; /* a full queue is alive, too */
}
