/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor objects: which side is ready, who waits for it, and when the descriptor may close.
 *
 * F1  A side's `ready` is false only if an edge will come: a system call said EAGAIN (or was short,
 *     which means the same of a stream) and no event was seen since that call began (`edges`), and
 *     the descriptor is registered or will be before anybody waits. Registration reports what is
 *     ready at that moment, so nothing is lost between the call and it.
 * F2  arm looks at `ready` and stores the waiter in one critical section; an event sets `ready` and
 *     takes the waiter in one. So either arm sees the event or the event sees the waiter.
 * F3  A short transfer does not clear `ready` once RDHUP, HUP or ERR was reported: the edge that
 *     said so was the last. If it is reported only later, that later event sets `ready` again.
 *     Urgent data (PRI) makes reads short in the middle: such a descriptor becomes exact.
 * F4  The number is closed when the object is closing and no system call uses it, and the object is
 *     freed after that; generation goes up when closing begins. So a call never meets the number of
 *     somebody else, and a late event or op never meets the object of somebody else.
 * F5  Claims are made under the lock (W3 of sched/wait.h), wake-ups after it.
 *
 * Lock order: an object's lock is never held with another; foreign_lock before fds->lock. */
#include "driver/fd.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "aether/wait.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/epoll.h"
#include "driver/socket.h"
#include "driver/uring.h"
#include "sched/sched.h"

/* ---- the slab ---- */

struct ae__fds *ae__fds_create(void)
{
    return ae__mem_zalloc(sizeof(struct ae__fds));
}

static unsigned chunk_of(uint32_t index)
{
    uint32_t first = AE__FD_CHUNK_FIRST;
    return (unsigned)(__builtin_clz(first) - __builtin_clz(index + first));
}

static uint32_t chunk_start(unsigned chunk)
{
    return ((uint32_t)AE__FD_CHUNK_FIRST << chunk) - AE__FD_CHUNK_FIRST;
}

static struct ae__fd *fd_at(struct ae__fds *fds, uint32_t index)
{
    unsigned k = chunk_of(index);
    AE_ASSERT(k < AE__FD_CHUNKS);
    /* acquire pairs with the release in fresh_object */
    struct ae__fd *chunk = atomic_load_explicit(&fds->chunks[k], memory_order_acquire);
    AE_ASSERT(chunk != NULL);
    return chunk + (index - chunk_start(k));
}

/* The next object never used so far. Under fds->lock. */
static struct ae__fd *fresh_object(struct ae__fds *fds)
{
    unsigned k = chunk_of(fds->count);

    if (k >= AE__FD_CHUNKS) return NULL;
    if (!atomic_load_explicit(&fds->chunks[k], memory_order_relaxed)) {
        size_t objects = (size_t)AE__FD_CHUNK_FIRST << k;
        struct ae__fd *chunk = ae__mem_aligned(AE_CACHE_LINE, objects * sizeof(struct ae__fd));
        if (!chunk) return NULL;
        atomic_store_explicit(&fds->chunks[k], chunk, memory_order_release);
    }
    struct ae__fd *fd = fd_at(fds, fds->count);
    fd->fds = fds;
    fd->index = fds->count++;
    fd->number = -1;
    return fd;
}

static struct ae__fd *take_object(struct ae__fds *fds)
{
    if (fds->free_head == 0) return fresh_object(fds);
    struct ae__fd *fd = fd_at(fds, fds->free_head - 1);
    fds->free_head = fd->next_free;
    return fd;
}

static void put_object(struct ae__fd *fd)
{
    struct ae__fds *fds = fd->fds;

    ae__lock_acquire(&fds->lock);
    fd->next_free = fds->free_head;
    fds->free_head = fd->index + 1;
    ae__lock_release(&fds->lock);
}

/* Owners that outlive the runtime (a listener opened before it) get their reference back. */
void ae__fds_destroy(struct ae__fds *fds)
{
    AE_ASSERT(fds->drivers == 0);
    for (uint32_t i = 0; i < fds->count; i++) {
        struct ae__fd *fd = fd_at(fds, i);
        if (fd->flights) ae__uring_lose_flights(fd);
        if (fd->number >= 0 && fd->ref) {
            atomic_store_explicit(&fd->ref->fd, NULL, memory_order_release);
        }
    }
    for (unsigned k = 0; k < AE__FD_CHUNKS; k++) {
        ae__mem_free(atomic_load_explicit(&fds->chunks[k], memory_order_relaxed));
    }
    ae__foreign_finish(fds);
    ae__mem_free(fds);
}

/* ---- open and close ---- */

static void reset(struct ae__fd *fd, int number, unsigned flags, struct ae__fd_ref *ref)
{
    ae__lock_acquire(&fd->lock);
    AE_ASSERT(fd->number == -1 && fd->uses == 0);
    AE_ASSERT(!fd->flights);
    AE_ASSERT(!fd->parcel);
    fd->write_error = 0;
    fd->ends_later = false;
    fd->box = (struct ae__box){ .left = 0 };
    atomic_store_explicit(&fd->boxed, false, memory_order_relaxed);
    fd->number = number;
    fd->flags = (uint8_t)flags;
    fd->closing = fd->registered = fd->ended = fd->more = false;
    fd->home = NULL;
    fd->ref = ref;
    for (int side = 0; side < 2; side++) {
        fd->sides[side].ready = true; /* nothing is known: worth a try */
        fd->sides[side].waiter.actor = NULL;
    }
    ae__lock_release(&fd->lock);
}

/* Two tasks may bind one owner's reference at the same time, and the owner may close it then: the
 * first one wins. */
static bool publish(struct ae__fds *fds, struct ae__fd *fd, struct ae__fd_ref *ref)
{
    struct ae__fd *none = NULL;
    bool won = false;

    ae__lock_acquire(&fds->lock);
    if (!atomic_load_explicit(&ref->fd, memory_order_relaxed)) {
        ref->generation = fd->generation;
        /* release pairs with the acquire of whoever uses the reference */
        won = atomic_compare_exchange_strong_explicit(&ref->fd, &none, fd, memory_order_release,
                                                      memory_order_relaxed);
    }
    ae__lock_release(&fds->lock);
    return won;
}

static void free_object(struct ae__fd *fd)
{
    ae__lock_acquire(&fd->lock);
    AE_ASSERT(fd->uses == 0);
    fd->generation++;
    fd->number = -1;
    fd->ref = NULL;
    ae__lock_release(&fd->lock);
    put_object(fd);
}

int ae__fd_open_in(struct ae__fds *fds, int number, unsigned flags, struct ae__fd_ref *ref,
                   struct ae__fd **out)
{
    AE_ASSERT(number >= 0);
    ae__lock_acquire(&fds->lock);
    struct ae__fd *fd = take_object(fds);
    ae__lock_release(&fds->lock);
    if (!fd) return -ENOMEM;
    reset(fd, number, flags, ref);
    if (ref && !publish(fds, fd, ref)) free_object(fd);
    if (out) *out = fd;
    return 0;
}

int ae__fd_open(struct ae_runtime *rt, int number, unsigned flags, struct ae__fd_ref *ref)
{
    struct ae__fds *fds = ae__runtime_io(rt);

    AE_ASSERT(fds != NULL && ref != NULL);
    return ae__fd_open_in(fds, number, flags, ref, NULL);
}

/* F4: no system call uses the number any more. */
void ae__fd_close_number(struct ae__fd *fd)
{
    AE_ASSERT(fd->closing && fd->uses == 0);
    if (!(fd->flags & AE__FD_FOREIGN)) {
        ae__socket_close(fd->number); /* leaves the epoll by itself */
    } else if (fd->registered) {
        ae__epoll_remove(fd->home, fd);
    }
    ae__driver_count_syscall(NULL, fd->fds);
    free_object(fd);
}

void ae__fd_close(struct ae__fd *fd)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&fd->lock);
    AE_ASSERT(fd->number >= 0);
    AE_ASSERT(!fd->closing);
    fd->closing = true;
    fd->generation++;
    fd->ref = NULL;
    for (int side = 0; side < 2; side++) {
        struct ae__fd_waiter *w = &fd->sides[side].waiter;
        if (w->actor) ae__wait_wake(w->actor, w->sequence, AE__REASON_CLOSED, &wakes);
        w->actor = NULL;
    }
    if (fd->flights || atomic_load_explicit(&fd->boxed, memory_order_relaxed)) {
        ae__uring_recall_all(fd, &wakes);
    }
    bool unused = fd->uses == 0;
    ae__lock_release(&fd->lock);
    if (unused) ae__fd_close_number(fd);
    ae__ready_all(&wakes);
}

int ae__fd_shutdown(struct ae__fd *fd, uint32_t generation)
{
    bool now = false, last;
    int rc = 0;

    ae__lock_acquire(&fd->lock);
    if (fd->generation != generation) {
        rc = -ENOTCONN;
    } else if (fd->parcel) {
        fd->ends_later = true;
    } else {
        now = true;
        fd->uses++;
    }
    ae__lock_release(&fd->lock);
    if (!now) return rc;
    rc = ae__socket_shutdown(fd->number);
    ae__lock_acquire(&fd->lock);
    last = --fd->uses == 0 && fd->closing;
    ae__lock_release(&fd->lock);
    if (last) ae__fd_close_number(fd);
    return rc;
}

/* ---- system calls on it ---- */

int ae__fd_use_begin(struct ae__fd *fd, uint32_t generation, int side, uint32_t *edges)
{
    int number;

    ae__lock_acquire(&fd->lock);
    if (fd->generation != generation) {
        number = -ECANCELED;
    } else if (!fd->sides[side].ready) {
        number = AE__WOULD_BLOCK;
    } else {
        AE_ASSERT(!fd->closing);
        fd->uses++;
        number = fd->number;
        *edges = fd->sides[side].edges;
    }
    ae__lock_release(&fd->lock);
    return number;
}

void ae__fd_use_end(struct ae__fd *fd, int side, uint32_t edges, enum ae__fd_left left)
{
    bool last;

    ae__lock_acquire(&fd->lock);
    AE_ASSERT(fd->uses > 0);
    bool empty = left == AE__FD_LEFT_EMPTY ||
                 (left == AE__FD_LEFT_SHORT && !fd->ended && !(fd->flags & AE__FD_EXACT)); /* F3 */
    if (empty && fd->sides[side].edges == edges) fd->sides[side].ready = false;        /* F1 */
    last = --fd->uses == 0 && fd->closing;
    ae__lock_release(&fd->lock);
    if (last) ae__fd_close_number(fd);
}

/* ---- events ---- */

uint64_t ae__fd_name(const struct ae__fd *fd)
{
    return (uint64_t)fd->generation << 32 | fd->index;
}

/* Claim who waits on `side`, of which `events` are there. One that waits for both sides has a place
 * on each: both are cleared. */
static void wake_side(struct ae__fd *fd, int side, unsigned events, struct ae__wakes *wakes)
{
    struct ae__fd_waiter w = fd->sides[side].waiter;
    unsigned wanted = 0;

    AE_ASSERT(w.actor != NULL);
    for (int i = 0; i < 2; i++) {
        if (fd->sides[i].waiter.actor != w.actor) continue;
        if (fd->sides[i].waiter.sequence == w.sequence) wanted |= 1u << i;
        fd->sides[i].waiter.actor = NULL;
    }
    uint16_t reason = (uint16_t)(w.reason + (events & wanted) * w.scale);
    ae__wait_wake(w.actor, w.sequence, reason, wakes);
}

static unsigned events_of(uint32_t epoll_events)
{
    unsigned events = 0;

    if (epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI)) events |= AE_READABLE;
    if (epoll_events & EPOLLOUT) events |= AE_WRITABLE;
    if (epoll_events & (EPOLLHUP | EPOLLERR)) events |= AE_READABLE | AE_WRITABLE;
    return events;
}

_Static_assert(AE_READABLE == 1 << AE__SIDE_READ, "events are bits by side");
_Static_assert(AE_WRITABLE == 1 << AE__SIDE_WRITE, "events are bits by side");

static void note_event(struct ae__fd *fd, uint32_t epoll_events, struct ae__wakes *wakes)
{
    unsigned events = events_of(epoll_events);

    if (epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) fd->ended = true; /* F3 */
    if (epoll_events & EPOLLPRI) fd->flags |= AE__FD_EXACT;
    for (int side = 0; side < 2; side++) {
        if (!(events & 1u << side)) continue;
        fd->sides[side].ready = true;
        fd->sides[side].edges++;
    }
    for (int side = 0; side < 2; side++) {
        if (!(events & 1u << side) || !fd->sides[side].waiter.actor) continue;
        wake_side(fd, side, events, wakes);
    }
}

void ae__fd_event_later(struct ae__fds *fds, uint64_t name)
{
    uintptr_t at = (uintptr_t)fd_at(fds, (uint32_t)name);

    __builtin_prefetch((const void *)at, 1);
    __builtin_prefetch((const void *)(at + AE_CACHE_LINE), 1);
}

void ae__fd_event_soon(struct ae__fds *fds, uint64_t name)
{
#if !AE_TSAN
    /* Not under the lock: it may be anybody's pointer by then, and is only a hint. */
    ae__prefetch_task(fd_at(fds, (uint32_t)name)->sides[AE__SIDE_READ].waiter.actor);
#else
    (void)fds;
    (void)name;
#endif
}

void ae__fd_event(struct ae__fds *fds, uint64_t name, uint32_t events, struct ae__wakes *wakes)
{
    struct ae__fd *fd = fd_at(fds, (uint32_t)name);

    ae__lock_acquire(&fd->lock);
    if (fd->generation == (uint32_t)(name >> 32)) note_event(fd, events, wakes);
    ae__lock_release(&fd->lock);
}

/* ---- waiting ---- */

static unsigned sides_of(const struct ae__op *op)
{
    switch (op->code) {
    case AE__OP_READ:
    case AE__OP_ACCEPT:
        return AE_READABLE;
    case AE__OP_POLL:
        AE_ASSERT(op->poll.events != 0);
        AE_ASSERT((op->poll.events & ~(unsigned)(AE_READABLE | AE_WRITABLE)) == 0);
        return op->poll.events;
    default:
        return AE_WRITABLE;
    }
}

bool ae__fd_still_waits(const struct ae__actor *actor, uint32_t sequence)
{
    if (!actor) return false;
    uint64_t word = atomic_load_explicit(&actor->wait, memory_order_relaxed);
    unsigned state = word & 0xff;
    return word >> 32 == sequence && (state == AE__WAIT_ARMED || state == AE__WAIT_PARKED);
}

static void store_waiter(struct ae__fd *fd, unsigned sides, const struct ae__fd_waiter *waiter)
{
    for (int side = 0; side < 2; side++) {
        if (!(sides & 1u << side)) continue;
        struct ae__fd_waiter *before = &fd->sides[side].waiter;
        bool still_waits = ae__fd_still_waits(before->actor, before->sequence);
        AE_ASSERT(!still_waits); /* misuse: two readers, or two writers, on one descriptor */
        *before = *waiter;
    }
}

/* Readiness as somebody sees it who has not tried: `ready` may be old, so ask the system. */
static int check_sides(struct ae__fd *fd, unsigned sides)
{
    unsigned maybe = 0;

    for (int side = 0; side < 2; side++) {
        if (fd->sides[side].ready) maybe |= sides & 1u << side;
    }
    if (fd->flags & AE__FD_FOREIGN) maybe = sides; /* others may have read it */
    if (maybe == 0) return 0;
    if (fd->registered || fd->flags & AE__FD_FOREIGN) {
        ae__driver_count_syscall(NULL, fd->fds);
        int rc = ae__poll_now(fd->number, maybe);
        if (rc != 0) return rc;
    }
    /* F1 holds: any edge from now on waits for our lock, and so does registration's report */
    for (int side = 0; side < 2; side++) {
        if (maybe & 1u << side) fd->sides[side].ready = false;
    }
    return 0;
}

static int register_fd(struct ae__fd *fd, struct ae__driver *driver)
{
    int rc;

    if (fd->registered && !(fd->flags & AE__FD_FOREIGN)) return 0;
    if (!fd->home) fd->home = driver && driver->fds == fd->fds ? driver : fd->fds->first_driver;
    ae__driver_count_syscall(driver, fd->fds);
    rc = fd->registered ? ae__epoll_again(fd->home, fd) : ae__epoll_add(fd->home, fd);
    fd->registered = rc == 0;
    return rc;
}

/* F2 */
static int arm_locked(struct ae__fd *fd, struct ae__driver *driver, const struct ae__op *op,
                      const struct ae__fd_waiter *waiter)
{
    unsigned sides = sides_of(op);
    int rc;

    if (fd->generation != op->generation) return -ECANCELED;
    if (op->code == AE__OP_POLL) {
        rc = check_sides(fd, sides);
    } else {
        rc = fd->sides[sides == AE_WRITABLE].ready;
    }
    if (rc != 0) return rc;
    rc = register_fd(fd, driver);
    if (rc == -EPERM) return (int)sides; /* a kind of file that never makes one wait */
    if (rc < 0) return rc;
    store_waiter(fd, sides, waiter);
    return 0;
}

int ae__fd_arm(struct ae__driver *driver, struct ae__op *op, struct ae__actor *actor,
               uint32_t sequence, uint16_t reason)
{
    struct ae__fd *fd = op->fd;
    struct ae__fd_waiter waiter = {
        .actor = actor,
        .sequence = sequence,
        .reason = reason,
        .scale = op->code == AE__OP_POLL ? op->poll.scale : 0,
    };

    AE_ASSERT(fd != NULL && actor != NULL);
    op->actor = actor;
    op->sequence = sequence;
    ae__lock_acquire(&fd->lock);
    int rc = arm_locked(fd, driver, op, &waiter);
    ae__lock_release(&fd->lock);
    return rc;
}

/* An actor waits for one thing at a time, and this one waits no more: whatever bears its name is
 * left over, also if the object is another descriptor's by now. */
ssize_t ae__fd_cancel(struct ae__driver *driver, struct ae__op *op)
{
    (void)driver;
    AE_ASSERT(op->fd != NULL && op->actor != NULL);
    ae__lock_acquire(&op->fd->lock);
    for (int side = 0; side < 2; side++) {
        struct ae__fd_waiter *w = &op->fd->sides[side].waiter;
        if (w->actor == op->actor) w->actor = NULL;
    }
    ae__lock_release(&op->fd->lock);
    return AE__WOULD_BLOCK;
}
