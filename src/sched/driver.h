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
 *     A NULL driver in try, arm and cancel means a thread that is no worker: any one will do.
 * D4  fd objects are type-stable while the runtime lives: a late event of a closed one costs a
 *     spurious wake at most, and an op that names a closed one by (fd, generation) ends with
 *     -ECANCELED whoever has the object or the number by then. */
#ifndef AE_SCHED_DRIVER_H
#define AE_SCHED_DRIVER_H

#include <sys/types.h>

#include "aether/blocking.h"
#include "sched/wait.h"

struct iovec;
struct ae__driver;
struct ae__fd; /* a registered descriptor; defined by the driver */

/* How its owner (a stream, a listener) names a descriptor. Bound to the runtime that first waited
 * for it; fd is NULL again when that runtime ended first. */
struct ae__fd_ref {
    _Atomic(struct ae__fd *) fd;
    uint32_t generation; /* final before fd is published */
};

/* In place of an object: the owner has closed the descriptor, nobody may bind it any more. */
#define AE__FD_CLOSED ((struct ae__fd *)1)

enum ae__fd_flags {
    AE__FD_EXACT = 1,   /* a short transfer does not mean empty or full: go on until EAGAIN */
    AE__FD_FOREIGN = 2, /* others read and write it; close only forgets it */
};

enum ae__op_code {
    AE__OP_READ,     /* buf, size: recv(2) */
    AE__OP_WRITEV,   /* iov, count: one attempt, may be short */
    AE__OP_ACCEPT,   /* result: new descriptor, non-blocking, close-on-exec; addr if not NULL */
    AE__OP_CONNECT,  /* addr; -EBUSY: a Unix listener's queue is full, which nothing signals */
    AE__OP_POLL,     /* events: waits for readiness; result: the events; never tried, only armed */
    AE__OP_SENDFILE, /* file, offset, size: one attempt, may be short */
    AE__OP_BEHIND,   /* a ring's own: what was written behind (driver/uring_behind.c) */
    AE__OP_FILE_READ, /* these three need no registered descriptor, and a ring */
    AE__OP_FILE_WRITE,
    AE__OP_FILE_SYNC,
};

/* A deadline that is over: a poll that waits follows at once, unless something is found. */
#define AE__POLL_PEEK INT64_C(1)

#define AE__WOULD_BLOCK ((ssize_t)-11) /* -EAGAIN, as tries return it */

/* A request that a driver has handed to the kernel, and that the kernel gives back exactly once:
 * see driver/uring.c. All zero for readiness drivers, and between requests. */
struct ae__flight {
    struct ae__flight *next, **link;           /* among those of its descriptor */
    struct ae__flight *mail_next, **mail_link; /* in the mailbox of `home` */
    struct ae__driver *home;
    struct ae__fd *fd;
    struct ae__actor *actor;
    uint32_t sequence;
    int32_t result;
    uint16_t reason, scale;
    uint8_t code;   /* enum ae__op_code */
    uint8_t state;  /* enum flight_state */
    uint8_t events; /* enum ae_events: of a poll */
    bool recalled;
    bool boxes;     /* a poll that receives: see driver/uring_box.c */
};

struct ae__op {
    enum ae__op_code code;
    uint32_t generation;
    struct ae__fd *fd;
    union {
        struct { void *buf; size_t size; } read;
        struct { const struct iovec *iov; int count; bool behind; } writev; /* may be copied */
        struct { void *addr; uint32_t *length; } accept;   /* sockaddr, in/out length */
        struct { const void *addr; uint32_t length; } connect;
        struct { unsigned events; uint16_t scale; } poll;  /* enum ae_events */
        struct { int file; int64_t offset; size_t size; } sendfile;
        struct { int number; bool data_only; void *buf; size_t size; int64_t offset; } file;
    };
    struct ae__actor *actor; /* who it was armed for: set by arm, used by cancel */
    uint32_t sequence;
    bool begun;              /* connect: the first attempt was made */
    struct ae__flight flight;
};

struct ae__driver_stats {
    const char *driver; /* its name */
    uint64_t polls, events, syscalls;
};

struct ae__driver_ops {
    const char *name;

    /* One per worker slot, made by ae_runtime_create, in order. 0 or an errno value (negative). */
    int (*create)(struct ae_runtime *rt, unsigned slot, struct ae__driver **out);
    void (*destroy)(struct ae__driver *driver); /* all of a runtime, after its last task */

    /* Attempt without waiting: the result, or AE__WOULD_BLOCK. -ECANCELED: it was closed. */
    ssize_t (*try_op)(struct ae__driver *driver, struct ae__op *op);
    /* Arrange that (actor, sequence) is claimed with `reason` when the op can go on; AE__OP_POLL:
     * with reason + events * poll.scale. 0: armed; > 0: it may go on already, do not park (the
     * events of AE__OP_POLL); < 0: an error, nothing is armed. The op itself need not outlive the
     * call in a readiness driver (deferred starts rely on it). */
    int (*arm)(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
               uint32_t sequence, uint16_t reason);
    /* The wait ended otherwise: forget it. Returns the result if the op completed all the same,
     * else AE__WOULD_BLOCK. */
    ssize_t (*cancel)(struct ae__driver *driver, struct ae__op *op);

    /* Descriptors. open: a non-blocking one gets its object, named by `ref`. 0 or -ENOMEM.
     * close: waiters are claimed with AE__REASON_CLOSED, then the descriptor is closed, at once or
     * by the system call that still uses it. The ref is not touched any more. */
    int (*fd_open)(struct ae_runtime *rt, int number, unsigned flags, struct ae__fd_ref *ref);
    void (*fd_close)(struct ae__fd *fd);

    /* Push what was gathered to the kernel (io_uring: submit). */
    void (*flush)(struct ae__driver *driver);
    /* Collect events until deadline_ns (0 and AE__POLL_PEEK: do not wait); claimed actors go onto
     * wakes. Another worker may do it for a stuck one. */
    void (*poll)(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes);
    /* Make a waiting or the next waiting poll return. Any thread, also a signal handler. */
    void (*wake)(struct ae__driver *driver);

    /* From now on poll of `driver` collects the events of `other` too, and waits for them; NULL: no
     * more. By the owner of `driver`. False, or no such function: it cannot. */
    bool (*cover)(struct ae__driver *driver, struct ae__driver *other);
    /* Has poll taken a wake of the covered one since the last call? */
    bool (*cover_woken)(struct ae__driver *driver);

    void (*stats)(const struct ae__driver *driver, struct ae__driver_stats *out);
};

/* What a runtime is assembled from; src/io/assemble.c names the parts, so that sched/ does not
 * depend on the layers below it. */
struct ae__lanes; /* of the blocking pool */
struct ae__pool_stats {
    uint64_t threads, idle, queued; /* now */
    uint64_t jobs;                  /* finished */
    uint64_t refused;               /* full, or no thread */
    uint64_t cancelled;             /* before they began */
    uint64_t start_failures;        /* threads that could not be started */
};
struct ae__parts {
    const struct ae__driver_ops *driver;
    void (*simulate)(void); /* begin a simulation if one is asked for; before all else */
    int (*lanes_create)(struct ae_runtime *rt, struct ae__lanes **out);
    void (*lanes_stop)(struct ae__lanes *lanes);    /* no new jobs; running ones are waited for */
    void (*lanes_destroy)(struct ae__lanes *lanes); /* after stop; threads are joined */
    void (*lanes_stats)(struct ae__lanes *lanes, enum ae_lane lane, struct ae__pool_stats *out);
    void (*io_start)(struct ae_runtime *rt);    /* tables of the I/O layer; may be NULL */
    void (*io_stop)(struct ae_runtime *rt);
    int (*fd_watch)(int fd, unsigned events, struct ae__actor *actor, uint32_t sequence,
                    uint16_t reason);
    void (*fd_unwatch)(int fd, struct ae__actor *actor, uint32_t sequence);
    /* The control socket of config.debug_socket. NULL: none, and the log says why. */
    void *(*control_start)(struct ae_runtime *rt, const char *where);
    void (*control_stop)(void *control);
};
extern const struct ae__parts ae__parts;

/* Foreign descriptors, for select. Have (actor, sequence) claimed with reason + (events << 8) when
 * `fd` is ready. > 0: these events are there now; 0: armed; < 0: an error (-EBADF, -ENOMEM). */
static inline int ae__fd_watch(int fd, unsigned events, struct ae__actor *actor,
                               uint32_t sequence, uint16_t reason)
{
    return ae__parts.fd_watch(fd, events, actor, sequence, reason);
}

/* Take an armed watch back; a no-op if it has fired. */
static inline void ae__fd_unwatch(int fd, struct ae__actor *actor, uint32_t sequence)
{
    ae__parts.fd_unwatch(fd, actor, sequence);
}

#endif
