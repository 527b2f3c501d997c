/* SPDX-License-Identifier: Apache-2.0 */
/* An open-loop HTTP client: requests are due at fixed times whether or not the earlier ones were
 * answered, and a request's latency counts from when it was due. So a server that stalls for 100 ms
 * is charged for every request of those 100 ms, not for one.
 *
 *   open_loop HOST:PORT PATH RATE SECONDS [CONNECTIONS]       one JSON object */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <aether/aether.h>

#define CONNECTIONS_DEFAULT 32
#define CONNECTIONS_MAX 1024
#define ANSWER_BYTES 8192

struct load {
    const char *address;
    char request[512];
    int64_t begin_ns, period_ns; /* of one connection */
    unsigned connections, each;  /* requests a connection */
    int64_t *latencies;
    _Atomic(unsigned) failed;
};

struct connection {
    struct load *load;
    unsigned number;
};

/* Reads one response that has a Content-Length. */
static int read_answer(ae_stream *stream)
{
    char buf[ANSWER_BYTES + 1];
    size_t have = 0, needs = SIZE_MAX;
    while (have < needs) {
        ssize_t got = ae_read(stream, buf + have, ANSWER_BYTES - have);
        if (got <= 0) return got < 0 ? (int)got : -EPIPE;
        have += (size_t)got;
        buf[have] = '\0';
        char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "\r\nContent-Length:");
        if (end && (!length || length > end)) return -EBADMSG;
        if (end) needs = (size_t)(end + 4 - buf) + strtoul(length + 17, NULL, 10);
    }
    return strncmp(buf, "HTTP/1.1 200", 12) == 0 ? 0 : -EBADMSG;
}

static int ask(struct connection *c, ae_stream *stream, unsigned i)
{
    struct load *load = c->load;
    int64_t offset = load->period_ns * c->number / load->connections;
    int64_t due = load->begin_ns + load->period_ns * i + offset;
    int rc = ae_sleep_until(due);
    if (rc < 0) return rc;
    ssize_t sent = ae_write(stream, load->request, strlen(load->request));
    if (sent < 0) return (int)sent;
    rc = read_answer(stream);
    load->latencies[(size_t)c->number * load->each + i] = ae_now() - due;
    return rc;
}

static int connection_main(void *arg)
{
    struct connection *c = arg;
    ae_stream *stream;
    int rc = ae_connect(c->load->address, &stream);
    if (rc < 0) return rc;
    for (unsigned i = 0; i < c->load->each && rc == 0; i++) {
        rc = ask(c, stream, i);
    }
    ae_close(stream);
    if (rc < 0) c->load->failed++;
    return 0;
}

static int load_main(void *arg)
{
    struct load *load = arg;
    static struct connection connections[CONNECTIONS_MAX];
    ae_scope scope;
    int rc = 0;
    ae_scope_begin(&scope);
    load->begin_ns = ae_now() + 100 * AE_MS;
    for (unsigned i = 0; i < load->connections && rc == 0; i++) {
        connections[i] = (struct connection){ load, i };
        rc = ae_go(connection_main, &connections[i]);
    }
    return ae_scope_end(&scope, rc);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static double at(const struct load *load, size_t count, double part)
{
    size_t index = (size_t)((double)count * part);
    return (double)load->latencies[index < count ? index : count - 1] / AE_US;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: open_loop HOST:PORT PATH RATE SECONDS [CONNECTIONS]\n", stderr);
        return 2;
    }
    struct load load = { .address = argv[1], .connections = CONNECTIONS_DEFAULT };
    double rate = strtod(argv[3], NULL), seconds = strtod(argv[4], NULL);
    if (argc > 5) load.connections = (unsigned)strtoul(argv[5], NULL, 10);
    if (rate < 1 || load.connections < 1 || load.connections > CONNECTIONS_MAX) return 2;
    snprintf(load.request, sizeof(load.request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[2],
             argv[1]);
    load.period_ns = (int64_t)(load.connections / rate * (double)AE_SEC);
    load.each = (unsigned)(rate * seconds / load.connections) + 1;
    size_t count = (size_t)load.connections * load.each;
    load.latencies = calloc(count, sizeof(*load.latencies));
    ae_config config = { AE_CONFIG, .workers = 1 };
    int rc = load.latencies ? ae_run(&config, load_main, &load) : -ENOMEM;
    if (rc < 0 || load.failed > 0) {
        fprintf(stderr, "open_loop: %u connections failed; %s\n", load.failed, ae_strerror(rc));
        return 1;
    }
    qsort(load.latencies, count, sizeof(*load.latencies), by_value);
    printf("{\"requests\": %zu, \"p50_us\": %.0f, \"p90_us\": %.0f, \"p99_us\": %.0f, "
           "\"p999_us\": %.0f, \"max_us\": %.0f}\n", count, at(&load, count, 0.5),
           at(&load, count, 0.9), at(&load, count, 0.99), at(&load, count, 0.999),
           at(&load, count, 1));
    free(load.latencies);
    return 0;
}
