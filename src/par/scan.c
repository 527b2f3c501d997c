/* SPDX-License-Identifier: Apache-2.0 */
/* Prefix sums of any kind.
 *
 * A block whose start is not known can only be summed, and must be gone through again when it is.
 * Doing that to every block makes two passes of one, which two threads cannot win back. So the
 * owner always scans the block whose start it knows, while others sum the blocks after it; then all
 * of these and one more, whose start is known by now, are scanned at once. With p threads that is
 * p + 1 blocks in the time of two, (p + 1) / 2 times as fast as alone, which is the best there is
 * (Roch and others, 2006). Sums that nobody came for are not made, so alone it is one plain pass.
 * Blocks take some 60 us, so that the second pass finds them in a cache. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "par/pool.h"

enum {
    HELPERS_MAX = 63,
    BLOCK_NS = 60000,
    GROWTH = 4,
};

struct scan_call {
    ae_par_fold *scan, *fold;
    ae_par_merge *merge;
    void *arg, *acc;
    size_t acc_bytes, begin, end;
    unsigned char *accs;       /* one for each block of a round, then the neutral element */
    _Atomic(int) stop;
};

struct block {
    struct scan_call *call;
    ae_par_fold *fn;
    void *acc;
    size_t begin, end;
    struct ae__job_slot *slot;
};

struct round {
    struct ae__par_worker *w;
    struct block blocks[HELPERS_MAX + 2];
    unsigned helpers;          /* at most */
    size_t length;             /* of a block */
};

static void *acc_at(const struct scan_call *call, unsigned i)
{
    return call->accs + i * call->acc_bytes;
}

static int run_block(void *arg)
{
    struct block *block = arg;
    struct scan_call *call = block->call;
    struct ae__par_worker *w = ae__par_self();
    int none = 0, rc = atomic_load_explicit(&call->stop, memory_order_relaxed);

    if (rc != 0) return 0;
    rc = ae__par_cancelled(w) ? -ECANCELED : 0;
    if (rc == 0) {
        struct ae__job_slot *floor = w->deque.head;
        rc = ae__par_drain(w, floor, block->fn(call->arg, block->acc, block->begin, block->end));
    }
    if (rc != 0) (void)atomic_compare_exchange_strong(&call->stop, &none, rc);
    return 0;
}

static void set_block(struct round *r, unsigned i, struct scan_call *call, ae_par_fold *fn,
                      size_t begin)
{
    size_t end = call->end - begin < r->length ? call->end : begin + r->length;

    r->blocks[i] = (struct block){ call, fn, acc_at(call, i), begin, end, NULL };
}

static void push_block(struct round *r, unsigned i)
{
    r->blocks[i].slot = ae__par_push(r->w, run_block, &r->blocks[i]);
}

/* True: somebody else has done it. */
static bool pop_block(struct round *r, unsigned i)
{
    int result;

    return r->blocks[i].slot && !ae__par_pop(r->w, r->blocks[i].slot, &result);
}

/* The owner scans the block at `begin` into call->acc, while helpers sum the ones after it. How
 * many were summed. */
static unsigned sum_ahead(struct round *r, struct scan_call *call, size_t begin)
{
    unsigned pushed = 0, summed = 0;

    while (pushed < r->helpers && call->end - begin > (pushed + 2) * r->length) {
        unsigned i = ++pushed;
        set_block(r, i, call, call->fold, begin + i * r->length);
        memcpy(acc_at(call, i), acc_at(call, HELPERS_MAX + 2), call->acc_bytes);
        push_block(r, i);
    }
    set_block(r, 0, call, call->scan, begin);
    r->blocks[0].acc = call->acc;
    (void)run_block(&r->blocks[0]);
    for (unsigned i = pushed; i > 0; i--) { /* the oldest are stolen first */
        bool done = pop_block(r, i);
        if (done && summed == 0) summed = i;
    }
    return summed;
}

/* Blocks 1 .. summed have their sums: scan them, and one more. Its end. */
static size_t scan_known(struct round *r, struct scan_call *call, unsigned summed, size_t begin)
{
    unsigned last = summed + 1;

    /* From sums to starts: acc of block i becomes what comes before it. */
    set_block(r, last, call, call->scan, begin + last * r->length);
    for (unsigned i = last; i > 1; i--) {
        memcpy(acc_at(call, i), call->acc, call->acc_bytes);
        for (unsigned j = 1; j < i; j++) {
            call->merge(call->arg, acc_at(call, i), acc_at(call, j));
        }
    }
    memcpy(acc_at(call, 1), call->acc, call->acc_bytes);
    for (unsigned i = last; i > 0; i--) {
        r->blocks[i].fn = call->scan;
        if (i > 1) push_block(r, i);
    }
    (void)run_block(&r->blocks[1]);
    for (unsigned i = 2; i <= last; i++) {
        if (!pop_block(r, i)) (void)run_block(&r->blocks[i]);
    }
    memcpy(call->acc, acc_at(call, last), call->acc_bytes);
    return r->blocks[last].end;
}

static void adapt(struct round *r, int64_t took_ns)
{
    if (took_ns > 2 * BLOCK_NS) {
        r->length = (size_t)((double)r->length * BLOCK_NS / (double)took_ns);
        if (r->length == 0) r->length = 1;
    } else if (took_ns < BLOCK_NS / 2 && r->length < SIZE_MAX / GROWTH / (HELPERS_MAX + 2)) {
        r->length *= took_ns < BLOCK_NS / GROWTH ? GROWTH : 2;
    }
}

static int scan_entered(void *arg)
{
    struct scan_call *call = arg;
    struct round r;
    size_t at = call->begin;

    r.w = ae__par_self();
    r.helpers = ae__par_threads(r.w) - 1;
    if (r.helpers > HELPERS_MAX) r.helpers = HELPERS_MAX;
    r.length = 16;
    while (at < call->end && atomic_load_explicit(&call->stop, memory_order_relaxed) == 0) {
        size_t length = r.length;
        int64_t start_ns = ae__os_now();
        unsigned summed = sum_ahead(&r, call, at);
        adapt(&r, ae__os_now() - start_ns);
        size_t next = r.length;
        r.length = length;
        if (summed == 0 || atomic_load_explicit(&call->stop, memory_order_relaxed) != 0) {
            at = r.blocks[0].end;
        } else {
            at = scan_known(&r, call, summed, at);
        }
        r.length = next;
    }
    return atomic_load(&call->stop);
}

int ae_par_scan(size_t begin, size_t end, void *acc, size_t acc_bytes, ae_par_fold *scan,
                ae_par_fold *fold, ae_par_merge *merge, void *arg)
{
    struct scan_call call = { .scan = scan, .fold = fold, .merge = merge, .arg = arg, .acc = acc,
                              .acc_bytes = acc_bytes, .begin = begin, .end = end };

    AE_ASSERT(acc && acc_bytes > 0);
    AE_ASSERT(scan && fold && merge);
    call.accs = ae__mem_alloc((HELPERS_MAX + 3) * acc_bytes);
    if (!call.accs) return -ENOMEM;
    memcpy(acc_at(&call, HELPERS_MAX + 2), acc, acc_bytes);
    int rc = ae__par_enter(NULL, scan_entered, &call);
    ae__mem_free(call.accs);
    return rc;
}
