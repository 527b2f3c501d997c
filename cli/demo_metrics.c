/* SPDX-License-Identifier: Apache-2.0 */
/* The figures that the live page draws: a middleware keeps the histogram of latencies, and each
 * visitor's event stream sends all there is to know as one JSON object, four times a second. */
#include "demo.h"

#include <aether/http.h>
#include <aether/metrics.h>
#include <aether/time.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PERIOD_NS    (250 * AE_MS)
#define WINDOW       8 /* periods: quantiles are over the last two seconds */
#define WATCHERS_MAX 64
#define EVENT_BYTES  1024

static const char EVENTS_PATH[] = "/-/events";

int demo_measure(ae_http *h)
{
    struct demo *demo = ae_http_context(h);
    int64_t start = ae_now();
    int rc = ae_http_next(h);

    /* a stream lasts as long as its visitor stays: that is no latency */
    if (strcmp(ae_http_path(h), EVENTS_PATH) != 0) {
        histogram_add(&demo->latency, ae_now() - start);
    }
    return rc;
}

/* The snapshots of one stream's window; the oldest is overwritten next. */
struct window {
    struct histogram_counts at[WINDOW];
    unsigned next;
};

static int write_event(struct demo *demo, const struct histogram_counts *from,
                       const struct histogram_counts *to, char out[EVENT_BYTES])
{
    ae_metrics m = { .size = sizeof m };
    ae_http_stats s = { .size = sizeof s };
    int64_t up_ns = ae_now() - demo->started_ns;
    int rc = ae_metrics_get(NULL, &m);
    if (rc < 0) return rc;

    ae_http_server_stats(demo->server, &s);
    snprintf(out, EVENT_BYTES,
             "{\"version\":\"%s\",\"driver\":\"%.16s\",\"t\":%" PRId64 ",\"up\":%" PRId64
             ",\"workers\":%" PRIu64 ",\"parked\":%" PRIu64 ",\"live\":%" PRIu64
             ",\"spawned\":%" PRIu64 ",\"slices\":%" PRIu64 ",\"steals\":%" PRIu64
             ",\"stolen\":%" PRIu64 ",\"polls\":%" PRIu64 ",\"events\":%" PRIu64
             ",\"syscalls\":%" PRIu64 ",\"stacks\":%" PRIu64 ",\"cached\":%" PRIu64
             ",\"threads\":%" PRIu64 ",\"idle\":%" PRIu64 ",\"queued\":%" PRIu64
             ",\"jobs\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"requests\":%" PRIu64
             ",\"p50\":%.3f,\"p99\":%.3f}",
             ae_version(), m.driver, up_ns / AE_MS, up_ns / AE_SEC, m.workers, m.workers_parked,
             m.tasks_live, m.tasks_spawned, m.slices, m.steals, m.tasks_stolen, m.io_polls,
             m.io_events, m.io_syscalls, m.stacks_live, m.stacks_cached, m.blocking_threads,
             m.blocking_idle, m.blocking_queued, m.blocking_jobs, s.connections, s.requests,
             histogram_quantile(from, to, 0.5) / 1e3, histogram_quantile(from, to, 0.99) / 1e3);
    return 0;
}

static int send_events(ae_http *h, struct demo *demo, struct window *w, char *event)
{
    ae_interval every;
    int rc = ae_http_sse_open(h);

    for (unsigned i = 0; i < WINDOW; i++) histogram_read(&demo->latency, &w->at[i]);
    ae_interval_init(&every, PERIOD_NS, AE_MISSED_SKIP);
    while (rc == 0 && !atomic_load(&demo->ending)) {
        struct histogram_counts *newest = &w->at[w->next];
        w->next = (w->next + 1) % WINDOW;
        histogram_read(&demo->latency, newest);
        rc = write_event(demo, &w->at[w->next], newest, event);
        if (rc == 0) rc = ae_http_sse_send(h, NULL, NULL, event);
        if (rc == 0) rc = ae_interval_tick(&every);
    }
    return rc;
}

int demo_events(ae_http *h)
{
    struct demo *demo = ae_http_context(h);
    struct window *window = ae_http_alloc(h, sizeof *window);
    char *event = ae_http_alloc(h, EVENT_BYTES);
    int rc;

    if (!window || !event) return -ENOMEM;
    if (atomic_fetch_add(&demo->watchers, 1) < WATCHERS_MAX) {
        window->next = 0;
        rc = send_events(h, demo, window, event);
    } else {
        rc = ae_http_fail(h, 503, "Too many pages are watching.");
    }
    atomic_fetch_sub(&demo->watchers, 1);
    return rc;
}
