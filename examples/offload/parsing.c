/* SPDX-License-Identifier: Apache-2.0 */
/* A server that parses 5 MiB of JSON: /inline in one go, /offloaded with checkpoints, in place.
 *
 * The parser is a library that knows nothing of tasks. It asks for its input piece by piece, and
 * the function it asks gives way to other tasks: in the midst of the library's own calls, which
 * stay on this task's stack meanwhile. */
#include <aether/aether.h>
#include <aether/http.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 5 << 20, ITEM_BYTES_MAX = 80 };
static char text[TEXT_BYTES];
static size_t text_bytes;
struct input {
    size_t at;
    bool polite;
};

/* [work] */
static size_t next_piece(void *buf, size_t room, void *arg)
{
    struct input *in = arg;
    size_t left = text_bytes - in->at, n = left < room ? left : room;
    if (in->polite && ae_checkpoint() < 0) return (size_t)-1; /* cancelled: the parser gives up */
    memcpy(buf, text + in->at, n);
    in->at += n;
    return n;
}

static int count_items(struct input *in, size_t *count)
{
    json_t *items = json_load_callback(next_piece, in, 0, NULL);
    if (!items) return ae_cancelled() ? -ECANCELED : -EBADMSG;
    *count = json_array_size(items);
    for (size_t left = *count; left > 0; left--) { /* to free all at once takes long, too */
        if (in->polite && left % 64 == 0 && ae_checkpoint() < 0) break;
        json_array_remove(items, left - 1);
    }
    json_decref(items);
    return 0;
}
/* [end] */

static int answer(ae_http *h)
{
    struct input in = { .polite = strcmp(ae_http_path(h), "/offloaded") == 0 };
    size_t count = 0;
    int rc = count_items(&in, &count);
    return rc < 0 ? rc : ae_http_printf(h, 200, "text/plain", "%zu items\n", count);
}

static int plaintext(ae_http *h)
{
    return ae_http_text(h, 200, "Hello, World!");
}

static void write_text(void)
{
    for (int i = 0; text_bytes < TEXT_BYTES - ITEM_BYTES_MAX; i++) {
        text_bytes += (size_t)snprintf(text + text_bytes, ITEM_BYTES_MAX,
                                       "%c{\"id\":%d,\"name\":\"item %d\",\"tags\":[\"a\",1.5]}",
                                       i ? ',' : '[', i, i);
    }
    text[text_bytes++] = ']';
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
