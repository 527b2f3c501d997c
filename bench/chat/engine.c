/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine's streams feel like: how fast one is, the longest gap in a running one while a
 * long prompt arrives, and how soon a cancelled one leaves the compute thread. Drives chat/engine.h
 * as the server does; bench/chat/run.py starts it.
 *
 *   engine SPEC FOLDER MODEL [ROUNDS [THREADS]]      one JSON object per line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <aether/aether.h>
#include <errno.h>

#include "engine.h"

#define WORDS 1500
#define ROUNDS_DEFAULT 5

struct bench {
    struct chat_engine *engine;
    const char *model;
    unsigned rounds;
};

static void check(int rc, const char *what)
{
    if (rc >= 0) return;
    fprintf(stderr, "engine: %s: %s\n", what, chat_engine_error(rc));
    exit(1);
}

static double ms(int64_t ns)
{
    return (double)ns / AE_MS;
}

static struct chat_stream *start(struct bench *b, const char *text, unsigned max_tokens)
{
    struct chat_turn turn = { CHAT_USER, text, strlen(text) };
    struct chat_request request = { .model = b->model, .turns = &turn, .turns_count = 1,
                                    .max_tokens = max_tokens, .sampling = true,
                                    .temperature = 1.5F, .top_p = 1, .seed = 7 };
    struct chat_stream *stream;
    check(chat_stream_start(b->engine, &request, &stream), "start");
    return stream;
}

/* A text of so many words that no earlier one begins with. */
static const char *words(unsigned count)
{
    static const char *const some[] = { "river", "stone", "cloud", "letter", "engine", "garden",
                                        "window", "market", "winter", "signal", "harbour" };
    static char text[16384];
    static unsigned serial;
    int at = snprintf(text, sizeof(text), "Text %u. Say what it is about.", ++serial);
    for (unsigned i = 0; i < count; i++) {
        unsigned word = (i * 7 + i * i % 13 + serial) % 11;
        at += snprintf(text + at, sizeof(text) - (size_t)at, " %s", some[word]);
    }
    return text;
}

static struct chat_result read_all(struct chat_stream *stream)
{
    char buf[1024];
    struct chat_result result;
    ssize_t got;
    while ((got = chat_stream_next(stream, buf, sizeof(buf))) > 0) {
    }
    check((int)got, "next");
    chat_stream_result(stream, &result);
    chat_stream_free(stream);
    return result;
}

/* ---- how fast ---- */

static void speed(struct bench *b)
{
    for (unsigned round = 0; round < b->rounds; round++) {
        struct chat_result r = read_all(start(b, words(100), 128));
        printf("{\"bench\": \"speed\", \"prompt_tokens\": %u, \"prompt_per_s\": %.0f, "
               "\"tokens\": %u, \"tokens_per_s\": %.0f, \"queued_ms\": %.1f}\n",
               r.prompt_tokens, r.prompt_tokens / (ms(r.prompt_ns) / 1000), r.completion_tokens,
               r.completion_tokens / (ms(r.answer_ns) / 1000), ms(r.queued_ns));
    }
}

/* ---- gaps ---- */

struct longest {
    int64_t ns, cpu_ns;
};

struct gaps {
    struct chat_stream *stream;
    _Atomic(bool) arriving; /* the long prompt is being read */
    struct longest quiet, busy; /* before it, and meanwhile */
    _Atomic(unsigned) tokens;
    ae_event warm;
};

/* CPU time of the whole process: a gap in it is about what it were on a machine with nothing else
 * to do, whatever else this one does. */
static int64_t cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * AE_SEC + t.tv_nsec;
}

static int reader_main(void *arg)
{
    struct gaps *g = arg;
    char buf[256];
    ssize_t got;
    int64_t last = ae_now(), last_cpu = cpu_now();
    while ((got = chat_stream_next(g->stream, buf, sizeof(buf))) > 0) {
        int64_t now = ae_now(), cpu = cpu_now();
        struct longest *longest = g->arriving ? &g->busy : &g->quiet;
        if (g->tokens > 0 && now - last > longest->ns) longest->ns = now - last;
        if (g->tokens > 0 && cpu - last_cpu > longest->cpu_ns) longest->cpu_ns = cpu - last_cpu;
        last = now;
        last_cpu = cpu;
        if (++g->tokens == 20) ae_event_set(&g->warm);
    }
    return (int)got;
}

static void gap(struct bench *b)
{
    for (unsigned round = 0; round < b->rounds; round++) {
        struct gaps g = { .stream = start(b, words(20), 4000) };
        ae_task *reader = ae_spawn(reader_main, &g);
        check(ae_event_wait(&g.warm), "wait");
        int64_t begin = ae_now();
        g.arriving = true;
        unsigned before = g.tokens;
        struct chat_stream *late = start(b, words(WORDS), 1);
        struct chat_result r = read_all(late);
        unsigned meanwhile = g.tokens - before;
        chat_stream_cancel(g.stream);
        check(ae_join(reader), "join");
        chat_stream_free(g.stream);
        printf("{\"bench\": \"gap\", \"prompt_tokens\": %u, \"longest_ms\": %.1f, "
               "\"longest_cpu_ms\": %.1f, \"longest_before_ms\": %.1f, "
               "\"tokens_meanwhile\": %u, \"first_token_of_the_late_s\": %.2f}\n",
               r.prompt_tokens, ms(g.busy.ns), ms(g.busy.cpu_ns), ms(g.quiet.ns), meanwhile,
               ms(ae_now() - begin) / 1000);
    }
}

/* ---- cancelling ---- */

/* From the cancel to the end of the stream, which comes when the compute thread has left it. */
static double cancel_ms(struct chat_stream *stream)
{
    int64_t begin = ae_now();
    chat_stream_cancel(stream);
    struct chat_result r = read_all(stream);
    if (r.end != CHAT_CANCELLED) check(-EINVAL, "it had ended before");
    return ms(ae_now() - begin);
}

static void wait_until(struct chat_stream *stream, unsigned prompt_done, unsigned tokens)
{
    struct chat_result r = { 0 };
    while (r.prompt_done < prompt_done || r.completion_tokens < tokens) {
        check(r.end == CHAT_RUNNING ? ae_sleep(AE_MS) : -EINVAL, "it ended too soon");
        chat_stream_result(stream, &r);
    }
}

static void report_cancel(const char *name, double longest, double sum, unsigned count)
{
    printf("{\"bench\": \"%s\", \"longest_ms\": %.1f, \"mean_ms\": %.1f, \"count\": %u}\n", name,
           longest, sum / count, count);
}

static void cancel(struct bench *b)
{
    double longest[2] = { 0 }, sum[2] = { 0 };
    unsigned count = b->rounds * 4;
    for (unsigned i = 0; i < count; i++) {
        struct chat_stream *stream = start(b, words(20), 4000);
        wait_until(stream, 0, 3 + i % 5);
        double decode = cancel_ms(stream);
        stream = start(b, words(WORDS), 10);
        wait_until(stream, 1 + i * 40, 0);
        check(ae_sleep((int64_t)(i * 13 % 40) * AE_MS), "sleep"); /* anywhere in a chunk */
        double prompt = cancel_ms(stream);
        longest[0] = decode > longest[0] ? decode : longest[0];
        longest[1] = prompt > longest[1] ? prompt : longest[1];
        sum[0] += decode;
        sum[1] += prompt;
    }
    report_cancel("cancel-answer", longest[0], sum[0], count);
    report_cancel("cancel-prompt", longest[1], sum[1], count);
}

static int bench_main(void *arg)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    speed(arg);
    gap(arg);
    cancel(arg);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fputs("usage: engine SPEC FOLDER MODEL [ROUNDS [THREADS]]\n", stderr);
        return 2;
    }
    struct bench b = { .model = argv[3], .rounds = ROUNDS_DEFAULT };
    if (argc > 4) b.rounds = (unsigned)strtoul(argv[4], NULL, 10);
    struct chat_engine_config config = { .spec = argv[1], .models_folder = argv[2] };
    if (argc > 5) config.threads = (unsigned)strtoul(argv[5], NULL, 10);
    check(chat_engine_create(&config, &b.engine), "create");
    int rc = ae_run(NULL, bench_main, &b);
    chat_engine_destroy(b.engine);
    return rc < 0;
}
