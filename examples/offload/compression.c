/* SPDX-License-Identifier: Apache-2.0 */
/* A server that compresses a mebibyte: /inline on its worker, /offloaded on the blocking pool. */
#include <aether/aether.h>
#include <aether/http.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { TEXT_BYTES = 1 << 20, LEVEL = 9 };

static char text[TEXT_BYTES];

struct packed {
    void *bytes;
    size_t room, size;
};

/* [work] */
static int compress_text(void *arg)
{
    struct packed *p = arg;
    size_t size = ZSTD_compress(p->bytes, p->room, text, sizeof(text), LEVEL);

    if (ZSTD_isError(size)) return -ENOMEM;
    p->size = size;
    return 0;
}

static int compress(struct packed *p, bool in_place)
{
    if (in_place) return compress_text(p); /* the worker is ours until it is done */
    return ae_blocking(compress_text, p);  /* this task waits, its worker does not */
}
/* [end] */

static int answer(ae_http *h)
{
    struct packed p = { .room = ZSTD_compressBound(sizeof(text)) };
    bool in_place = strcmp(ae_http_path(h), "/inline") == 0;

    p.bytes = malloc(p.room);
    if (!p.bytes) return -ENOMEM;
    int rc = compress(&p, in_place);
    if (rc == 0) rc = ae_http_respond(h, 200, "application/zstd", p.bytes, p.size);
    free(p.bytes);
    return rc;
}

static int plaintext(ae_http *h)
{
    return ae_http_text(h, 200, "Hello, World!");
}

/* Words in an order that looks like chance, and is the same each time. */
static void write_text(void)
{
    static const char *const words[] = { "river ", "stone ", "cloud ", "letter ", "engine ",
                                         "garden ", "window ", "market ", "winter ", "signal\n" };
    unsigned x = 1;

    for (size_t at = 0; at < sizeof(text);) {
        x = x * 1103515245 + 12345;
        for (const char *c = words[(x >> 16) % 10]; *c && at < sizeof(text);) text[at++] = *c++;
    }
}

int main(int argc, char **argv)
{
    ae_http_server *server;

    write_text();
    if (ae_http_server_create(NULL, &server) < 0) return 1;
    ae_http_route(server, "GET /plaintext", plaintext, NULL);
    ae_http_route(server, "GET /inline", answer, NULL);
    ae_http_route(server, "GET /offloaded", answer, NULL);
    return ae_http_run(server, argc > 1 ? argv[1] : "127.0.0.1:8080") < 0;
}
