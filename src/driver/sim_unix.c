/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets with a name: each node has its own names, and a file that outlives its socket. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/assert.h"
#include "base/mem.h"
#include "driver/sim_net.h"

_Static_assert(sizeof(((struct ae__sim_path *)0)->name) >=
                   sizeof(((struct sockaddr_un *)0)->sun_path),
               "room for every name");

static struct ae__sim_path **find(ae_sim_node *node, const char *name, size_t length)
{
    struct ae__sim_path **at = &node->paths;

    while (*at && ((*at)->length != length || memcmp((*at)->name, name, length) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

/* A path in the file system ends with its 0, which does not count. */
static const char *name_of(const ae_addr *addr, size_t *length)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    const char *name = (const char *)addr->storage + head;

    *length = addr->length > head ? addr->length - head : 0;
    if (*length > 0 && name[0] != '\0') *length = strnlen(name, *length);
    return name;
}

int ae__sim_unix_bind(struct ae__sim_socket *socket, const ae_addr *addr)
{
    size_t length;
    const char *name = name_of(addr, &length);
    struct ae__sim_path **at = find(socket->node, name, length);

    if (length == 0 || length > sizeof (*at)->name) return -EINVAL;
    if (*at) return -EADDRINUSE;
    struct ae__sim_path *path = ae__mem_zalloc(sizeof *path);
    if (!path) return -ENOMEM;
    memcpy(path->name, name, length);
    path->length = length;
    path->inode = ++ae__sim->inodes;
    path->socket = socket;
    *at = path;
    socket->path = path;
    socket->local = *addr;
    return 0;
}

static void remove_path(ae_sim_node *node, struct ae__sim_path *path)
{
    struct ae__sim_path **at = find(node, path->name, path->length);

    AE_ASSERT(*at == path);
    *at = path->next;
    if (path->socket) path->socket->path = NULL;
    ae__mem_free(path);
}

void ae__sim_unix_unbind(struct ae__sim_socket *socket)
{
    struct ae__sim_path *path = socket->path;

    if (!path) return;
    path->socket = NULL;
    socket->path = NULL;
    if (path->name[0] == '\0') remove_path(socket->node, path); /* abstract: no file stays */
}

int ae__sim_unix_connect(struct ae__sim_socket *socket, const ae_addr *addr)
{
    size_t length;
    const char *name = name_of(addr, &length);
    struct ae__sim_path *path = *find(socket->node, name, length);

    if (!path) return name[0] == '\0' ? -ECONNREFUSED : -ENOENT;
    if (!path->socket || path->socket->state != AE__SIM_LISTENING) return -ECONNREFUSED;
    socket->peer = *addr;
    ae__sim_step("connect", socket->node->name, path->inode);
    return ae__sim_pair(socket, path->socket);
}

int ae__sim_file_of(const char *path, struct ae__socket_file *out)
{
    struct ae__sim_path *file = *find(ae__sim_here(), path, strlen(path));

    if (!file) return -ENOENT;
    out->device = 1;
    out->inode = file->inode;
    return 0;
}

void ae__sim_file_remove(const char *path)
{
    struct ae__sim_path *file = *find(ae__sim_here(), path, strlen(path));

    if (file) remove_path(ae__sim_here(), file);
}
