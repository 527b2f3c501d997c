/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor objects of the epoll driver, and the slab of a runtime that holds them. */
#ifndef AE_DRIVER_FD_H
#define AE_DRIVER_FD_H

#include "sched/driver.h"
#include "task/lock.h"

enum { AE__SIDE_READ = 0, AE__SIDE_WRITE = 1 };

/* Who is to be claimed when a side becomes ready; actor NULL: nobody. It may be left over from a
 * wait that ended otherwise: the claim then fails by its sequence. */
struct ae__fd_waiter {
    struct ae__actor *actor;
    uint32_t sequence;
    uint16_t reason;
    uint16_t scale; /* the reason given is reason + events * scale */
};

struct ae__fd_side {
    struct ae__fd_waiter waiter;
    uint32_t edges; /* counts events, so that a system call's EAGAIN cannot undo a later one */
    bool ready;     /* false: known to be not ready, an event will come; true: worth trying */
};

/* What came for a deferred start before its task runs: see uring_box.c. */
struct ae__box {
    uint16_t id;   /* of the buffer, one of `home` */
    uint16_t at;   /* bytes of it that were read */
    uint16_t left;
    int16_t error;
};

/* All fields under `lock`, except those marked. */
struct ae__fd {
    AE_CACHE_ALIGNED struct ae__lock lock;
    uint32_t generation;
    int number;          /* the descriptor; -1 while the object is free */
    uint32_t uses;       /* system calls and flights; the last one closes if `closing` */
    uint8_t flags;       /* enum ae__fd_flags */
    bool closing;
    bool registered;     /* with the epoll of `home` */
    bool ended;          /* RDHUP, HUP or ERR was seen: no edge will come after it */
    bool more;           /* ring: the last receive left data behind */
    _Atomic(bool) boxed; /* ring: the box is worth a look; written under the lock */
    struct ae__fd_side sides[2];
    struct ae__driver *home;
    struct ae__flight *flights; /* requests that a ring holds */
    struct ae__flight *parcel;  /* one of them: what was written behind; NULL: nothing */
    int16_t write_error;        /* of such, for the next write; 0: none */
    bool ends_later;            /* end the writing direction when the parcel has landed */
    struct ae__box box;
    struct ae__fd_ref *ref; /* the owner's; NULL for foreign ones */
    struct ae__fds *fds; /* set once */
    uint32_t index;      /* set once */
    uint32_t next_free;  /* under fds->lock */
};

enum { AE__FD_CHUNKS = 20, AE__FD_CHUNK_FIRST = 64 }; /* chunk k holds 64 << k objects */

/* One per runtime, made with its first driver, freed with its last. */
struct ae__fds {
    struct ae__lock lock;
    uint32_t count;      /* objects ever made */
    uint32_t free_head;  /* index + 1; 0: none */
    _Atomic(struct ae__fd *) chunks[AE__FD_CHUNKS];
    struct ae__driver *first_driver; /* of slot 0: for threads that are no workers */
    unsigned drivers;
    const struct ae__driver_ops *ops; /* set with the first driver, and the same for all */
    bool rings;          /* set once: the drivers have rings, not epolls */
    bool tries;          /* set once: rings get only what a system call could not do */
    _Atomic(uint64_t) other_syscalls; /* made without a driver at hand */

    struct ae__lock foreign_lock;
    struct ae__fd **foreign; /* by descriptor number */
    int foreign_count;
};

/* fd.c */
struct ae__fds *ae__fds_create(void);
void ae__fds_destroy(struct ae__fds *fds);
int ae__fd_open_in(struct ae__fds *fds, int number, unsigned flags, struct ae__fd_ref *ref,
                   struct ae__fd **out);
int ae__fd_open(struct ae_runtime *rt, int number, unsigned flags, struct ae__fd_ref *ref);
void ae__fd_close(struct ae__fd *fd);

/* A system call on `fd` begins: its number, AE__WOULD_BLOCK (that side is known to be not ready) or
 * -ECANCELED (closed). edges: hand it to the end. */
int ae__fd_use_begin(struct ae__fd *fd, uint32_t generation, int side, uint32_t *edges);
enum ae__fd_left { AE__FD_LEFT_READY, AE__FD_LEFT_SHORT, AE__FD_LEFT_EMPTY };
void ae__fd_use_end(struct ae__fd *fd, int side, uint32_t edges, enum ae__fd_left left);

/* The last user of a closing one: close the number, free the object (F4). Not under its lock. */
void ae__fd_close_number(struct ae__fd *fd);

/* An event that epoll reported; data is the object's name. */
uint64_t ae__fd_name(const struct ae__fd *fd);
void ae__fd_event(struct ae__fds *fds, uint64_t name, uint32_t events, struct ae__wakes *wakes);

/* Hints, for events that are handled soon: fetch the object; later, who waits for it. */
void ae__fd_event_later(struct ae__fds *fds, uint64_t name);
void ae__fd_event_soon(struct ae__fds *fds, uint64_t name);

/* Is that wait of `actor` (may be NULL) still open to claims? */
bool ae__fd_still_waits(const struct ae__actor *actor, uint32_t sequence);

int ae__fd_arm(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
               uint32_t sequence, uint16_t reason);
ssize_t ae__fd_cancel(struct ae__driver *driver, struct ae__op *op);

#endif
