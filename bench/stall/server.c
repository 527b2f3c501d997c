/* SPDX-License-Identifier: Apache-2.0 */
/* The server that the stall benchmark asks: `stall_server ADDRESS MODE COUNT`. /plaintext at once,
 * while COUNT loops compute for 200 ms, pause for 5 ms, and begin again:
 *
 *   inline    tasks that never yield meanwhile, as a mistake would have it
 *   blocking  the same tasks, the computing done by ae_blocking
 *   os        plain threads, apart from the runtime: what the machine itself costs */
#include <aether/blocking.h>
#include <aether/http.h>
#include <aether/run.h>
#include <aether/task.h>
#include <aether/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMPUTE_NS (200 * AE_MS)
#define PAUSE_NS   (5 * AE_MS)
#define COUNT_MAX  16

struct stall {
    ae_http_server *server;
    const char *address;
    int count;
    ae_fn *loop;
};

static int plaintext(ae_http *h)
{
    return ae_http_respond(h, 200, "text/plain", "Hello, World!", 13);
}

static volatile unsigned long long result; /* so that the loop is not left out */

static int compute(void *arg)
{
    unsigned long long x = 1;

    (void)arg;
    for (int64_t end_ns = ae_now() + COMPUTE_NS; ae_now() < end_ns;) {
        for (int i = 0; i < 10000; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
        }
    }
    result = x;
    return 0;
}

static int loop_inline(void *arg)
{
    int rc = 0;

    while (rc == 0) {
        compute(arg);
        rc = ae_sleep(PAUSE_NS);
    }
    return 0;
}

static int loop_blocking(void *arg)
{
    int rc = 0;

    while (rc == 0) {
        rc = ae_blocking(compute, arg);
        if (rc == 0) rc = ae_sleep(PAUSE_NS);
    }
    return 0;
}

static void *loop_os(void *arg)
{
    const struct timespec pause = { .tv_nsec = PAUSE_NS };

    for (;;) {
        compute(arg);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static int start_threads(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, loop_os, NULL)) return -1;
        pthread_detach(thread);
    }
    return 0;
}

static int serve(void *arg)
{
    const struct stall *s = arg;
    int rc = ae_http_listen(s->server, s->address);

    if (!s->loop && rc == 0) rc = start_threads(s->count);
    for (int i = 0; i < s->count && s->loop && rc == 0; i++) {
        rc = ae_go(s->loop, NULL);
    }
    return rc < 0 ? rc : ae_http_serve(s->server);
}

static bool take_mode(struct stall *s, const char *mode)
{
    if (strcmp(mode, "inline") == 0) s->loop = loop_inline;
    if (strcmp(mode, "blocking") == 0) s->loop = loop_blocking;
    return s->loop || strcmp(mode, "os") == 0;
}

int main(int argc, char **argv)
{
    struct stall s = { .count = argc == 4 ? atoi(argv[3]) : -1 };

    if (s.count < 0 || s.count > COUNT_MAX || !take_mode(&s, argv[2])) {
        fputs("usage: stall_server ADDRESS inline|blocking|os COUNT\n", stderr);
        return 2;
    }
    s.address = argv[1];
    if (ae_http_server_create(NULL, &s.server) < 0) return 1;
    ae_http_route(s.server, "GET /plaintext", plaintext, NULL);
    int rc = ae_run(NULL, serve, &s);
    ae_http_server_destroy(s.server);
    return rc < 0;
}
