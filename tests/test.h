/* SPDX-License-Identifier: Apache-2.0 */
/* The test runner's whole interface: TEST(), EXPECT_*(), EXPECT_DEATH().
 *
 * Each test runs in a process of its own, so it may crash, leak threads or start runtimes without
 * touching the next one. A failed EXPECT is reported with its line and the test goes on; a failed
 * REQUIRE ends the test at once. Both may be used from any task and any thread of the test. At its
 * end a test must have closed every descriptor it opened. */
#ifndef AE_TESTS_TEST_H
#define AE_TESTS_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct test_case {
    const char *name;
    const char *file;
    void (*run)(void);
    unsigned timeout_s; /* 0: the default hang guard */
    struct test_case *next;
};

struct test_death {
    int pid;
    int output; /* read end: what the dying process said on stderr */
};

void test_register(struct test_case *test);

/* Out of line, so that an EXPECT costs little text and little stack. */
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool test_check_int(const char *file, int line, const char *text, intmax_t a, const char *op,
                    intmax_t b);
bool test_check_str(const char *file, int line, const char *text, const char *a, const char *b);
bool test_check_mem(const char *file, int line, const char *text, const void *a, const void *b,
                    size_t size);
bool test_death_begin(struct test_death *death); /* true in the process that is to die */
void test_death_survived(void) __attribute__((noreturn));
void test_death_end(struct test_death *death, const char *file, int line, const char *stmt,
                    const char *text);
void test_stop(void) __attribute__((noreturn));

/* A line on the runner's own output, whether the test passes or not: for measured figures. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the test as neither passed nor failed and says why it could not run here. */
void test_skip(const char *reason) __attribute__((noreturn));

/* An empty folder of this test alone (at most 80 bytes), which goes with it, however it ends. */
const char *test_folder(void);

/* Number of descriptors this process has open. */
int test_open_fds(void);

/* True in a build with that sanitizer: for limits, never to leave a check out. */
bool test_under_asan(void);
bool test_under_tsan(void);

/* TEST(name_is_a_claim) { ... } */
#define TEST(name) TEST_TIMEOUT(name, 0)

/* The same, with a hang guard of `seconds` in place of 60. It guards; it does not measure. */
#define TEST_TIMEOUT(name, seconds)                                                                \
    static void test_##name(void);                                                                 \
    static struct test_case case_##name = { #name, __FILE__, test_##name, (seconds), NULL };       \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_register(&case_##name);                                                               \
    }                                                                                              \
    static void test_##name(void)

#define EXPECT_TRUE(cond)                                                                          \
    ((cond) ? true : (test_fail(__FILE__, __LINE__, "%s is false", #cond), false))
#define EXPECT_FALSE(cond)                                                                         \
    (!(cond) ? true : (test_fail(__FILE__, __LINE__, "%s is true", #cond), false))
#define EXPECT_NULL(p)     EXPECT_TRUE((p) == NULL)
#define EXPECT_NOT_NULL(p) EXPECT_TRUE((p) != NULL)

#define TEST_INT_(a, op, b)                                                                        \
    test_check_int(__FILE__, __LINE__, #a " " #op " " #b, (intmax_t)(a), #op, (intmax_t)(b))
#define EXPECT_EQ(a, b) TEST_INT_(a, ==, b)
#define EXPECT_NE(a, b) TEST_INT_(a, !=, b)
#define EXPECT_LT(a, b) TEST_INT_(a, <, b)
#define EXPECT_LE(a, b) TEST_INT_(a, <=, b)
#define EXPECT_GT(a, b) TEST_INT_(a, >, b)
#define EXPECT_GE(a, b) TEST_INT_(a, >=, b)

#define EXPECT_PTR_EQ(a, b)   EXPECT_TRUE((const void *)(a) == (const void *)(b))
#define EXPECT_STREQ(a, b)    test_check_str(__FILE__, __LINE__, #a " == " #b, (a), (b))
#define EXPECT_MEMEQ(a, b, n) test_check_mem(__FILE__, __LINE__, #a " == " #b, (a), (b), (n))

/* Ends the test at once when it does not hold. */
#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            test_fail(__FILE__, __LINE__, "%s is false", #cond);                                   \
            test_stop();                                                                           \
        }                                                                                          \
    } while (0)

/* `stmt` must end its process by a signal or abort, with `text` in what it wrote to stderr. It runs
 * in a fork, so the calling process should have one thread. */
#define EXPECT_DEATH(stmt, text)                                                                   \
    do {                                                                                           \
        struct test_death death_;                                                                  \
        if (test_death_begin(&death_)) {                                                           \
            stmt;                                                                                  \
            test_death_survived();                                                                 \
        }                                                                                          \
        test_death_end(&death_, __FILE__, __LINE__, #stmt, (text));                                \
    } while (0)

#endif
