/* SPDX-License-Identifier: Apache-2.0 */
/* The few things a server needs of a socket that streams do not offer: ending another task's wait
 * from outside, and a listener that finishes what it has begun without beginning anything new. */
#include "server.h"

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define TCP_FLAGS_OFFSET 13
#define TCP_SYN 0x02

/* shutdown(2) never waits. It can only fail because the peer was faster. */
void ae__http_socket_end_reading(ae_stream *stream)
{
    (void)shutdown(ae_stream_fd(stream), SHUT_RD);
}

void ae__http_socket_end_both(ae_stream *stream)
{
    (void)shutdown(ae_stream_fd(stream), SHUT_RDWR);
}

void ae__http_socket_reset_on_close(ae_stream *stream)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    (void)!ae_stream_set_option(stream, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Closing a listener resets the connections whose handshake is done but which nobody has accepted;
 * their clients may have sent a request. So SYNs are dropped first: what comes later is sent again
 * by the client's kernel, a second after, and finds the port closed. Then the queue can be emptied.
 * Offsets in a filter on a TCP socket count from the TCP header. Elsewhere than on TCP, and where
 * the filter is refused, the queue is just emptied. */
void ae__http_socket_refuse_new(ae_listener *listener)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TCP_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
    int fd = ae_listener_fd(listener);
    int domain = AF_UNIX;
    socklen_t size = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain == AF_UNIX) return;
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

size_t ae__http_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return 1024;
    return (size_t)limit.rlim_cur;
}
