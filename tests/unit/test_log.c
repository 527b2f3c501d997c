/* SPDX-License-Identifier: Apache-2.0 */
/* The base: log, error names, allocation, asserts.
 * Covers: src/base/error.c src/base/mem.c src/base/assert.c */
#include "aether/log.h"

#include <errno.h>
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
