/* SPDX-License-Identifier: Apache-2.0 */
/* The base: log, error names, allocation, asserts.
 * Covers: src/base/error.c src/base/mem.c src/base/assert.c */
#include "aether/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "aether/aether.h"
#include "base/assert.h"
#include "base/mem.h"
#include "test.h"

static char last_line[2048];
static int lines;

static void keep(void *context, enum ae_log_level level, const char *line)
{
    (void)context;
    (void)level;
    lines++;
    strncpy(last_line, line, sizeof last_line - 1);
}

TEST(the_log_keeps_lines_below_its_level_to_itself)
{
    ae_log_set_sink(keep, NULL);
    ae_log_set_level(AE_WARN);
    ae_log(AE_INFO, "not %d", 1);
    EXPECT_EQ(lines, 0);
    ae_log(AE_ERROR, "seen %d", 2);
    EXPECT_EQ(lines, 1);
    EXPECT_STREQ(last_line, "seen 2");
    ae_log(AE_ERROR, "%5000s", "long lines are cut");
    EXPECT_EQ(strlen(last_line), 1023);
}

/* ---- a sink and its context are one ---- */

static char context_a, context_b;
static _Atomic(int) mixed, heard;
static _Atomic(bool) enough;

static void sink_a(void *context, enum ae_log_level level, const char *line)
{
    (void)level;
    (void)line;
    if (context != &context_a) atomic_fetch_add(&mixed, 1);
    atomic_fetch_add(&heard, 1);
}

static void sink_b(void *context, enum ae_log_level level, const char *line)
{
    (void)level;
    (void)line;
    if (context != &context_b) atomic_fetch_add(&mixed, 1);
    atomic_fetch_add(&heard, 1);
}

static void *change_sinks(void *arg)
{
    for (int i = 0; !atomic_load(&enough); i++) {
        ae_log_set_sink(i % 2 ? sink_a : sink_b, i % 2 ? &context_a : &context_b);
    }
    return arg;
}

TEST(a_line_never_meets_the_context_of_another_sink)
{
    pthread_t threads[2];

    ae_log_set_sink(sink_a, &context_a);
    for (int i = 0; i < 2; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, change_sinks, NULL) == 0);
    }
    for (int i = 0; i < 20000; i++) {
        ae_log(AE_ERROR, "line %d", i);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ(heard, 20000);
    EXPECT_EQ(mixed, 0);
}

TEST(every_error_has_words)
{
    EXPECT_NOT_NULL(strstr(ae_strerror(-ECANCELED), "cancelled"));
    EXPECT_NOT_NULL(strstr(ae_strerror(-ETIMEDOUT), "deadline"));
    EXPECT_STREQ(ae_strerror(17), "success");
    EXPECT_NOT_NULL(ae_strerror(-EACCES));
    EXPECT_STREQ(ae_strerror(-99999), "unknown error");
    EXPECT_STREQ(ae_version(), AE_VERSION);
}

TEST(allocations_fail_on_request_and_once)
{
    ae__mem_fail_after(2);
    void *first = ae__mem_zalloc(16);
    EXPECT_NOT_NULL(first);
    EXPECT_NULL(ae__mem_alloc(16));
    void *third = ae__mem_aligned(64, 100);
    EXPECT_NOT_NULL(third);
    EXPECT_EQ((uintptr_t)third % 64, 0);
    ae__mem_free(first);
    ae__mem_free(third);
    ae__mem_free(NULL);
}

TEST(a_failed_assert_tells_what_and_where)
{
    EXPECT_DEATH(AE_ASSERT(1 == 2), "1 == 2 (");
    EXPECT_DEATH(ae__fatal("limit %d", 7), "limit 7");
}
