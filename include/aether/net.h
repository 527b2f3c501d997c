/* SPDX-License-Identifier: Apache-2.0 */
/* TCP and Unix stream sockets: listening, accepting, connecting, addresses, options. */
#ifndef AETHER_NET_H
#define AETHER_NET_H

#include <aether/defs.h>
#include <aether/stream.h>

AE_EXTERN_C_BEGIN

typedef struct ae_listener ae_listener;

/* A socket address (room for every family the system has). */
typedef struct ae_addr {
    uint32_t length; /* bytes used */
    uint64_t storage[16];
} ae_addr;

#define AE_ADDR_TEXT_MAX 128

/* "127.0.0.1:80", "[::1]:80", ":80" (all interfaces), "unix:/path", "unix:@abstract". No names.
 * 0 or -EINVAL. Colour: any thread. */
AE_API int ae_addr_parse(const char *text, ae_addr *out) AE_MUST_CHECK;
/* Back to text; always terminated. Colour: any thread. */
AE_API void ae_addr_format(const ae_addr *addr, char *buf, size_t size);
/* The port, or 0 for Unix sockets. Colour: any thread. */
AE_API unsigned ae_addr_port(const ae_addr *addr);

typedef struct ae_listen_opts {
    int backlog;        /* 0 = 4,096 (the kernel caps it at net.core.somaxconn) */
    bool reuse_port;    /* several listeners share the address (SO_REUSEPORT) */
    bool ipv6_only;
    unsigned unix_mode; /* permission bits of a Unix socket; 0 = 0600 */
} ae_listen_opts;

/* Open a listening socket. A stale Unix socket file that nobody listens on is replaced. NULL opts:
 * the defaults. Errors: -EINVAL (address), -EADDRINUSE, -EACCES, -EMFILE, -ENOMEM.
 * Colour: any thread (a runtime must be current when it is used, not when opened). */
AE_API int ae_listen(const char *address, const ae_listen_opts *opts,
                     ae_listener **out) AE_MUST_CHECK;

/* Take over a listening socket that somebody else opened (socket activation). It is closed with
 * the listener. Errors: -ENOTSOCK, -EINVAL (not listening), -ENOMEM. Colour: any thread. */
AE_API int ae_listener_adopt(int fd, ae_listener **out) AE_MUST_CHECK;

/* Wait for the next connection; `peer` may be NULL. Connections that were aborted meanwhile are
 * skipped; when descriptors run out it says so in the log once and waits for some to be free.
 * Errors: -ECANCELED, -EINVAL. Any number of tasks may accept. Colour: task, may suspend. */
AE_API int ae_accept(ae_listener *listener, ae_stream **out, ae_addr *peer) AE_MUST_CHECK;

/* The address bound, with the real port. Colour: any thread. */
AE_API int ae_listener_addr(ae_listener *listener, ae_addr *out) AE_MUST_CHECK;
AE_API int ae_listener_fd(ae_listener *listener);
/* Tasks that wait in ae_accept get -ECANCELED. Accepts NULL. Colour: any thread. */
AE_API void ae_listener_close(ae_listener *listener);

/* Connect to "host:port" (names are resolved on the blocking pool, addresses tried in order) or
 * "unix:/path". Errors: those of connect(2), -EINVAL, -ENOENT (no such name), -ECANCELED.
 * Colour: task, may suspend. */
AE_API int ae_connect(const char *address, ae_stream **out) AE_MUST_CHECK;

/* Make a stream of a connected socket; it is closed with the stream. Colour: any thread. */
AE_API int ae_stream_adopt(int fd, ae_stream **out) AE_MUST_CHECK;

AE_API int ae_stream_peer(ae_stream *stream, ae_addr *out) AE_MUST_CHECK;
AE_API int ae_stream_local(ae_stream *stream, ae_addr *out) AE_MUST_CHECK;

/* setsockopt(2) and getsockopt(2) on the socket beneath; TCP_NODELAY is on by default.
 * Colour: any thread. */
AE_API int ae_stream_set_option(ae_stream *stream, int level, int name, const void *value,
                                size_t size) AE_MUST_CHECK;
AE_API int ae_stream_get_option(ae_stream *stream, int level, int name, void *value,
                                size_t *size) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
