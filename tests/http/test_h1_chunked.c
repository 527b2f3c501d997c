/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked decoder against its corpus, whole, cut in two at every place, and byte by byte. */
#include "../../http/h1.h"

#include "test.h"

#include <stdio.h>

static const struct h1_limits limits = { 8192, 32768, 100, 64, 64 };

struct body_case {
    int status; /* of a refusal; 0: unfinished; 1: complete */
    const char *wire;
    size_t size;
    const char *decoded;
    size_t decoded_size;
    size_t left;
    const char *source;
};

#define BODY(wire, decoded, left, source)                                                          \
    { 1, wire, sizeof(wire) - 1, decoded, sizeof(decoded) - 1, left, source },
#define REFUSED(status, wire, source) { -status, wire, sizeof(wire) - 1, "", 0, 0, source },
#define UNFINISHED(wire, source) { 0, wire, sizeof(wire) - 1, "", 0, 0, source },
static const struct body_case cases[] = {
#include "corpus/chunked.def"
};

struct result {
    int rc;
    size_t used, size;
    char data[256];
};

/* Feed one piece until it is used up or the decoder has an answer. */
static void feed(struct h1_chunked *c, struct result *r, const char *in, size_t size)
{
    size_t at = 0;

    while (r->rc == 0 && at < size) {
        size_t used, data;

        r->rc = ae__h1_chunked_next(c, &limits, in + at, size - at, &used, &data);
        REQUIRE(used <= size - at && data <= used && r->size + data <= sizeof(r->data));
        memcpy(r->data + r->size, in + at + used - data, data);
        r->size += data;
        at += used;
    }
    r->used += at;
}

static void check(const struct body_case *c, const struct result *r, size_t cut)
{
    bool good = r->rc == c->status;

    if (good && r->rc == 1)
        good = r->used == c->size - c->left && r->size == c->decoded_size &&
               memcmp(r->data, c->decoded, r->size) == 0;
    if (!good)
        test_fail(__FILE__, __LINE__, "%d, %zu used, %zu decoded, cut at %zu: %s: %s", r->rc,
                  r->used, r->size, cut, c->source, c->wire);
}

TEST(each_body_of_the_corpus_gets_its_answer_at_every_cut)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct body_case *c = &cases[i];

        for (size_t cut = 0; cut <= c->size; cut++) {
            struct h1_chunked decoder = { 0 };
            struct result r = { 0 };

            feed(&decoder, &r, c->wire, cut);
            if (r.rc == 0) feed(&decoder, &r, c->wire + cut, c->size - cut);
            check(c, &r, cut);
        }
    }
}

TEST(a_byte_at_a_time_gives_the_same)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct body_case *c = &cases[i];
        struct h1_chunked decoder = { 0 };
        struct result r = { 0 };

        for (size_t at = 0; at < c->size && r.rc == 0; at++)
            feed(&decoder, &r, c->wire + at, 1);
        check(c, &r, 1);
    }
}

TEST(a_refusal_names_its_reason)
{
    struct h1_chunked decoder = { 0 };
    struct result r = { 0 };

    feed(&decoder, &r, "zz\r\n", 4);
    EXPECT_EQ(r.rc, -400);
    EXPECT_STREQ(decoder.reason, "malformed chunk size");
}
