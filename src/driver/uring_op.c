/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the io_uring driver: launched, recalled, landed. U1 to U9 are in uring.c.
 *
 * Small reads and writes gather in the ring: a loop's turn then costs one entry for all of them. A
 * large write goes by a system call of its own, while its data is in the cache, and so does a read
 * of what is known to be there. Accepting is tried first, so that a burst is taken in one go.
 * Connecting and sendfile are always tried by system calls (the kernel would give them to threads
 * of its own), and the ring only says when to try again. AE_URING=try tries everything first. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "aether/wait.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/uring.h"
#include "sched/sched.h"

enum flight_state {
    FLIGHT_NONE,
    FLIGHT_POSTED, /* in the mailbox, to be launched by its home's owner */
    FLIGHT_AIR,    /* prepared; the kernel has it, or will at the next entry */
    FLIGHT_LANDED, /* the result is there */
};

enum {
    SPARE_MAX = 512,
    PENDING_MAX = 224,               /* entries that may gather before they are submitted */
    LENGTH_MAX = 1 << 30,            /* of one request: lengths are 32 bits in the ring */
    GATHER_MAX = 16 << 10,           /* larger writes are sent at once */
};

/* ---- flights ---- */

static struct ae__op *op_of(struct ae__flight *flight)
{
    return AE_CONTAINER_OF(flight, struct ae__op, flight);
}

static struct ae__lock *lock_of(struct ae__flight *flight)
{
    return flight->fd ? &flight->fd->lock : &flight->home->uring->files_lock;
}

static bool is_poll(const struct ae__flight *flight)
{
    return flight->code == AE__OP_POLL;
}

/* Whose memory is the driver's, not that of a task which waits. */
static bool is_ours(const struct ae__flight *flight)
{
    return is_poll(flight) || flight->code == AE__OP_BEHIND;
}

/* The caller's own ring, if it is one of this descriptor's runtime. */
static struct ae__driver *my_driver(const struct ae__fd *fd)
{
    struct ae__driver *mine = ae__driver_self();

    return mine && mine->fds == fd->fds ? mine : NULL;
}

/* mine: the caller's own driver, or NULL. */
static struct ae__flight *take_poll(struct ae__driver *mine)
{
    struct ae__flight *flight = mine ? mine->uring->spare : NULL;

    if (!flight) return ae__mem_zalloc(sizeof *flight);
    mine->uring->spare = flight->next;
    mine->uring->spare_count--;
    *flight = (struct ae__flight){ .code = 0 };
    return flight;
}

static void put_poll(struct ae__driver *mine, struct ae__flight *flight)
{
    if (!mine || mine->uring->spare_count >= SPARE_MAX) {
        ae__mem_free(flight);
        return;
    }
    flight->next = mine->uring->spare;
    mine->uring->spare = flight;
    mine->uring->spare_count++;
}

/* Under the descriptor's lock, as the next two. U3 */
static void link_flight(struct ae__flight *flight)
{
    struct ae__fd *fd = flight->fd;

    if (!fd) return;
    flight->next = fd->flights;
    flight->link = &fd->flights;
    if (flight->next) flight->next->link = &flight->next;
    fd->flights = flight;
    fd->uses++;
}

/* True: the descriptor is closing, and this was its last user. */
static bool unlink_flight(struct ae__flight *flight)
{
    struct ae__fd *fd = flight->fd;

    if (!fd) return false;
    *flight->link = flight->next;
    if (flight->next) flight->next->link = flight->link;
    AE_ASSERT(fd->uses > 0);
    return --fd->uses == 0 && fd->closing;
}

/* ---- the mailbox ---- */

/* U2: the caller wakes the ring afterwards. */
static void post(struct ae__flight *flight)
{
    struct ae__uring *u = flight->home->uring;

    AE_ASSERT(!flight->mail_link);
    ae__lock_acquire(&u->mail_lock);
    flight->mail_next = u->mail;
    flight->mail_link = &u->mail;
    if (flight->mail_next) flight->mail_next->mail_link = &flight->mail_next;
    u->mail = flight;
    /* release pairs with the acquire of the owner's look */
    atomic_store_explicit(&u->has_mail, true, memory_order_release);
    ae__lock_release(&u->mail_lock);
}

/* Under mail_lock. */
static void take_out(struct ae__flight *flight)
{
    *flight->mail_link = flight->mail_next;
    if (flight->mail_next) flight->mail_next->mail_link = flight->mail_link;
    flight->mail_link = NULL;
}

/* U5 */
static void unpost(struct ae__flight *flight)
{
    struct ae__uring *u = flight->home->uring;

    if (AE_LIKELY(!flight->mail_link)) return;
    ae__lock_acquire(&u->mail_lock);
    take_out(flight);
    ae__lock_release(&u->mail_lock);
}

/* ---- launching ---- */

static void prepare_send(struct ae__driver *home, struct io_uring_sqe *sqe, struct ae__op *op,
                         uint32_t place)
{
    const struct iovec *iov = op->writev.iov;

    sqe->msg_flags = MSG_NOSIGNAL;
    if (op->writev.count == 1) {
        sqe->opcode = IORING_OP_SEND;
        sqe->addr = (uintptr_t)iov->iov_base;
        sqe->len = (uint32_t)(iov->iov_len < LENGTH_MAX ? iov->iov_len : LENGTH_MAX);
        return;
    }
    struct msghdr *message = &home->uring->messages[place];
    *message = (struct msghdr){ .msg_iov = (struct iovec *)iov,
                                .msg_iovlen = (size_t)op->writev.count };
    sqe->opcode = IORING_OP_SENDMSG;
    sqe->addr = (uintptr_t)message;
    sqe->len = 1;
}

static void prepare_poll(struct io_uring_sqe *sqe, unsigned events)
{
    sqe->opcode = IORING_OP_POLL_ADD;
    if (events & AE_READABLE) sqe->poll32_events |= POLLIN | POLLRDHUP | POLLPRI;
    if (events & AE_WRITABLE) sqe->poll32_events |= POLLOUT;
}

/* Known to be empty: the kernel need not look before it waits. */
static bool known_empty(const struct ae__flight *flight)
{
    return !flight->fd->sides[AE__SIDE_READ].ready;
}

static void prepare_read(struct io_uring_sqe *sqe, struct ae__flight *flight)
{
    struct ae__op *op = op_of(flight);

    sqe->opcode = IORING_OP_RECV;
    sqe->addr = (uintptr_t)op->read.buf;
    sqe->len = (uint32_t)(op->read.size < LENGTH_MAX ? op->read.size : LENGTH_MAX);
    if (known_empty(flight)) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
}

/* A poll that may receive at once: see uring_box.c. */
static void prepare_start(struct io_uring_sqe *sqe, struct ae__flight *flight)
{
    if (!flight->boxes) {
        prepare_poll(sqe, flight->events);
        return;
    }
    sqe->opcode = IORING_OP_RECV;
    sqe->flags = IOSQE_BUFFER_SELECT;
    if (known_empty(flight)) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
}

static void prepare_accept(struct io_uring_sqe *sqe, const struct ae__op *op)
{
    sqe->opcode = IORING_OP_ACCEPT;
    sqe->addr = (uintptr_t)op->accept.addr;
    sqe->addr2 = (uintptr_t)op->accept.length;
    sqe->accept_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
}

static void prepare(struct ae__driver *home, struct io_uring_sqe *sqe, struct ae__flight *flight,
                    uint32_t place)
{
    struct ae__op *op = op_of(flight);

    sqe->fd = flight->fd ? flight->fd->number : op->file.number;
    sqe->user_data = (uintptr_t)flight;
    switch ((enum ae__op_code)flight->code) {
    case AE__OP_READ:
        prepare_read(sqe, flight);
        break;
    case AE__OP_WRITEV:
        prepare_send(home, sqe, op, place);
        break;
    case AE__OP_ACCEPT:
        prepare_accept(sqe, op);
        break;
    case AE__OP_CONNECT:
    case AE__OP_SENDFILE:
        prepare_poll(sqe, AE_WRITABLE);
        break;
    case AE__OP_POLL:
        prepare_start(sqe, flight);
        break;
    case AE__OP_BEHIND:
        ae__uring_prepare_parcel(sqe, flight);
        break;
    case AE__OP_FILE_READ:
    case AE__OP_FILE_WRITE:
    case AE__OP_FILE_SYNC:
        ae__uring_prepare_file(sqe, op);
        break;
    }
}

static void count_air(struct ae__driver *home, const struct ae__flight *flight, int64_t change)
{
    uint64_t now = atomic_load_explicit(&home->uring->in_air, memory_order_relaxed);

    if (is_ours(flight)) return;
    atomic_store_explicit(&home->uring->in_air, now + (uint64_t)change, memory_order_relaxed);
}

/* Owner, under the lock. False: no room. */
static bool launch(struct ae__flight *flight)
{
    struct ae__driver *home = flight->home;
    uint32_t place;

    struct io_uring_sqe *sqe = ae__uring_entry(home, &place);
    if (!sqe) return false;
    prepare(home, sqe, flight, place);
    flight->state = FLIGHT_AIR;
    count_air(home, flight, 1);
    return true;
}

/* Owner, under the lock. False: no room. */
static bool recall_by_ring(struct ae__flight *flight)
{
    uint32_t place;
    struct io_uring_sqe *sqe = ae__uring_entry(flight->home, &place);

    if (!sqe) return false;
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->addr = (uintptr_t)flight;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = AE__URING_IGNORED;
    ae__count(&flight->home->uring->recalls, 1);
    return true;
}

void ae__uring_launch_again(struct ae__flight *flight)
{
    if (launch(flight)) return;
    flight->state = FLIGHT_POSTED;
    post(flight);
}

void ae__uring_send_off(struct ae__driver *mine, struct ae__flight *flight)
{
    link_flight(flight);
    if (mine == flight->home && launch(flight)) return;
    flight->state = FLIGHT_POSTED;
    post(flight);
    if (mine != flight->home) ae__driver_wake(flight->home);
}

/* ---- recalling ---- */

/* Under the lock: make it end soon. True: it has, because it had not been launched. */
static bool recall(struct ae__driver *mine, struct ae__flight *flight)
{
    AE_ASSERT(flight->state == FLIGHT_POSTED || flight->state == FLIGHT_AIR);
    if (flight->state == FLIGHT_POSTED) {
        unpost(flight);
        flight->state = FLIGHT_LANDED;
        flight->result = -ECANCELED;
        return true;
    }
    if (flight->recalled) return false;
    flight->recalled = true;
    if (mine == flight->home && recall_by_ring(flight)) return false;
    post(flight);
    if (mine != flight->home) ae__driver_wake(flight->home);
    return false;
}

/* Owner. A letter says by the state of its flight what is wanted. */
static bool read_letter(struct ae__flight *flight)
{
    if (flight->state == FLIGHT_POSTED) return launch(flight);
    AE_ASSERT(flight->state == FLIGHT_AIR && flight->recalled);
    return recall_by_ring(flight);
}

/* The locks are taken in the order of everybody else: the descriptor's first. A letter that is
 * taken out by its writer meanwhile is not there any more when both are held. */
static struct ae__flight *first_letter(struct ae__uring *u, struct ae__lock **lock)
{
    ae__lock_acquire(&u->mail_lock);
    struct ae__flight *flight = u->mail;
    ae__uring_take_returned(u);
    /* its descriptor's object is type-stable; its own memory stays until mail_lock is released */
    *lock = flight ? lock_of(flight) : NULL;
    if (!flight) atomic_store_explicit(&u->has_mail, false, memory_order_relaxed);
    ae__lock_release(&u->mail_lock);
    return flight;
}

static bool still_first(struct ae__uring *u, struct ae__flight *flight, struct ae__lock *lock)
{
    ae__lock_acquire(&u->mail_lock);
    bool still = u->mail == flight && lock_of(flight) == lock;
    ae__lock_release(&u->mail_lock);
    return still;
}

bool ae__uring_read_mail(struct ae__driver *driver)
{
    struct ae__uring *u = driver->uring;
    struct ae__flight *flight;
    struct ae__lock *lock;
    bool done = true;

    while (done && (flight = first_letter(u, &lock)) != NULL) {
        ae__lock_acquire(lock);
        if (still_first(u, flight, lock)) {
            done = read_letter(flight);
            if (done) unpost(flight);
        }
        ae__lock_release(lock);
    }
    return done;
}

static bool may_shut_down(const struct ae__fd *fd)
{
    if (fd->flags & AE__FD_FOREIGN) return false;
    for (const struct ae__flight *f = fd->flights; f; f = f->next) {
        if (f->code == AE__OP_ACCEPT) return false; /* others may listen on it, too */
    }
    return !fd->parcel; /* U13 */
}

void ae__uring_recall_all(struct ae__fd *fd, struct ae__wakes *wakes)
{
    struct ae__driver *mine = my_driver(fd);

    ae__uring_drop_box(fd, mine);
    if (!fd->flights) return;
    /* The other end learns of it at once, and the kernel's own references do not delay it. */
    if (may_shut_down(fd)) (void)shutdown(fd->number, SHUT_RDWR);
    for (struct ae__flight *f = fd->flights, *next; f; f = next) {
        next = f->next;
        struct ae__actor *actor = f->actor;
        bool poll = is_poll(f), ours = is_ours(f);
        uint16_t reason = poll ? AE__REASON_CLOSED : f->reason;
        uint32_t sequence = f->sequence;
        if (ours) f->actor = NULL;
        bool still_here = f == fd->parcel && f->state == FLIGHT_POSTED; /* U13 */
        bool ended = !still_here && recall(mine, f);
        if (ended) (void)unlink_flight(f);
        if (ended && poll) put_poll(mine, f);
        if (actor && (ours || ended)) ae__wait_wake(actor, sequence, reason, wakes);
    }
}

void ae__uring_lose_flights(struct ae__fd *fd)
{
    struct ae__flight *f = fd->flights;

    fd->flights = fd->parcel = NULL;
    for (struct ae__flight *next; f; f = next) {
        AE_ASSERT(is_ours(f)); /* U1 */
        next = f->next;
        fd->uses--;
        ae__mem_free(f); /* a parcel begins with its flight */
    }
    if (fd->closing && fd->uses == 0) ae__fd_close_number(fd);
}

/* ---- landing ---- */

static unsigned events_of(int result)
{
    unsigned events = 0;

    if (result < 0) return AE_READABLE | AE_WRITABLE; /* a try will tell */
    if (result & (POLLIN | POLLRDHUP | POLLPRI)) events |= AE_READABLE;
    if (result & POLLOUT) events |= AE_WRITABLE;
    if (result & (POLLHUP | POLLERR)) events |= AE_READABLE | AE_WRITABLE;
    return events;
}

/* What the result says about the next try. Only a hint here: the ring waits in any case. */
static void note_readiness(struct ae__flight *flight, const struct io_uring_cqe *cqe)
{
    struct ae__fd_side *sides = flight->fd->sides;
    unsigned events = 0;

    bool receives = flight->code == AE__OP_READ || flight->boxes;
    if (receives) {
        flight->fd->more = cqe->flags & IORING_CQE_F_SOCK_NONEMPTY;
        sides[AE__SIDE_READ].ready = flight->fd->more;
        return;
    }
    switch ((enum ae__op_code)flight->code) {
    case AE__OP_ACCEPT:
        events = AE_READABLE;
        break;
    case AE__OP_POLL:
        events = cqe->res == -ECANCELED ? 0 : events_of(cqe->res) & flight->events;
        break;
    default:
        events = AE_WRITABLE;
    }
    if (events & AE_READABLE) sides[AE__SIDE_READ].ready = true;
    if (events & AE_WRITABLE) sides[AE__SIDE_WRITE].ready = true;
}

static void land_poll(struct ae__driver *driver, struct ae__flight *flight, int result,
                      struct ae__wakes *wakes)
{
    unsigned events = flight->boxes ? AE_READABLE : events_of(result) & flight->events;
    uint16_t reason = (uint16_t)(flight->reason + events * flight->scale);

    if (flight->actor) ae__wait_wake(flight->actor, flight->sequence, reason, wakes);
    put_poll(driver, flight);
}

static void land_op(struct ae__driver *driver, struct ae__flight *flight, int result,
                    struct ae__wakes *wakes)
{
    AE_ASSERT(flight->state == FLIGHT_AIR);
    count_air(driver, flight, -1);
    flight->result = result;
    flight->state = FLIGHT_LANDED;
    /* U3: its memory may be gone after the claim */
    ae__wait_wake(flight->actor, flight->sequence, flight->reason, wakes);
}

/* A receive of a start that has got nothing is sent off again: as a poll if no buffer was left, as
 * it was if it had been recalled and somebody else waits for it by now. */
static bool goes_again(struct ae__flight *flight, int result)
{
    if (flight->code == AE__OP_BEHIND) return ae__uring_parcel_goes_on(flight, result);
    if (!flight->boxes || !flight->actor || flight->scale == 0) return false;
    if (result != -ENOBUFS && result != -ECANCELED) return false;
    flight->boxes = result == -ECANCELED;
    flight->recalled = false;
    ae__uring_launch_again(flight);
    return true;
}

/* Under the lock; the flight is unlinked. */
static void land(struct ae__driver *driver, struct ae__flight *flight, int result,
                 struct ae__wakes *wakes)
{
    if (flight->code == AE__OP_BEHIND) {
        ae__uring_land_parcel(flight, result, wakes);
    } else if (is_poll(flight)) {
        land_poll(driver, flight, result, wakes);
    } else {
        land_op(driver, flight, result, wakes);
    }
}

void ae__uring_land(struct ae__driver *driver, const struct io_uring_cqe *cqe,
                    struct ae__wakes *wakes)
{
    struct ae__flight *flight = (struct ae__flight *)(uintptr_t)cqe->user_data;
    struct ae__lock *lock = lock_of(flight);
    struct ae__fd *fd = flight->fd;

    AE_ASSERT(flight->home == driver); /* U2 */
    if (flight->code != AE__OP_BEHIND) driver->uring->landed++;
    ae__lock_acquire(lock);
    unpost(flight); /* U5 */
    if (goes_again(flight, cqe->res)) {
        ae__lock_release(lock);
        return;
    }
    if (flight->boxes) ae__uring_fill_box(driver, fd, cqe);
    if (fd) note_readiness(flight, cqe);
    bool last = unlink_flight(flight);
    land(driver, flight, cqe->res, wakes);
    ae__lock_release(lock);
    if (last) ae__fd_close_number(fd);
}

/* ---- the driver's table ---- */

static bool is_closed(const struct ae__op *op)
{
    ae__lock_acquire(&op->fd->lock);
    bool closed = op->fd->generation != op->generation;
    ae__lock_release(&op->fd->lock);
    return closed;
}

/* The result of a landed operation; AE__WOULD_BLOCK: it had no effect, try again. */
ssize_t ae__uring_take(struct ae__op *op)
{
    ssize_t n = op->flight.result;

    AE_ASSERT(op->flight.state == FLIGHT_LANDED);
    op->flight.state = FLIGHT_NONE;
    if (op->code == AE__OP_CONNECT || op->code == AE__OP_SENDFILE) n = AE__WOULD_BLOCK;
    if (n > 0) return n; /* completion beats closing */
    if (op->fd && is_closed(op) && !(op->code == AE__OP_ACCEPT && n == 0)) return -ECANCELED;
    return n == -EINTR || n == -ECANCELED ? AE__WOULD_BLOCK : n;
}

static bool is_small(const struct ae__op *op)
{
    size_t total = 0;

    for (int i = 0; i < op->writev.count && total < GATHER_MAX; i++) {
        total += op->writev.iov[i].iov_len;
    }
    return total < GATHER_MAX;
}

/* Shall it go to the ring without a try? */
static bool gathers(const struct ae__driver *driver, const struct ae__op *op)
{
    const struct ae__fd *fd = op->fd;

    if (!driver || driver->fds != fd->fds || fd->fds->tries) return false;
    if (op->code == AE__OP_WRITEV) return is_small(op);
    return op->code == AE__OP_READ && !fd->more;
}

static bool sends(const struct ae__op *op)
{
    return op->code == AE__OP_WRITEV || op->code == AE__OP_SENDFILE;
}

static void limit_gathered(struct ae__driver *mine)
{
    if (ae__ring_pending(&mine->uring->ring) >= PENDING_MAX) ae__uring_ops.flush(mine);
}

/* False: a system call of its own is the way. */
static bool try_behind(struct ae__driver *driver, struct ae__op *op, ssize_t *n)
{
    struct ae__driver *mine = driver && driver->fds == op->fd->fds ? driver : NULL;

    if (ae__uring_behind(mine, op, n)) {
        if (mine) limit_gathered(mine);
        return true;
    }
    *n = AE__WOULD_BLOCK;
    return gathers(driver, op);
}

ssize_t ae__uring_try(struct ae__driver *driver, struct ae__op *op)
{
    AE_ASSERT(op->flight.state == FLIGHT_NONE || op->flight.state == FLIGHT_LANDED);
    if (op->flight.state == FLIGHT_LANDED) {
        ssize_t n = ae__uring_take(op);
        if (n != AE__WOULD_BLOCK) return n;
    }
    if (op->code == AE__OP_READ && !op->fd->fds->tries) {
        bool busy;
        ssize_t n = ae__uring_read_box(my_driver(op->fd), op, &busy);
        if (n != AE__WOULD_BLOCK || busy || gathers(driver, op)) return n;
    } else if (sends(op)) {
        ssize_t n;
        if (try_behind(driver, op, &n)) return n;
    } else if (gathers(driver, op)) return is_closed(op) ? -ECANCELED : AE__WOULD_BLOCK;
    return ae__epoll_try(driver, op);
}

/* Descriptors of others: they read and write behind our back, and may have closed it. */
static int look_at_foreign(struct ae__op *op)
{
    ae__lock_acquire(&op->fd->lock);
    int number = op->fd->generation == op->generation ? op->fd->number : -1;
    ae__lock_release(&op->fd->lock);
    if (number < 0) return -ECANCELED;
    ae__driver_count_syscall(NULL, op->fd->fds);
    return ae__poll_now(number, op->poll.events);
}

/* Misuse: two readers, or two writers, on one descriptor. */
static void expect_alone(const struct ae__flight *flight)
{
    const struct ae__flight *f = flight->fd ? flight->fd->flights : NULL;

    for (; f; f = f->next) {
        if (f->code != flight->code || f->recalled) continue;
        if (is_poll(f) && !(f->events & flight->events)) continue;
        bool still_waits = ae__fd_still_waits(f->actor, f->sequence);
        AE_ASSERT(!still_waits);
    }
}

static struct ae__flight *flight_for(struct ae__driver *mine, struct ae__op *op)
{
    struct ae__flight *flight = op->code == AE__OP_POLL ? take_poll(mine) : &op->flight;

    if (!flight) return NULL;
    flight->code = (uint8_t)op->code;
    flight->fd = op->fd;
    flight->recalled = false;
    flight->mail_link = NULL;
    flight->home = mine ? mine : op->fd->fds->first_driver;
    flight->boxes = false;
    if (op->code == AE__OP_POLL) {
        bool alone = op->poll.events == AE_READABLE && !(op->fd->flags & AE__FD_FOREIGN);
        flight->events = (uint8_t)op->poll.events;
        flight->scale = op->poll.scale;
        flight->boxes = alone && mine && mine->uring->buffers;
    }
    return flight;
}

enum { ATTACHED = 1 << 16 };

/* What must land before this one may go: to read or to start, a receive in the air (U10); to send,
 * a parcel (U12). */
static struct ae__flight *ahead_of(struct ae__fd *fd, const struct ae__flight *flight)
{
    if (flight->code == AE__OP_WRITEV || flight->code == AE__OP_SENDFILE) return fd->parcel;
    return flight->code == AE__OP_READ || flight->boxes ? ae__uring_receiver(fd) : NULL;
}

static bool attach(struct ae__fd *fd, struct ae__flight *flight)
{
    struct ae__flight *other = ahead_of(fd, flight);

    if (!other) return false;
    bool still_waits = ae__fd_still_waits(other->actor, other->sequence);
    AE_ASSERT(!still_waits); /* misuse: two readers, or two writers, on one descriptor */
    other->actor = flight->actor;
    other->sequence = flight->sequence;
    other->reason = flight->reason;
    other->scale = is_poll(flight) ? flight->scale : 0;
    return true;
}

/* A receive of a start shall be the only one. */
static bool is_read_from(const struct ae__fd *fd)
{
    const struct ae__flight *f = fd->flights;

    while (f && f->code != AE__OP_READ) f = f->next;
    return f != NULL;
}

/* 0: launched; ATTACHED: something that flies already will wake; else what arm returns. */
static int arm_locked(struct ae__driver *mine, struct ae__op *op, struct ae__flight *flight)
{
    struct ae__fd *fd = op->fd;

    if (fd->generation != op->generation) return -ECANCELED;
    bool wants_data = is_poll(flight) && flight->events & AE_READABLE;
    if (wants_data && atomic_load_explicit(&fd->boxed, memory_order_relaxed)) return AE_READABLE;
    if (attach(fd, flight)) return ATTACHED;
    if (op->code == AE__OP_WRITEV && op->writev.count == 0) return AE_WRITABLE; /* it landed */
    if (flight->boxes && is_read_from(fd)) flight->boxes = false;
    expect_alone(flight);
    ae__uring_send_off(mine, flight);
    return 0;
}

int ae__uring_arm(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
                  uint32_t sequence, uint16_t reason)
{
    struct ae__driver *mine = driver && driver->fds == op->fd->fds ? driver : NULL;

    AE_ASSERT(op->fd != NULL && actor != NULL);
    op->actor = actor;
    op->sequence = sequence;
    if (op->code == AE__OP_POLL && op->fd->flags & AE__FD_FOREIGN) {
        int now = look_at_foreign(op);
        if (now != 0) return now;
    }
    struct ae__flight *flight = flight_for(mine, op);
    if (!flight) return -ENOMEM;
    flight->actor = actor;
    flight->sequence = sequence;
    flight->reason = reason;
    ae__lock_acquire(&op->fd->lock);
    int rc = arm_locked(mine, op, flight);
    ae__lock_release(&op->fd->lock);
    if (rc != 0 && is_poll(flight)) put_poll(mine, flight);
    if (rc == ATTACHED) return 0;
    if (rc != 0) return rc;
    if (mine) limit_gathered(mine);
    return 0;
}

/* A poll: whoever bears the actor's name is left over. Its memory is not the caller's. */
static ssize_t cancel_poll(struct ae__driver *mine, struct ae__op *op)
{
    bool last = false;

    ae__lock_acquire(&op->fd->lock);
    for (struct ae__flight *f = op->fd->flights, *next; f; f = next) {
        next = f->next;
        if (!is_poll(f) || f->actor != op->actor) continue;
        f->actor = NULL;
        if (!recall(mine, f)) continue;
        last = unlink_flight(f);
        put_poll(mine, f);
    }
    ae__lock_release(&op->fd->lock);
    if (last) ae__fd_close_number(op->fd);
    return AE__WOULD_BLOCK;
}

/* U1: ask for it back, and wait until it is. */
static void bring_back(struct ae__driver *mine, struct ae__op *op)
{
    struct ae__flight *flight = &op->flight;
    struct ae__lock *lock = lock_of(flight);
    struct ae__actor *self = op->actor;
    bool last = false;

    ae__lock_acquire(lock);
    if (flight->state == FLIGHT_LANDED) {
        ae__lock_release(lock);
        return;
    }
    if (flight->state == FLIGHT_NONE) { /* it had attached itself to another */
        struct ae__flight *other = ahead_of(op->fd, flight);
        if (other && other->actor == self) other->actor = NULL;
        ae__lock_release(lock);
        flight->state = FLIGHT_LANDED;
        flight->result = -ECANCELED;
        return;
    }
    flight->sequence = ae__wait_begin(self, false, (enum ae__wait_kind)self->wait_kind, op->fd);
    flight->reason = AE__REASON_DONE;
    bool ended = recall(mine, flight);
    if (ended) last = unlink_flight(flight);
    ae__lock_release(lock);
    if (last) ae__fd_close_number(op->fd);
    if (ended) {
        (void)ae__wait_abort(self);
    } else {
        (void)ae__wait_park(self);
    }
    AE_ASSERT(flight->state == FLIGHT_LANDED);
}

ssize_t ae__uring_cancel(struct ae__driver *driver, struct ae__op *op)
{
    AE_ASSERT(op->actor != NULL);
    struct ae__driver *mine = op->fd ? my_driver(op->fd) : ae__driver_self();

    (void)driver;
    if (op->code == AE__OP_POLL) return cancel_poll(mine, op);
    bring_back(mine, op);
    ssize_t n = ae__uring_take(op);
    return n == -ECANCELED ? AE__WOULD_BLOCK : n;
}
