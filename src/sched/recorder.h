/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder: what each worker did last, always on, in a fixed ring of its own; and two
 * histograms, of how long slices last and how long a ready task waits for its worker.
 *
 * A slice costs one comparison: most are not looked at. A sampled one reads the counter of the CPU
 * at its start and at its end. Its start also places a mark at the tail of the worker's ring; when
 * the head has come to it, the time between is what a task that became ready then had to wait. The
 * distance between samples adapts, to about a thousand a second and worker; a worker that does less
 * has all its slices recorded. Rare events (sleeps, steals, timers, I/O) are recorded where they
 * happen, at most one of a kind in a quarter of a millisecond, unless they last longer.
 *
 * V1  A ring is written by its owner only: first the entry, then `next` (release). All words are
 *     stored with release, so that who reads (acquire) a word of entry n sees next >= n.
 * V2  A reader copies entries, then reads `next` again: entries that may have been overwritten
 *     meanwhile, those up to next - size, are dropped. It stops nobody. */
#ifndef AE_SCHED_RECORDER_H
#define AE_SCHED_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/os.h"
#include "base/compiler.h"

struct ae_runtime;
struct ae__worker;
struct ae__task;
struct ae__out;

#define AE__RECORDER_SIZE 4096u      /* entries; a power of two */
#define AE__RECORDER_BUCKETS 384u    /* of a histogram: 8 in a doubling, from 1 tick on */

enum ae__event { /* add one? also edit names in sched/trace.c */
    AE__EVENT_NONE,
    AE__EVENT_SLICE,  /* a sampled slice: task, fn */
    AE__EVENT_SLEEP,  /* the worker had nothing to do */
    AE__EVENT_STEAL,  /* value: tasks taken; task: from which worker */
    AE__EVENT_TIMERS, /* value: timers that fired at once */
    AE__EVENT_IO,     /* value: tasks woken by one poll */
    AE__EVENT_QUEUE,  /* value: tasks in the ring; task: tasks in the shared queue */
    AE__EVENT_STALL,  /* a task held its worker: task, fn */
    AE__EVENTS,
};

struct ae__entry {
    _Atomic(uint64_t) begin;  /* ticks */
    _Atomic(uint64_t) length; /* ticks; 0: a moment */
    _Atomic(uint64_t) what;   /* kind : 8 | low bits of a generation : 24 | task : 32 */
    _Atomic(uint64_t) value;
};

struct ae__recorder {
    _Atomic(uint64_t) next; /* entries written so far */
    uint64_t last[AE__EVENTS]; /* begin of the newest of each kind; owner only */
    _Atomic(uint64_t) asleep;  /* ticks, in all */
    _Atomic(uint64_t) slept_from; /* 0: awake */

    /* sampling; owner only */
    uint32_t period;           /* slices from one sample to the next */
    uint32_t due;              /* the tick at which the next sample is to begin */
    uint32_t mark;             /* place in the worker's ring; valid while mark_ticks */
    bool mark_passed;          /* what was queued before the mark has begun */
    uint64_t mark_ticks;       /* when it was placed; 0: no mark is under way */
    uint64_t slice_ticks;      /* begin of the slice that is being sampled; 0: none */
    uint64_t sample_ticks;     /* begin of the last sample */
    uint64_t slice_fn;
    uint32_t slice_task, slice_generation;

    _Atomic(uint64_t) slices[AE__RECORDER_BUCKETS];
    _Atomic(uint64_t) waits[AE__RECORDER_BUCKETS];
    struct ae__entry entries[AE__RECORDER_SIZE];
};

/* NULL: no memory. */
struct ae__recorder *ae__recorder_create(void);
void ae__recorder_destroy(struct ae__recorder *recorder);

/* Owner. `length` in ticks, of something that began at `begin`. */
void ae__record(struct ae__recorder *r, enum ae__event kind, uint64_t begin, uint64_t length,
                uint32_t task, uint32_t generation, uint64_t value);
/* Owner: something that happens now. */
void ae__record_now(struct ae__worker *w, enum ae__event kind, uint32_t task, uint64_t value);

/* Owner: a slice begins, and w->sample_in says that it is to be looked at. */
void ae__recorder_slice(struct ae__worker *w, const struct ae__task *task);
/* Owner: the task that ran last has left, and the worker looks for another one. */
void ae__recorder_left(struct ae__worker *w);
/* Owner: it goes to sleep; it woke. */
void ae__recorder_sleep(struct ae__worker *w);
void ae__recorder_wake(struct ae__worker *w);

/* Any thread. Ticks to ns, by the clock's advance since `rt` began. */
struct ae__tick_scale {
    uint64_t ticks; /* now */
    int64_t ns;     /* now */
    double ns_per_tick;
};
void ae__recorder_scale(const struct ae_runtime *rt, struct ae__tick_scale *out);

/* Add a histogram, in ticks, to one whose bucket i has from ae_histogram_ns(i) on. */
void ae__recorder_add(const _Atomic(uint64_t) *ticks, const struct ae__tick_scale *scale,
                      uint64_t *out);

/* Any thread: entries that are whole (V2), oldest first, into `out`, which has room for all.
 * Returns how many. */
struct ae__entry_copy {
    uint64_t begin, length, what, value;
};
uint32_t ae__recorder_read(const struct ae__recorder *r, struct ae__entry_copy *out);

static inline enum ae__event ae__entry_kind(const struct ae__entry_copy *e)
{
    return (enum ae__event)(e->what & 0xff);
}

static inline uint32_t ae__entry_task(const struct ae__entry_copy *e)
{
    return (uint32_t)(e->what >> 32);
}

static inline uint32_t ae__entry_generation(const struct ae__entry_copy *e)
{
    return (uint32_t)(e->what >> 8) & 0xffffff;
}

#endif
