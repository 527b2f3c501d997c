/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/json_write.c chat/requests.c chat/requests_openai.c chat/requests_read.c. What they
 * refuse is mostly in tests/chat/api.py and tests/fuzz/chat_requests.c. */
#include <errno.h>

#include "json.h"
#include "requests.h"
#include "test.h"

TEST(the_writer_sets_commas_and_escapes)
{
    struct json_writer w = { 0 };

    json_open(&w, '{');
    json_member_string(&w, "a:{[", "\"\\\n\x01 \xc3\xa9");
    json_name(&w, "list");
    json_open(&w, '[');
    json_put_int(&w, -1);
    json_put_bool(&w, true);
    json_put_string(&w, NULL);
    json_put_text(&w, "", 0);
    json_close(&w, ']');
    json_member_known(&w, "none", -1);
    json_member_known(&w, "some", 0);
    json_close(&w, '}');
    EXPECT_TRUE(w.error == 0);
    EXPECT_STREQ(w.data, "{\"a:{[\":\"\\\"\\\\\\n\\u0001 \xc3\xa9\",\"list\":[-1,true,null,\"\"],"
                          "\"none\":null,\"some\":0}");
    json_writer_free(&w);
}

static int ask(const char *body, struct request *r, struct ask_request *out)
{
    *r = (struct request){ 0 };
    return request_ask(r, body, strlen(body), out);
}

TEST(a_question_is_decoded_with_its_defaults)
{
    struct request r;
    struct ask_request a;

    REQUIRE(ask("{\"text\":\"caf\\u00e9\",\"unknown\":[1]}", &r, &a) == 0);
    EXPECT_STREQ(a.text, "caf\xc3\xa9");
    EXPECT_EQ(a.length, 5);
    EXPECT_EQ(a.parent, CHAT_SHOWN);
    EXPECT_NULL(a.model);
    request_free(&r);
    REQUIRE(ask("{\"text\":\"x\",\"parent\":0,\"model\":null}", &r, &a) == 0);
    EXPECT_EQ(a.parent, 0);
    request_free(&r);
}

TEST(who_is_refused_is_told_which_member)
{
    static const char *const bad[][2] = {
        { "{}", "text" }, { "{\"text\":[]}", "text" }, { "{\"text\":\"\\t \"}", "text" },
        { "{\"text\":\"x\",\"parent\":\"1\"}", "parent" },
        { "{\"text\":\"x\",\"parent\":9007199254740993}", "parent" },
        { "{\"text\":\"x\",\"model\":\"..\"}", "model" },
    };
    struct request r;
    struct ask_request a;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EXPECT_EQ(ask(bad[i][0], &r, &a), -EINVAL);
        if (EXPECT_NOT_NULL(r.member)) EXPECT_STREQ(r.member, bad[i][1]);
        EXPECT_TRUE(r.why[0] != '\0');
        request_free(&r);
    }
}

TEST(a_completion_keeps_turns_parts_and_stops)
{
    static const char body[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"b\"}]}],\"max_completion_tokens\":7,\"temperature\":0,"
        "\"stop\":\"end\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}";
    struct completion_request c;
    struct request r = { 0 };

    REQUIRE(request_completion(&r, body, sizeof body - 1, &c) == 0);
    EXPECT_EQ(c.engine.turns_count, 2);
    EXPECT_EQ(c.engine.turns[0].role, CHAT_SYSTEM);
    EXPECT_EQ(c.engine.turns[1].length, 2);
    EXPECT_TRUE(memcmp(c.engine.turns[1].text, "ab", 2) == 0);
    EXPECT_EQ(c.engine.max_tokens, 7);
    EXPECT_EQ(c.engine.stops_count, 1);
    EXPECT_STREQ(c.engine.stops[0], "end");
    EXPECT_TRUE(c.engine.sampling && c.engine.temperature < 0.001f);
    EXPECT_TRUE(c.stream && c.usage);
    request_free(&r);
}

TEST(an_import_has_unknowns_where_nothing_was_said)
{
    static const char body[] = "{\"messages\":[{\"role\":\"assistant\",\"text\":\"\"}]}";
    struct import_request import;
    struct request r = { 0 };

    REQUIRE(request_import(&r, body, sizeof body - 1, &import) == 0);
    REQUIRE(import.count == 1);
    EXPECT_NULL(import.title);
    EXPECT_EQ(import.messages[0].tokens, CHAT_UNKNOWN);
    EXPECT_EQ(import.messages[0].duration_ms, CHAT_UNKNOWN);
    EXPECT_EQ(import.messages[0].state, MESSAGE_DONE);
    EXPECT_NULL(import.messages[0].model);
    request_free(&r);
}
