/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks: classes, reuse, guards; an overflow dies with the task's name.
 * Covers: src/sched/overflow.c src/arch/sanitize.c */
#include "task/stack.h"

#include <alloca.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "aether/aether.h"
#include "test.h"

TEST(a_stack_comes_back_warm_and_of_its_class)
{
    static struct ae__stack_pool pool;
    static struct ae__stack_cache cache;

    ae__stack_pool_init(&pool);
    for (uint8_t class = 0; class < AE__STACK_CLASSES; class++) {
        struct ae__stack *a = ae__stack_get(&pool, &cache, class);
        REQUIRE(a != NULL);
        EXPECT_EQ(a->class, class);
        char *top = ae__stack_top(a);
        EXPECT_EQ((uintptr_t)top % 16, 0);
        EXPECT_GT(top - a->low, (ptrdiff_t)ae__stack_class_bytes(class) * 2 / 3);
        memset(a->low, 1, 64);
        memset(top - 64, 1, 64);
        ae__stack_put(&pool, &cache, a);
        EXPECT_PTR_EQ(ae__stack_get(&pool, &cache, class), a);
        ae__stack_put(&pool, &cache, a);
    }
    EXPECT_EQ(ae__stack_class(0), 1);
    EXPECT_EQ(ae__stack_class(65536), 0);
    EXPECT_EQ(ae__stack_class(65537), 1);
    EXPECT_EQ(ae__stack_class(1 << 20), 2);
    ae__stack_cache_drain(&pool, &cache);
    ae__stack_pool_finish(&pool);
}

TEST(the_page_below_a_stack_cannot_be_touched)
{
    static struct ae__stack_pool pool;
    static struct ae__stack_cache cache;

    ae__stack_pool_init(&pool);
    struct ae__stack *stack = ae__stack_get(&pool, &cache, 1);
    REQUIRE(stack != NULL);
    EXPECT_GT(ae__stack_overflowed(&pool, (uintptr_t)stack->low - 1, 0), 0);
    EXPECT_EQ(ae__stack_overflowed(&pool, (uintptr_t)stack->low, (uintptr_t)stack->low), 0);
    EXPECT_DEATH(stack->low[-1] = 1, "");
    ae__stack_put(&pool, &cache, stack);
    ae__stack_pool_finish(&pool);
}

enum { MANY = 300 };

static int resident(struct ae__stack *stack)
{
    unsigned char page;

    REQUIRE(mincore((void *)((uintptr_t)stack & ~(uintptr_t)4095), 4096, &page) == 0);
    return page & 1;
}

/* As if a second had gone by. */
static void trim_now(struct ae__stack_pool *pool)
{
    while (ae__stack_trim(pool) == 1) {
    }
    pool->trim_ns = 1;
    while (ae__stack_trim(pool) == 1) {
    }
}

TEST(stacks_that_nobody_needs_give_their_memory_back_and_can_be_used_again)
{
    static struct ae__stack_pool pool;
    static struct ae__stack_cache cache;
    static struct ae__stack *stacks[MANY];
    int kept = 0;

    if (test_under_asan() || test_under_tsan()) test_skip("the sanitizer keeps the memory");
    ae__stack_pool_init(&pool);
    for (int i = 0; i < MANY; i++) {
        stacks[i] = ae__stack_get(&pool, &cache, 1);
        REQUIRE(stacks[i] != NULL);
        memset(stacks[i]->low, 1, 64);
    }
    EXPECT_EQ(ae__stack_trim(&pool), INT64_MAX); /* all are in use */
    for (int i = 0; i < MANY; i++) {
        ae__stack_put(&pool, &cache, stacks[i]);
    }
    trim_now(&pool);
    EXPECT_EQ(ae__stack_trim(&pool), INT64_MAX);
    for (int i = 0; i < MANY; i++) {
        kept += resident(stacks[i]);
    }
    EXPECT_LE(kept, AE__STACK_CACHE_MAX);
    for (int i = 0; i < MANY; i++) {
        struct ae__stack *stack = ae__stack_get(&pool, &cache, 1);
        EXPECT_EQ(stack->class, 1);
        EXPECT_EQ((char *)stack + sizeof *stack - stack->low, (ptrdiff_t)240 << 10);
        EXPECT_GT(ae__stack_overflowed(&pool, (uintptr_t)stack->low - 1, 0), 0);
        memset(stack->low, 2, 64);
    }
    EXPECT_EQ(ae__stack_count(&pool), MANY);
    ae__stack_pool_finish(&pool);
}

static volatile int endless = 1; /* else a compiler sees that it never ends, and leaves it out */

/* Recursion that the compiler cannot turn into a loop. */
static int recurse(void *arg)
{
    char frame[512];

    memset(frame, *(char *)arg, sizeof frame);
    frame[0]++;
    return endless ? recurse(frame) + frame[1] : 0;
}

static int big_frame(void *arg)
{
    char frame[1 << 20];

    memcpy(frame, getenv("PATH"), *(unsigned char *)arg); /* a call that needs the array */
    return ae_log(AE_DEBUG_LOG, "%.1s", frame), 1;
}

static int big_alloca(void *arg)
{
    for (int i = 0; endless; i++) {
        char *block = alloca(8192);
        __asm__ volatile("" : "+r"(block) : : "memory"); /* else a compiler may do without it */
        memset(block, i, 8192);
        *(char *)arg = block[1];
    }
    return 0;
}

static ae_fn *const ways[] = { recurse, big_frame, big_alloca };

static int main_overflows(void *arg)
{
    static char byte;
    ae_task_opts opts = { .name = "deep thought", .stack_bytes = 65536 };

    return ae_join(ae_spawn_opts(&opts, *(ae_fn *const *)arg, &byte));
}

/* The hundred-fold of it is a stress test: AE_OVERFLOWS=3000. */
TEST_TIMEOUT(an_overflow_dies_with_the_name_of_its_task, 600)
{
    const char *text = getenv("AE_OVERFLOWS");
    int rounds = text ? atoi(text) : 5;

    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
            EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, main_overflows, (void *)&ways[i]), 0),
                         "stack overflow in task");
            EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, main_overflows, (void *)&ways[i]), 0),
                         "deep thought");
        }
    }
}
