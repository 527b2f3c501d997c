/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: plain C functions that block like ordinary C and cost next to nothing. */
#ifndef AETHER_TASK_H
#define AETHER_TASK_H

#include <aether/defs.h>
#include <aether/run.h>
#include <aether/scope.h>

AE_EXTERN_C_BEGIN

typedef struct ae_task ae_task;  /* a handle: not dereferenced, consumed once */
typedef uint64_t ae_task_id;     /* slot and generation; never used again by another task */

typedef struct ae_task_opts {
    ae_scope *scope;     /* NULL = the innermost open one */
    const char *name;    /* must outlive the task; NULL = none */
    size_t stack_bytes;  /* 0 = the runtime's default; 64 KiB, 256 KiB or 1 MiB (rounded up) */
    bool in_root;        /* owned by the runtime's root scope: outlives the caller's scopes */
} ae_task_opts;

/* Start `fn(arg)` as a task owned by the innermost open scope (a plain thread needs one that
 * belongs to a runtime). NULL means it was not started (tasks_max or no memory) and `arg` is still
 * yours; otherwise fn is called exactly once, also when already cancelled, so that it can free
 * `arg`. The handle ends by ae_join, ae_join_outcome, ae_detach, or with the scope.
 * Colour: any thread, never suspends. */
AE_API ae_task *ae_spawn(ae_fn *fn, void *arg) AE_MUST_CHECK;
AE_API ae_task *ae_spawn_in(ae_scope *scope, ae_fn *fn, void *arg) AE_MUST_CHECK;
AE_API ae_task *ae_spawn_opts(const ae_task_opts *opts, ae_fn *fn, void *arg) AE_MUST_CHECK;

/* The same without a handle: 0, or -ENOMEM and `arg` is still yours. A NULL scope in ae_go_in and
 * ae_spawn_in is the runtime's root. A negative result other than -ECANCELED goes to
 * config.on_task_error. Colour: any thread, never suspends. */
AE_API int ae_go(ae_fn *fn, void *arg) AE_MUST_CHECK;
AE_API int ae_go_in(ae_scope *scope, ae_fn *fn, void *arg) AE_MUST_CHECK;

/* Wait until `task` has returned, free the handle, give back what it returned. NULL gives -ENOMEM,
 * so `ae_join(ae_spawn(f, x))` needs one check. If the caller is cancelled the task is cancelled
 * too, and still waited for. Colour: any thread, may block. */
AE_API int ae_join(ae_task *task);

/* How a task ended, kept apart as Tokio's JoinError does. */
typedef struct ae_outcome {
    int status;       /* what fn returned */
    bool cancelled;   /* it was cancelled before it returned */
    ae_task_id id;
    char name[32];    /* "" if none */
} ae_outcome;
AE_API int ae_join_outcome(ae_task *task, ae_outcome *out);

/* Wait until it has returned, without consuming the handle. 0 or -ECANCELED.
 * Colour: any thread, may block. */
AE_API int ae_task_wait(ae_task *task) AE_MUST_CHECK;

/* Give the handle up: the task runs on, owned by its scope. NULL is fine. Colour: any thread. */
AE_API void ae_detach(ae_task *task);

/* Ask one task to end: each suspending call in it returns -ECANCELED from now on. Never waits.
 * Colour: any thread. */
AE_API void ae_cancel(ae_task *task);
AE_API int ae_cancel_id(ae_runtime *rt, ae_task_id id); /* -ESRCH: it is gone */

AE_API ae_task_id ae_task_get_id(const ae_task *task);  /* Colour: any thread */
AE_API ae_task_id ae_self_id(void);       /* 0 outside a task. Colour: any thread */
AE_API const char *ae_self_name(void);    /* "" if none. Colour: any thread */
AE_API void ae_self_set_name(const char *name); /* must outlive the task. Colour: task */

/* Let the other runnable tasks of this worker go first. Not cancellable.
 * Colour: task, may suspend. */
AE_API void ae_yield(void);

/* For long loops: yields when the slice's budget is used up, or after 100 us, which lets timers and
 * I/O in; 0 or -ECANCELED. Reads the clock: call it every few microseconds, not more often.
 * Colour: task, may suspend. */
AE_API int ae_checkpoint(void) AE_MUST_CHECK;

/* True once an enclosing scope, or the task itself, is cancelled. Colour: any thread. */
AE_API bool ae_cancelled(void);

/* Between pin and unpin the task stays on its worker thread, also across suspensions. Nests.
 * Colour: task, never suspends. */
AE_API void ae_pin(void);
AE_API void ae_unpin(void);

/* Task-local values. A key is a static object: `static const ae_local user = { free };`
 * destroy(value) runs on the task when it ends; NULL = none.
 * get: NULL if never set. set: 0 or -ENOMEM. Colour: task, never suspends. */
typedef struct ae_local {
    void (*destroy)(void *value);
} ae_local;
AE_API void *ae_local_get(const ae_local *key);
AE_API int ae_local_set(const ae_local *key, void *value) AE_MUST_CHECK;

AE_EXTERN_C_END
#endif
