/* SPDX-License-Identifier: Apache-2.0 */
/* The calls into libc that can fail, and how each may fail by its manual page. A call is wrapped by
 * the linker (--wrap, see meson.build), so the libraries under test are the ones that ship. */
#ifndef AE_TESTS_FAULT_CALLS_H
#define AE_TESTS_FAULT_CALLS_H

#include <stdbool.h>
#include <stddef.h>

/* Named as the objects import them; openat2, epoll_pwait2, futex and io_uring_* go through
 * syscall(2). */
/* clang-format off */
#define FAULT_CALLS(X)                                                                             \
    X(accept4) X(bind) X(chmod) X(close) X(connect) X(epoll_create1) X(epoll_ctl)                  \
    X(epoll_pwait2) X(epoll_wait) X(eventfd) X(fcntl64) X(fdopendir) X(fopen64) X(fstatat64)       \
    X(futex) X(getaddrinfo) X(getpeername) X(getrandom) X(getrlimit64) X(getsockname)              \
    X(getsockopt) X(io_uring_enter) X(io_uring_register) X(io_uring_setup) X(listen) X(lstat64)    \
    X(madvise) X(mmap64) X(mprotect) X(open64) X(openat2) X(openat64) X(pipe2) X(poll)             \
    X(pread64) X(preadv64v2) X(pthread_create) X(recv) X(sched_getaffinity) X(send)                \
    X(sendfile64) X(sendmsg) X(setsockopt) X(shutdown) X(sigaltstack) X(sigtimedwait) X(socket)    \
    X(statx) X(unlink)
/* clang-format on */

enum fault_call {
#define FAULT_CALL_NAME(name) CALL_##name,
    FAULT_CALLS(FAULT_CALL_NAME)
#undef FAULT_CALL_NAME
        CALL_COUNT
};

enum fault_how {
    FAULT_INSTEAD, /* the call is not made */
    FAULT_AFTER,   /* the call is made, and said to have failed: close, connect */
    FAULT_LATER,   /* not ready, and an event follows: EAGAIN of what epoll watches */
    FAULT_SHORT,   /* one byte of those asked for */
};

struct fault {
    int error;
    enum fault_how how;
    bool hidden; /* whoever asked for the operation must not notice: it is tried again or done in
                  * another way */
};

/* The faults of a call: {0} ends the list. */
const struct fault *fault_list(enum fault_call call);
const char *fault_call_name(enum fault_call call);
/* "recv ECONNRESET", "send short": in `text`. */
void fault_describe(enum fault_call call, const struct fault *fault, char *text, size_t size);

#endif
