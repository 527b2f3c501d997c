/* SPDX-License-Identifier: Apache-2.0 */
/* Host names and addresses as the C library knows them. */
#ifndef AE_DRIVER_NAMES_H
#define AE_DRIVER_NAMES_H

#include <stddef.h>

struct ae_addr;

/* Addresses of `host` for a stream to the decimal or named `port`, in the order to try them: how
 * many (at most max), or -ENOENT (no such name), -EAGAIN (try later), -ENOMEM, -EIO. Blocks. */
int ae__names_resolve(const char *host, const char *port, struct ae_addr *out, int max);

/* Numeric addresses; never block. family: AF_INET or AF_INET6; bytes: 4 or 16. */
int ae__names_parse(int family, const char *text, void *bytes); /* 0 or -EINVAL */
void ae__names_format(int family, const void *bytes, char *buf, size_t size);

#endif
