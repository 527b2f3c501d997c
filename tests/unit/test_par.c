/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel work: forking and loops.
 * Covers: src/par/join.c src/par/for.c src/par/loop.c src/par/steal.c */
#include <stdlib.h>

#include "par_test.h"

/* ---- join ---- */

struct fib {
    long n, result;
};

static int fib(void *arg)
{
    struct fib *f = arg;

    if (f->n < 2) {
        f->result = f->n;
        return 0;
    }
    struct fib a = { f->n - 1, 0 }, b = { f->n - 2, 0 };
    int rc = ae_par_join(fib, &a, fib, &b);
    f->result = a.result + b.result;
    return rc;
}

static int fib_20(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct fib f = { 20, 0 };
        EXPECT_EQ(fib(&f), 0);
        EXPECT_EQ(f.result, 6765);
    }
    return 0;
}

TEST(a_tree_of_joins_gives_the_result_of_the_calls)
{
    everywhere(fib_20, NULL);
}

static int returns(void *arg)
{
    return (int)(intptr_t)arg;
}

static int join_results(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_par_join(returns, (void *)5, returns, (void *)7), 0);
    EXPECT_EQ(ae_par_join(returns, (void *)(intptr_t)-5, returns, (void *)(intptr_t)-7), -5);
    EXPECT_EQ(ae_par_join(returns, NULL, returns, (void *)(intptr_t)-7), -7);
    return 0;
}

TEST(a_join_returns_the_first_error_the_left_ones_before)
{
    everywhere(join_results, NULL);
}

struct deep {
    long depth;
    _Atomic(long) *calls;
};

static int go_deep(void *arg)
{
    struct deep *deep = arg;
    struct deep next = { deep->depth - 1, deep->calls };

    if (deep->depth == 0) return count_call(deep->calls);
    return ae_par_join(go_deep, &next, count_call, deep->calls);
}

static int deeper_than_the_deque(void *arg)
{
    _Atomic(long) calls = 0;
    struct deep deep = { 10000, &calls };

    (void)arg;
    EXPECT_EQ(go_deep(&deep), 0);
    EXPECT_EQ(atomic_load(&calls), 10001);
    return 0;
}

TEST(joins_nested_deeper_than_the_deque_all_run)
{
    everywhere(deeper_than_the_deque, NULL);
}

/* ---- scope and spawn ---- */

static int spawn_tree(void *arg)
{
    struct deep *deep = arg;

    atomic_fetch_add(deep->calls, 1);
    for (int i = 0; i < 3 && deep->depth > 0; i++) {
        struct deep *child = malloc(sizeof *child);
        REQUIRE(child);
        *child = (struct deep){ deep->depth - 1, deep->calls };
        ae_par_spawn(spawn_tree, child);
    }
    free(deep);
    return 0;
}

static int spawn_root(void *arg)
{
    struct deep *top = malloc(sizeof *top);

    REQUIRE(top);
    *top = (struct deep){ 6, arg };
    return spawn_tree(top);
}

static int spawns_tree(void *arg)
{
    _Atomic(long) calls = 0;

    (void)arg;
    EXPECT_EQ(ae_par_scope(spawn_root, &calls), 0);
    EXPECT_EQ(atomic_load(&calls), 1093);
    return 0;
}

TEST(jobs_that_spawn_jobs_have_all_returned_at_the_end_of_the_scope)
{
    everywhere(spawns_tree, NULL);
}

static int spawn_many(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        ae_par_spawn(count_call, arg);
    }
    return 0;
}

static int spawns_many(void *arg)
{
    _Atomic(long) calls = 0;

    (void)arg;
    EXPECT_EQ(ae_par_scope(spawn_many, &calls), 0);
    EXPECT_EQ(atomic_load(&calls), 20000);
    return 0;
}

TEST(a_scope_waits_for_more_jobs_than_there_is_room_for)
{
    everywhere(spawns_many, NULL);
}

static int spawn_failing(void *arg)
{
    for (intptr_t i = 0; i < 6000; i++) {
        ae_par_spawn(returns, i == (intptr_t)arg ? (void *)(intptr_t)-EIO : NULL);
    }
    return 0;
}

static int spawns_failing(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_par_scope(spawn_failing, (void *)3), -EIO);
    EXPECT_EQ(ae_par_scope(spawn_failing, (void *)5999), -EIO); /* beyond the deque */
    EXPECT_EQ(ae_par_scope(spawn_failing, (void *)6000), 0);
    EXPECT_EQ(ae_par_join(spawn_failing, (void *)3, returns, NULL), -EIO);
    EXPECT_EQ(ae_par_join(returns, NULL, spawn_failing, (void *)3), -EIO);
    return 0;
}

TEST(the_error_of_a_spawned_job_reaches_who_waits_for_it)
{
    everywhere(spawns_failing, NULL);
}

/* ---- for ---- */

struct marks {
    _Atomic(unsigned char) *seen;
    size_t n, longest;
};

static int mark_range(void *arg, size_t begin, size_t end)
{
    struct marks *marks = arg;

    if (begin >= end || end > marks->n) return -EINVAL;
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add_explicit(&marks->seen[i], 1, memory_order_relaxed);
    }
    return 0;
}

static void check_marks(struct marks *marks)
{
    size_t wrong = 0;

    for (size_t i = 0; i < marks->n; i++) {
        wrong += atomic_load(&marks->seen[i]) != 1;
        atomic_store(&marks->seen[i], 0);
    }
    EXPECT_EQ(wrong, 0);
}

static int for_sizes(void *arg)
{
    static const size_t sizes[] = { 0, 1, 2, 3, 7, 64, 1000, 100003 };
    struct marks marks = { calloc(100003, 1), 0, 0 };

    (void)arg;
    REQUIRE(marks.seen);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        marks.n = sizes[i];
        EXPECT_EQ(ae_par_for(0, marks.n, mark_range, &marks), 0);
        check_marks(&marks);
        EXPECT_EQ(ae_par_for_grain(0, marks.n, 3, 10, mark_range, &marks), 0);
        check_marks(&marks);
        EXPECT_EQ(ae_par_chunks(marks.n, 10, mark_range, &marks), 0);
        check_marks(&marks);
    }
    free((void *)marks.seen);
    return 0;
}

TEST(a_loop_goes_through_every_index_exactly_once)
{
    everywhere(for_sizes, NULL);
}

static int check_grain(void *arg, size_t begin, size_t end)
{
    (void)arg;
    if (end - begin > 10) return -E2BIG;
    return end - begin >= 3 || end == 1000 ? 0 : -ERANGE;
}

static int check_chunk(void *arg, size_t begin, size_t end)
{
    (void)arg;
    if (begin % 16 != 0) return -EINVAL;
    return end - begin == 16 || end == 1000 ? 0 : -ERANGE;
}

static int grains(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_par_chunks(1000, 16, check_chunk, NULL), 0);
    int rc = ae_par_for_grain(0, 1000, 1, 10, check_grain, NULL);
    EXPECT_TRUE(rc == 0 || rc == -ERANGE);
    return 0;
}

TEST(chunks_are_exact_and_grains_bounded)
{
    everywhere(grains, NULL);
}

static int stop_at_500(void *arg, size_t begin, size_t end)
{
    atomic_fetch_add((_Atomic(long) *)arg, (long)(end - begin));
    return begin <= 500 && 500 < end ? 77 : 0;
}

static int stops(void *arg)
{
    _Atomic(long) items = 0;

    (void)arg;
    EXPECT_EQ(ae_par_for_grain(0, 100000000, 1, 100, stop_at_500, &items), 77);
    EXPECT_LT(atomic_load(&items), 100000000);
    return 0;
}

TEST(a_result_that_is_not_0_ends_the_loop_early)
{
    everywhere(stops, NULL);
}

static int nested_outer(void *arg, size_t begin, size_t end)
{
    int rc = 0;

    for (size_t i = begin; i < end && rc == 0; i++) {
        rc = ae_par_for(0, 1000, count_items, arg);
    }
    return rc;
}

static int nests(void *arg)
{
    _Atomic(long) items = 0;

    (void)arg;
    EXPECT_EQ(ae_par_for(0, 200, nested_outer, &items), 0);
    EXPECT_EQ(atomic_load(&items), 200000);
    return 0;
}

TEST(loops_inside_loops_run_on_any_number_of_threads)
{
    everywhere(nests, NULL);
}

/* A body that waits inside its own nested loop must not meet another body of the outer one. */
static int exclusive_inner(void *arg, size_t begin, size_t end)
{
    _Atomic(long) *sink = arg;

    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add_explicit(sink, 1, memory_order_relaxed);
    }
    return 0;
}

struct exclusive {
    int *inside; /* by ae_par_index */
    _Atomic(long) sink, entered;
};

static int exclusive_outer(void *arg, size_t begin, size_t end)
{
    struct exclusive *e = arg;
    int index = ae_par_index();

    REQUIRE(index >= 0 && (unsigned)index < ae_par_width());
    if (e->inside[index]++ != 0) return -EDEADLK;
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add(&e->entered, 1);
        int rc = ae_par_for_grain(0, 64, 1, 4, exclusive_inner, &e->sink);
        if (rc < 0) return rc;
    }
    if (index != ae_par_index()) return -EXDEV;
    e->inside[index]--;
    return 0;
}

static int exclusive(void *arg)
{
    struct exclusive e = { .inside = calloc(ae_par_width(), sizeof(int)) };

    (void)arg;
    REQUIRE(e.inside);
    EXPECT_EQ(ae_par_for_grain(0, 3000, 1, 2, exclusive_outer, &e), 0);
    EXPECT_EQ(atomic_load(&e.entered), 3000);
    free(e.inside);
    return 0;
}

TEST(who_waits_in_a_body_runs_no_other_body_of_the_same_loop)
{
    everywhere(exclusive, NULL);
}

/* Three threads: one waits for a2, which is held; one holds it; the third one has b2 to give away.
 * The first one must not take b2: it is no part of a2. */
static struct {
    _Atomic(bool) a2_began, a2_may_end, b2_began;
    _Atomic(int) waiting; /* index of the thread that waits for a2, + 1 */
    _Atomic(bool) met;    /* it ran b2 while it waited */
} meet;

static int run_a1(void *arg)
{
    (void)arg;
    while (!atomic_load(&meet.a2_began)) {
        sched_yield();
    }
    return 0;
}

static int run_a2(void *arg)
{
    (void)arg;
    atomic_store(&meet.a2_began, true);
    while (!atomic_load(&meet.a2_may_end)) {
        sched_yield();
    }
    return 0;
}

static int run_b1(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000 && !atomic_load(&meet.b2_began); i++) {
        sched_yield(); /* time to do the wrong thing */
    }
    atomic_store(&meet.a2_may_end, true);
    return 0;
}

static int run_b2(void *arg)
{
    (void)arg;
    atomic_store(&meet.b2_began, true);
    if (atomic_load(&meet.waiting) == ae_par_index() + 1) atomic_store(&meet.met, true);
    return 0;
}

static int run_a(void *arg)
{
    (void)arg;
    atomic_store(&meet.waiting, ae_par_index() + 1);
    int rc = ae_par_join(run_a1, NULL, run_a2, NULL);
    atomic_store(&meet.waiting, 0);
    return rc;
}

static int run_b(void *arg)
{
    (void)arg;
    while (!atomic_load(&meet.a2_began)) {
        sched_yield();
    }
    return ae_par_join(run_b1, NULL, run_b2, NULL);
}

static int meets(void *arg)
{
    (void)arg;
    return ae_par_join(run_a, NULL, run_b, NULL);
}

TEST(who_waits_for_a_stolen_half_runs_nothing_but_parts_of_it)
{
    struct on_pool on = { pool_of(3), meets, NULL };

    EXPECT_EQ(run_with(1, enter_pool, &on), 0);
    EXPECT_TRUE(atomic_load(&meet.a2_began));
    EXPECT_FALSE(atomic_load(&meet.met));
    ae_par_pool_destroy(on.pool);
}

/* Two threads, both at work when the long half begins: the other one must find a2 once it is done
 * with b, though the owner of a2 pushes and pops nothing any more. */
static int long_half(void *arg)
{
    (void)arg;
    return ae_par_join(run_a1, NULL, run_a2, NULL);
}

static int ends_at_once(void *arg)
{
    atomic_store(&meet.a2_may_end, true);
    return arg != NULL;
}

static int long_halves(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        atomic_store(&meet.a2_began, false);
        atomic_store(&meet.a2_may_end, false);
        int rc = ae_par_join(long_half, NULL, ends_at_once, NULL);
        if (rc < 0) return rc;
    }
    return 0;
}

TEST(a_job_below_a_long_half_of_a_join_is_taken_by_an_idle_thread)
{
    struct on_pool on = { pool_of(2), long_halves, NULL };

    EXPECT_EQ(run_with(1, enter_pool, &on), 0);
    ae_par_pool_destroy(on.pool);
}

/* ---- map and reduce ---- */

static int square(void *arg, const void *in, void *out)
{
    uint32_t x = *(const uint32_t *)in;

    (void)arg;
    *(uint64_t *)out = (uint64_t)x * x;
    return x % 1000 == 999 ? -(int)(x / 1000) - 1 : 0;
}

static int maps(void *arg)
{
    enum { N = 5000 };
    uint32_t *in = calloc(N, sizeof *in);
    uint64_t *out = calloc(N, sizeof *out);
    int *status = calloc(N, sizeof *status), wrong = 0;

    (void)arg;
    REQUIRE(in && out && status);
    for (uint32_t i = 0; i < N; i++) {
        in[i] = i;
    }
    EXPECT_EQ(ae_par_map_status(in, sizeof *in, out, sizeof *out, N, status, square, NULL), 0);
    for (uint32_t i = 0; i < N; i++) {
        wrong += out[i] != (uint64_t)i * i;
        wrong += status[i] != (i % 1000 == 999 ? -(int)(i / 1000) - 1 : 0);
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(ae_par_map(in, sizeof *in, out, sizeof *out, 999, square, NULL), 0);
    EXPECT_LT(ae_par_map(in, sizeof *in, out, sizeof *out, N, square, NULL), 0);
    free(in);
    free(out);
    free(status);
    return 0;
}

TEST(a_map_keeps_the_order_and_gives_each_item_its_status)
{
    everywhere(maps, NULL);
}

/* x -> a x + b: associative, not commutative. A long tail, so that it needs memory. */
struct affine {
    uint64_t a, b;
    unsigned char tail[300];
};

static int fold_affine(void *arg, void *acc, size_t begin, size_t end)
{
    struct affine *f = acc;

    (void)arg;
    for (size_t i = begin; i < end; i++) {
        f->a *= 2 * i + 3;
        f->b = f->b * (2 * i + 3) + i;
    }
    return 0;
}

static void merge_affine(void *arg, void *left, const void *right)
{
    struct affine *l = left;
    const struct affine *r = right;

    (void)arg;
    l->b = l->b * r->a + r->b;
    l->a *= r->a;
}

static int reduces(void *arg)
{
    struct affine want = { .a = 1 }, got = { .a = 1 };

    (void)arg;
    fold_affine(NULL, &want, 0, 300000);
    EXPECT_EQ(ae_par_reduce(0, 300000, &got, 2 * sizeof got.a, fold_affine, merge_affine, NULL),
              0);
    EXPECT_TRUE(got.a == want.a && got.b == want.b);
    got = (struct affine){ .a = 1 };
    EXPECT_EQ(ae_par_reduce(0, 300000, &got, sizeof got, fold_affine, merge_affine, NULL), 0);
    EXPECT_TRUE(got.a == want.a && got.b == want.b);
    return 0;
}

TEST(a_reduction_keeps_the_order_of_its_items)
{
    everywhere(reduces, NULL);
}

/* ---- find ---- */

static bool is_multiple(void *arg, size_t i)
{
    return i > 0 && i % (size_t)(intptr_t)arg == 0;
}

static bool is_below(void *arg, size_t i)
{
    return i < (size_t)(intptr_t)arg;
}

static int finds(void *arg)
{
    size_t at = 0;

    (void)arg;
    EXPECT_EQ(ae_par_find_any(0, 1000000, is_multiple, (void *)777, &at), 0);
    EXPECT_EQ(at % 777, 0);
    EXPECT_EQ(ae_par_find_first(0, 1000000, is_multiple, (void *)777, &at), 0);
    EXPECT_EQ(at, 777);
    EXPECT_EQ(ae_par_find_first(0, 100000, is_multiple, (void *)99999, &at), 0);
    EXPECT_EQ(at, 99999);
    EXPECT_EQ(ae_par_find_any(0, 1000, is_multiple, (void *)7777, &at), -ENOENT);
    EXPECT_EQ(ae_par_all(0, 1000, is_below, (void *)1000), 1);
    EXPECT_EQ(ae_par_all(0, 1001, is_below, (void *)1000), 0);
    EXPECT_EQ(ae_par_all(5, 5, is_below, (void *)0), 1);
    return 0;
}

TEST(find_and_all_end_early_with_the_right_answer)
{
    everywhere(finds, NULL);
}
