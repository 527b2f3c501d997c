/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking pool: run code that blocks or computes without holding a worker. */
#ifndef AETHER_BLOCKING_H
#define AETHER_BLOCKING_H

#include <aether/defs.h>
#include <aether/task.h>

AE_EXTERN_C_BEGIN

/* Run `fn(arg)` on a pool thread, wait, return its result; the caller suspends, its worker does
 * not. The job inherits the caller's scope. -ECANCELED: cancelled before it began (fn was not
 * called); once begun it is waited for. A full queue is waited for; -EAGAIN if no thread at all
 * can be made. On a plain thread fn is simply called. Colour: any thread, may block. */
AE_API int ae_blocking(ae_fn *fn, void *arg) AE_MUST_CHECK;

/* The joinable form: ae_join, ae_detach, ae_cancel and scopes work as with tasks (fn is called
 * exactly once, also when cancelled before). NULL: the queue is full, or no memory; `arg` is still
 * yours. fn runs on a plain thread: it may use the *any thread, may block* functions.
 * Colour: any thread, never suspends. */
AE_API ae_task *ae_spawn_blocking(ae_fn *fn, void *arg) AE_MUST_CHECK;

/* ---- with options ---- */

/* The pool has lanes, each with threads and a queue of its own: what fills one delays no other. */
enum ae_lane {
    AE_LANE_USER,  /* the default: config.blocking_threads_max */
    AE_LANE_FILES, /* the library's own work on files, and what belongs there */
    AE_LANE_NAMES, /* looking up host names */
    AE_LANES,
};

/* When as many jobs wait for a thread as config.blocking_queue_max says. */
enum ae_full {
    AE_FULL_DEFAULT, /* ae_blocking waits, ae_spawn_blocking refuses */
    AE_FULL_WAIT,    /* suspend until there is room, first come, first served */
    AE_FULL_REFUSE,  /* ae_blocking_opts: -EAGAIN; ae_spawn_blocking_opts: NULL */
};

typedef struct ae_job_opts {
    enum ae_lane lane;
    enum ae_full full;
    const char *name;  /* of a spawned job; must outlive it; NULL = none */
} ae_job_opts;

/* As ae_blocking. -EAGAIN: no thread can be made, or the queue is full and it shall refuse.
 * Colour: any thread, may block. */
AE_API int ae_blocking_opts(const ae_job_opts *opts, ae_fn *fn, void *arg) AE_MUST_CHECK;

/* As ae_spawn_blocking. With AE_FULL_WAIT the caller may suspend; NULL also if it is cancelled
 * meanwhile. A job that waits for room in its own lane holds a thread of it; the last thread that
 * is left is refused (NULL), since nobody could make room: do that work in place, or return.
 * Colour: any thread, may block with AE_FULL_WAIT, else never suspends. */
AE_API ae_task *ae_spawn_blocking_opts(const ae_job_opts *opts, ae_fn *fn, void *arg) AE_MUST_CHECK;

/* ---- in place ---- */

/* Around a call that blocks the thread but is usually over in microseconds, so that a trip to the
 * pool (some 10 us) would cost more: fsync(2) on a RAM disk, a foreign library's lock. If it lasts,
 * the worker's other tasks are handed over to another thread without waiting for config.rescue_ns,
 * and no stall is reported. Between the two the task must not suspend (asserted).
 * Pairs may be nested. On a plain thread they do nothing. Colour: any thread, never suspends. */
AE_API void ae_blocking_begin(void);
AE_API void ae_blocking_end(void);

AE_EXTERN_C_END
#endif
