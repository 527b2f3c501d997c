/* SPDX-License-Identifier: Apache-2.0 */
/* The sorts as users call them: what is a number goes to radix.c, what needs a comparison to
 * merge.c, items with a number to bykey.c. Numbers of other kinds are turned into unsigned ones of
 * the same order, and back. */
#include "par/bykey.h"

#include <errno.h>
#include <string.h>

#include "aether/scope.h"
#include "base/assert.h"
#include "base/mem.h"

#define SIGN (UINT64_C(1) << 63)

enum kind { KIND_U64, KIND_I64, KIND_F64 };

/* Order-preserving, one to one. */
static uint64_t code(enum kind kind, uint64_t bits)
{
    if (kind == KIND_U64) return bits;
    if (kind == KIND_I64 || !(bits & SIGN)) return bits ^ SIGN;
    return ~bits;
}

static uint64_t decode(enum kind kind, uint64_t word)
{
    if (kind == KIND_U64) return word;
    if (kind == KIND_I64 || (word & SIGN)) return word ^ SIGN;
    return ~word;
}

struct sort_call {
    enum kind kind;
    char *base;
    size_t n;
    struct ae__keyed keyed;       /* by key: its items */
    ae_par_key_i64 *key_i64;
    ae_par_key_f64 *key_f64;
    void *arg;
    struct ae__order order;
    struct ae__sort_stop stop;
};

/* Run the sort where nothing can end it half done. */
static int behind_shield(struct sort_call *call, int (*sort)(struct sort_call *call))
{
    ae_shield shield;

    call->stop.node = ae__par_self()->base.actor.node;
    ae_shield_begin(&shield, -1);
    int rc = sort(call);
    ae_shield_end(&shield);
    return rc == 0 && atomic_load(&call->stop.stopped) ? -ECANCELED : rc;
}

/* ---- numbers ---- */

static int code_range(void *arg, size_t begin, size_t end)
{
    const struct sort_call *call = arg;
    uint64_t *keys = (uint64_t *)(void *)call->base;

    for (size_t i = begin; i < end; i++) {
        keys[i] = code(call->kind, keys[i]);
    }
    return 0;
}

static int decode_range(void *arg, size_t begin, size_t end)
{
    const struct sort_call *call = arg;
    uint64_t *keys = (uint64_t *)(void *)call->base;

    for (size_t i = begin; i < end; i++) {
        keys[i] = decode(call->kind, keys[i]);
    }
    return 0;
}

static int sort_numbers(struct sort_call *call)
{
    uint64_t *keys = (uint64_t *)(void *)call->base;
    uint64_t *other = ae__mem_alloc(call->n * sizeof *other);
    int rc = 0;

    if (!other) return -ENOMEM;
    if (call->kind != KIND_U64) rc = ae_par_for(0, call->n, code_range, call);
    ae__par_radix_sort(&call->stop, keys, other, call->n, 1);
    if (call->kind != KIND_U64) rc = ae_par_for(0, call->n, decode_range, call);
    ae__mem_free(other);
    return rc;
}

static int numbers_entered(void *arg)
{
    return behind_shield(arg, sort_numbers);
}

static int compare_u64(const void *a, const void *b, void *arg)
{
    enum kind kind = *(const enum kind *)arg;
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    x = code(kind, x);
    y = code(kind, y);
    return (x > y) - (x < y);
}

static int sort_keys(void *keys, size_t n, enum kind kind)
{
    struct sort_call call = { .kind = kind, .base = keys, .n = n };

    AE_ASSERT(keys || n == 0);
    if (n > AE__RADIX_MAX) return ae_par_sort(keys, n, sizeof(uint64_t), compare_u64, &kind);
    return ae__par_enter(NULL, numbers_entered, &call);
}

int ae_par_sort_u64(uint64_t *keys, size_t n)
{
    return sort_keys(keys, n, KIND_U64);
}

int ae_par_sort_i64(int64_t *keys, size_t n)
{
    return sort_keys(keys, n, KIND_I64);
}

int ae_par_sort_f64(double *keys, size_t n)
{
    return sort_keys(keys, n, KIND_F64);
}

/* ---- by key ---- */

/* Keys of other kinds; arg is the call. */
static uint64_t key_i64(const void *item, void *arg)
{
    const struct sort_call *call = arg;

    return code(KIND_I64, (uint64_t)call->key_i64(item, call->arg));
}

static uint64_t key_f64(const void *item, void *arg)
{
    const struct sort_call *call = arg;
    double number = call->key_f64(item, call->arg);
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return code(KIND_F64, bits);
}

static int sort_keyed(struct sort_call *call)
{
    char *other = ae__mem_alloc(call->keyed.n * call->keyed.item_bytes);

    if (!other) return -ENOMEM;
    ae__par_sort_keyed(&call->stop, &call->keyed, other);
    ae__mem_free(other);
    return 0;
}

static int keyed_entered(void *arg)
{
    return behind_shield(arg, sort_keyed);
}

static int compare_keys(const void *a, const void *b, void *arg)
{
    const struct ae__keyed *items = arg;
    uint64_t x = items->key(a, items->arg), y = items->key(b, items->arg);

    return (x > y) - (x < y);
}

static int sort_by(struct sort_call *call)
{
    AE_ASSERT(call->keyed.base || call->keyed.n == 0);
    AE_ASSERT(call->keyed.item_bytes > 0);
    if (call->keyed.n < 2) return 0;
    if (call->keyed.n > AE__RADIX_MAX) {
        return ae_par_sort_stable(call->keyed.base, call->keyed.n, call->keyed.item_bytes,
                                  compare_keys, &call->keyed);
    }
    return ae__par_enter(NULL, keyed_entered, call);
}

int ae_par_sort_by_u64(void *base, size_t n, size_t item_bytes, ae_par_key_u64 *key, void *arg)
{
    struct sort_call call = { .keyed = { base, n, item_bytes, key, arg } };

    AE_ASSERT(key);
    return sort_by(&call);
}

int ae_par_sort_by_i64(void *base, size_t n, size_t item_bytes, ae_par_key_i64 *key, void *arg)
{
    struct sort_call call = { .keyed = { base, n, item_bytes, key_i64, NULL }, .arg = arg };

    AE_ASSERT(key);
    call.key_i64 = key;
    call.keyed.arg = &call;
    return sort_by(&call);
}

int ae_par_sort_by_f64(void *base, size_t n, size_t item_bytes, ae_par_key_f64 *key, void *arg)
{
    struct sort_call call = { .keyed = { base, n, item_bytes, key_f64, NULL }, .arg = arg };

    AE_ASSERT(key);
    call.key_f64 = key;
    call.keyed.arg = &call;
    return sort_by(&call);
}

/* ---- by comparison ---- */

static int sort_compared(struct sort_call *call)
{
    char *other = ae__mem_alloc(call->n * call->order.item_bytes);

    if (!other) return -ENOMEM;
    ae__par_merge_sort(&call->stop, &call->order, call->base, other, call->n);
    ae__mem_free(other);
    return 0;
}

static int compared_entered(void *arg)
{
    return behind_shield(arg, sort_compared);
}

int ae_par_sort_stable(void *base, size_t n, size_t item_bytes, ae_par_compare *compare, void *arg)
{
    struct sort_call call = { .base = base, .n = n };

    AE_ASSERT(base || n == 0);
    AE_ASSERT(compare);
    AE_ASSERT(item_bytes > 0);
    if (n < 2) return 0;
    call.order = (struct ae__order){ compare, arg, item_bytes };
    return ae__par_enter(NULL, compared_entered, &call);
}

/* The stable one takes no more comparisons than others do, and no wrong guesses. */
int ae_par_sort(void *base, size_t n, size_t item_bytes, ae_par_compare *compare, void *arg)
{
    return ae_par_sort_stable(base, n, item_bytes, compare, arg);
}
