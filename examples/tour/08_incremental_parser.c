/* SPDX-License-Identifier: Apache-2.0 */
/* Tour 8: a long computation that gives way after each 1,024 bytes.
 *
 * One worker, two tasks: the parser and one that only counts its turns. The output says whether
 * the other task ran between every two chunks. */
#include <aether/aether.h>

#include <ctype.h>
#include <stdio.h>

#define CHUNK_BYTES 1024

struct parse {
    char data[100 * 1000];
    size_t lines, words, chunks;
    bool in_word; /* a word may go on in the next chunk */
    bool done;
    size_t other_turns, starved;
};

/* [incremental-parser] */
static void parse_chunk(struct parse *p, const char *chunk, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool space = isspace((unsigned char)chunk[i]);
        p->lines += chunk[i] == '\n';
        p->words += !space && !p->in_word;
        p->in_word = !space;
    }
    p->chunks++;
}

static int incremental_parser(void *arg)
{
    struct parse *p = arg;

    for (size_t at = 0; at < sizeof p->data; at += CHUNK_BYTES) {
        size_t left = sizeof p->data - at, turns = p->other_turns;
        parse_chunk(p, p->data + at, left < CHUNK_BYTES ? left : CHUNK_BYTES);
        ae_yield(); /* let other tasks run */
        p->starved += p->other_turns == turns;
    }
    p->done = true;
    return 0;
}
/* [end] */
static int other_task(void *arg)
{
    struct parse *p = arg;

    while (!p->done) {
        p->other_turns++;
        ae_yield();
    }
    return 0;
}

static int app(void *arg)
{
    struct parse *p = arg;
    static const char text[] = "so much depends upon\na red wheel barrow\n";
    for (size_t i = 0; i < sizeof p->data; i++) {
        p->data[i] = text[i % (sizeof text - 1)];
    }

    ae_task *parser = ae_spawn(incremental_parser, p), *other = ae_spawn(other_task, p);
    int rc = ae_join(parser), rc_other = ae_join(other);
    printf("%zu chunks, %zu lines, %zu words; the other task missed %zu turns\n", p->chunks,
           p->lines, p->words, p->starved);
    return rc < 0 ? rc : rc_other;
}

int main(void)
{
    static struct parse parse;
    ae_config config = { AE_CONFIG, .workers = 1 };
    int rc = ae_run(&config, app, &parse);
    if (rc < 0) fprintf(stderr, "parser: %s\n", ae_strerror(rc));
    return rc < 0;
}
