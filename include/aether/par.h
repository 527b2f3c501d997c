/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel loops: join, for, map, reduce, scan, find and sort on a pool of compute threads.
 *
 * The pool is made at the first use, a thread per usable CPU (AE_PAR_WORKERS overrides), apart from
 * the workers that run tasks. A task that calls in is suspended until the work is done; a plain
 * thread helps. Calls may be nested at any depth: a thread that waits for a part which another one
 * took runs only parts of that part meanwhile, never a stranger's work, so neither a lock held
 * across a call nor a per-thread state is met by other work of the same thread.
 *
 * Results: 0, or the first that was not 0 of a body; -ECANCELED: the caller was cancelled (work not
 * yet begun is left out; a body that runs is not interrupted); -ENOMEM, -EAGAIN: not started.
 * Colour of all: any thread, may block. */
#ifndef AETHER_PAR_H
#define AETHER_PAR_H

#include <aether/defs.h>

AE_EXTERN_C_BEGIN

/* ---- fork and join ---- */

/* Run a(arg_a) and b(arg_b), in parallel if a thread is free; both have returned afterwards. The
 * first negative result of the two, a's first, else 0. */
AE_API int ae_par_join(ae_fn *a, void *arg_a, ae_fn *b, void *arg_b) AE_MUST_CHECK;

/* Run fn(arg); what it and its jobs spawn has returned afterwards, so they may borrow what stands
 * in the caller's frame. The first negative result, else 0. */
AE_API int ae_par_scope(ae_fn *fn, void *arg) AE_MUST_CHECK;
/* Inside of any of these functions' bodies: start a job that the end of the innermost join half,
 * loop body, job or ae_par_scope waits for. Never fails: it is run at once if there is no room. */
AE_API void ae_par_spawn(ae_fn *fn, void *arg);

/* ---- loops over [begin, end) ---- */

/* Bodies get ranges, so that the compiler vectorises their loops. How long a range is follows the
 * time it takes (some 30 us), and what is left is halved whenever a thread has nothing to do.
 * Not 0: the loop ends early with this result. */
typedef int ae_par_body(void *arg, size_t begin, size_t end);
AE_API int ae_par_for(size_t begin, size_t end, ae_par_body *body, void *arg) AE_MUST_CHECK;
/* Ranges of grain_min to grain_max items (the last one may be shorter); 0: chosen. */
AE_API int ae_par_for_grain(size_t begin, size_t end, size_t grain_min, size_t grain_max,
                            ae_par_body *body, void *arg) AE_MUST_CHECK;
/* One call per chunk: [0, chunk), [chunk, 2 chunk), ..., the last one up to n. */
AE_API int ae_par_chunks(size_t n, size_t chunk, ae_par_body *body, void *arg) AE_MUST_CHECK;

/* out[i] = fn(in[i]) in order. */
typedef int ae_par_item(void *arg, const void *in, void *out);
AE_API int ae_par_map(const void *in, size_t in_bytes, void *out, size_t out_bytes, size_t n,
                      ae_par_item *fn, void *arg) AE_MUST_CHECK;
/* Each item has a result of its own, and none ends the others: status[i] is what fn returned for
 * item i, -ECANCELED for those not begun when the caller was cancelled. */
AE_API int ae_par_map_status(const void *in, size_t in_bytes, void *out, size_t out_bytes,
                             size_t n, int *status, ae_par_item *fn, void *arg) AE_MUST_CHECK;

/* Reduce to *acc, which holds the neutral element before: fold adds the items of a range to an
 * accumulator, merge adds `right` to `left`. The order of the items is kept; how they are grouped
 * is not fixed. */
typedef int ae_par_fold(void *arg, void *acc, size_t begin, size_t end);
typedef void ae_par_merge(void *arg, void *left, const void *right);
AE_API int ae_par_reduce(size_t begin, size_t end, void *acc, size_t acc_bytes, ae_par_fold *fold,
                         ae_par_merge *merge, void *arg) AE_MUST_CHECK;

/* Prefix sums of any kind: `scan` goes through a range, writes its results, and leaves the total in
 * acc; `fold` does the same without writing (and may be called for the same items before);
 * `merge` as above. *acc holds the neutral element before and the total after. */
AE_API int ae_par_scan(size_t begin, size_t end, void *acc, size_t acc_bytes, ae_par_fold *scan,
                       ae_par_fold *fold, ae_par_merge *merge, void *arg) AE_MUST_CHECK;

/* The index of an item for which test(arg, index) is true: any, or the first. -ENOENT: none. The
 * others stop within a range. all: 1 if it is true for every item, else 0. */
typedef bool ae_par_test(void *arg, size_t index);
AE_API int ae_par_find_any(size_t begin, size_t end, ae_par_test *test, void *arg,
                           size_t *index) AE_MUST_CHECK;
AE_API int ae_par_find_first(size_t begin, size_t end, ae_par_test *test, void *arg,
                             size_t *index) AE_MUST_CHECK;
AE_API int ae_par_all(size_t begin, size_t end, ae_par_test *test, void *arg) AE_MUST_CHECK;

/* ---- sorting, ascending ----
 * Needs as much memory again. -ECANCELED, -ENOMEM: all items are still
 * there, in some order. */

/* Numbers, by radix. */
AE_API int ae_par_sort_u64(uint64_t *keys, size_t n) AE_MUST_CHECK;
AE_API int ae_par_sort_i64(int64_t *keys, size_t n) AE_MUST_CHECK;
/* -NaN < -inf < ... < -0 < +0 < ... < inf < NaN. */
AE_API int ae_par_sort_f64(double *keys, size_t n) AE_MUST_CHECK;

/* Items of item_bytes by a key that is asked for once per item. Stable. */
typedef uint64_t ae_par_key_u64(const void *item, void *arg);
typedef int64_t ae_par_key_i64(const void *item, void *arg);
typedef double ae_par_key_f64(const void *item, void *arg);
AE_API int ae_par_sort_by_u64(void *base, size_t n, size_t item_bytes, ae_par_key_u64 *key,
                              void *arg) AE_MUST_CHECK;
AE_API int ae_par_sort_by_i64(void *base, size_t n, size_t item_bytes, ae_par_key_i64 *key,
                              void *arg) AE_MUST_CHECK;
AE_API int ae_par_sort_by_f64(void *base, size_t n, size_t item_bytes, ae_par_key_f64 *key,
                              void *arg) AE_MUST_CHECK;

/* By a comparison: < 0, 0, > 0 as for qsort, called by several threads at once. An order that is
 * none gives some order of the same items. */
typedef int ae_par_compare(const void *a, const void *b, void *arg);
AE_API int ae_par_sort(void *base, size_t n, size_t item_bytes, ae_par_compare *compare,
                       void *arg) AE_MUST_CHECK;
AE_API int ae_par_sort_stable(void *base, size_t n, size_t item_bytes, ae_par_compare *compare,
                              void *arg) AE_MUST_CHECK;

/* ---- the threads ---- */

typedef struct ae_par_pool ae_par_pool;

typedef struct ae_par_config {
    size_t size;         /* sizeof(ae_par_config) */
    unsigned workers;    /* 0 = AE_PAR_WORKERS, else usable CPUs */
    const char *name;    /* of the threads; NULL = "aether-par" */
    /* On each thread, when it starts and ends: the place to pin it to a CPU. */
    void (*on_start)(void *context, unsigned index);
    void (*on_stop)(void *context, unsigned index);
    void *context;
} ae_par_config;

/* A pool of one's own. destroy: no call is in it; accepts NULL. NULL config: the defaults. */
AE_API int ae_par_pool_create(const ae_par_config *config, ae_par_pool **out) AE_MUST_CHECK;
AE_API void ae_par_pool_destroy(ae_par_pool *pool);
/* Run fn(arg) on a thread of the pool (NULL: the default one); every ae_par_* call inside uses the
 * pool too. On a thread of the pool fn is simply called. */
AE_API int ae_par_run(ae_par_pool *pool, ae_fn *fn, void *arg) AE_MUST_CHECK;
/* Once on every thread of the pool that the caller is in, else of the default one. */
typedef int ae_par_each(void *arg, unsigned index);
AE_API int ae_par_broadcast(ae_par_each *fn, void *arg) AE_MUST_CHECK;

/* Per-thread state: an array of ae_par_width() slots, of which a body uses that of ae_par_index(),
 * in [0, width), fixed for the time of the body. Threads that help have an index too. -1 outside.
 * width: 0 if the pool cannot be made. */
AE_API int ae_par_index(void);
AE_API unsigned ae_par_width(void);
/* Its threads, without helpers. */
AE_API unsigned ae_par_workers(void);

AE_EXTERN_C_END
#endif
