/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring driver: one ring per worker slot, entered by that worker's thread alone, as
 * SINGLE_ISSUER and DEFER_TASKRUN want it. Requests gather in the ring and go to the kernel
 * together, at the loop's turn, which takes their completions with the same system call.
 *
 * A flight is a request from its preparation to its completion: an operation, which lies on the
 * stack of the task that waits for it, or a poll, whose memory is the driver's.
 *
 * U1  The kernel gives each flight back exactly once, and until then neither it nor what it points
 *     to may go. An operation's task leaves its wait only when the flight has LANDED: a cancel
 *     asks for it back and goes on waiting.
 * U2  A flight belongs to the ring that it is submitted to (`home`), for all its life. Only that
 *     ring's owner prepares, recalls and lands it; others ask by its mailbox, and then wake it.
 * U3  Its fields, the list of its descriptor, and the descriptor's `uses`, which counts it, change
 *     under the descriptor's lock. Whoever finds it in the list, or its state not LANDED, under the
 *     lock, may touch it until the unlock; after the claim nobody does.
 * U4  A descriptor's number is closed when no flight names it (F4 of fd.c): a prepared entry never
 *     meets somebody else's number.
 * U5  A flight that lands, or is launched by mail no more, is in no mailbox: landing takes it out,
 *     and mailboxes are read by the thread that lands.
 * U6  A recall is queued behind what it recalls, so it never meets a later flight at the same
 *     address.
 * U7  A wake is an edge of an eventfd that the ring polls for ever; it is never read, and one that
 *     comes before the ring polls it is reported at once. So none is lost.
 * U8  Rings are made after privileges were dropped, and refuse all opcodes but those used here.
 * U9  The kernel hands out at most 20 completions an entry with DEFER_TASKRUN, or as many as are
 *     waited for. So the poll goes on until it has no more, within a bound, and takes none before:
 *     an entry that waits for as many as are there does not wait, and doubles them.
 * U9b A ring that has just landed several waits for as many again, since a wake for each costs more
 *     than what it brings; but no longer than a timer of the kernel's takes (10 us and its slack of
 *     50), and then takes what there is. So one connection never waits for another that is silent
 *     more than once, and one alone never.
 * U10 and U11, on what is received for deferred starts, are in uring_box.c; U12 and U13, on what is
 * written behind, in uring_behind.c. */
#include "driver/uring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "aether/time.h"
#include "arch/os.h"
#include "base/assert.h"
#include "base/mem.h"
#include "sched/sched.h"

enum {
    ENTRIES = 256,
    COMPLETIONS = 4096,
    LANDED_MAX = 512, /* by one poll: tasks shall run, too */
    HANDED_OUT = 20,  /* by one entry, or as many as it waits for: U9 */
    PARCEL_WAIT_NS = 100000,
    GATHER_NS = 250000,  /* a busy worker lets requests gather: a turn or two of 61 short slices */
    COMPANY_MIN = 3, COMPANY_MAX = 16, /* completions that are worth a wait: U9b */
    PATIENCE_US = 10,
    COMPANY_WAIT_NS = 100000,
};

static const uint8_t opcodes[] = {
    IORING_OP_NOP,     IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_RECV,
    IORING_OP_SEND,    IORING_OP_SENDMSG,  IORING_OP_ACCEPT,       IORING_OP_READ,
    IORING_OP_WRITE,   IORING_OP_FSYNC,
};

/* ---- create and destroy ---- */

static int open_ring(struct ae__ring *ring, const char **why)
{
    int rc = ae__ring_open(ring, ENTRIES, COMPLETIONS, why);

    if (rc < 0) return rc;
    rc = ae__ring_probe(ring, opcodes, sizeof opcodes);
    if (rc < 0) *why = "io_uring lacks an operation of Linux 6.1";
    if (rc == 0) {
        rc = ae__ring_restrict(ring, opcodes, sizeof opcodes); /* U8 */
        if (rc < 0) *why = "io_uring takes no restrictions";
    }
    if (rc < 0) ae__ring_close(ring);
    return rc;
}

static int round_trip(struct ae__ring *ring)
{
    struct io_uring_cqe cqe;
    uint32_t place;

    int rc = ae__ring_enable(ring, false);
    if (rc < 0) return rc;
    struct io_uring_sqe *sqe = ae__ring_next(ring, &place);
    sqe->opcode = IORING_OP_NOP;
    sqe->user_data = 7;
    rc = ae__ring_wait(ring, AE_SEC);
    if (rc < 0) return rc;
    return ae__ring_pop(ring, &cqe) && cqe.user_data == 7 && cqe.res == 0 ? 0 : -EIO;
}

/* The kernel interrupts a thread that has made a ring when that ring goes: blocking calls of it end
 * with EINTR. So rings are made on threads that end before. */
struct making {
    struct ae__ring *ring;
    const char *why;
    int rc;
};

static void make_on_thread(void *arg)
{
    struct making *making = arg;

    making->rc = open_ring(making->ring, &making->why);
}

static void try_on_thread(void *arg)
{
    struct making *making = arg;

    making->rc = open_ring(making->ring, &making->why);
    if (making->rc < 0) return;
    making->rc = round_trip(making->ring);
    if (making->rc < 0) making->why = "a ring was made, but a request did not come back";
    ae__ring_close(making->ring);
}

static int on_thread(void (*fn)(void *making), struct making *making)
{
    ae__os_thread thread;

    making->why = "no thread to make a ring";
    int rc = ae__os_thread_start(&thread, "aether-ring", fn, making);
    if (rc < 0) return rc;
    ae__os_thread_join(thread);
    return making->rc;
}

int ae__uring_trial(const char **why)
{
    struct ae__ring ring;
    struct making making = { .ring = &ring };

    int rc = on_thread(try_on_thread, &making);
    *why = making.why;
    return rc;
}

static void destroy(struct ae__driver *driver)
{
    if (!driver) return;
    struct ae__uring *u = driver->uring;
    if (u) {
        AE_ASSERT(atomic_load(&u->in_air) == 0); /* U1: stacks are about to go */
        AE_ASSERT(!u->mail || u->mail->code == AE__OP_POLL || u->mail->code == AE__OP_BEHIND);
        ae__ring_close(&u->ring);
        for (struct ae__flight *f = u->spare, *next; f; f = next) {
            next = f->next;
            ae__mem_free(f);
        }
        ae__uring_boxes_end(u);
        ae__uring_parcels_end(u);
        ae__mem_free(u->messages);
        ae__mem_free(u);
    }
    ae__driver_leave(driver);
}

static int make_ring(struct ae__driver *driver)
{
    struct ae__uring *u = ae__mem_aligned(AE_CACHE_LINE, sizeof *u);
    struct making making = { .ring = u ? &u->ring : NULL };

    if (!u) return -ENOMEM;
    u->ring.fd = -1;
    driver->uring = u;
    u->messages = ae__mem_zalloc(ENTRIES * sizeof *u->messages);
    if (!u->messages) return -ENOMEM;
    driver->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (driver->event < 0) return -errno;
    return on_thread(make_on_thread, &making);
}

static bool wants_tries(void)
{
    const char *text = ae__os_env("AE_URING");

    return text && strcmp(text, "try") == 0;
}

static int create(struct ae_runtime *rt, unsigned slot, struct ae__driver **out)
{
    struct ae__driver *driver = ae__mem_aligned(AE_CACHE_LINE, sizeof *driver);

    (void)slot;
    if (!driver) return -ENOMEM;
    driver->epoll = driver->event = -1;
    int rc = make_ring(driver);
    if (rc == 0) {
        driver->fds = ae__driver_join(rt, driver);
        if (!driver->fds) rc = -ENOMEM;
    }
    if (rc < 0) {
        destroy(driver);
        return rc;
    }
    driver->fds->rings = true;
    driver->fds->tries = wants_tries();
    *out = driver;
    return 0;
}

/* ---- entering the kernel ---- */

static void poll_wakes(struct ae__driver *driver)
{
    uint32_t place;
    struct io_uring_sqe *sqe = ae__uring_entry(driver, &place);

    if (!sqe) ae__fatal("io_uring takes no request at all");
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = driver->event;
    sqe->poll32_events = POLLIN | EPOLLET; /* U7 */
    sqe->len = IORING_POLL_ADD_MULTI;
    sqe->user_data = AE__URING_WAKE;
}

/* The first to enter is the owner. */
static void become_owner(struct ae__driver *driver)
{
    int rc = ae__ring_enable(&driver->uring->ring, true);

    if (rc < 0) ae__fatal("a ring that was made cannot be enabled");
    driver->uring->patient = !driver->fds->tries && ae__ring_has_patience(&driver->uring->ring);
    ae__uring_boxes_begin(driver);
    poll_wakes(driver);
}

static void count_entry(struct ae__driver *driver)
{
    struct ae__uring *u = driver->uring;

    ae__count(&driver->syscalls, 1);
    ae__count(&u->submitted, ae__ring_pending(&u->ring));
    u->parcels_fresh = 0;
    u->put_off = false;
    u->landed = 0;
    u->entered_ns = ae__os_now();
}

/* EINTR, and EBUSY or EAGAIN when the kernel is short of memory: what was not taken is taken the
 * next time. ETIME: the end of a wait. Anything else is a mistake of ours. */
static void expect_entered(int rc)
{
    AE_ASSERT(rc == 0 || rc == -EINTR || rc == -ETIME || rc == -EBUSY || rc == -EAGAIN);
}

static void flush(struct ae__driver *driver)
{
    struct ae__uring *u = driver->uring;

    if (ae__ring_pending(&u->ring) == 0) return;
    if (!u->ring.enabled) become_owner(driver);
    count_entry(driver);
    expect_entered(ae__ring_submit(&u->ring));
}

struct io_uring_sqe *ae__uring_entry(struct ae__driver *driver, uint32_t *place)
{
    struct io_uring_sqe *sqe = ae__ring_next(&driver->uring->ring, place);

    if (AE_LIKELY(sqe != NULL)) return sqe;
    flush(driver);
    return ae__ring_next(&driver->uring->ring, place);
}

/* ---- poll ---- */

static unsigned land_all(struct ae__driver *driver, struct ae__wakes *wakes)
{
    struct io_uring_cqe cqe;
    unsigned n = 0;

    while (n < LANDED_MAX && ae__ring_pop(&driver->uring->ring, &cqe)) {
        n++;
        if (cqe.user_data >= AE__URING_TAGS) {
            ae__uring_land(driver, &cqe, wakes);
        } else if (cqe.user_data == AE__URING_WAKE && !(cqe.flags & IORING_CQE_F_MORE)) {
            poll_wakes(driver);
        }
    }
    return n;
}

/* Parcels are nothing to wake up for: the kernel completes them as it takes them, so something else
 * is there when so many and one are. One that finds its socket full does not, so the wait is short,
 * and the next one counts none of these. */
static int wait_beyond(struct ae__uring *u, unsigned parcels, int64_t rest_ns)
{
    if (parcels == 0) return ae__ring_wait(&u->ring, rest_ns);
    bool longer = rest_ns < 0 || rest_ns > PARCEL_WAIT_NS;
    return ae__ring_wait_for(&u->ring, parcels + 1, longer ? PARCEL_WAIT_NS : rest_ns);
}

/* U9b. 0: none. */
static unsigned company_of(const struct ae__uring *u)
{
    if (!u->patient || u->landed < COMPANY_MIN) return 0;
    return u->landed < COMPANY_MAX ? u->landed : COMPANY_MAX;
}

static int wait_in_company(struct ae__uring *u, unsigned wanted, int64_t rest_ns)
{
    bool longer = rest_ns < 0 || rest_ns > COMPANY_WAIT_NS;
    return ae__ring_wait_some(&u->ring, wanted, PATIENCE_US, longer ? COMPANY_WAIT_NS : rest_ns);
}

/* is_due: something is there, and the worker has nothing else to do. */
static void enter_kernel(struct ae__driver *driver, int64_t rest_ns, bool is_due)
{
    struct ae__uring *u = driver->uring;
    unsigned parcels = u->parcels_fresh;
    unsigned company = is_due || rest_ns != 0 ? company_of(u) : 0;
    int rc;

    count_entry(driver);
    ae__count(&driver->polls, 1);
    if (company > 0) {
        rc = wait_in_company(u, parcels + company, rest_ns == 0 ? COMPANY_WAIT_NS : rest_ns);
    } else {
        rc = rest_ns == 0 ? ae__ring_reap(&u->ring) : wait_beyond(u, parcels, rest_ns);
    }
    expect_entered(rc);
}

/* U9 */
static void collect(struct ae__driver *driver)
{
    struct ae__ring *ring = &driver->uring->ring;
    uint32_t had = 0, ready;

    while (ae__ring_kernel_has_more(ring)) {
        ready = ae__ring_ready(ring);
        if (ready < had + HANDED_OUT || ready >= LANDED_MAX) break; /* it has come since: later */
        count_entry(driver);
        ae__count(&driver->polls, 1);
        expect_entered(ae__ring_wait_for(ring, ready, -1));
        had = ready;
    }
}

/* Requests gather until the worker has nothing else to do: its wait submits them. It may find work
 * elsewhere instead, but not twice. A busy one, which looks only in between, has work that what the
 * kernel has would queue behind: both can wait a little. */
static bool may_put_off(const struct ae__uring *u, int64_t deadline_ns)
{
    if (ae__ring_pending(&u->ring) == 0) return false;
    if (deadline_ns == 0) return ae__os_now() - u->entered_ns < GATHER_NS;
    return deadline_ns == AE__POLL_PEEK && !u->put_off && !ae__ring_kernel_has_more(&u->ring);
}

static void poll_ring(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes)
{
    struct ae__uring *u = driver->uring;

    AE_ASSERT(deadline_ns >= 0);
    if (AE_UNLIKELY(!u->ring.enabled)) become_owner(driver);
    bool all = true;
    if (AE_UNLIKELY(atomic_load_explicit(&u->has_mail, memory_order_acquire))) {
        all = ae__uring_read_mail(driver);
    }
    unsigned n = land_all(driver, wakes);
    if (may_put_off(u, deadline_ns)) {
        u->put_off = deadline_ns == AE__POLL_PEEK;
        ae__count(&driver->events, n);
        return;
    }
    int64_t rest_ns = n == 0 && all ? ae__driver_rest(deadline_ns) : 0;
    if (rest_ns != 0 || ae__ring_pending(&u->ring) || ae__ring_kernel_has_more(&u->ring)) {
        bool is_due = n == 0 && all && deadline_ns == AE__POLL_PEEK &&
                      ae__ring_kernel_has_more(&u->ring);
        enter_kernel(driver, rest_ns, is_due);
        collect(driver);
        n += land_all(driver, wakes);
    }
    ae__count(&driver->events, n);
}

const struct ae__driver_ops ae__uring_ops = {
    .name = "uring",
    .create = create,
    .destroy = destroy,
    .try_op = ae__uring_try,
    .arm = ae__uring_arm,
    .cancel = ae__uring_cancel,
    .fd_open = ae__fd_open,
    .fd_close = ae__fd_close,
    .flush = flush,
    .poll = poll_ring,
    .wake = ae__driver_wake,
    .stats = ae__driver_stats,
};
