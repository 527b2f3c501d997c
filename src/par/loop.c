/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over a range: how it is cut into calls, how it is split, how it ends early.
 *
 * A range is worked off in grains. Their length follows the clock: it grows until a grain takes
 * some 30 us and shrinks when one took much longer, so a body may cost a nanosecond or a second,
 * and a cancel is seen within one grain. Between grains the owner looks whether somebody has asked
 * for work, and only then halves what is left (Tzannes and others, "Lazy binary-splitting", 2010).
 * So a loop that nobody helps with is not split, and a costly stretch anywhere in it is shared out
 * to the last grain. */
#include "par/loop.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

enum {
    GRAIN_NS = 32000,     /* what a grain should take */
    GRAIN_SHORT_NS = 16000,
    GRAIN_LONG_NS = 64000,
    GROWTH_MAX = 16,      /* of a grain at once */
};

/* The right half of a range, in the frame of who split it. */
struct half {
    struct ae__par_loop *loop;
    size_t begin, end, grain;
    void *acc;                    /* of its own: used if it is stolen */
    bool on_heap;
    _Alignas(16) unsigned char room[AE__PAR_ACC_BYTES];
};

static void stop(struct ae__par_loop *loop, int rc)
{
    int none = 0;

    (void)atomic_compare_exchange_strong(&loop->stop, &none, rc);
}

static bool stopped(struct ae__par_loop *loop, const struct ae__par_worker *w)
{
    if (atomic_load_explicit(&loop->stop, memory_order_relaxed) != 0) return true;
    if (AE_LIKELY(!ae__par_cancelled(w))) return false;
    stop(loop, -ECANCELED);
    return true;
}

static size_t clamp(const struct ae__par_loop *loop, size_t grain)
{
    if (grain > loop->grain_max) grain = loop->grain_max;
    return grain < loop->grain_min ? loop->grain_min : grain;
}

/* The next grain after one of `done` items took `took_ns`. */
static size_t adapt(const struct ae__par_loop *loop, size_t grain, size_t done, int64_t took_ns)
{
    if (took_ns > GRAIN_LONG_NS) {
        grain = (size_t)((double)done * GRAIN_NS / (double)took_ns);
        return clamp(loop, grain);
    }
    if (took_ns >= GRAIN_SHORT_NS || done < grain) return grain;
    int64_t factor = GRAIN_NS / (took_ns + 1);
    if (factor > GROWTH_MAX) factor = GROWTH_MAX;
    if (factor < 2) factor = 2;
    return grain > SIZE_MAX / GROWTH_MAX ? grain : clamp(loop, grain * (size_t)factor);
}

/* One call of the body. */
static void run_grain(struct ae__par_loop *loop, struct ae__par_worker *w, size_t begin, size_t end,
                      void *acc)
{
    struct ae__job_slot *floor = w->deque.head;
    int rc = ae__par_drain(w, floor, loop->fold(loop->arg, acc, begin, end));

    if (AE_UNLIKELY(rc != 0)) stop(loop, rc);
}

static bool half_init(struct half *half, struct ae__par_loop *loop, size_t begin, size_t end,
                      size_t grain)
{
    half->loop = loop;
    half->begin = begin;
    half->end = end;
    half->grain = grain;
    half->acc = half->room;
    half->on_heap = loop->acc_bytes > sizeof half->room;
    if (!half->on_heap) return true;
    half->acc = ae__mem_alloc(loop->acc_bytes);
    return half->acc != NULL; /* no memory: then it is not split */
}

static void run_range(struct ae__par_loop *loop, struct ae__par_worker *w, size_t begin, size_t end,
                      size_t *grain, void *acc);

/* The half was stolen, or is a job like any other. */
static int run_half(void *arg)
{
    struct half *half = arg;
    struct ae__par_loop *loop = half->loop;

    if (loop->acc_bytes) memcpy(half->acc, loop->neutral, loop->acc_bytes);
    run_range(loop, ae__par_self(), half->begin, half->end, &half->grain, half->acc);
    return 0;
}

/* Halve [begin, end), run the left half. The new begin: the middle if nobody took the right half,
 * else the end. */
static AE_NOINLINE size_t run_split(struct ae__par_loop *loop, struct ae__par_worker *w,
                                    size_t begin, size_t end, size_t *grain, void *acc)
{
    size_t middle = begin + (end - begin) / 2;
    struct ae__job_slot *slot = NULL;
    struct half right;
    int result;

    if (half_init(&right, loop, middle, end, *grain)) slot = ae__par_push(w, run_half, &right);
    run_range(loop, w, begin, middle, grain, acc);
    if (slot && !ae__par_pop(w, slot, &result)) {
        if (loop->merge) loop->merge(loop->arg, acc, right.acc);
        middle = end;
    }
    if (right.on_heap) ae__mem_free(right.acc);
    return middle;
}

static void run_range(struct ae__par_loop *loop, struct ae__par_worker *w, size_t begin, size_t end,
                      size_t *grain, void *acc)
{
    while (begin < end && !stopped(loop, w)) {
        size_t left = end - begin;
        if (AE_UNLIKELY(ae__deque_asked(&w->deque)) && left / 2 >= loop->grain_min && left >= 2) {
            begin = run_split(loop, w, begin, end, grain, acc);
            continue;
        }
        size_t count = left < *grain ? left : *grain;
        int64_t start_ns = ae__os_now();
        run_grain(loop, w, begin, begin + count, acc);
        *grain = adapt(loop, *grain, count, ae__os_now() - start_ns);
        begin += count;
    }
}

int ae__par_loop_run(struct ae__par_loop *loop, struct ae__par_worker *w, size_t begin, size_t end,
                     void *acc)
{
    size_t grain = loop->grain_min;

    AE_ASSERT(loop->grain_min > 0);
    AE_ASSERT(loop->grain_max >= loop->grain_min);
    run_range(loop, w, begin, end, &grain, acc);
    return atomic_load(&loop->stop);
}
