/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a simulation: the epoll driver's objects and attempts over simulated sockets. What
 * an epoll is to a kernel is a port here: sockets that had an edge since they were last asked, and
 * the thread that waits for one. */
#include "driver/sim.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/assert.h"
#include "base/mem.h"
#include "driver/sim_net.h"
#include "sched/sched.h"

struct ae__sim_port {
    struct ae__driver *driver;
    struct ae__sim_socket **edges; /* each once */
    uint32_t count, room;
    bool woken;                    /* a latch, as an eventfd is */
    bool waits;
};

/* ---- create and destroy ---- */

static void note_runtime(struct ae_runtime *rt)
{
    struct ae__sim_runtime *place = ae__mem_zalloc(sizeof *place);

    if (!place) return; /* it will be missing in a report */
    place->rt = rt;
    place->next = ae__sim_here()->runtimes;
    ae__sim_here()->runtimes = place;
}

static void forget_runtime(struct ae__fds *fds)
{
    struct ae__sim_runtime **at = &ae__sim_here()->runtimes;

    while (*at && ae__runtime_io((*at)->rt) != fds) {
        at = &(*at)->next;
    }
    struct ae__sim_runtime *place = *at;
    if (!place) return;
    *at = place->next;
    ae__mem_free(place);
}

static void destroy(struct ae__driver *driver)
{
    if (!driver) return;
    ae__sim_forget_watcher(driver);
    if (driver->sim) ae__mem_free(driver->sim->edges);
    if (driver->fds && driver == driver->fds->first_driver) forget_runtime(driver->fds);
    ae__mem_free(driver->sim);
    ae__driver_leave(driver);
}

static int create(struct ae_runtime *rt, unsigned slot, struct ae__driver **out)
{
    struct ae__driver *driver = ae__mem_aligned(AE_CACHE_LINE, sizeof *driver);

    if (!driver) return -ENOMEM;
    driver->epoll = driver->event = -1;
    driver->sim = ae__mem_zalloc(sizeof *driver->sim);
    if (driver->sim) driver->fds = ae__driver_join(rt, driver);
    if (!driver->fds) {
        destroy(driver);
        return -ENOMEM;
    }
    driver->sim->driver = driver;
    if (slot == 0) note_runtime(rt);
    *out = driver;
    return 0;
}

/* ---- edges ---- */

static void grow(struct ae__sim_port *port)
{
    uint32_t room = port->room ? 2 * port->room : 16;
    struct ae__sim_socket **edges = ae__mem_alloc(room * sizeof(struct ae__sim_socket *));

    if (!edges) ae__fatal("no memory for the simulation's sockets");
    for (uint32_t i = 0; i < port->count; i++) {
        edges[i] = port->edges[i];
    }
    ae__mem_free(port->edges);
    port->edges = edges;
    port->room = room;
}

void ae__sim_port_push(struct ae__sim_port *port, struct ae__sim_socket *socket)
{
    if (port->count == port->room) grow(port);
    port->edges[port->count++] = socket;
    if (port->waits) ae__sim_wake(port, 1);
}

void ae__sim_port_drop(struct ae__sim_port *port, struct ae__sim_socket *socket)
{
    for (uint32_t i = 0; i < port->count; i++) {
        if (port->edges[i] == socket) port->edges[i--] = port->edges[--port->count];
    }
}

/* In any order: the kernel promises none. */
static void collect(struct ae__sim_port *port, struct ae__wakes *wakes)
{
    struct ae__driver *driver = port->driver;

    while (port->count > 0) {
        uint32_t i = ae__sim_below(AE__SIM_NETWORK, port->count);
        struct ae__sim_socket *socket = port->edges[i];
        port->edges[i] = port->edges[--port->count];
        uint64_t name;
        uint32_t events = ae__sim_harvest(socket, &name);
        if (events == 0) continue; /* gone already, as epoll finds, too */
        ae__count(&driver->events, 1);
        ae__fd_event(driver->fds, name, events, wakes);
    }
}

static void poll_port(struct ae__driver *driver, int64_t deadline_ns, struct ae__wakes *wakes)
{
    struct ae__sim_port *port = driver->sim;

    AE_ASSERT(deadline_ns >= 0);
    AE_ASSERT(!port->waits);
    ae__count(&driver->polls, 1);
    if (deadline_ns <= AE__POLL_PEEK) {
        ae__sim_pass();
    } else if (port->count == 0 && !port->woken && deadline_ns > ae__sim->now_ns) {
        port->waits = true;
        ae__sim_wait(port, deadline_ns);
        port->waits = false;
    }
    port->woken = false;
    collect(port, wakes);
}

static void wake(struct ae__driver *driver)
{
    struct ae__sim_port *port = driver->sim;

    port->woken = true;
    if (port->waits) ae__sim_wake(port, 1);
}

static void flush(struct ae__driver *driver)
{
    (void)driver; /* nothing is gathered */
}

static void stats(const struct ae__driver *driver, struct ae__driver_stats *out)
{
    ae__driver_stats(driver, out);
    out->driver = "sim";
}

/* ---- reports ---- */

void ae__sim_runtimes_name(void)
{
    for (ae_sim_node *node = ae__sim->nodes; node; node = node->next) {
        for (struct ae__sim_runtime *place = node->runtimes; place; place = place->next) {
            ae__runtime_name_tasks(place->rt);
        }
    }
}

const struct ae__driver_ops ae__sim_ops = {
    .name = "sim",
    .create = create,
    .destroy = destroy,
    .try_op = ae__epoll_try,
    .arm = ae__fd_arm,
    .cancel = ae__fd_cancel,
    .fd_open = ae__fd_open,
    .fd_close = ae__fd_close,
    .flush = flush,
    .poll = poll_port,
    .wake = wake,
    .stats = stats,
};
