/* SPDX-License-Identifier: Apache-2.0 */
/* map-reduce: the sum of the bits of 20 million words.
 * map-collect: a million items, 1 % of which, all at the end, hold half of the work; the results in
 * order in new memory.
 * scan-op: prefixes of 2 million items by an operator of more than 20 ns.
 * scan-add: prefixes of 20 million words by addition. */
#include "par.h"

#include <stdlib.h>

enum { WORDS = 20000000, ITEMS = 1000000, HEAVY = ITEMS / 100, OPS = 2000000 };
enum { LIGHT_TURNS = 40, HEAVY_TURNS = LIGHT_TURNS * 99 };

static uint64_t *words, *out;
static uint64_t total;

static void make_words(void)
{
    uint64_t state = UINT64_C(88172645463325252);

    if (words) return;
    words = par_alloc(WORDS * sizeof(*words));
    out = par_alloc(WORDS * sizeof(*out));
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = par_random(&state);
    }
}

/* ---- map-reduce ---- */

/* The bits of up to 31 words, by adding bytes that each count up to 8: what a compiler makes of
 * count_ones() where the CPU may lack the instruction. */
static inline uint64_t bits_of(const uint64_t *word, size_t count)
{
    const uint64_t fives = UINT64_C(0x5555555555555555), threes = UINT64_C(0x3333333333333333);
    const uint64_t nibbles = UINT64_C(0x0f0f0f0f0f0f0f0f), bytes = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t sums = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t x = word[i];
        x -= (x >> 1) & fives;
        x = (x & threes) + ((x >> 2) & threes);
        sums += (x + (x >> 4)) & nibbles;
    }
    return (((sums & bytes) + ((sums >> 8) & bytes)) * UINT64_C(0x0001000100010001)) >> 48;
}

static int sum_bits(void *arg, void *acc, size_t begin, size_t end)
{
    uint64_t sum = 0;

    (void)arg;
    for (; end - begin >= 24; begin += 24) {
        sum += bits_of(&words[begin], 24);
    }
    *(uint64_t *)acc += sum + bits_of(&words[begin], end - begin);
    return 0;
}

static void add(void *arg, void *left, const void *right)
{
    (void)arg;
    *(uint64_t *)left += *(const uint64_t *)right;
}

static int reduce_parallel(void)
{
    total = 0;
    return ae_par_reduce(0, WORDS, &total, sizeof(total), sum_bits, add, NULL);
}

static void reduce_serial(void)
{
    total = 0;
    (void)sum_bits(NULL, &total, 0, WORDS);
}

static void reduce_verify(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < WORDS; i++) {
        sum += (uint64_t)__builtin_popcountll(words[i]);
    }
    par_check(total == sum, "the sum of the bits is wrong");
}

/* ---- map-collect ---- */

static uint64_t *collected;

static uint64_t hash_item(uint64_t item)
{
    uint64_t x = item + 1;

    for (int i = item >= ITEMS - HEAVY ? HEAVY_TURNS : LIGHT_TURNS; i > 0; i--) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x ^= x >> 29;
    }
    return x;
}

static int collect_range(void *arg, size_t begin, size_t end)
{
    (void)arg;
    for (size_t i = begin; i < end; i++) {
        collected[i] = hash_item(i);
    }
    return 0;
}

static void collect_free(void)
{
    free(collected);
    collected = NULL;
}

static int collect_parallel(void)
{
    collected = malloc(ITEMS * sizeof(*collected));
    par_check(collected != NULL, "no memory");
    return ae_par_for(0, ITEMS, collect_range, NULL);
}

static void collect_serial(void)
{
    collected = malloc(ITEMS * sizeof(*collected));
    par_check(collected != NULL, "no memory");
    (void)collect_range(NULL, 0, ITEMS);
}

static void collect_verify(void)
{
    for (size_t i = 0; i < ITEMS; i += i < ITEMS - HEAVY ? 1 : 97) {
        if (collected[i] != hash_item(i)) par_check(false, "not in order");
    }
}

/* ---- scan ---- */

/* Associative, and no compiler makes a vector of it: products of three permutations of 16 nibbles
 * each. */
struct product {
    uint64_t factor[3];
};

#define IDENTITY UINT64_C(0xfedcba9876543210)
#define ONE ((struct product){ { IDENTITY, IDENTITY, IDENTITY } })

static struct product op_total;

static inline uint64_t compose(uint64_t a, uint64_t b)
{
    uint64_t c = 0;

    for (int i = 0; i < 64; i += 4) {
        c |= (a >> (4 * ((b >> i) & 15)) & 15) << i;
    }
    return c;
}

static inline uint64_t rotation(uint64_t x)
{
    unsigned turn = (unsigned)(x & 15) * 4;

    return turn ? IDENTITY << turn | IDENTITY >> (64 - turn) : IDENTITY;
}

static inline void multiply(struct product *product, uint64_t item)
{
    for (int i = 0; i < 3; i++) {
        product->factor[i] = compose(product->factor[i], rotation(item >> 4 * i));
    }
}

static inline uint64_t value_of(const struct product *product)
{
    return product->factor[0] + product->factor[1] * 3 + product->factor[2] * 5;
}

static int scan_ops(void *arg, void *acc, size_t begin, size_t end)
{
    struct product product = *(struct product *)acc;

    (void)arg;
    for (size_t i = begin; i < end; i++) {
        multiply(&product, words[i]);
        out[i] = value_of(&product);
    }
    *(struct product *)acc = product;
    return 0;
}

static int fold_ops(void *arg, void *acc, size_t begin, size_t end)
{
    struct product product = *(struct product *)acc;

    (void)arg;
    for (size_t i = begin; i < end; i++) {
        multiply(&product, words[i]);
    }
    *(struct product *)acc = product;
    return 0;
}

static void merge_ops(void *arg, void *left, const void *right)
{
    struct product *l = left;
    const struct product *r = right;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        l->factor[i] = compose(l->factor[i], r->factor[i]);
    }
}

static int ops_parallel(void)
{
    op_total = ONE;
    return ae_par_scan(0, OPS, &op_total, sizeof(op_total), scan_ops, fold_ops, merge_ops, NULL);
}

static void ops_serial(void)
{
    op_total = ONE;
    (void)scan_ops(NULL, &op_total, 0, OPS);
}

static void ops_verify(void)
{
    struct product product = ONE;

    for (size_t i = 0; i < OPS; i++) {
        multiply(&product, words[i]);
        if (out[i] != value_of(&product)) par_check(false, "a prefix is wrong");
    }
    par_check(value_of(&op_total) == value_of(&product), "the product is wrong");
}

static int scan_adds(void *arg, void *acc, size_t begin, size_t end)
{
    uint64_t sum = *(uint64_t *)acc;

    (void)arg;
    for (size_t i = begin; i < end; i++) {
        sum += words[i];
        out[i] = sum;
    }
    *(uint64_t *)acc = sum;
    return 0;
}

static int fold_adds(void *arg, void *acc, size_t begin, size_t end)
{
    uint64_t sum = 0;

    (void)arg;
    for (size_t i = begin; i < end; i++) {
        sum += words[i];
    }
    *(uint64_t *)acc += sum;
    return 0;
}

static int adds_parallel(void)
{
    total = 0;
    return ae_par_scan(0, WORDS, &total, sizeof(total), scan_adds, fold_adds, add, NULL);
}

static void adds_serial(void)
{
    total = 0;
    (void)scan_adds(NULL, &total, 0, WORDS);
}

static void adds_verify(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < WORDS; i++) {
        sum += words[i];
        if (out[i] != sum) par_check(false, "a prefix is wrong");
    }
    par_check(total == sum, "the total is wrong");
}

const struct par_bench par_loops[] = {
    { "map-reduce", 1e6, make_words, reduce_parallel, reduce_serial, reduce_verify },
    { "map-collect", 1e6, collect_free, collect_parallel, collect_serial, collect_verify },
    { "scan-op", 1e6, make_words, ops_parallel, ops_serial, ops_verify },
    { "scan-add", 1e6, make_words, adds_parallel, adds_serial, adds_verify },
    { NULL, 0, NULL, NULL, NULL, NULL },
};
