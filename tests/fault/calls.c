/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers that the linker puts between the libraries and libc: each asks whether it shall fail
 * this time. `__real_x` is libc's own, `__wrap_x` is what everybody calls. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

enum { NUMBERS_MAX = 4096 };

/* Who watches a descriptor, so that "not ready" can be followed by an event, as the kernel would.
 */
static struct watch {
    int epoll; /* + 1; 0: nobody */
    struct epoll_event event;
} watches[NUMBERS_MAX];
static pthread_mutex_t watches_lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* A call that gives -1 and errno, and needs nothing else. */
#define WRAP(type, name, parameters, arguments)                                                    \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        const struct fault *fault = fault_take(CALL_##name);                                       \
        return fault ? (type)fail_with(fault) : __real_##name arguments;                           \
    }

static int fail_with(const struct fault *fault)
{
    errno = fault->error;
    return -1;
}

REAL(int, epoll_ctl, int epoll, int what, int number, struct epoll_event *event);

/* ---- what epoll watches ---- */

static void note_watch(int epoll, int number, const struct epoll_event *event)
{
    if (number < 0 || number >= NUMBERS_MAX) return;
    pthread_mutex_lock(&watches_lock);
    watches[number].epoll = event ? epoll + 1 : 0;
    if (event) watches[number].event = *event;
    pthread_mutex_unlock(&watches_lock);
}

/* The descriptor becomes ready once more: a new edge if it is ready, as after a real EAGAIN. */
static void make_edge(int number)
{
    struct watch watch;

    if (number < 0 || number >= NUMBERS_MAX) return;
    pthread_mutex_lock(&watches_lock);
    watch = watches[number];
    pthread_mutex_unlock(&watches_lock);
    if (watch.epoll) __real_epoll_ctl(watch.epoll - 1, EPOLL_CTL_MOD, number, &watch.event);
}

int __wrap_epoll_ctl(int epoll, int what, int number, struct epoll_event *event)
{
    const struct fault *fault = what == EPOLL_CTL_DEL ? NULL : fault_take(CALL_epoll_ctl);

    if (fault && (fault->error != ENOSPC || what == EPOLL_CTL_ADD)) return fail_with(fault);
    int rc = __real_epoll_ctl(epoll, what, number, event);
    if (rc == 0) note_watch(epoll, number, what == EPOLL_CTL_DEL ? NULL : event);
    return rc;
}

/* ---- bytes ---- */

static ssize_t fail_io(const struct fault *fault, int number)
{
    if (fault->how == FAULT_LATER) make_edge(number);
    return fail_with(fault);
}

static bool cut(const struct fault *fault, size_t size)
{
    return fault->how == FAULT_SHORT && size > 0;
}

REAL(ssize_t, recv, int number, void *buf, size_t size, int flags)
{
    const struct fault *fault = fault_take(CALL_recv);

    if (!fault) return __real_recv(number, buf, size, flags);
    if (!cut(fault, size)) return fail_io(fault, number);
    ssize_t n = __real_recv(number, buf, 1, flags);
    make_edge(number);
    return n;
}

REAL(ssize_t, send, int number, const void *buf, size_t size, int flags)
{
    const struct fault *fault = fault_take(CALL_send);

    if (!fault) return __real_send(number, buf, size, flags);
    if (!cut(fault, size)) return fail_io(fault, number);
    ssize_t n = __real_send(number, buf, 1, flags);
    make_edge(number);
    return n;
}

static ssize_t send_first_byte(int number, const struct msghdr *message, int flags)
{
    size_t i = 0;

    while (i < message->msg_iovlen && message->msg_iov[i].iov_len == 0)
        i++;
    if (i == message->msg_iovlen) return 0;
    return __real_send(number, message->msg_iov[i].iov_base, 1, flags);
}

REAL(ssize_t, sendmsg, int number, const struct msghdr *message, int flags)
{
    const struct fault *fault = fault_take(CALL_sendmsg);

    if (!fault) return __real_sendmsg(number, message, flags);
    if (fault->how != FAULT_SHORT) return fail_io(fault, number);
    ssize_t n = send_first_byte(number, message, flags);
    make_edge(number);
    return n;
}

REAL(ssize_t, sendfile64, int to, int from, off_t *offset, size_t size)
{
    const struct fault *fault = fault_take(CALL_sendfile64);

    if (!fault) return __real_sendfile64(to, from, offset, size);
    if (!cut(fault, size)) return fail_io(fault, to);
    ssize_t n = __real_sendfile64(to, from, offset, 1);
    make_edge(to);
    return n;
}

REAL(int, accept4, int number, struct sockaddr *addr, socklen_t *length, int flags)
{
    const struct fault *fault = fault_take(CALL_accept4);

    if (!fault) return __real_accept4(number, addr, length, flags);
    return (int)fail_io(fault, number);
}

REAL(int, getpeername, int number, struct sockaddr *addr, socklen_t *length)
{
    const struct fault *fault = fault_take(CALL_getpeername);

    if (!fault) return __real_getpeername(number, addr, length);
    return (int)fail_io(fault, number); /* not connected yet: an event follows */
}

REAL(ssize_t, pread64, int number, void *buf, size_t size, off_t offset)
{
    const struct fault *fault = fault_take(CALL_pread64);

    if (!fault) return __real_pread64(number, buf, size, offset);
    if (!cut(fault, size)) return fail_with(fault);
    return __real_pread64(number, buf, 1, offset);
}

REAL(ssize_t, preadv64v2, int number, const struct iovec *parts, int count, off_t offset, int flags)
{
    const struct fault *fault = fault_take(CALL_preadv64v2);

    if (!fault) return __real_preadv64v2(number, parts, count, offset, flags);
    if (!cut(fault, parts->iov_len)) return fail_with(fault);
    struct iovec first = { parts->iov_base, 1 };
    return __real_preadv64v2(number, &first, 1, offset, flags);
}

/* ---- made, and said to have failed ---- */

REAL(int, close, int number)
{
    const struct fault *fault = fault_take(CALL_close);

    note_watch(0, number, NULL);
    int rc = __real_close(number);
    return fault && rc == 0 ? fail_with(fault) : rc;
}

REAL(int, connect, int number, const struct sockaddr *addr, socklen_t length)
{
    const struct fault *fault = fault_take(CALL_connect);

    if (fault && fault->how == FAULT_INSTEAD) return fail_with(fault);
    int rc = __real_connect(number, addr, length);
    if (!fault || (rc < 0 && errno != EINPROGRESS)) return rc;
    return fail_with(fault);
}

/* ---- the client wants to know the port ---- */

static void publish_port(int number)
{
    struct sockaddr_storage addr;
    socklen_t length = sizeof addr;

    if (getsockname(number, (struct sockaddr *)&addr, &length) < 0) return;
    if (addr.ss_family != AF_INET || atomic_load(&run->port)) return;
    atomic_store(&run->port, ntohs(((struct sockaddr_in *)&addr)->sin_port));
}

int __real_getsockname(int number, struct sockaddr *addr, socklen_t *length);

REAL(int, listen, int number, int backlog)
{
    const struct fault *fault = fault_take(CALL_listen);

    if (fault) return fail_with(fault);
    int rc = __real_listen(number, backlog);
    bool armed = atomic_exchange(&run->armed, false); /* our own question is not to fail */
    if (rc == 0) publish_port(number);
    atomic_store(&run->armed, armed);
    return rc;
}

/* ---- results of other kinds ---- */

REAL(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
     void *arg)
{
    const struct fault *fault = fault_take(CALL_pthread_create);

    return fault ? fault->error : __real_pthread_create(thread, attr, fn, arg);
}

REAL(int, getaddrinfo, const char *host, const char *port, const struct addrinfo *hints,
     struct addrinfo **out)
{
    const struct fault *fault = fault_take(CALL_getaddrinfo);

    if (!fault) return __real_getaddrinfo(host, port, hints, out);
    errno = EMFILE; /* for EAI_SYSTEM */
    return fault->error;
}

REAL(void *, mmap64, void *addr, size_t size, int protection, int flags, int number, off_t offset)
{
    const struct fault *fault = fault_take(CALL_mmap64);

    if (fault && fail_with(fault)) return MAP_FAILED;
    void *at = __real_mmap64(addr, size, protection, flags, number, offset);
    if (at != MAP_FAILED && run) atomic_fetch_add(&run->maps, 1);
    return at;
}

REAL(int, munmap, void *addr, size_t size)
{
    if (run) atomic_fetch_sub(&run->maps, 1);
    return __real_munmap(addr, size);
}

REAL(FILE *, fopen64, const char *path, const char *mode)
{
    const struct fault *fault = fault_take(CALL_fopen64);

    if (fault && fail_with(fault)) return NULL;
    return __real_fopen64(path, mode);
}

REAL(void *, fdopendir, int number)
{
    const struct fault *fault = fault_take(CALL_fdopendir);

    if (fault && fail_with(fault)) return NULL;
    note_watch(0, number, NULL);
    return __real_fdopendir(number);
}

/* ---- with more arguments than they show ---- */

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

REAL(int, open64, const char *path, int flags, ...)
{
    const struct fault *fault = fault_take(CALL_open64);
    va_list args;

    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return fault ? fail_with(fault) : __real_open64(path, flags, mode);
}

REAL(int, openat64, int dir, const char *path, int flags, ...)
{
    const struct fault *fault = fault_take(CALL_openat64);
    va_list args;

    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return fault ? fail_with(fault) : __real_openat64(dir, path, flags, mode);
}

REAL(int, fcntl64, int number, int what, ...)
{
    const struct fault *fault = fault_take(CALL_fcntl64);
    va_list args;

    va_start(args, what);
    long value = va_arg(args, long);
    va_end(args);
    return fault ? fail_with(fault) : __real_fcntl64(number, what, value);
}

/* Those that libc has no function for (or none that the libraries may use). */
static const struct fault *take_by_number(long number, long operation)
{
    switch (number) {
    case SYS_openat2:
        return fault_take(CALL_openat2);
    case SYS_epoll_pwait2:
        return fault_take(CALL_epoll_pwait2);
    case SYS_io_uring_setup:
        return fault_take(CALL_io_uring_setup);
    case SYS_io_uring_enter:
        return fault_take(CALL_io_uring_enter);
    case SYS_io_uring_register:
        return fault_take(CALL_io_uring_register);
    case SYS_futex:
        operation &= FUTEX_CMD_MASK;
        return operation == FUTEX_WAIT_BITSET ? fault_take(CALL_futex) : NULL;
    default:
        return NULL;
    }
}

/* It reads as many arguments as a call may have, like libc's own: more than there are. */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...);
REAL(long, syscall, long number, ...)
{
    va_list args;
    long a[6];

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    const struct fault *fault = take_by_number(number, a[1]);
    return fault ? fail_with(fault) : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- the plain ones ---- */

WRAP(int, bind, (int number, const struct sockaddr *addr, socklen_t length), (number, addr, length))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_wait, (int epoll, struct epoll_event *events, int max, int ms),
     (epoll, events, max, ms))
WRAP(int, eventfd, (unsigned value, int flags), (value, flags))
WRAP(int, fstatat64, (int dir, const char *path, struct stat *out, int flags),
     (dir, path, out, flags))
WRAP(ssize_t, getrandom, (void *buf, size_t size, unsigned flags), (buf, size, flags))
WRAP(int, getrlimit64, (int what, struct rlimit *out), (what, out))
WRAP(int, getsockname, (int number, struct sockaddr *addr, socklen_t *length),
     (number, addr, length))
WRAP(int, getsockopt, (int number, int level, int name, void *value, socklen_t *size),
     (number, level, name, value, size))
WRAP(int, lstat64, (const char *path, struct stat *out), (path, out))
WRAP(int, madvise, (void *addr, size_t size, int advice), (addr, size, advice))
WRAP(int, mprotect, (void *addr, size_t size, int protection), (addr, size, protection))
WRAP(int, pipe2, (int *ends, int flags), (ends, flags))
WRAP(int, poll, (struct pollfd * fds, unsigned long count, int ms), (fds, count, ms))
WRAP(int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set), (pid, size, set))
WRAP(int, setsockopt, (int number, int level, int name, const void *value, socklen_t size),
     (number, level, name, value, size))
WRAP(int, shutdown, (int number, int how), (number, how))
WRAP(int, sigaltstack, (const stack_t *stack, stack_t *old), (stack, old))
WRAP(int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *limit),
     (set, info, limit))
WRAP(int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, statx, (int dir, const char *path, int flags, unsigned mask, struct statx *out),
     (dir, path, flags, mask, out))
WRAP(int, unlink, (const char *path), (path))
