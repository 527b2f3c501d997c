/* SPDX-License-Identifier: Apache-2.0 */
/* See recorder.h for the invariants cited here. */
#include "sched/recorder.h"

#include "aether/metrics.h"
#include "base/assert.h"
#include "sched/types.h"

#define MASK (AE__RECORDER_SIZE - 1)
#define PERIOD_MAX 4096u

struct ae__recorder *ae__recorder_create(void)
{
    /* mapped, not allocated: what is not written to costs nothing */
    struct ae__recorder *r = ae__os_map(sizeof *r);

    _Static_assert((AE__RECORDER_SIZE & MASK) == 0, "a power of two");
    if (r) r->period = 1;
    return r;
}

void ae__recorder_destroy(struct ae__recorder *recorder)
{
    if (recorder) ae__os_unmap(recorder, sizeof *recorder);
}

/* ---- writing ---- */

static void put(_Atomic(uint64_t) *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release); /* V1 */
}

void ae__record(struct ae__recorder *r, enum ae__event kind, uint64_t begin, uint64_t length,
                uint32_t task, uint32_t generation, uint64_t value)
{
    uint64_t n = atomic_load_explicit(&r->next, memory_order_relaxed);
    struct ae__entry *entry = &r->entries[n & MASK];
    uint64_t ms = ae__cpu_ticks_per_ms();

    AE_DEBUG_ASSERT(kind > AE__EVENT_NONE);
    AE_DEBUG_ASSERT(kind < AE__EVENTS);
    if (length < ms && begin - r->last[kind] < ms / 4) return;
    r->last[kind] = begin;
    put(&entry->begin, begin);
    put(&entry->length, length);
    put(&entry->what, (uint64_t)task << 32 | (uint64_t)(generation & 0xffffff) << 8 | kind);
    put(&entry->value, value);
    put(&r->next, n + 1);
}

void ae__record_now(struct ae__worker *w, enum ae__event kind, uint32_t task, uint64_t value)
{
    if (!AE_WATCHED) return;
    ae__record(w->recorder, kind, ae__cpu_ticks(), 0, task, 0, value);
}

static uint32_t bucket_of(uint64_t value)
{
    if (value < 8) return (uint32_t)value;
    uint32_t doubling = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t step = (uint32_t)(value >> (doubling - 3)) & 7;

    return (doubling - 2) * 8 + step;
}

static void count(_Atomic(uint64_t) *histogram, uint64_t ticks)
{
    uint32_t bucket = bucket_of(ticks);

    if (bucket >= AE__RECORDER_BUCKETS) bucket = AE__RECORDER_BUCKETS - 1;
    ae__count(&histogram[bucket], 1);
}

/* ---- sampling ---- */

static uint32_t head_of(struct ae__worker *w)
{
    return (uint32_t)atomic_load_explicit(&w->ring.head, memory_order_relaxed);
}

static void begin_sample(struct ae__worker *w, const struct ae__task *task, uint64_t now)
{
    struct ae__recorder *r = w->recorder;
    uint64_t gap = now - r->sample_ticks, ms = ae__cpu_ticks_per_ms();

    if (gap < ms / 2 && r->period < PERIOD_MAX) r->period *= 2;
    if (gap > 2 * ms && r->period > 1) r->period /= 2;
    r->sample_ticks = r->slice_ticks = r->mark_ticks = now;
    r->slice_fn = (uint64_t)(uintptr_t)task->fn;
    r->slice_task = task->index;
    r->slice_generation = ae__task_generation(task);
    r->mark = atomic_load_explicit(&w->ring.tail, memory_order_relaxed);
    r->mark_passed = false;
    r->due = w->tick + r->period;
    ae__record(r, AE__EVENT_QUEUE, now, 0, ae__inject_hint(&w->rt->inject), 0,
               r->mark - head_of(w));
}

static void end_slice(struct ae__recorder *r, uint64_t now)
{
    if (!r->slice_ticks) return;
    uint64_t length = now - r->slice_ticks;
    count(r->slices, length);
    ae__record(r, AE__EVENT_SLICE, r->slice_ticks, length ? length : 1, r->slice_task,
               r->slice_generation, r->slice_fn);
    r->slice_ticks = 0;
}

/* When all that was queued before the mark has begun, one more slice must end: then a task at the
 * mark would have the worker. Returns how many slices that may still take; 0: it is over. */
static uint32_t look_at_mark(struct ae__worker *w, uint64_t now)
{
    struct ae__recorder *r = w->recorder;

    if (!r->mark_ticks) return 0;
    if (r->mark_passed) {
        count(r->waits, now - r->mark_ticks);
        r->mark_ticks = 0;
        return 0;
    }
    int32_t ahead = (int32_t)(r->mark - head_of(w));
    r->mark_passed = ahead <= 0;
    return r->mark_passed ? 1 : (uint32_t)ahead;
}

void ae__recorder_slice(struct ae__worker *w, const struct ae__task *task)
{
    struct ae__recorder *r = w->recorder;
    uint64_t now = ae__cpu_ticks();

    end_slice(r, now);
    uint32_t wait = look_at_mark(w, now);
    if (wait == 0 && (int32_t)(w->tick - r->due) >= 0) {
        begin_sample(w, task, now);
        wait = look_at_mark(w, now);
        AE_DEBUG_ASSERT(wait > 0);
        w->sample_in = 1; /* the end of this slice */
        return;
    }
    w->sample_in = wait ? wait : r->due - w->tick;
    AE_DEBUG_ASSERT(w->sample_in > 0);
}

void ae__recorder_left(struct ae__worker *w)
{
    if (!AE_WATCHED) return;
    struct ae__recorder *r = w->recorder;

    if (AE_LIKELY(!r->slice_ticks && !r->mark_ticks)) return;
    uint64_t now = ae__cpu_ticks();
    end_slice(r, now);
    (void)look_at_mark(w, now);
}

/* ---- sleeping ---- */

void ae__recorder_sleep(struct ae__worker *w)
{
    if (!AE_WATCHED) return;
    struct ae__recorder *r = w->recorder;
    uint64_t now = ae__cpu_ticks();

    atomic_store_explicit(&r->slept_from, now, memory_order_relaxed);
    /* It had little to do: the distance that was right for many slices would last too long now. */
    if (now - r->sample_ticks > 8 * ae__cpu_ticks_per_ms()) {
        r->period = 1;
        r->due = w->tick + 1;
        w->sample_in = 1;
    }
}

void ae__recorder_wake(struct ae__worker *w)
{
    if (!AE_WATCHED) return;
    struct ae__recorder *r = w->recorder;
    uint64_t from = atomic_load_explicit(&r->slept_from, memory_order_relaxed);
    uint64_t length = ae__cpu_ticks() - from;

    AE_DEBUG_ASSERT(from != 0);
    ae__count(&r->asleep, length);
    atomic_store_explicit(&r->slept_from, 0, memory_order_relaxed);
    ae__record(r, AE__EVENT_SLEEP, from, length ? length : 1, 0, 0, 0);
}

/* ---- reading ---- */

void ae__recorder_scale(const struct ae_runtime *rt, struct ae__tick_scale *out)
{
    out->ticks = ae__cpu_ticks();
    out->ns = ae__os_now();
    uint64_t ticks = out->ticks - rt->began_ticks;
    out->ns_per_tick = ticks > 0 ? (double)(out->ns - rt->began_ns) / (double)ticks : 1.0;
}

/* The middle of a bucket. */
static double value_of(uint32_t bucket)
{
    if (bucket < 8) return bucket;
    double width = (double)(UINT64_C(1) << (bucket / 8 - 1));
    return width * (8 + bucket % 8) + width / 2;
}

void ae__recorder_add(const _Atomic(uint64_t) *ticks, const struct ae__tick_scale *scale,
                      uint64_t *out)
{
    for (uint32_t i = 0; i < AE__RECORDER_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&ticks[i], memory_order_relaxed);
        if (!n) continue;
        uint32_t bucket = bucket_of((uint64_t)(value_of(i) * scale->ns_per_tick));
        out[bucket < AE_HISTOGRAM_BUCKETS ? bucket : AE_HISTOGRAM_BUCKETS - 1] += n;
    }
}

int64_t ae_histogram_ns(unsigned bucket)
{
    if (bucket < 8) return bucket;
    return (int64_t)(8 + bucket % 8) << (bucket / 8 - 1);
}

static uint64_t get(const _Atomic(uint64_t) *word)
{
    return atomic_load_explicit(word, memory_order_acquire); /* V1 */
}

uint32_t ae__recorder_read(const struct ae__recorder *r, struct ae__entry_copy *out)
{
    uint64_t end = get(&r->next);
    uint64_t begin = end > AE__RECORDER_SIZE ? end - AE__RECORDER_SIZE : 0;
    uint32_t kept = 0;

    for (uint64_t n = begin; n < end; n++) {
        const struct ae__entry *entry = &r->entries[n & MASK];
        out[n - begin] = (struct ae__entry_copy){ get(&entry->begin), get(&entry->length),
                                                  get(&entry->what), get(&entry->value) };
    }
    uint64_t after = get(&r->next);
    /* V2: entry `after` may be under way, in the place of after - size */
    uint64_t whole = after >= AE__RECORDER_SIZE ? after - AE__RECORDER_SIZE + 1 : 0;
    for (uint64_t n = whole > begin ? whole : begin; n < end; n++) {
        out[kept++] = out[n - begin];
    }
    return kept;
}
