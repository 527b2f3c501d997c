/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and asking a running program by its control socket. */
#ifndef AETHER_CLI_ATTACH_H
#define AETHER_CLI_ATTACH_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/un.h>

#define ATTACH_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

/* The socket of `target`: a process id, a socket's path, or NULL for the only program that runs. 0,
 * or the exit status; then what to do is said on stderr. */
int attach_find(const char *target, char path[ATTACH_PATH_BYTES]);
/* The socket of a process, if it has one. */
bool attach_find_quietly(unsigned pid, char path[ATTACH_PATH_BYTES]);

/* Send one request; what comes back is to be read and closed. NULL: errno says why. */
FILE *attach_ask(const char *path, const char *request);

#endif
