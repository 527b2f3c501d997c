/* SPDX-License-Identifier: Apache-2.0 */
/* The access log: `2026-11-23T09:41:00Z 127.0.0.1:40312 "GET /a" 200 0.213 ms`.
 *
 * Workers put finished lines into a bounded channel; a job on the blocking pool takes as many as
 * there are and writes them at once. The job is shielded from the end of the runtime and stops when
 * the channel is closed, so the lines of the drain are written too. */
#include "cli.h"

#include <aether/blocking.h>
#include <aether/chan.h>
#include <aether/http.h>
#include <aether/scope.h>
#include <aether/task.h>
#include <aether/time.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_LINES 1024

struct line {
    char text[256];
};

struct access_log {
    ae_chan *lines;
    ae_task *writer;
    atomic_ullong dropped;
};

int access_log_create(struct access_log **out)
{
    struct access_log *log = calloc(1, sizeof *log);

    if (!log) return -ENOMEM;
    log->lines = ae_chan_create(sizeof(struct line), QUEUE_LINES);
    if (!log->lines) {
        free(log);
        return -ENOMEM;
    }
    *out = log;
    return 0;
}

/* The parser lets no control character and no quote into a target or a method, so a line cannot
 * be forged. */
int access_log_middleware(ae_http *h)
{
    struct access_log *log = ae_http_context(h);
    int64_t start = ae_now();
    int rc = ae_http_next(h);
    double ms = (double)(ae_now() - start) / AE_MS;

    struct line line;
    char peer[AE_ADDR_TEXT_MAX] = "-", when[32] = "-";
    ae_addr addr;
    time_t now = time(NULL);
    struct tm tm;

    if (ae_http_peer(h, &addr) == 0) ae_addr_format(&addr, peer, sizeof peer);
    if (gmtime_r(&now, &tm)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(line.text, sizeof line.text, "%s %s \"%s %.120s\" %d %.3f ms", when, peer,
             ae_http_method(h), ae_http_target(h), ae_http_status_sent(h), ms);
    if (ae_try_send(log->lines, &line) < 0) atomic_fetch_add(&log->dropped, 1);
    return rc;
}

static int write_lines(void *arg)
{
    struct access_log *log = arg;
    struct line line;
    ae_shield shield;

    ae_shield_begin(&shield, -1);
    while (ae_recv(log->lines, &line) == 0) {
        do {
            puts(line.text);
        } while (ae_try_recv(log->lines, &line) == 0);
        fflush(stdout);
    }
    ae_shield_end(&shield);
    unsigned long long dropped = atomic_load(&log->dropped);
    if (dropped) fprintf(stderr, "aether: %llu lines of the log were dropped\n", dropped);
    return 0;
}

int access_log_start(struct access_log *log)
{
    log->writer = ae_spawn_blocking(write_lines, log);
    return log->writer ? 0 : -ENOMEM;
}

void access_log_finish(struct access_log *log)
{
    ae_chan_close(log->lines);
    ae_join(log->writer);
}

void access_log_destroy(struct access_log *log)
{
    if (!log) return;
    ae_chan_destroy(log->lines);
    free(log);
}
