/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/sched.c. The order in which streams are computed, read off a log that a backend of
 * the test's own keeps; the test decides when a computation may go on, so nothing here depends on a
 * time. */
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

#include <aether/aether.h>

#include "engine_private.h"
#include "test.h"

#define LOG_MAX 20000

struct entry {
    const void *slot;
    size_t tokens;
    bool stopped;
};

/* ---- a backend that writes down what it is asked, around the fake one ---- */

static struct entry entries[LOG_MAX];
static atomic_uint entries_count;
static atomic_uint gate_at = UINT32_MAX; /* this evaluation and later ones wait for the gate */
static sem_t gate, reached;
static atomic_bool hang; /* evaluations last until they are told to stop */
static struct chat_backend logging;

static int logging_eval(struct chat_backend_slot *slot, const int32_t *tokens, size_t count,
                        const atomic_bool *stop)
{
    unsigned at = atomic_load(&entries_count);
    REQUIRE(at < LOG_MAX);
    if (at >= atomic_load(&gate_at)) {
        sem_post(&reached);
        sem_wait(&gate);
    }
    if (atomic_load(&hang)) {
        sem_post(&reached);
        while (!atomic_load(stop)) {
            sched_yield();
        }
    }
    int rc = chat_backend_fake.eval(slot, tokens, count, stop);
    entries[at] = (struct entry){ slot, count, rc == -ECANCELED };
    atomic_store(&entries_count, at + 1);
    return rc;
}

static struct chat_engine *logging_engine(unsigned streams_max)
{
    struct chat_engine_config config = { .spec = "fake:0", .streams_max = streams_max };
    struct chat_engine *engine = NULL;
    sem_init(&gate, 0, 0);
    sem_init(&reached, 0, 0);
    REQUIRE(chat_engine_create(&config, &engine) == 0);
    logging = chat_backend_fake;
    logging.eval = logging_eval;
    engine->fake = &logging;
    return engine;
}

static void open_gate(void)
{
    atomic_store(&gate_at, UINT32_MAX);
    sem_post(&gate);
}

static void close_gate(void)
{
    atomic_store(&gate_at, atomic_load(&entries_count));
}

/* ---- streams ---- */

static struct chat_stream *start(struct chat_engine *engine, const char *question)
{
    struct chat_turn turn = { CHAT_USER, question, strlen(question) };
    struct chat_request request = { .model = "fake", .turns = &turn, .turns_count = 1 };
    struct chat_stream *stream = NULL;
    REQUIRE(chat_stream_start(engine, &request, &stream) == 0);
    return stream;
}

static struct chat_result read_to_end(struct chat_stream *stream)
{
    char buf[4096];
    struct chat_result result;
    ssize_t got;
    while ((got = chat_stream_next(stream, buf, sizeof(buf))) > 0) {
    }
    EXPECT_EQ(got, 0);
    chat_stream_result(stream, &result);
    return result;
}

static struct chat_result read_and_free(struct chat_stream *stream)
{
    struct chat_result result = read_to_end(stream);
    chat_stream_free(stream);
    return result;
}

static char *long_question(size_t tokens)
{
    char *question = malloc(tokens * 3 + 1);
    REQUIRE(question != NULL);
    memset(question, 'q', tokens * 3);
    question[tokens * 3] = '\0';
    return question;
}

/* ---- turns ---- */

static int turns_main(void *engine)
{
    struct chat_stream *streams[3];
    close_gate(); /* nothing is computed before all three are there */
    for (int i = 0; i < 3; i++) {
        streams[i] = start(engine, "count: 40");
    }
    open_gate();
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(read_and_free(streams[i]).completion_tokens, 40);
    }
    return 0;
}

TEST(streams_take_turns_token_by_token)
{
    struct chat_engine *engine = logging_engine(4);
    REQUIRE(ae_run(NULL, turns_main, engine) == 0);
    chat_engine_destroy(engine);
    unsigned count = entries_count, first = 0;
    const void *seen[3] = { NULL };
    for (unsigned i = 0, known = 0; i < count && known < 3; i++) {
        if (entries[i].tokens > 1) seen[known++] = entries[i].slot;
        first = i + 1;
    }
    unsigned unfair = 0, tokens[3] = { 0 };
    for (unsigned i = first; i + 2 < count && i < first + 3 * 30; i++) {
        unfair += entries[i].slot == entries[i + 1].slot || entries[i].slot == entries[i + 2].slot;
        for (int s = 0; s < 3; s++) {
            tokens[s] += entries[i].slot == seen[s];
        }
    }
    EXPECT_EQ(unfair, 0);
    EXPECT_EQ(tokens[0], tokens[1]);
    EXPECT_EQ(tokens[1], tokens[2]);
}

static int chunks_main(void *engine)
{
    atomic_store(&gate_at, 6); /* its prompt, five tokens */
    struct chat_stream *first = start(engine, "count: 400");
    sem_wait(&reached);
    char *question = long_question(5000);
    struct chat_stream *second = start(engine, question);
    open_gate();
    EXPECT_EQ(read_and_free(first).end, CHAT_STOP);
    EXPECT_NE(read_and_free(second).end, CHAT_FAILED);
    free(question);
    return 0;
}

TEST(a_long_prompt_is_read_in_chunks_between_the_tokens_of_others)
{
    struct chat_engine *engine = logging_engine(4);
    REQUIRE(ae_run(NULL, chunks_main, engine) == 0);
    chat_engine_destroy(engine);
    const void *answering = entries[0].slot;
    size_t chunks = 0, in_a_row = 0, largest = 0, read = 0;
    for (unsigned i = 1; i < entries_count && read < 5000; i++) {
        bool chunk = entries[i].slot != answering;
        EXPECT_FALSE(chunk && in_a_row > 0);
        in_a_row = chunk ? in_a_row + 1 : 0;
        chunks += chunk;
        read += chunk ? entries[i].tokens : 0;
        if (chunk && entries[i].tokens > largest) largest = entries[i].tokens;
    }
    EXPECT_GE(read, 5000);
    EXPECT_GE(chunks, 5000 / 512);
    EXPECT_LE(largest, 512);
}

static int prompts_main(void *engine)
{
    char *question = long_question(4000);
    close_gate();
    struct chat_stream *a = start(engine, question);
    question[0] = 'Q'; /* so that neither has what the other needs */
    struct chat_stream *b = start(engine, question);
    open_gate();
    read_and_free(a);
    read_and_free(b);
    free(question);
    return 0;
}

TEST(two_long_prompts_take_turns)
{
    struct chat_engine *engine = logging_engine(4);
    REQUIRE(ae_run(NULL, prompts_main, engine) == 0);
    chat_engine_destroy(engine);
    unsigned same = 0;
    for (unsigned i = 1; i < 14; i++) { /* 4000 tokens are 8 chunks at least */
        if (entries[i].tokens > 1) same += entries[i].slot == entries[i - 1].slot;
    }
    EXPECT_LE(same, 2);
}

/* ---- what a slot remembers ---- */

static int prefix_main(void *engine)
{
    struct chat_turn turns[3] = { { CHAT_USER, "echo: one two three", 19 },
                                  { CHAT_ASSISTANT, "one two three", 13 },
                                  { CHAT_USER, "echo: next", 10 } };
    struct chat_request request = { .model = "fake", .turns = turns, .turns_count = 1 };
    struct chat_stream *stream;
    REQUIRE(chat_stream_start(engine, &request, &stream) == 0);
    unsigned first = read_and_free(stream).prompt_tokens;
    unsigned mark = entries_count;
    request.turns_count = 3;
    REQUIRE(chat_stream_start(engine, &request, &stream) == 0);
    struct chat_result result = read_and_free(stream);
    EXPECT_EQ(result.end, CHAT_STOP);
    size_t read = 0;
    for (unsigned i = mark; i < entries_count && entries[i].tokens > 1; i++) {
        read += entries[i].tokens;
    }
    /* the first prompt and its answer are there already */
    EXPECT_LT(first, result.prompt_tokens);
    EXPECT_EQ(read, 1 + 4 + 1); /* the mark, "echo: next", the mark */
    return 0;
}

TEST(a_conversation_that_goes_on_is_not_read_again)
{
    struct chat_engine *engine = logging_engine(4);
    REQUIRE(ae_run(NULL, prefix_main, engine) == 0);
    chat_engine_destroy(engine);
}

static size_t huge_token_bytes(const struct chat_backend_model *model)
{
    (void)model;
    return SIZE_MAX / 4096; /* no machine has room for two slots of it */
}

static int scarce_main(void *engine)
{
    char *question = long_question(600);
    struct chat_stream *streams[3];
    for (int i = 0; i < 3; i++) {
        streams[i] = start(engine, "count: 20");
    }
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(read_and_free(streams[i]).completion_tokens, 20);
    }
    struct chat_turn turn = { CHAT_USER, question, 1800 };
    struct chat_request request = { .model = "fake", .turns = &turn, .turns_count = 1 };
    EXPECT_EQ(chat_stream_start(engine, &request, &streams[0]), -E2BIG);
    free(question);
    return 0;
}

TEST(where_memory_is_scarce_streams_share_one_short_slot)
{
    struct chat_engine *engine = logging_engine(4);
    logging.token_bytes = huge_token_bytes;
    REQUIRE(ae_run(NULL, scarce_main, engine) == 0);
    for (unsigned i = 1; i < entries_count; i++) {
        EXPECT_PTR_EQ(entries[i].slot, entries[0].slot);
    }
    chat_engine_destroy(engine);
}

/* ---- cancelling ---- */

static int cancel_prompt_main(void *engine)
{
    char *question = long_question(3000);
    atomic_store(&hang, true);
    struct chat_stream *stream = start(engine, question);
    sem_wait(&reached);
    chat_stream_cancel(stream);
    struct chat_result result = read_and_free(stream);
    EXPECT_EQ(result.end, CHAT_CANCELLED);
    EXPECT_EQ(result.completion_tokens, 0);
    EXPECT_TRUE(entries[0].stopped);
    EXPECT_EQ(entries_count, 1);
    atomic_store(&hang, false);
    EXPECT_EQ(read_and_free(start(engine, "echo: abc")).completion_tokens, 1);
    free(question);
    return 0;
}

TEST(a_cancel_interrupts_a_prompt_in_the_middle_of_a_chunk)
{
    struct chat_engine *engine = logging_engine(1);
    REQUIRE(ae_run(NULL, cancel_prompt_main, engine) == 0);
    chat_engine_destroy(engine);
}

static int cancel_answer_main(void *engine)
{
    atomic_store(&gate_at, 5);
    struct chat_stream *stream = start(engine, "count: 8000");
    sem_wait(&reached);
    atomic_store(&hang, true);
    open_gate();
    sem_wait(&reached);
    chat_stream_free(stream); /* as when a connection is gone */
    atomic_store(&hang, false);
    struct chat_result result = read_and_free(start(engine, "echo: abc"));
    EXPECT_EQ(result.end, CHAT_STOP);
    return 0;
}

TEST(freeing_a_stream_that_runs_frees_the_compute_thread)
{
    struct chat_engine *engine = logging_engine(1);
    REQUIRE(ae_run(NULL, cancel_answer_main, engine) == 0);
    chat_engine_destroy(engine);
    EXPECT_TRUE(entries_count < 8000);
}

static int cancel_waiting_main(void *engine)
{
    close_gate();
    struct chat_stream *running = start(engine, "count: 30");
    sem_wait(&reached);
    struct chat_stream *waiting = start(engine, "echo: never"), *last = start(engine, "echo: xyz");
    chat_stream_cancel(waiting);
    open_gate();
    EXPECT_EQ(read_and_free(waiting).end, CHAT_CANCELLED);
    EXPECT_EQ(read_and_free(running).completion_tokens, 30);
    EXPECT_EQ(read_and_free(last).end, CHAT_STOP);
    return 0;
}

TEST(a_stream_that_waits_for_its_turn_can_be_cancelled)
{
    struct chat_engine *engine = logging_engine(1);
    REQUIRE(ae_run(NULL, cancel_waiting_main, engine) == 0);
    chat_engine_destroy(engine);
}

static int reader_cancelled_main(void *engine)
{
    char buf[16];
    ae_scope scope;
    close_gate();
    struct chat_stream *stream = start(engine, "echo: it runs on");
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now());
    ssize_t got = chat_stream_next(stream, buf, sizeof(buf));
    EXPECT_EQ(got, -ECANCELED);
    EXPECT_EQ(ae_scope_end(&scope, (int)got), -ETIMEDOUT);
    open_gate();
    struct chat_result result = read_and_free(stream);
    EXPECT_EQ(result.end, CHAT_STOP);
    return 0;
}

TEST(a_cancelled_reader_leaves_the_stream_running)
{
    struct chat_engine *engine = logging_engine(1);
    REQUIRE(ae_run(NULL, reader_cancelled_main, engine) == 0);
    chat_engine_destroy(engine);
}

/* ---- workers ---- */

static int opener_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        ae_yield();
    }
    open_gate();
    return 0;
}

static int no_worker_main(void *engine)
{
    close_gate();
    struct chat_stream *stream = start(engine, "echo: abc");
    ae_task *opener = ae_spawn(opener_main, NULL);
    EXPECT_EQ(read_and_free(stream).end, CHAT_STOP); /* the one worker must be free for opener */
    return ae_join(opener);
}

TEST(while_a_model_computes_no_worker_is_held)
{
    ae_config config = { AE_CONFIG, .workers = 1 };
    struct chat_engine *engine = logging_engine(1);
    EXPECT_EQ(ae_run(&config, no_worker_main, engine), 0);
    chat_engine_destroy(engine);
}

static int refuse_main(void *engine)
{
    struct chat_turn turn = { CHAT_USER, "echo: abc", 9 };
    struct chat_request request = { .model = "fake", .turns = &turn, .turns_count = 1 };
    struct chat_stream *streams[3], *more;
    close_gate();
    for (int i = 0; i < 3; i++) {
        REQUIRE(chat_stream_start(engine, &request, &streams[i]) == 0);
    }
    EXPECT_EQ(chat_stream_start(engine, &request, &more), -EAGAIN);
    open_gate();
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(read_and_free(streams[i]).end, CHAT_STOP);
    }
    REQUIRE(chat_stream_start(engine, &request, &more) == 0);
    EXPECT_EQ(read_and_free(more).end, CHAT_STOP);
    return 0;
}

TEST(a_full_queue_refuses_until_there_is_room)
{
    struct chat_engine *engine = logging_engine(1);
    engine->config.queue_max = 2;
    REQUIRE(ae_run(NULL, refuse_main, engine) == 0);
    chat_engine_destroy(engine);
}
