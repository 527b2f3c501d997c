/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked decoder: the same body, the same end and the same refusal, however the bytes come. */
#include "../../http/h1.h"
#include "fuzz.h"

static const struct h1_limits limits = { 512, 1024, 20, 64, 32 };

struct decoded {
    int rc;
    size_t used, body_size;
    char body[4096];
};

static void keep(struct decoded *out, const char *bytes, size_t size)
{
    if (size > sizeof out->body - out->body_size) size = sizeof out->body - out->body_size;
    memcpy(out->body + out->body_size, bytes, size);
    out->body_size += size;
}

static void feed(struct h1_chunked *c, struct decoded *out, const char *bytes, size_t size)
{
    while (out->rc == 0 && size > 0) {
        size_t used = 0, data = 0;
        out->rc = ae__h1_chunked_next(c, &limits, bytes, size, &used, &data);
        CHECK(used <= size && data <= used);
        CHECK(out->rc != 0 || used > 0); /* it gets on */
        if (out->rc >= 0) keep(out, bytes + used - data, data);
        out->used += used;
        bytes += used;
        size -= used;
    }
}

static void decode(const uint8_t *bytes, size_t size, size_t piece, struct decoded *out)
{
    struct h1_chunked c = { 0 };

    memset(out, 0, sizeof *out);
    for (size_t at = 0; at < size && out->rc == 0; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        char *copy = copy_of(bytes + at, n);
        feed(&c, out, copy, n);
        free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoded whole, pieces;

    decode(data, size, size ? size : 1, &whole);
    for (size_t piece = 1; piece < 8; piece += 3) {
        decode(data, size, piece, &pieces);
        CHECK(pieces.rc == whole.rc);
        if (whole.rc < 0) continue;
        CHECK(pieces.used == whole.used && pieces.body_size == whole.body_size);
        CHECK(memcmp(pieces.body, whole.body, whole.body_size) == 0);
    }
    return 0;
}
