/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share.
 *
 * A stream or listener may be closed, and its memory freed, while a task waits on it. So a call
 * copies what it needs (the object and generation of the descriptor) before it can suspend for the
 * first time, and does not touch the owner afterwards: the driver tells a closed one by its
 * generation. */
#ifndef AE_IO_IO_H
#define AE_IO_IO_H

#include "aether/net.h"
#include "aether/stream.h"
#include "sched/driver.h"

/* A descriptor and its binding to a runtime, which comes with the first wait. */
struct ae__socket {
    int number;
    unsigned flags; /* enum ae__fd_flags, once bound */
    struct ae__fd_ref ref;
};

/* The stream type of this folder. */
struct ae__socket_stream {
    ae_stream stream;
    struct ae__socket socket;
};

/* op.c */

/* Run one operation: look for a cancel, try, wait, try again. Its result, or -ECANCELED: cancelled
 * with no effect, or closed meanwhile. Task, may suspend. */
ssize_t ae__io(struct ae__op *op, enum ae__wait_kind kind);
/* Name the descriptor in `op`, binding it if it is not bound. 0, -ENOMEM, -EINVAL (no runtime),
 * -ECANCELED (closed meanwhile). */
int ae__socket_use(struct ae__socket *socket, struct ae__op *op);
void ae__socket_end(struct ae__socket *socket); /* close */
/* The driver to count and register with; NULL on a thread that is no worker. */
struct ae__driver *ae__io_driver(void);
const struct ae__driver_ops *ae__io_ops(void);

/* stream.c */

/* The socket beneath all wrappers; NULL: there is none. */
struct ae__socket *ae__stream_socket(ae_stream *stream);
/* Takes `number` over. 0, or -ENOMEM and it is still yours. */
int ae__stream_open(int number, unsigned flags, ae_stream **out);
int ae__stream_is_socket(const ae_stream *stream); /* itself, wrapping nothing */

/* addr.c */
int ae__addr_family(const ae_addr *addr);
/* The path of a Unix address that has a file; NULL: another family, abstract or unnamed. */
const char *ae__addr_path(const ae_addr *addr);
/* [::]:port into 0.0.0.0:port, for a system without IPv6. False: another address. */
bool ae__addr_any_to_ipv4(ae_addr *addr);

/* net.c */
unsigned ae__socket_flags_of(int family); /* enum ae__fd_flags */

#endif
