/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring driver: a ring per worker slot. What it is, and its invariants, are in uring.c. */
#ifndef AE_DRIVER_URING_H
#define AE_DRIVER_URING_H

#include "driver/epoll.h"
#include "driver/ring.h"

extern const struct ae__driver_ops ae__uring_ops;

struct msghdr;

enum { AE__URING_BUFFERS = 256, AE__URING_BUFFER_BYTES = 4096 };

/* What was written behind: see uring_behind.c. */
enum { AE__PARCEL_BYTES = 3968 };
struct ae__parcel {
    struct ae__flight flight;
    struct ae__parcel *next; /* among the spare ones */
    uint32_t at, size;       /* bytes sent, bytes in all */
    char data[AE__PARCEL_BYTES];
};

struct ae__uring {
    struct ae__ring ring;

    /* owner thread */
    struct msghdr *messages;      /* one per submission entry */
    struct ae__flight *spare;     /* polls that are not in use, linked through next */
    uint32_t spare_count;
    _Atomic(uint64_t) in_air;     /* operations whose memory the kernel has */
    struct ae__parcel *parcels;   /* spare ones */
    uint32_t parcel_count;        /* made so far */
    uint32_t parcels_fresh;       /* launched since the last entry */
    bool put_off;                 /* a poll that did not wait left entries to the next one */
    bool patient;                 /* set when the ring is enabled */
    uint32_t landed;              /* since the last entry, parcels not counted */
    int64_t entered_ns;           /* the last entry */

    struct io_uring_buf_ring *buffers; /* NULL: starts poll */
    char *storage;
    uint16_t buffers_tail;             /* handed to the kernel so far */
    uint16_t buffers_used;             /* by the kernel so far */

    /* counters: relaxed, written by the owner */
    _Atomic(uint64_t) submitted, recalls, overflows;

    /* any thread */
    AE_CACHE_ALIGNED struct ae__lock mail_lock; /* after a descriptor's lock */
    uint32_t returned_count;
    uint16_t returned[AE__URING_BUFFERS]; /* buffers that others have emptied */
    struct ae__flight *mail;      /* to be submitted or recalled by the owner */
    struct ae__lock files_lock;   /* guards flights that have no descriptor object */
    _Atomic(bool) has_mail;
};

/* Can this process use the driver? 0, or an error and why, for people. Makes a ring, sends a
 * request through it, and takes it down again. */
int ae__uring_trial(const char **why);

/* uring_op.c */
ssize_t ae__uring_try(struct ae__driver *driver, struct ae__op *op);
int ae__uring_arm(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
                  uint32_t sequence, uint16_t reason);
ssize_t ae__uring_cancel(struct ae__driver *driver, struct ae__op *op);
ssize_t ae__uring_take(struct ae__op *op); /* its result, once it has landed */
/* The descriptor is closing; under its lock: have all its flights end soon, claim who polls. */
void ae__uring_recall_all(struct ae__fd *fd, struct ae__wakes *wakes);
/* The rings are gone: so are flights, which can be polls only. */
void ae__uring_lose_flights(struct ae__fd *fd);
/* Owner: a request came back. */
void ae__uring_land(struct ae__driver *driver, const struct io_uring_cqe *cqe,
                    struct ae__wakes *wakes);
/* Owner: do what others asked for. False: some of it must wait for room. */
bool ae__uring_read_mail(struct ae__driver *driver);

/* Under the descriptor's lock: launch a flight that is filled in, now or by its home's owner. */
void ae__uring_send_off(struct ae__driver *mine, struct ae__flight *flight);
/* Owner, under the lock: launch one that has landed once more. */
void ae__uring_launch_again(struct ae__flight *flight);

/* uring_file.c */
void ae__uring_prepare_file(struct io_uring_sqe *sqe, const struct ae__op *op);

/* uring_behind.c */
/* What was written before comes first, and a copy may do. True: *n is the result of the attempt,
 * AE__WOULD_BLOCK to wait for what was written behind. False: go on. mine: the caller's own driver
 * of this runtime, or NULL. */
bool ae__uring_behind(struct ae__driver *mine, struct ae__op *op, ssize_t *n);
void ae__uring_prepare_parcel(struct io_uring_sqe *sqe, const struct ae__flight *flight);
/* Owner, under the lock. True: not all of it is out, it was launched again. */
bool ae__uring_parcel_goes_on(struct ae__flight *flight, int result);
void ae__uring_land_parcel(struct ae__flight *flight, int result, struct ae__wakes *wakes);
void ae__uring_parcels_end(struct ae__uring *u);

/* uring_box.c */
void ae__uring_boxes_begin(struct ae__driver *driver); /* owner */
void ae__uring_boxes_end(struct ae__uring *u);
void ae__uring_take_returned(struct ae__uring *u);     /* owner, under mail_lock */
/* Owner, under the descriptor's lock. */
void ae__uring_fill_box(struct ae__driver *driver, struct ae__fd *fd,
                        const struct io_uring_cqe *cqe);
/* Take what is in the box; AE__WOULD_BLOCK: nothing; -ECANCELED: closed. mine: the caller's own
 * driver, or NULL. busy: the start's receive is still in the air (U10). */
ssize_t ae__uring_read_box(struct ae__driver *mine, struct ae__op *op, bool *busy);
struct ae__flight *ae__uring_receiver(const struct ae__fd *fd); /* that receive; under the lock */
void ae__uring_drop_box(struct ae__fd *fd, struct ae__driver *mine); /* under the lock */

/* Tags of completions that belong to no flight; flights' are their addresses. */
enum { AE__URING_IGNORED = 0, AE__URING_WAKE = 1, AE__URING_TAGS = 2 };

/* Owner: an entry to fill in; submits to make room if there is none. NULL: the kernel takes no more
 * right now. */
struct io_uring_sqe *ae__uring_entry(struct ae__driver *driver, uint32_t *place);

#endif
