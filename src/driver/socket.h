/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets outside the paths that wait: set up, named, adjusted, closed. Each is one system call or
 * a few, none blocks; 0 (or what is said) or a negative errno value. */
#ifndef AE_DRIVER_SOCKET_H
#define AE_DRIVER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ae_addr;

/* A new stream socket, non-blocking and close-on-exec: its number. */
int ae__socket_open(int family);
void ae__socket_close(int number);
int ae__socket_bind(int number, const struct ae_addr *addr);
int ae__socket_listen(int number, int backlog);
int ae__socket_local(int number, struct ae_addr *out);
int ae__socket_peer(int number, struct ae_addr *out);
int ae__socket_set(int number, int level, int name, const void *value, size_t size);
int ae__socket_get(int number, int level, int name, void *value, size_t *size);
int ae__socket_set_int(int number, int level, int name, int value);
int ae__socket_shutdown(int number); /* the writing direction */
/* The same of one that has its object, behind what was written behind. In fd.c. */
struct ae__fd;
int ae__fd_shutdown(struct ae__fd *fd, uint32_t generation);

/* The family of a stream socket that somebody else opened; makes it non-blocking and close-on-exec.
 * -ENOTSOCK; -EINVAL: another kind of socket. */
int ae__socket_adopt(int number);
int ae__socket_is_listening(int number); /* 1 or 0 */

/* What a path names now: device and inode of a socket; -ENOENT, -ENOTSOCK (something else). */
struct ae__socket_file {
    uint64_t device, inode;
};
int ae__socket_file_of(const char *path, struct ae__socket_file *out);
int ae__socket_file_mode(const char *path, unsigned mode);
void ae__socket_file_remove(const char *path);
/* Does anybody listen there? 1 or 0. */
int ae__socket_file_alive(const struct ae_addr *addr);

#endif
