/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll driver: one epoll per worker slot, edge-triggered, each descriptor registered once for
 * both directions, on the worker that first waited for it.
 *
 * The wake is an eventfd registered edge-triggered and never read: each write is a new edge, which
 * epoll keeps until somebody polls. So a wake between two polls makes the next one return, and no
 * wake costs a read. It never fills up: 2^64 writes would be needed. */
#include "driver/epoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "aether/time.h"
#include "arch/os.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/sim_net.h"
#include "sched/sched.h"

enum { EVENTS_MAX = 256 };
enum { LATER = 6, SOON = 3 }; /* events ahead */

#define WAKE_NAME UINT64_MAX /* no descriptor object has these: their indexes are below 2^26 */
#define COVERED_NAME (UINT64_MAX - 1)

/* ---- create and destroy ---- */

struct ae__fds *ae__driver_join(struct ae_runtime *rt, struct ae__driver *driver)
{
    struct ae__fds *fds = ae__runtime_io(rt);

    if (!fds) {
        fds = ae__fds_create();
        if (!fds) return NULL;
        fds->first_driver = driver;
        ae__runtime_set_io(rt, fds);
    }
    fds->drivers++;
    return fds;
}

void ae__driver_leave(struct ae__driver *driver)
{
    AE_ASSERT(!driver->fds || driver->fds->drivers > 0);
    if (driver->event >= 0) close(driver->event);
    if (driver->fds && --driver->fds->drivers == 0) {
        ae__fds_destroy(driver->fds);
    }
    ae__mem_free(driver);
}

static int open_kernel_side(struct ae__driver *driver)
{
    struct epoll_event wake = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKE_NAME };

    driver->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (driver->epoll < 0) return -errno;
    driver->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (driver->event < 0) return -errno;
    if (epoll_ctl(driver->epoll, EPOLL_CTL_ADD, driver->event, &wake) < 0) return -errno;
    return 0;
}

static void destroy(struct ae__driver *driver)
{
    if (!driver) return;
    if (driver->epoll >= 0) close(driver->epoll);
    ae__driver_leave(driver);
}

static int create(struct ae_runtime *rt, unsigned slot, struct ae__driver **out)
{
    struct ae__driver *driver = ae__mem_aligned(AE_CACHE_LINE, sizeof *driver);

    (void)slot;
    if (!driver) return -ENOMEM;
    driver->event = -1;
    int rc = open_kernel_side(driver);
    if (rc == 0) {
        driver->fds = ae__driver_join(rt, driver);
        if (!driver->fds) rc = -ENOMEM;
    }
    if (rc < 0) {
        destroy(driver);
        return rc;
    }
    *out = driver;
    return 0;
}

/* ---- registration ---- */

static int control(struct ae__driver *driver, int what, struct ae__fd *fd)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
        .data.u64 = ae__fd_name(fd),
    };

    AE_DEBUG_ASSERT(event.data.u64 != WAKE_NAME);
    return epoll_ctl(driver->epoll, what, fd->number, &event) < 0 ? -errno : 0;
}

int ae__epoll_add(struct ae__driver *driver, struct ae__fd *fd)
{
    if (driver->sim) return ae__sim_watch(driver, fd);
    int rc = control(driver, EPOLL_CTL_ADD, fd);

    /* a foreign descriptor that was registered, forgotten while it had a duplicate, and is back */
    return rc == -EEXIST ? control(driver, EPOLL_CTL_MOD, fd) : rc;
}

/* Also right if the descriptor was closed and opened anew without ae_fd_forget. */
int ae__epoll_again(struct ae__driver *driver, struct ae__fd *fd)
{
    if (driver->sim) return ae__sim_watch(driver, fd);
    int rc = control(driver, EPOLL_CTL_MOD, fd);

    return rc == -ENOENT ? control(driver, EPOLL_CTL_ADD, fd) : rc;
}

void ae__epoll_remove(struct ae__driver *driver, struct ae__fd *fd)
{
    if (driver->sim) return; /* a simulated one that is closed takes itself out */
    (void)control(driver, EPOLL_CTL_DEL, fd); /* it may be closed already: nothing to do then */
}

/* ---- poll and wake ---- */

/* Milliseconds, rounded up: never early. */
static int wait_ms(struct ae__driver *driver, struct epoll_event *events, int64_t rest_ns)
{
    int64_t ms = rest_ns < 0 ? -1 : rest_ns / AE_MS + (rest_ns % AE_MS != 0);

    if (ms > INT32_MAX) ms = INT32_MAX;
    return epoll_wait(driver->epoll, events, EVENTS_MAX, (int)ms);
}

/* rest_ns: 0 does not wait, < 0 has no end. */
static int wait_events(struct ae__driver *driver, struct epoll_event *events, int64_t rest_ns)
{
    bool coarse = atomic_load_explicit(&driver->no_pwait2, memory_order_relaxed);

    if (rest_ns <= 0 || coarse) return wait_ms(driver, events, rest_ns);
    struct timespec rest = { .tv_sec = rest_ns / AE_SEC, .tv_nsec = rest_ns % AE_SEC };
    int n = (int)syscall(SYS_epoll_pwait2, driver->epoll, events, EVENTS_MAX, &rest, NULL, 0);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
    atomic_store_explicit(&driver->no_pwait2, true, memory_order_relaxed); /* before Linux 5.11 */
    return wait_ms(driver, events, rest_ns);
}

int64_t ae__driver_rest(int64_t deadline_ns)
{
    if (deadline_ns <= AE__POLL_PEEK) return 0;
    if (deadline_ns == AE_FOREVER) return -1;
    int64_t rest_ns = deadline_ns - ae__os_now();
    return rest_ns < 0 ? 0 : rest_ns;
}

enum found { WOKEN = 1, COVERED = 2 };

/* With hundreds of connections each event finds its object, and who waits for it, cold. */
static void fetch_coming(struct ae__driver *driver, const struct epoll_event *events, int i, int n)
{
    if (i + LATER < n && events[i + LATER].data.u64 < COVERED_NAME) {
        ae__fd_event_later(driver->fds, events[i + LATER].data.u64);
    }
    if (i + SOON < n && events[i + SOON].data.u64 < COVERED_NAME) {
        ae__fd_event_soon(driver->fds, events[i + SOON].data.u64);
    }
}

/* Events to their descriptors; which others there were. */
static unsigned collect(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes)
{
    struct epoll_event events[EVENTS_MAX];
    unsigned found = 0;

    AE_ASSERT(deadline_ns >= 0);
    int n = wait_events(driver, events, ae__driver_rest(deadline_ns));
    ae__count(&driver->polls, 1);
    ae__count(&driver->syscalls, 1);
    if (n <= 0) {
        AE_ASSERT(n == 0 || errno == EINTR);
        return 0;
    }
    AE_ASSERT(n <= EVENTS_MAX);
    ae__count(&driver->events, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        fetch_coming(driver, events, i, n);
        if (events[i].data.u64 == WAKE_NAME) {
            found |= WOKEN;
        } else if (events[i].data.u64 == COVERED_NAME) {
            found |= COVERED;
        } else {
            ae__fd_event(driver->fds, events[i].data.u64, events[i].events, wakes);
        }
    }
    return found;
}

static void poll_events(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes)
{
    if (AE_LIKELY(!(collect(driver, deadline_ns, wakes) & COVERED))) return;
    AE_ASSERT(driver->covered);
    if (collect(driver->covered, 0, wakes) & WOKEN) driver->covered_woken = true;
}

bool ae__epoll_cover(struct ae__driver *driver, struct ae__driver *other)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = COVERED_NAME };

    if (driver->epoll < 0) return false;
    if (driver->covered) {
        (void)epoll_ctl(driver->epoll, EPOLL_CTL_DEL, driver->covered->epoll, NULL);
    }
    driver->covered = NULL;
    driver->covered_woken = false;
    if (!other || epoll_ctl(driver->epoll, EPOLL_CTL_ADD, other->epoll, &event) < 0) return !other;
    driver->covered = other;
    return true;
}

bool ae__epoll_cover_woken(struct ae__driver *driver)
{
    bool woken = driver->covered_woken;

    driver->covered_woken = false;
    return woken;
}

void ae__driver_wake(struct ae__driver *driver)
{
    uint64_t one = 1;
    int saved = errno; /* may run in a signal handler */

    atomic_fetch_add_explicit(&driver->wakes, 1, memory_order_relaxed);
    ssize_t n = write(driver->event, &one, sizeof one);
    AE_DEBUG_ASSERT(n == sizeof one);
    (void)n;
    errno = saved;
}

static void flush(struct ae__driver *driver)
{
    (void)driver; /* nothing is gathered */
}

void ae__driver_stats(const struct ae__driver *driver, struct ae__driver_stats *out)
{
    out->driver = driver->uring ? "uring" : "epoll";
    out->polls = atomic_load_explicit(&driver->polls, memory_order_relaxed);
    out->events = atomic_load_explicit(&driver->events, memory_order_relaxed);
    out->syscalls = atomic_load_explicit(&driver->syscalls, memory_order_relaxed) +
                    atomic_load_explicit(&driver->wakes, memory_order_relaxed);
    AE_ASSERT(driver->fds); /* created to the end */
    if (driver == driver->fds->first_driver) {
        out->syscalls += atomic_load_explicit(&driver->fds->other_syscalls, memory_order_relaxed);
    }
}

const struct ae__driver_ops ae__epoll_ops = {
    .name = "epoll",
    .create = create,
    .destroy = destroy,
    .try_op = ae__epoll_try,
    .arm = ae__fd_arm,
    .cancel = ae__fd_cancel,
    .fd_open = ae__fd_open,
    .fd_close = ae__fd_close,
    .flush = flush,
    .poll = poll_events,
    .wake = ae__driver_wake,
    .cover = ae__epoll_cover,
    .cover_woken = ae__epoll_cover_woken,
    .stats = ae__driver_stats,
};
