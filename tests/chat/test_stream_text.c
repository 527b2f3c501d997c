/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/stream_text.c. What readers may see: whole characters, nothing of a stop string, all
 * of the rest, however the bytes were cut. */
#include <stdio.h>
#include <unistd.h>

#include "engine_private.h"
#include "test.h"

struct shown {
    char text[8192];
    size_t length;
    bool stopped;
};

static void add_stop(struct text_gate *gate, const char *stop)
{
    snprintf(gate->stops[gate->stops_count++], sizeof(gate->stops[0]), "%s", stop);
}

static void push(struct text_gate *gate, struct shown *shown, const char *bytes, size_t length)
{
    char out[GATE_OUT_MAX];
    size_t count = 0;
    if (chat_gate_push(gate, bytes, length, out, &count)) shown->stopped = true;
    memcpy(shown->text + shown->length, out, count);
    shown->length += count;
}

static void flush(struct text_gate *gate, struct shown *shown)
{
    char out[GATE_OUT_MAX];
    size_t count = chat_gate_flush(gate, out);
    memcpy(shown->text + shown->length, out, count);
    shown->length += count;
    shown->text[shown->length] = '\0';
}

/* In pieces of `each` bytes. */
static void push_all(struct text_gate *gate, struct shown *shown, const char *text, size_t each)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < length && !shown->stopped; at += each) {
        push(gate, shown, text + at, length - at < each ? length - at : each);
    }
    flush(gate, shown);
}

static bool ends_whole(const struct shown *shown)
{
    size_t at = shown->length;
    while (at > 0 && (shown->text[at - 1] & 0xc0) == 0x80) {
        at--;
    }
    if (at == 0) return shown->length == 0;
    unsigned char lead = (unsigned char)shown->text[at - 1];
    size_t needs = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    return shown->length - (at - 1) == needs;
}

TEST(characters_that_tokens_cut_through_are_shown_whole)
{
    const char *text = "a\xc2\xb5" "b\xe2\x80\x94" "c\xf0\x9f\xa6\x80" "d\xe2\x9d\x8c";
    for (size_t each = 1; each <= 5; each++) {
        struct text_gate gate = { .length = 0 };
        struct shown shown = { .length = 0 };
        for (size_t at = 0; at < strlen(text); at += each) {
            size_t left = strlen(text) - at;
            push(&gate, &shown, text + at, left < each ? left : each);
            EXPECT_TRUE(ends_whole(&shown));
        }
        flush(&gate, &shown);
        EXPECT_STREQ(shown.text, text);
    }
}

TEST(bytes_that_are_no_character_become_the_replacement_character)
{
    static const struct {
        const char *bytes, *shown;
    } cases[] = {
        { "a\xff" "b", "a\xef\xbf\xbd" "b" },
        { "\x80", "\xef\xbf\xbd" },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },             /* overlong */
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "x\xe2\x80", "x\xef\xbf\xbd\xef\xbf\xbd" },           /* cut off at the end */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text_gate gate = { .length = 0 };
        struct shown shown = { .length = 0 };
        push_all(&gate, &shown, cases[i].bytes, 1);
        EXPECT_STREQ(shown.text, cases[i].shown);
    }
}

TEST(a_stop_string_ends_the_text_before_it_however_it_is_cut)
{
    for (size_t each = 1; each <= 12; each++) {
        struct text_gate gate = { .length = 0 };
        struct shown shown = { .length = 0 };
        add_stop(&gate, "END");
        add_stop(&gate, "\n\nUser:");
        push_all(&gate, &shown, "an EN E\n\nUse then\n\nUser: more END", each);
        EXPECT_TRUE(shown.stopped);
        EXPECT_STREQ(shown.text, "an EN E\n\nUse then");
    }
}

TEST(what_may_become_a_stop_is_held_back_and_shown_when_it_does_not)
{
    struct text_gate gate = { .length = 0 };
    struct shown shown = { .length = 0 };
    add_stop(&gate, "STOP");
    push(&gate, &shown, "now ST", 6);
    EXPECT_EQ(shown.length, 4);
    push(&gate, &shown, "OMP", 3);
    EXPECT_EQ(shown.length, 9);
    push(&gate, &shown, "STO", 3);
    EXPECT_EQ(shown.length, 9);
    flush(&gate, &shown);
    EXPECT_FALSE(shown.stopped);
    EXPECT_STREQ(shown.text, "now STOMPSTO");
}

TEST(a_pipe_gives_back_every_byte_in_whole_characters)
{
    struct text_pipe pipe = { .wake_fd = -1 };
    REQUIRE(chat_pipe_init(&pipe) == 0);
    const char *unit = "x\xe2\x80\x94" "yz\xf0\x9f\xa6\x80"; /* 10 bytes: cuts fall everywhere */
    size_t units = 3000, unit_length = strlen(unit), total = 0, bad = 0;
    for (size_t i = 0; i < units; i++) {
        REQUIRE(chat_pipe_write(&pipe, unit, unit_length) == 0);
    }
    char buf[8];
    for (size_t got; (got = chat_pipe_take(&pipe, buf, 4 + total % 5)) > 0; total += got) {
        for (size_t i = 0; i < got; i++) {
            bad += buf[i] != unit[(total + i) % unit_length];
        }
        bad += (buf[0] & 0xc0) == 0x80;
    }
    EXPECT_EQ(bad, 0);
    EXPECT_EQ(total, units * unit_length);
    chat_pipe_finish(&pipe);
}
