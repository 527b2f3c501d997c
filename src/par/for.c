/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of the loop: for, chunks, map, reduce, find. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "par/loop.h"

/* ---- for ---- */

struct for_call {
    struct ae__par_loop loop;
    size_t begin, end;
    ae_par_body *body;
    void *arg;
};

static int fold_body(void *arg, void *acc, size_t begin, size_t end)
{
    const struct for_call *call = arg;

    (void)acc;
    return call->body(call->arg, begin, end);
}

static int for_entered(void *arg)
{
    struct for_call *call = arg;

    return ae__par_loop_run(&call->loop, ae__par_self(), call->begin, call->end, NULL);
}

int ae_par_for_grain(size_t begin, size_t end, size_t grain_min, size_t grain_max,
                     ae_par_body *body, void *arg)
{
    struct for_call call = { .begin = begin, .end = end, .body = body, .arg = arg };

    AE_ASSERT(body);
    AE_ASSERT(grain_max == 0 || grain_max >= grain_min);
    call.loop.fold = fold_body;
    call.loop.arg = &call;
    call.loop.grain_min = grain_min ? grain_min : 1;
    call.loop.grain_max = grain_max ? grain_max : SIZE_MAX;
    return ae__par_enter(NULL, for_entered, &call);
}

int ae_par_for(size_t begin, size_t end, ae_par_body *body, void *arg)
{
    return ae_par_for_grain(begin, end, 0, 0, body, arg);
}

/* ---- chunks ---- */

struct chunks_call {
    size_t n, chunk;
    ae_par_body *body;
    void *arg;
};

static int body_chunks(void *arg, size_t begin, size_t end)
{
    const struct chunks_call *call = arg;
    int rc = 0;

    for (size_t i = begin; i < end && rc == 0; i++) {
        size_t first = i * call->chunk, left = call->n - first;
        rc = call->body(call->arg, first, first + (left < call->chunk ? left : call->chunk));
    }
    return rc;
}

int ae_par_chunks(size_t n, size_t chunk, ae_par_body *body, void *arg)
{
    struct chunks_call call = { n, chunk, body, arg };

    AE_ASSERT(body);
    AE_ASSERT(chunk > 0);
    return ae_par_for(0, n / chunk + (n % chunk != 0), body_chunks, &call);
}

/* ---- map ---- */

struct map_call {
    const char *in;
    char *out;
    size_t in_bytes, out_bytes;
    int *status;
    ae_par_item *fn;
    void *arg;
};

static int body_map(void *arg, size_t begin, size_t end)
{
    const struct map_call *call = arg;
    const char *in = call->in + begin * call->in_bytes;
    char *out = call->out + begin * call->out_bytes;
    int rc = 0;

    for (size_t i = begin; i < end && rc == 0; i++) {
        rc = call->fn(call->arg, in, out);
        in += call->in_bytes;
        out += call->out_bytes;
    }
    return rc;
}

static int body_map_status(void *arg, size_t begin, size_t end)
{
    const struct map_call *call = arg;

    for (size_t i = begin; i < end; i++) {
        call->status[i] =
            call->fn(call->arg, call->in + i * call->in_bytes, call->out + i * call->out_bytes);
    }
    return 0;
}

int ae_par_map(const void *in, size_t in_bytes, void *out, size_t out_bytes, size_t n,
               ae_par_item *fn, void *arg)
{
    struct map_call call = { in, out, in_bytes, out_bytes, NULL, fn, arg };

    AE_ASSERT(fn);
    return ae_par_for(0, n, body_map, &call);
}

int ae_par_map_status(const void *in, size_t in_bytes, void *out, size_t out_bytes, size_t n,
                      int *status, ae_par_item *fn, void *arg)
{
    struct map_call call = { in, out, in_bytes, out_bytes, status, fn, arg };

    AE_ASSERT(fn);
    AE_ASSERT(status || n == 0);
    for (size_t i = 0; i < n; i++) {
        status[i] = -ECANCELED;
    }
    return ae_par_for(0, n, body_map_status, &call);
}

/* ---- reduce ---- */

struct reduce_call {
    struct ae__par_loop loop;
    size_t begin, end;
    void *acc;
};

static int reduce_entered(void *arg)
{
    struct reduce_call *call = arg;

    return ae__par_loop_run(&call->loop, ae__par_self(), call->begin, call->end, call->acc);
}

int ae_par_reduce(size_t begin, size_t end, void *acc, size_t acc_bytes, ae_par_fold *fold,
                  ae_par_merge *merge, void *arg)
{
    struct reduce_call call = { .begin = begin, .end = end, .acc = acc };
    _Alignas(16) unsigned char room[AE__PAR_ACC_BYTES];
    void *neutral = acc_bytes > sizeof room ? ae__mem_alloc(acc_bytes) : room;

    AE_ASSERT(acc && acc_bytes > 0);
    AE_ASSERT(fold && merge);
    if (!neutral) return -ENOMEM;
    memcpy(neutral, acc, acc_bytes);
    call.loop.fold = fold;
    call.loop.merge = merge;
    call.loop.arg = arg;
    call.loop.acc_bytes = acc_bytes;
    call.loop.neutral = neutral;
    call.loop.grain_min = 1;
    call.loop.grain_max = SIZE_MAX;
    int rc = ae__par_enter(NULL, reduce_entered, &call);
    if (neutral != room) ae__mem_free(neutral);
    return rc;
}

/* ---- find ---- */

struct find_call {
    ae_par_test *test;
    void *arg;
    bool wanted;            /* the result of test that is looked for */
    _Atomic(size_t) index;  /* found: the lowest so far; SIZE_MAX: none */
};

static void found(struct find_call *call, size_t index)
{
    size_t before = atomic_load_explicit(&call->index, memory_order_relaxed);

    while (index < before && !atomic_compare_exchange_weak(&call->index, &before, index)) {
    }
}

static int body_find_any(void *arg, size_t begin, size_t end)
{
    struct find_call *call = arg;

    for (size_t i = begin; i < end; i++) {
        if (call->test(call->arg, i) != call->wanted) continue;
        found(call, i);
        return 1; /* the others stop before their next grain */
    }
    return 0;
}

static int body_find_first(void *arg, size_t begin, size_t end)
{
    struct find_call *call = arg;

    for (size_t i = begin; i < end; i++) {
        if (i >= atomic_load_explicit(&call->index, memory_order_relaxed)) return 0;
        if (call->test(call->arg, i) != call->wanted) continue;
        found(call, i);
        return 0; /* what is further left goes on */
    }
    return 0;
}

static int find(size_t begin, size_t end, struct find_call *call, ae_par_body *body)
{
    AE_ASSERT(call->test);
    atomic_init(&call->index, SIZE_MAX);
    int rc = ae_par_for(begin, end, body, call);
    return rc < 0 ? rc : 0;
}

static int find_index(size_t begin, size_t end, ae_par_test *test, void *arg, size_t *index,
                      ae_par_body *body)
{
    struct find_call call = { .test = test, .arg = arg, .wanted = true };
    int rc = find(begin, end, &call, body);

    if (rc < 0) return rc;
    size_t at = atomic_load(&call.index);
    if (at == SIZE_MAX) return -ENOENT;
    if (index) *index = at;
    return 0;
}

int ae_par_find_any(size_t begin, size_t end, ae_par_test *test, void *arg, size_t *index)
{
    return find_index(begin, end, test, arg, index, body_find_any);
}

int ae_par_find_first(size_t begin, size_t end, ae_par_test *test, void *arg, size_t *index)
{
    return find_index(begin, end, test, arg, index, body_find_first);
}

int ae_par_all(size_t begin, size_t end, ae_par_test *test, void *arg)
{
    struct find_call call = { .test = test, .arg = arg, .wanted = false };
    int rc = find(begin, end, &call, body_find_any);

    if (rc < 0) return rc;
    return atomic_load(&call.index) == SIZE_MAX;
}
