/* SPDX-License-Identifier: Apache-2.0 */
/* The driver seam: what the scheduler and the I/O layer ask of an I/O driver, and of the pool.
 *
 * A driver belongs to a worker slot. Its shape is completion: an operation (ae__op, on the stack of
 * the task that waits for it) is tried, then armed, then the task parks; a wake-up means "done" or
 * "try again" (readiness drivers). Nothing outside a driver makes an I/O system call.
 *
 * D1  An op is armed at most once at a time and its memory lives until it was tried to the end or
 *     cancel returned: a driver that hands memory to the kernel (io_uring) keeps the task in
 *     cancel until the kernel gave it back.
 * D2  A driver wakes by (actor, sequence) claims only; it never touches an op after its claim.
 * D3  poll, arm and flush are called by the slot's owning thread; wake, try, cancel, fd_* by any.
 * D4  fd objects are type-stable: a late event of a closed one costs a spurious wake at most. */
#ifndef AE_SCHED_DRIVER_H
#define AE_SCHED_DRIVER_H

#include <sys/types.h>

#include "sched/wait.h"

struct iovec;
struct ae__driver;
struct ae__fd; /* a registered descriptor; defined by the driver */

enum ae__op_code {
    AE__OP_READ,     /* buf, size: read(2)/recv(2) */
    AE__OP_WRITEV,   /* iov, count: one attempt, may be short */
    AE__OP_ACCEPT,   /* result: new descriptor, non-blocking, close-on-exec; addr if not NULL */
    AE__OP_CONNECT,  /* addr */
    AE__OP_POLL,     /* events: waits for readiness; result: the events */
    AE__OP_SENDFILE, /* file, offset, size: one attempt, may be short */
};

#define AE__WOULD_BLOCK ((ssize_t)-11) /* -EAGAIN, as tries return it */

struct ae__op {
    enum ae__op_code code;
    struct ae__fd *fd;
    union {
        struct { void *buf; size_t size; } read;
        struct { const struct iovec *iov; int count; } writev;
        struct { void *addr; uint32_t *length; } accept;   /* sockaddr, in/out length */
        struct { const void *addr; uint32_t length; } connect;
        struct { unsigned events; } poll;                  /* enum ae_events */
        struct { int file; int64_t offset; size_t size; } sendfile;
    };
    ssize_t result;
    bool armed_once;
};

/* Work that a driver cannot do without blocking goes to the pool: runs fn(arg) there, the calling
 * task waits. -ECANCELED: not begun. */
typedef int ae__offload(ae_fn *fn, void *arg);

struct ae__driver_stats {
    uint64_t polls, events, syscalls;
};

struct ae__driver_ops {
    const char *name;

    /* One per worker slot, made by ae_runtime_create. 0 or an errno value (negative). */
    int (*create)(struct ae__runtime *rt, unsigned slot, struct ae__driver **out);
    void (*destroy)(struct ae__driver *driver);

    /* Attempt without waiting: the result, or AE__WOULD_BLOCK. */
    ssize_t (*try_op)(struct ae__driver *driver, struct ae__op *op);
    /* Arrange that (actor, sequence) is claimed with `reason` when the op can go on; for AE__OP_POLL
     * with reason + the events (enum ae_events). True: it may go on already (do not park). The op
     * itself need not outlive the call in a readiness driver (deferred starts rely on it). */
    bool (*arm)(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
                uint32_t sequence, uint16_t reason);
    /* The wait ended otherwise: forget it. Returns the result if the op completed all the same,
     * else AE__WOULD_BLOCK. */
    ssize_t (*cancel)(struct ae__driver *driver, struct ae__op *op);

    /* Descriptors. open takes fd over (non-blocking). close: waiters are claimed with
     * AE__REASON_CLOSED; accepts a NULL-free object once. */
    int (*fd_open)(struct ae__runtime *rt, int fd, struct ae__fd **out);
    void (*fd_close)(struct ae__fd *fd);
    int (*fd_number)(const struct ae__fd *fd);

    /* Push what was gathered to the kernel (io_uring: submit). */
    void (*flush)(struct ae__driver *driver);
    /* Collect events until deadline_ns (0: do not wait); claimed actors go onto wakes. */
    void (*poll)(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes);
    /* Make a waiting or the next waiting poll return. Any thread, also a signal handler. */
    void (*wake)(struct ae__driver *driver);

    void (*stats)(const struct ae__driver *driver, struct ae__driver_stats *out);
};

/* Files, through the same seam: blocking forms, called on a pool thread or a plain thread. */
struct ae_file_stat;
int ae__file_sys_open(const char *path, int flags, unsigned mode);
int ae__file_sys_open_beneath(int dir, const char *path, int flags);
int ae__file_sys_stat(int fd, struct ae_file_stat *out);
ssize_t ae__file_sys_readat(int fd, void *buf, size_t size, int64_t offset);
/* Cached data only, -EAGAIN if it would wait for the disk or the system cannot tell. */
ssize_t ae__file_sys_readat_cached(int fd, void *buf, size_t size, int64_t offset);
void ae__file_sys_close(int fd);

/* What a runtime is assembled from; src/io/assemble.c names the parts, so that sched/ does not
 * depend on the layers below it. */
struct ae__pool;
struct ae__pool_stats {
    uint64_t threads, idle, queued, jobs;
};
struct ae__parts {
    const struct ae__driver_ops *driver;
    int (*pool_create)(struct ae__runtime *rt, struct ae__pool **out);
    void (*pool_stop)(struct ae__pool *pool);    /* no new jobs; running ones are waited for */
    void (*pool_destroy)(struct ae__pool *pool); /* after stop; threads are joined */
    void (*pool_stats)(struct ae__pool *pool, struct ae__pool_stats *out);
    void (*io_start)(struct ae__runtime *rt);    /* tables of the I/O layer; may be NULL */
    void (*io_stop)(struct ae__runtime *rt);
};
extern const struct ae__parts ae__parts;

#endif
