/* SPDX-License-Identifier: Apache-2.0 */
/* The request head parser against its corpus, whole and at every cut, and its limits. */
#include "../../http/h1.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

static const struct h1_limits limits = { 8192, 32768, 100, 8192, 4096 };

struct head_case {
    int expected; /* a refusal's status, 0 or 200 */
    const char *wire;
    size_t size;
    unsigned minor;
    enum h1_framing framing;
    uint64_t length;
    bool keep_alive;
    const char *source;
};

#define CASE(status, bytes, source) { status, bytes, sizeof(bytes) - 1, 0, 0, 0, false, source },
#define ACCEPT(bytes, minor, framing, length, keep, source)                                        \
    { 200, bytes, sizeof(bytes) - 1, minor, framing, length, keep, source },
static const struct head_case cases[] = {
#include "corpus/heads.def"
};

/* In a block of its own size, so that a sanitizer sees each byte read too far. */
static ssize_t parse(struct h1_head *head, const char *bytes, size_t size)
{
    char *copy = malloc(size ? size : 1);
    ssize_t rc;

    REQUIRE(copy);
    memcpy(copy, bytes, size);
    rc = ae__h1_head_parse(head, &limits, copy, size);
    free(copy);
    return rc;
}

static ssize_t wanted(const struct head_case *c)
{
    if (c->expected == 200) return (ssize_t)c->size;
    return -c->expected;
}

TEST(each_head_of_the_corpus_gets_its_answer)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct head_case *c = &cases[i];
        struct h1_head head;
        ssize_t rc = parse(&head, c->wire, c->size);

        if (rc != wanted(c))
            test_fail(__FILE__, __LINE__, "%zd for: %s: %s", rc, c->source, c->wire);
        if (rc < 0 && !head.reason) test_fail(__FILE__, __LINE__, "no reason for: %s", c->source);
        if (rc <= 0) continue;
        if (head.minor != c->minor || head.framing != c->framing ||
            head.keep_alive != c->keep_alive ||
            (head.framing == H1_LENGTH && head.length != c->length))
            test_fail(__FILE__, __LINE__, "read wrongly: %s: %s", c->source, c->wire);
    }
}

/* A refusal of a prefix is that of the whole, a complete head is complete nowhere before its end,
 * and nothing that follows changes either. */
TEST(a_cut_changes_no_answer)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct head_case *c = &cases[i];

        for (size_t cut = 0; cut < c->size; cut++) {
            struct h1_head head;
            ssize_t rc = parse(&head, c->wire, cut);

            if (rc != 0 && (c->expected == 200 || rc != wanted(c)))
                test_fail(__FILE__, __LINE__, "%zd after %zu bytes: %s", rc, cut, c->source);
        }
    }
}

TEST(what_follows_a_head_is_not_touched)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct head_case *c = &cases[i];
        char *more = malloc(c->size + 4);
        struct h1_head head;

        REQUIRE(more);
        if (c->expected != 0) {
            memcpy(more, c->wire, c->size);
            memcpy(more + c->size, "\0\n\r\n", 4);
            EXPECT_EQ(ae__h1_head_parse(&head, &limits, more, c->size + 4), wanted(c));
        }
        free(more);
    }
}

static bool is(const char *buf, struct h1_span s, const char *text)
{
    return s.length == strlen(text) && memcmp(buf + s.at, text, s.length) == 0;
}

TEST(the_parts_of_a_head_are_found)
{
    static const char wire[] = "POST /a/b?c=d?e HTTP/1.1\r\nHost:\tx:80 \r\nAccept: */*\r\n"
                               "Content-Length: 3\r\n\r\nxyz";
    struct h1_head head;

    REQUIRE(ae__h1_head_parse(&head, &limits, wire, sizeof(wire) - 1) == sizeof(wire) - 4);
    EXPECT_TRUE(is(wire, head.method, "POST"));
    EXPECT_TRUE(is(wire, head.target, "/a/b?c=d?e"));
    EXPECT_TRUE(is(wire, head.path, "/a/b"));
    EXPECT_TRUE(is(wire, head.query, "c=d?e"));
    EXPECT_TRUE(is(wire, head.host, "x:80"));
    EXPECT_EQ(head.form, H1_ORIGIN);
    REQUIRE(head.field_count == 3);
    EXPECT_TRUE(is(wire, head.fields[1].name, "Accept"));
    EXPECT_TRUE(is(wire, head.fields[1].value, "*/*"));
    EXPECT_EQ(head.length, 3);
}

TEST(the_host_of_an_absolute_target_is_found)
{
    static const char wire[] = "GET http://a.example:81?q HTTP/1.1\r\nHost: b\r\n\r\n";
    struct h1_head head;

    REQUIRE(ae__h1_head_parse(&head, &limits, wire, sizeof(wire) - 1) > 0);
    EXPECT_EQ(head.form, H1_ABSOLUTE);
    EXPECT_TRUE(is(wire, head.authority, "a.example:81"));
    EXPECT_EQ(head.path.length, 0);
    EXPECT_TRUE(is(wire, head.query, "q"));
}

TEST(strings_are_terminated_in_place)
{
    char wire[] = "GET /a?b HTTP/1.1\r\nHost: x \r\nEmpty:\r\nA: b\r\n\r\n";
    struct h1_head head;

    REQUIRE(ae__h1_head_parse(&head, &limits, wire, sizeof(wire) - 1) > 0);
    ae__h1_head_terminate(&head, wire);
    EXPECT_STREQ(wire + head.method.at, "GET");
    EXPECT_STREQ(wire + head.path.at, "/a");
    EXPECT_STREQ(wire + head.query.at, "b");
    EXPECT_STREQ(wire + head.fields[0].name.at, "Host");
    EXPECT_STREQ(wire + head.fields[0].value.at, "x");
    EXPECT_STREQ(wire + head.fields[1].name.at, "Empty");
    EXPECT_STREQ(wire + head.fields[1].value.at, "");
    EXPECT_STREQ(wire + head.fields[2].value.at, "b");
}

/* Parse at each length and give the first answer that is not "more". */
static ssize_t first_answer(const struct h1_limits *l, const char *bytes, size_t size)
{
    struct h1_head head;
    ssize_t rc = 0;

    for (size_t n = 0; n <= size && rc == 0; n++)
        rc = ae__h1_head_parse(&head, l, bytes, n);
    return rc;
}

TEST(a_target_at_the_limit_passes_and_one_byte_more_is_414)
{
    struct h1_limits small = { 20, 64, 4, 64, 64 };

    EXPECT_EQ(first_answer(&small, "GET /345678 HTTP/1.0\r\n\r\n", 24), 24);
    EXPECT_EQ(first_answer(&small, "GET /3456789 HTTP/1.0\r\n\r\n", 25), -414);
    EXPECT_EQ(first_answer(&small, "GET /3456789012345678901234567", 30), -414);
    EXPECT_EQ(first_answer(&small, "GET /3456 89 HTTP/1.0  \r\n\r\n", 27), -414);
}

TEST(fields_at_the_limit_pass_and_one_byte_more_is_431)
{
    struct h1_limits small = { 64, 20, 4, 64, 64 };
    static const char fits[] = "GET / HTTP/1.0\r\nA: 4567890123456\r\n\r\n";
    static const char over[] = "GET / HTTP/1.0\r\nA: 45678901234567\r\n\r\n";
    static const char endless[] = "GET / HTTP/1.0\r\nA: 456789012345678901234567890";

    EXPECT_EQ(first_answer(&small, fits, sizeof(fits) - 1), (ssize_t)sizeof(fits) - 1);
    EXPECT_EQ(first_answer(&small, over, sizeof(over) - 1), -431);
    EXPECT_EQ(first_answer(&small, endless, sizeof(endless) - 1), -431);
}

TEST(too_many_fields_are_431)
{
    struct h1_limits small = { 64, 4096, 4, 64, 64 };
    static const char four[] = "GET / HTTP/1.0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n";
    static const char five[] = "GET / HTTP/1.0\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\n\r\n";

    EXPECT_GT(first_answer(&small, four, sizeof(four) - 1), 0);
    EXPECT_EQ(first_answer(&small, five, sizeof(five) - 1), -431);
}

/* One byte that is `c`, at each place of a value of each length. */
static void check_values_with(int c)
{
    bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
    char text[19];

    for (size_t size = 1; size <= sizeof(text); size++) {
        for (size_t place = 0; place < size; place++) {
            memset(text, 'a' + (int)place, sizeof(text));
            if (size < sizeof(text)) text[size] = '\n'; /* behind its end nothing counts */
            text[place] = (char)c;
            if (ae__h1_value_ok(text, size) != good)
                test_fail(__FILE__, __LINE__, "byte %#x at %zu of %zu", (unsigned)c, place, size);
        }
    }
}

TEST(the_word_wise_check_of_values_agrees_with_the_grammar)
{
    for (int c = 0; c < 256; c++)
        check_values_with(c);
    EXPECT_TRUE(ae__h1_value_ok("\xff\xff\xff\xff\xff\xff\xff\xff\x80", 9));
    EXPECT_FALSE(ae__h1_value_ok("\xff\x1f\xff\xff\xff\xff\xff\xff", 8));
}

/* Random damage to good heads: no crash, no answer that a cut changes. */
TEST(damaged_heads_never_depend_on_a_cut)
{
    static const char base[] = "POST /path/x?q=1 HTTP/1.1\r\nHost: example\r\n"
                               "Content-Length: 12\r\nConnection: keep-alive\r\n\r\n";
    static const char alphabet[] = "\r\n \t:;,/\x00\x7f" "aA0-";
    uint32_t seed = 12345;

    for (int round = 0; round < 20000; round++) {
        char wire[sizeof(base)];
        struct h1_head head;
        ssize_t whole, part;
        size_t cut;

        memcpy(wire, base, sizeof(base));
        for (int k = 0; k < 2; k++) {
            seed = seed * 1664525 + 1013904223;
            size_t place = (seed >> 8) % (sizeof(base) - 1);
            wire[place] = alphabet[(seed >> 24) % (sizeof(alphabet) - 1)];
        }
        cut = (seed >> 4) % (sizeof(base) - 1);
        whole = ae__h1_head_parse(&head, &limits, wire, sizeof(base) - 1);
        part = ae__h1_head_parse(&head, &limits, wire, cut);
        EXPECT_TRUE(part == 0 || part == whole);
    }
}
