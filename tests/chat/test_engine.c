/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/engine.c chat/engine_loaded.c chat/engine_fake.c chat/stream.c. What callers of an
 * engine see, on the fake one; in which order streams are computed is test_engine_sched.c's. */
#include <stdio.h>

#include <aether/aether.h>

#include "engine.h"
#include "test.h"

static int on_runtime(ae_fn *fn, void *arg)
{
    ae_config config = { AE_CONFIG, .workers = 2 };
    return ae_run(&config, fn, arg);
}

static struct chat_engine *engine_of(const char *spec)
{
    struct chat_engine_config config = { .spec = spec };
    struct chat_engine *engine = NULL;
    REQUIRE(chat_engine_create(&config, &engine) == 0);
    return engine;
}

static struct chat_turn turn_of(enum chat_role role, const char *text)
{
    return (struct chat_turn){ role, text, strlen(text) };
}

struct answer {
    char text[40000];
    size_t length;
    struct chat_result result;
};

static int read_all(struct chat_stream *stream, size_t each, struct answer *answer)
{
    ssize_t got;
    char buf[256];
    answer->length = 0;
    while ((got = chat_stream_next(stream, buf, each)) > 0) {
        REQUIRE(answer->length + (size_t)got < sizeof(answer->text));
        memcpy(answer->text + answer->length, buf, (size_t)got);
        answer->length += (size_t)got;
    }
    answer->text[answer->length] = '\0';
    chat_stream_result(stream, &answer->result);
    return (int)got;
}

/* Asks one question and reads the answer. */
static int ask(struct chat_engine *engine, struct chat_request request, const char *question,
               struct answer *answer)
{
    struct chat_turn turn = turn_of(CHAT_USER, question);
    struct chat_stream *stream;
    request.model = "fake";
    request.turns = &turn;
    request.turns_count = 1;
    int rc = chat_stream_start(engine, &request, &stream);
    if (rc < 0) return rc;
    rc = read_all(stream, 16, answer);
    chat_stream_free(stream);
    return rc;
}

static const struct chat_request any;
static struct answer answer;

/* ---- answers ---- */

static int echo_main(void *engine)
{
    const char *text = "tokens cut through \xe2\x80\x94 and \xf0\x9f\xa6\x80, whole again";
    char question[128];
    snprintf(question, sizeof(question), "echo: %s", text);
    EXPECT_EQ(ask(engine, any, question, &answer), 0);
    EXPECT_STREQ(answer.text, text);
    EXPECT_EQ(answer.result.end, CHAT_STOP);
    EXPECT_EQ(answer.result.completion_tokens, (strlen(text) + 2) / 3);
    EXPECT_EQ(answer.result.prompt_tokens, (strlen(question) + 2) / 3 + 2);
    EXPECT_EQ(answer.result.prompt_done, answer.result.prompt_tokens);
    EXPECT_EQ(chat_engine_count(engine, "fake", text, strlen(text)), (strlen(text) + 2) / 3);
    struct chat_turn turn = turn_of(CHAT_USER, question);
    EXPECT_EQ(chat_engine_count_turns(engine, "fake", &turn, 1), answer.result.prompt_tokens);
    return 0;
}

TEST(an_answer_comes_whole_and_is_counted_exactly)
{
    struct chat_engine *engine = engine_of("fake:0");
    EXPECT_EQ(on_runtime(echo_main, engine), 0);
    chat_engine_destroy(engine);
}

static int same_main(void *engine)
{
    static struct answer again;
    EXPECT_EQ(ask(engine, any, "what is it?", &answer), 0);
    EXPECT_EQ(ask(engine, any, "what is it?", &again), 0);
    EXPECT_STREQ(answer.text, again.text);
    EXPECT_TRUE(strstr(answer.text, "You asked: what is it?") != NULL);
    return 0;
}

TEST(the_fake_engine_is_deterministic)
{
    struct chat_engine *engine = engine_of("fake:0");
    EXPECT_EQ(on_runtime(same_main, engine), 0);
    chat_engine_destroy(engine);
}

static int ends_main(void *engine)
{
    static const char *const stops[] = { "BRAKE" };
    struct chat_request request = { .max_tokens = 5 };
    EXPECT_EQ(ask(engine, request, "echo: 123456789012345678", &answer), 0);
    EXPECT_STREQ(answer.text, "123456789012345");
    EXPECT_EQ(answer.result.end, CHAT_LENGTH);
    EXPECT_EQ(answer.result.completion_tokens, 5);

    request = (struct chat_request){ .stops = stops, .stops_count = 1 };
    EXPECT_EQ(ask(engine, request, "echo: up to BRAKE and no more", &answer), 0);
    EXPECT_STREQ(answer.text, "up to ");
    EXPECT_EQ(answer.result.end, CHAT_STOP);

    EXPECT_EQ(ask(engine, any, "fail: half of it", &answer), 0);
    EXPECT_STREQ(answer.text, "half of it");
    EXPECT_EQ(answer.result.end, CHAT_FAILED);
    EXPECT_EQ(answer.result.error, -EIO);
    return 0;
}

TEST(an_answer_ends_by_length_by_a_stop_string_or_by_an_error)
{
    struct chat_engine *engine = engine_of("fake:0");
    EXPECT_EQ(on_runtime(ends_main, engine), 0);
    chat_engine_destroy(engine);
}

/* ---- refusals ---- */

static int refusals_main(void *engine)
{
    static char longer[3 * 8192 + 1];
    static const char *const stops[] = { "" };
    memset(longer, 'x', sizeof(longer) - 1);
    struct chat_stream *stream;
    struct chat_turn turn = turn_of(CHAT_USER, "hello");
    struct chat_request request = { .model = "other", .turns = &turn, .turns_count = 1 };
    EXPECT_EQ(chat_stream_start(engine, &request, &stream), -ENOENT);
    EXPECT_EQ(chat_engine_count(engine, "../fake", "a", 1), -ENOENT);
    request.model = "fake";
    request.turns_count = 0;
    EXPECT_EQ(chat_stream_start(engine, &request, &stream), -EINVAL);
    EXPECT_EQ(ask(engine, any, longer, &answer), -E2BIG);
    request = (struct chat_request){ .stops = stops, .stops_count = 1 };
    EXPECT_EQ(ask(engine, request, "hello", &answer), -EINVAL);
    EXPECT_EQ(ask(engine, any, "echo: still there", &answer), 0);
    EXPECT_STREQ(answer.text, "still there");
    return 0;
}

TEST(what_cannot_be_answered_is_refused_and_harms_nothing)
{
    struct chat_engine *engine = engine_of("fake:0");
    EXPECT_EQ(on_runtime(refusals_main, engine), 0);
    chat_engine_destroy(engine);
}

TEST(a_bad_engine_name_is_refused)
{
    static const char *bad[] = { "fakes", "fake:", "fake:x", "fake:1,", "fake:1,2,3", "gpt", "" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct chat_engine_config config = { .spec = bad[i] };
        struct chat_engine *engine = NULL;
        if (!EXPECT_EQ(chat_engine_create(&config, &engine), -EINVAL)) test_note("%s", bad[i]);
    }
}

static int no_module_main(void *engine)
{
    struct chat_models models;
    EXPECT_EQ(chat_engine_ready(engine), -ENODEV);
    EXPECT_EQ(chat_engine_models(engine, &models), 0);
    EXPECT_EQ(models.count, 0);
    EXPECT_EQ(chat_engine_count(engine, "any", "a", 1), -ENODEV);
    EXPECT_TRUE(strstr(chat_engine_error(-ENODEV), "./dev chat") != NULL);
    return 0;
}

TEST(without_the_module_an_engine_says_so_and_lives)
{
    struct chat_engine_config config = { .module = "/nonexistent/module.so" };
    struct chat_engine *engine = NULL;
    REQUIRE(chat_engine_create(&config, &engine) == 0);
    EXPECT_STREQ(chat_engine_kind(engine), "llama");
    EXPECT_EQ(on_runtime(no_module_main, engine), 0);
    chat_engine_destroy(engine);
}

static int misfit_main(void *engine)
{
    EXPECT_EQ(chat_engine_ready(engine), -ELIBBAD);
    EXPECT_EQ(chat_engine_count(engine, "any", "a", 1), -ELIBBAD);
    return 0;
}

TEST(a_file_that_is_no_module_is_refused)
{
    struct chat_engine_config config = { .module = "/proc/self/exe" };
    struct chat_engine *engine = NULL;
    REQUIRE(chat_engine_create(&config, &engine) == 0);
    EXPECT_EQ(on_runtime(misfit_main, engine), 0);
    chat_engine_destroy(engine);
}

static int models_main(void *engine)
{
    struct chat_models models;
    EXPECT_EQ(chat_engine_ready(engine), 0);
    REQUIRE(chat_engine_models(engine, &models) == 0);
    REQUIRE(models.count == 1);
    EXPECT_STREQ(models.items[0].name, "fake");
    EXPECT_FALSE(models.items[0].loaded);
    chat_models_free(&models);
    EXPECT_EQ(ask(engine, any, "echo: x", &answer), 0);
    REQUIRE(chat_engine_models(engine, &models) == 0);
    EXPECT_TRUE(models.items[0].loaded);
    chat_models_free(&models);
    return 0;
}

TEST(the_fake_engine_has_one_model)
{
    struct chat_engine *engine = engine_of("fake:0");
    EXPECT_EQ(on_runtime(models_main, engine), 0);
    chat_engine_destroy(engine);
}

/* ---- many at once ---- */

#define CROWD 24
#define ROUNDS 12

struct crowd {
    struct chat_engine *engine;
    _Atomic(int) finished, cancelled, refused;
};

struct member {
    struct crowd *crowd;
    unsigned number;
};

static int one_round(struct crowd *crowd, unsigned random)
{
    char question[64], buf[64];
    struct chat_stream *stream;
    snprintf(question, sizeof(question), "count: %u", 1 + random % 50);
    struct chat_turn turn = turn_of(CHAT_USER, question);
    struct chat_request request = { .model = "fake", .turns = &turn, .turns_count = 1 };
    int rc = chat_stream_start(crowd->engine, &request, &stream);
    if (rc == -EAGAIN) {
        crowd->refused++;
        ae_yield();
        return 0;
    }
    if (rc < 0) return rc;
    if (random % 5 == 0) chat_stream_cancel(stream);
    ssize_t got = 1;
    while (random % 7 != 0 && got > 0) {
        got = chat_stream_next(stream, buf, sizeof(buf));
    }
    struct chat_result result;
    chat_stream_result(stream, &result);
    if (got == 0) EXPECT_TRUE(result.end == CHAT_STOP || result.end == CHAT_CANCELLED);
    crowd->finished += result.end == CHAT_STOP;
    crowd->cancelled += result.end == CHAT_CANCELLED;
    chat_stream_free(stream); /* some of them unread */
    return got < 0 ? (int)got : 0;
}

static int member_main(void *arg)
{
    struct member *member = arg;
    int rc = 0;
    for (unsigned i = 0; i < ROUNDS && rc == 0; i++) {
        rc = one_round(member->crowd, member->number * 2654435761u + i * 40503u);
    }
    return rc;
}

static int crowd_main(void *arg)
{
    struct member members[CROWD];
    ae_task *tasks[CROWD];
    for (unsigned i = 0; i < CROWD; i++) {
        members[i] = (struct member){ arg, i };
        tasks[i] = ae_spawn(member_main, &members[i]);
        REQUIRE(tasks[i] != NULL);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    return 0;
}

TEST(a_crowd_that_reads_cancels_and_leaves_is_served)
{
    struct chat_engine_config config = { .spec = "fake:0", .streams_max = 3, .queue_max = 10 };
    struct crowd crowd = { .finished = 0 };
    REQUIRE(chat_engine_create(&config, &crowd.engine) == 0);
    EXPECT_EQ(on_runtime(crowd_main, &crowd), 0);
    chat_engine_destroy(crowd.engine);
    EXPECT_GT(crowd.finished, 0);
    EXPECT_GT(crowd.cancelled, 0);
    test_note("%d finished, %d cancelled, %d refused", crowd.finished, crowd.cancelled,
              crowd.refused);
}
