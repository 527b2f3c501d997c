/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting and prefix sums.
 * Covers: src/par/sort.c src/par/bykey.c src/par/radix.c src/par/merge.c src/par/scan.c */
#include <math.h>
#include <stdlib.h>

#include "actors.h"
#include "base/mem.h"
#include "base/rng.h"

static ae_par_pool *pool;

static int on_pool(void *arg)
{
    struct {
        ae_fn *fn;
    } *call = arg;

    return ae_par_run(pool, call->fn, NULL);
}

/* On one to three threads. */
static void everywhere(ae_fn *fn)
{
    struct {
        ae_fn *fn;
    } call = { fn };

    for (unsigned workers = 1; workers <= 3; workers++) {
        ae_par_config config = { .size = sizeof config, .workers = workers };
        REQUIRE(ae_par_pool_create(&config, &pool) == 0);
        EXPECT_EQ(run_with(2, on_pool, &call), 0);
        ae_par_pool_destroy(pool);
    }
}

/* ---- kinds of input ---- */

enum shape { RANDOM, SORTED, REVERSED, EQUAL, FEW, SKEWED, POWERS, HIGH, ORGAN, ALMOST, SHAPES };

static uint64_t random64(uint64_t *state)
{
    uint64_t high = ae__rng_next(state);

    return high << 32 | ae__rng_next(state);
}

static uint64_t value_of(enum shape shape, size_t i, size_t n, uint64_t *state)
{
    switch (shape) {
    case SORTED:
        return i * 3;
    case REVERSED:
        return (n - i) * 3;
    case EQUAL:
        return 42;
    case FEW:
        return random64(state) % 5;
    case SKEWED: /* nearly all in one narrow place */
        return i % 1000 == 0 ? random64(state) : UINT64_C(1) << 63 | random64(state) >> 44;
    case POWERS: /* each step separates little */
        return UINT64_C(1) << (random64(state) % 64) | (random64(state) & 3);
    case HIGH:
        return random64(state) << 40;
    case ORGAN:
        return i < n / 2 ? i : n - i;
    case ALMOST:
        return i % 97 == 5 ? random64(state) % n : i;
    default:
        return random64(state);
    }
}

static const size_t sizes[] = { 0, 1, 2, 5, 24, 25, 33, 100, 1000, 5000, 40000, 300001 };
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void fill(uint64_t *a, size_t n, enum shape shape)
{
    uint64_t state = 88172645463325252u + n;

    for (size_t i = 0; i < n; i++) {
        a[i] = value_of(shape, i, n, &state);
    }
}

static int compare_plain(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int compare_u64(const void *a, const void *b, void *arg)
{
    (void)arg;
    return compare_plain(a, b);
}

/* For each shape and size: sort `a` by `sort`, compare with qsort's `want`. */
static void against_qsort(int (*sort)(uint64_t *a, size_t n))
{
    uint64_t *a = malloc(300001 * 8), *want = malloc(300001 * 8);

    REQUIRE(a && want);
    for (int shape = 0; shape < SHAPES; shape++) {
        for (int s = 0; s < SIZES; s++) {
            size_t n = sizes[s];
            fill(a, n, (enum shape)shape);
            memcpy(want, a, n * 8);
            qsort(want, n, 8, compare_plain);
            EXPECT_EQ(sort(a, n), 0);
            EXPECT_TRUE(memcmp(a, want, n * 8) == 0);
        }
    }
    free(a);
    free(want);
}

static int typed(void *arg)
{
    (void)arg;
    against_qsort(ae_par_sort_u64);
    return 0;
}

TEST(numbers_of_every_distribution_are_sorted)
{
    everywhere(typed);
}

static int sort_compared(uint64_t *a, size_t n)
{
    return ae_par_sort(a, n, 8, compare_u64, NULL);
}

static int compared(void *arg)
{
    (void)arg;
    against_qsort(sort_compared);
    return 0;
}

TEST(items_of_every_distribution_are_sorted_by_comparison)
{
    everywhere(compared);
}

/* ---- signed and floating ---- */

static int signs(void *arg)
{
    enum { N = 200000 };
    int64_t *a = malloc(N * sizeof *a);
    double *d = malloc(N * sizeof *d);
    uint64_t state = 7;
    int wrong = 0;

    (void)arg;
    REQUIRE(a && d);
    for (int i = 0; i < N; i++) {
        a[i] = (int64_t)random64(&state) >> (i % 60);
        d[i] = (double)a[i] / 1000.0;
    }
    d[5] = -INFINITY, d[6] = INFINITY, d[7] = -0.0, d[8] = 0.0, d[9] = NAN;
    EXPECT_EQ(ae_par_sort_i64(a, N), 0);
    EXPECT_EQ(ae_par_sort_f64(d, N), 0);
    for (int i = 1; i < N; i++) {
        wrong += a[i - 1] > a[i];
        wrong += d[i - 1] > d[i];
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_TRUE(isnan(d[N - 1]) && d[N - 2] == INFINITY && d[0] == -INFINITY);
    free(a);
    free(d);
    return 0;
}

TEST(negative_and_floating_numbers_are_in_order)
{
    everywhere(signs);
}

/* ---- items ---- */

struct item {
    int32_t key;
    uint32_t place;
    char text[16];
};

static uint64_t key_u64(const void *item, void *arg)
{
    (void)arg;
    return (uint64_t)(((const struct item *)item)->key + 1000);
}

static int64_t key_i64(const void *item, void *arg)
{
    (void)arg;
    return ((const struct item *)item)->key;
}

static double key_f64(const void *item, void *arg)
{
    (void)arg;
    return ((const struct item *)item)->key / 8.0;
}

static int compare_items(const void *a, const void *b, void *arg)
{
    (void)arg;
    return ((const struct item *)a)->key - ((const struct item *)b)->key;
}

static void make_items(struct item *items, size_t n)
{
    uint64_t state = 99;

    for (size_t i = 0; i < n; i++) {
        items[i].key = (int32_t)(ae__rng_next(&state) % 2000) - 1000;
        items[i].place = (uint32_t)i;
        memset(items[i].text, (char)items[i].key, sizeof items[i].text);
    }
}

static int disorder(const struct item *items, size_t n)
{
    int wrong = 0;

    for (size_t i = 0; i < n; i++) {
        wrong += items[i].text[7] != (char)items[i].key;
        if (i == 0) continue;
        wrong += items[i - 1].key > items[i].key;
        wrong += items[i - 1].key == items[i].key && items[i - 1].place >= items[i].place;
    }
    return wrong;
}

static int by_key(void *arg)
{
    enum { N = 150000 };
    struct item *items = malloc(N * sizeof *items);

    (void)arg;
    REQUIRE(items);
    make_items(items, N);
    EXPECT_EQ(ae_par_sort_by_u64(items, N, sizeof *items, key_u64, NULL), 0);
    EXPECT_EQ(disorder(items, N), 0);
    make_items(items, N);
    EXPECT_EQ(ae_par_sort_by_i64(items, N, sizeof *items, key_i64, NULL), 0);
    EXPECT_EQ(disorder(items, N), 0);
    make_items(items, N);
    EXPECT_EQ(ae_par_sort_by_f64(items, N, sizeof *items, key_f64, NULL), 0);
    EXPECT_EQ(disorder(items, N), 0);
    make_items(items, N);
    EXPECT_EQ(ae_par_sort_stable(items, N, sizeof *items, compare_items, NULL), 0);
    EXPECT_EQ(disorder(items, N), 0);
    free(items);
    return 0;
}

TEST(sorting_items_is_stable_and_carries_them_whole)
{
    everywhere(by_key);
}

/* ---- orders that are none ---- */

static int nonsense(const void *a, const void *b, void *arg)
{
    (void)a;
    (void)b;
    return (int)(ae__rng_next(arg) % 3) - 1;
}

static int always_less(const void *a, const void *b, void *arg)
{
    (void)a;
    (void)b;
    (void)arg;
    return -1;
}

static void check_permutation(uint64_t *a, size_t n)
{
    size_t wrong = 0;

    qsort(a, n, 8, compare_plain);
    for (size_t i = 0; i < n; i++) {
        wrong += a[i] != i * 3;
    }
    EXPECT_EQ(wrong, 0);
}

static int no_order(void *arg)
{
    enum { N = 60000 };
    uint64_t *a = malloc(N * sizeof *a), state = 5;

    (void)arg;
    REQUIRE(a);
    for (size_t n = 1; n < 200; n++) {
        fill(a, n, SORTED);
        EXPECT_EQ(ae_par_sort(a, n, 8, nonsense, &state), 0);
        check_permutation(a, n);
        EXPECT_EQ(ae_par_sort(a, n, 8, always_less, &state), 0);
        check_permutation(a, n);
    }
    fill(a, N, SORTED);
    EXPECT_EQ(ae_par_sort(a, N, 8, always_less, NULL), 0);
    check_permutation(a, N);
    free(a);
    return 0;
}

TEST(an_order_that_is_none_loses_and_doubles_nothing)
{
    ae_par_config config = { .size = sizeof config, .workers = 1 };
    REQUIRE(ae_par_pool_create(&config, &pool) == 0);
    EXPECT_EQ(ae_par_run(pool, no_order, NULL), 0);
    ae_par_pool_destroy(pool);
}

/* ---- cancelling, memory ---- */

struct cancelling {
    _Atomic(long) compares;
    ae_scope scope;
};

static int compare_and_cancel(const void *a, const void *b, void *arg)
{
    struct cancelling *c = arg;

    if (atomic_fetch_add(&c->compares, 1) == 5000) ae_scope_cancel(&c->scope, -EINTR);
    return compare_plain(a, b);
}

static int cancelled_sort(void *arg)
{
    enum { N = 300000 };
    struct cancelling c = { .compares = 0 };
    uint64_t *a = malloc(N * sizeof *a);

    (void)arg;
    REQUIRE(a);
    fill(a, N, SORTED);
    for (size_t i = 0; i < N / 2; i++) {
        uint64_t t = a[i];
        a[i] = a[N - 1 - i];
        a[N - 1 - i] = t;
    }
    ae_scope_begin(&c.scope);
    int rc = ae_par_sort(a, N, 8, compare_and_cancel, &c);
    EXPECT_EQ(rc, -ECANCELED);
    EXPECT_EQ(ae_scope_end(&c.scope, rc), -EINTR);
    EXPECT_LT(atomic_load(&c.compares), 100000);
    check_permutation(a, N);
    free(a);
    return 0;
}

TEST(a_cancelled_sort_puts_all_items_down_again)
{
    EXPECT_EQ(run_with(2, cancelled_sort, NULL), 0);
}

static int no_memory(void *arg)
{
    enum { N = 200000 };
    uint64_t *a = malloc(N * sizeof *a);
    int refused = 0;

    (void)arg;
    REQUIRE(a);
    for (int n = 1; n < 6; n++) {
        fill(a, N, REVERSED);
        ae__mem_fail_after(n);
        refused += ae_par_sort_u64(a, N) == -ENOMEM;
        refused += sort_compared(a, N) == -ENOMEM;
        ae__mem_fail_after(0);
        qsort(a, N, 8, compare_plain);
        EXPECT_TRUE(a[0] == 3 && a[N - 1] == N * 3);
    }
    EXPECT_GE(refused, 1);
    free(a);
    return 0;
}

TEST(a_sort_without_memory_is_refused_or_done_whole)
{
    everywhere(no_memory);
}

/* ---- prefix sums ---- */

struct sums {
    const uint64_t *in;
    uint64_t *out;
};

static int fold_plain(void *arg, void *acc, size_t begin, size_t end)
{
    const struct sums *sums = arg;
    uint64_t sum = *(uint64_t *)acc;

    for (size_t i = begin; i < end; i++) {
        sum += sums->in[i];
    }
    *(uint64_t *)acc = sum;
    return 0;
}

static int scan_plain(void *arg, void *acc, size_t begin, size_t end)
{
    const struct sums *sums = arg;
    uint64_t sum = *(uint64_t *)acc;

    for (size_t i = begin; i < end; i++) {
        sum += sums->in[i];
        sums->out[i] = sum;
    }
    *(uint64_t *)acc = sum;
    return 0;
}

static void merge_plain(void *arg, void *left, const void *right)
{
    (void)arg;
    *(uint64_t *)left += *(const uint64_t *)right;
}

static int scans(void *arg)
{
    uint64_t *in = malloc(300001 * 8), *out = malloc(300001 * 8);
    struct sums sums = { in, out };

    (void)arg;
    REQUIRE(in && out);
    for (int s = 0; s < SIZES; s++) {
        size_t n = sizes[s], wrong = 0;
        uint64_t total = 0, sum = 0;
        fill(in, n, RANDOM);
        EXPECT_EQ(ae_par_scan(0, n, &total, 8, scan_plain, fold_plain, merge_plain, &sums), 0);
        for (size_t i = 0; i < n; i++) {
            sum += in[i];
            wrong += out[i] != sum;
        }
        EXPECT_EQ(wrong, 0);
        EXPECT_TRUE(total == sum);
    }
    free(in);
    free(out);
    return 0;
}

TEST(a_scan_gives_every_prefix_and_the_total)
{
    everywhere(scans);
}

/* x -> a x + b, which does not commute. */
struct affine {
    uint64_t a, b;
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

static int scan_affine(void *arg, void *acc, size_t begin, size_t end)
{
    struct affine *out = arg;

    for (size_t i = begin; i < end; i++) {
        fold_affine(NULL, acc, i, i + 1);
        out[i] = *(struct affine *)acc;
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

static int scans_affine(void *arg)
{
    enum { N = 500000 };
    struct affine *out = malloc(N * sizeof *out), total = { 1, 0 }, sum = { 1, 0 };
    int wrong = 0;

    (void)arg;
    REQUIRE(out);
    EXPECT_EQ(ae_par_scan(0, N, &total, sizeof total, scan_affine, fold_affine, merge_affine, out),
              0);
    for (size_t i = 0; i < N; i++) {
        fold_affine(NULL, &sum, i, i + 1);
        wrong += out[i].a != sum.a || out[i].b != sum.b;
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_TRUE(total.a == sum.a && total.b == sum.b);
    free(out);
    return 0;
}

TEST(a_scan_keeps_the_order_of_its_items)
{
    everywhere(scans_affine);
}

static int fail_at(void *arg, void *acc, size_t begin, size_t end)
{
    (void)acc;
    return begin <= (size_t)(intptr_t)arg && (size_t)(intptr_t)arg < end ? -EIO : 0;
}

static int failing_scan(void *arg)
{
    uint64_t acc = 0;

    (void)arg;
    EXPECT_EQ(ae_par_scan(0, 100000, &acc, 8, fail_at, fail_at, merge_plain, (void *)50000), -EIO);
    EXPECT_EQ(ae_par_scan(0, 100000, &acc, 8, fail_at, fail_at, merge_plain, (void *)-1), 0);
    return 0;
}

TEST(the_error_of_a_body_ends_a_scan)
{
    everywhere(failing_scan);
}
