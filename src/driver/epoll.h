/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll driver: its table, and what the files of this folder share. */
#ifndef AE_DRIVER_EPOLL_H
#define AE_DRIVER_EPOLL_H

#include "arch/count.h"
#include "driver/fd.h"
#include "sched/driver.h"

extern const struct ae__driver_ops ae__epoll_ops;

struct ae__uring;
struct ae__sim_port;

struct ae__driver {
    /* set once */
    int epoll; /* -1: it has a ring */
    int event; /* eventfd of wake */
    struct ae__fds *fds;
    struct ae__uring *uring;   /* NULL: it has an epoll */
    struct ae__sim_port *sim;  /* not NULL: it has neither, in a simulation */

    /* the owner's: see cover in sched/driver.h */
    struct ae__driver *covered;
    bool covered_woken;

    /* counters: relaxed, each written by one thread at a time (more may lose a count) */
    _Atomic(uint64_t) polls, events, syscalls;
    _Atomic(bool) no_pwait2; /* the system call is not there: milliseconds must do */

    /* any thread */
    AE_CACHE_ALIGNED _Atomic(uint64_t) wakes;
};

/* Count one system call made for `driver`, or for none (NULL). */
static inline void ae__driver_count_syscall(struct ae__driver *driver, struct ae__fds *fds)
{
    if (driver) {
        ae__count(&driver->syscalls, 1);
    } else {
        atomic_fetch_add_explicit(&fds->other_syscalls, 1, memory_order_relaxed);
    }
}

/* The tables of the runtime come and go with its drivers: the first one makes them. NULL: memory.
 * leave: a driver goes, and the tables with the last. */
struct ae__fds *ae__driver_join(struct ae_runtime *rt, struct ae__driver *driver);
void ae__driver_leave(struct ae__driver *driver);
/* Make a waiting or the next waiting poll return. */
void ae__driver_wake(struct ae__driver *driver);
/* Behind cover and cover_woken of sched/driver.h; false for a ring. */
bool ae__epoll_cover(struct ae__driver *driver, struct ae__driver *other);
bool ae__epoll_cover_woken(struct ae__driver *driver);
/* Counters of either kind. */
void ae__driver_stats(const struct ae__driver *driver, struct ae__driver_stats *out);
/* 0: do not wait; < 0: no end; else nanoseconds. */
int64_t ae__driver_rest(int64_t deadline_ns);

/* epoll_ctl(2). 0 or an errno value (negative). */
int ae__epoll_add(struct ae__driver *driver, struct ae__fd *fd);
int ae__epoll_again(struct ae__driver *driver, struct ae__fd *fd); /* foreign: add or look again */
void ae__epoll_remove(struct ae__driver *driver, struct ae__fd *fd);

/* try.c */
ssize_t ae__epoll_try(struct ae__driver *driver, struct ae__op *op);
/* Which of `events` (enum ae_events) a descriptor has now; < 0: an error. */
int ae__poll_now(int number, unsigned events);

/* foreign.c: descriptors of other libraries, by number. */

/* The object of `number` in the caller's runtime, made if there is none. 0, -EINVAL (no runtime),
 * -EBADF, -ENOMEM. */
int ae__foreign_find(int number, struct ae__fd_ref *out);
void ae__foreign_forget(int number);
void ae__foreign_finish(struct ae__fds *fds);

/* Behind ae__fd_watch and ae__fd_unwatch (sched/driver.h). */
int ae__foreign_watch(int number, unsigned events, struct ae__actor *actor, uint32_t sequence,
                      uint16_t reason);
void ae__foreign_unwatch(int number, struct ae__actor *actor, uint32_t sequence);

#endif
