/* SPDX-License-Identifier: Apache-2.0 */
/* The door of the scheduler: what the layers below it (driver, sync, blocking, io) use, grouped by
 * the file that defines it. */
#ifndef AE_SCHED_SCHED_H
#define AE_SCHED_SCHED_H

#include "sched/driver.h"
#include "sched/timer.h"
#include "sched/wait.h"
#include "task/types.h"

/* ready.c: making actors runnable. Any thread. */

/* One claimed PARKED actor: a task goes to the caller's LIFO slot if the caller is a worker of its
 * runtime, else to the inject queue; a thread is woken. */
void ae__ready(struct ae__actor *actor);
/* All of `wakes`. A single one goes as ae__ready's; more go to the ring's tail, with one wake-up
 * decision for all. Empties the list. */
void ae__ready_all(struct ae__wakes *wakes);

/* thread.c: OS threads. */

/* The record of the calling thread, made if there is none. Not across a suspension. */
struct ae__thread *ae__thread_self(void);

/* worker.c */

/* The driver of the worker that the calling task runs on. Not across a suspension. */
struct ae__driver *ae__driver_self(void);
/* Charge one operation to the slice's budget; a task that used it up yields. May suspend. */
void ae__charge(void);
/* Is the caller a task (on a worker)? */
bool ae__in_task(void);

/* runtime.c */

/* The runtime of the caller: of its worker, pool thread or innermost scope; NULL: none. */
struct ae_runtime *ae__runtime_self(void);
const struct ae__driver_ops *ae__runtime_driver_ops(const struct ae_runtime *rt);
struct ae__lanes *ae__runtime_lanes(const struct ae_runtime *rt);
const ae_config *ae__runtime_config(const struct ae_runtime *rt); /* defaults filled in */
void *ae__runtime_io(const struct ae_runtime *rt);     /* the I/O layer's own tables */
void ae__runtime_set_io(struct ae_runtime *rt, void *io);

/* As if it had got SIGTERM; signal-safe. `rt`: struct ae_runtime *. */
void ae__runtime_signal(void *rt);

/* shutdown.c */

/* Log who is there and what each waits for. Nothing may change meanwhile. */
void ae__runtime_name_tasks(struct ae_runtime *rt);

/* spawn.c: control blocks for tasks that are no ordinary ones. */

/* A task without a stack owned by the innermost open scope, not yet runnable (state as given:
 * AE__TASK_DEFERRED or AE__TASK_BLOCKING). NULL: limit or memory. spawn_site: of the caller. */
struct ae__task *ae__task_create(enum ae__task_state state, ae_fn *fn, void *arg, bool handle,
                                 void *spawn_site);
/* Undo a create: fn was never called. */
void ae__task_abandon(struct ae__task *task);
/* The task returned `status` (on a pool thread): wake the joiner, leave the scope, free. */
void ae__task_complete(struct ae__task *task, int status);
ae_task *ae__task_handle(struct ae__task *task);
struct ae__task *ae__task_from_handle(const ae_task *handle); /* asserts its generation */

/* Deferred start. begin: the task is now a waiter (cancellable) with the sequence returned; arm
 * task->timer (by ae__timer_arm with ae__task_defer_timeout as fire) and the descriptor with it;
 * then commit publishes it. It becomes ready by the first claim: by its timer (reason TIME), a
 * cancel, or a driver (AE__REASON_FIRST + events). What it was armed on is undone before fn runs.
 * */
uint32_t ae__task_defer_begin(struct ae__task *task, enum ae__wait_kind kind, const void *object);
void ae__task_defer_timeout(struct ae__timer *timer, struct ae__wakes *wakes);
void ae__task_defer_commit(struct ae__task *task);

/* Have `waiter` claimed (with its reason) when the task returns. False: it has returned already.
 * unwatch afterwards in every case, before the waiter's memory goes. */
bool ae__task_watch(struct ae__task *task, struct ae__waiter *waiter);
void ae__task_unwatch(struct ae__task *task, struct ae__waiter *waiter);

/* A pool job runs in its caller's innermost scope: a scope whose owner is the pool thread's actor,
 * inside the node of the caller, who waits meanwhile. before: the borrower's own base node. */
void ae__scope_lend(struct ae__scope *scope, struct ae__actor *caller, struct ae__actor *borrower);
void ae__scope_unlend(struct ae__scope *scope, struct ae__actor *borrower,
                      struct ae__node *before);
/* The same for a task of its own (AE__TASK_BLOCKING): cancels of it reach the runner's waits. */
void ae__task_lend(struct ae__task *task, struct ae__actor *runner);
void ae__task_unlend(struct ae__task *task, struct ae__actor *runner, struct ae__node *before);

/* look.c: what there is to see, as text, by `write` (all of it; 0 or -errno), or to a descriptor.
 * Any thread, blocks it. 0, -ENOMEM or the first error of `write`. */
enum ae__view { AE__VIEW_DUMP, AE__VIEW_TRACE, AE__VIEW_STATS };
int ae__view_write(struct ae_runtime *rt, enum ae__view view,
                   int (*write)(void *context, const void *data, size_t size), void *context);
int ae__view(struct ae_runtime *rt, enum ae__view view, int fd);

#endif
