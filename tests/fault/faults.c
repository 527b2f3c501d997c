/* SPDX-License-Identifier: Apache-2.0 */
/* Which errors each call may give, from sections ERRORS of the manual pages (and, for accept4, the
 * errors of the network that Linux hands through). Errors of misuse (EBADF, EFAULT, EINVAL) are
 * left out, except where the kernel may say them of a correct call. */
#include "calls.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { FAULTS_MAX = 17 }; /* of one call, and the end */

/* clang-format off */
/* H: hidden from the program. */
#define E(error) { error, FAULT_INSTEAD, false }
#define H(error) { error, FAULT_INSTEAD, true }
#define AFTER(error) { error, FAULT_AFTER, true }
#define LATER { EAGAIN, FAULT_LATER, true }
#define SHORT { 0, FAULT_SHORT, true }
/* clang-format on */

static const struct fault faults[CALL_COUNT][FAULTS_MAX] = {
    [CALL_accept4] = { LATER, H(ECONNABORTED), H(EINTR), H(EMFILE), H(ENFILE), H(ENOBUFS),
                       H(ENOMEM), H(EPROTO), H(EPERM), H(ENETDOWN), H(ENOPROTOOPT), H(EHOSTDOWN),
                       H(ENONET), H(EHOSTUNREACH), H(EOPNOTSUPP), H(ENETUNREACH) },
    [CALL_bind] = { E(EACCES), E(EADDRINUSE), E(EADDRNOTAVAIL), E(ENOMEM), E(EROFS) },
    [CALL_connect] = { AFTER(EINTR), AFTER(EINPROGRESS), E(ECONNREFUSED), E(ETIMEDOUT),
                       E(ENETUNREACH), E(EADDRNOTAVAIL), E(EACCES), E(EAGAIN), E(EPERM) },
    [CALL_getpeername] = { E(ENOBUFS), { ENOTCONN, FAULT_LATER, true } },
    [CALL_getsockname] = { E(ENOBUFS) },
    [CALL_getsockopt] = { E(ENOPROTOOPT), E(ENOMEM) },
    [CALL_listen] = { E(EADDRINUSE), E(EOPNOTSUPP) },
    [CALL_recv] = { LATER, SHORT, H(EINTR), E(ECONNRESET), E(ETIMEDOUT), E(ENOMEM),
                    E(EHOSTUNREACH) },
    [CALL_send] = { LATER, SHORT, H(EINTR), E(ECONNRESET), E(EPIPE), E(ENOBUFS), E(ENOMEM),
                    E(ETIMEDOUT) },
    [CALL_sendmsg] = { LATER, SHORT, H(EINTR), E(ECONNRESET), E(EPIPE), E(ENOBUFS), E(ENOMEM),
                       E(ETIMEDOUT) },
    [CALL_sendfile64] = { LATER, SHORT, H(EINTR), E(EIO), E(ENOMEM), E(EPIPE), E(ECONNRESET),
                          E(EINVAL), E(EOVERFLOW) },
    [CALL_setsockopt] = { E(ENOPROTOOPT), E(ENOMEM), E(EPERM) },
    [CALL_shutdown] = { E(ENOTCONN) },
    [CALL_socket] = { E(EAFNOSUPPORT), E(EMFILE), E(ENFILE), E(ENOBUFS), E(ENOMEM), E(EACCES) },
    [CALL_chmod] = { E(EPERM), E(EROFS), E(EIO) },
    [CALL_close] = { AFTER(EINTR), AFTER(EIO), AFTER(ENOSPC), AFTER(EDQUOT) },
    [CALL_fcntl64] = { E(EPERM), E(EMFILE) },
    [CALL_fdopendir] = { E(ENOMEM) },
    [CALL_fopen64] = { H(ENOENT), H(EMFILE), H(ENOMEM) },
    [CALL_fstatat64] = { E(EACCES), E(ENOENT), E(ENOMEM), E(EIO) },
    [CALL_lstat64] = { E(EACCES), E(ENOENT), E(ENOMEM), E(EIO) },
    [CALL_statx] = { E(EACCES), E(ENOENT), E(ENOMEM), E(EIO) },
    [CALL_open64] = { E(EACCES), H(EINTR), E(EMFILE), E(ENFILE), E(ENOENT), E(ENOMEM), E(ELOOP),
                      E(EIO), E(EAGAIN), E(ENOSYS) },
    [CALL_openat64] = { E(EACCES), E(EINTR), E(EMFILE), E(ENFILE), E(ENOENT), E(ENOMEM), E(ELOOP),
                        E(EIO), E(EAGAIN), E(ENOSYS) },
    [CALL_openat2] = { E(EACCES), H(EINTR), E(EMFILE), E(ENFILE), E(ENOENT), E(ENOMEM), E(ELOOP),
                       E(EIO), H(EAGAIN), H(ENOSYS) },
    [CALL_pipe2] = { H(EMFILE), H(ENFILE) },
    [CALL_poll] = { H(EINTR), E(ENOMEM) },
    [CALL_pread64] = { SHORT, H(EINTR), E(EIO) },
    [CALL_preadv64v2] = { SHORT, H(EAGAIN), H(EINTR), E(EIO), H(EOPNOTSUPP), H(ENOSYS) },
    [CALL_unlink] = { E(EACCES), E(ENOENT), E(EIO), E(EBUSY) },
    [CALL_epoll_create1] = { E(EMFILE), E(ENFILE), E(ENOMEM) },
    [CALL_epoll_ctl] = { E(ENOMEM), E(ENOSPC) },
    [CALL_epoll_pwait2] = { H(EINTR), H(ENOSYS), H(EPERM) },
    [CALL_epoll_wait] = { H(EINTR) },
    [CALL_eventfd] = { E(EMFILE), E(ENFILE), E(ENOMEM), E(ENODEV) },
    [CALL_futex] = { H(EINTR), H(EAGAIN) },
    [CALL_getaddrinfo] = { E(EAI_AGAIN), E(EAI_FAIL), E(EAI_MEMORY), E(EAI_NONAME), E(EAI_SYSTEM) },
    [CALL_io_uring_setup] = { H(ENOMEM), H(EPERM), H(ENOSYS), H(EMFILE), H(ENFILE), H(EINVAL) },
    [CALL_io_uring_register] = { H(ENOMEM), H(EINVAL), H(EPERM), H(EBUSY) },
    [CALL_io_uring_enter] = { H(EINTR), H(EAGAIN), H(EBUSY) },
    [CALL_getrandom] = { H(EAGAIN), H(EINTR), H(ENOSYS) },
    [CALL_getrlimit64] = { E(EPERM) },
    [CALL_madvise] = { H(EINVAL), H(ENOMEM), H(EAGAIN) },
    [CALL_mmap64] = { E(ENOMEM), E(EAGAIN) },
    [CALL_mprotect] = { H(ENOMEM) },
    [CALL_pthread_create] = { E(EAGAIN), E(EPERM) },
    [CALL_sched_getaffinity] = { H(EINVAL), H(EPERM) },
    [CALL_sigaltstack] = { H(ENOMEM), H(EPERM) },
    [CALL_sigtimedwait] = { H(EAGAIN), H(EINTR) },
};

const struct fault *fault_list(enum fault_call call)
{
    return faults[call];
}

const char *fault_call_name(enum fault_call call)
{
    static const char *const names[CALL_COUNT] = {
#define FAULT_CALL_TEXT(name) [CALL_##name] = #name,
        FAULT_CALLS(FAULT_CALL_TEXT)
    };

    return names[call];
}

void fault_describe(enum fault_call call, const struct fault *fault, char *text, size_t size)
{
    static const char *const hows[] = { "", " after it was done", " and an event later", " short" };
    const char *error = fault->how == FAULT_SHORT ? "" : strerrorname_np(fault->error);

    if (call == CALL_getaddrinfo) error = gai_strerror(fault->error);
    snprintf(text, size, "%s %s%s", fault_call_name(call), error ? error : "?", hows[fault->how]);
}
