/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the scheduler: control blocks from creation to their end. */
#ifndef AE_SCHED_SPAWN_H
#define AE_SCHED_SPAWN_H

#include "sched/types.h"

struct ae__spawn {
    struct ae__scope *scope;     /* the owner */
    enum ae__task_state state;
    ae_fn *fn;
    void *arg;
    const char *name;
    void *site;
    uint8_t stack_class;
    bool handle;
};

/* NULL: no block is free. */
struct ae__task *ae__task_make(const struct ae__spawn *spawn);
/* ready.c: hand a task that was just made to the workers. */
void ae__ready_new(struct ae__task *task);
/* Under the lock of the task's parent scope: have a waiter claimed at its end; give up its handle.
 * False: it has ended already, and nothing was done. */
bool ae__task_watch_locked(struct ae__task *task, struct ae__waiter *waiter);
bool ae__task_give_up_locked(struct ae__task *task);
/* Out of every list: give the block back; its id and handles are stale from now on. */
void ae__task_free(struct ae__task *task);
/* Tell about a status that nobody will read. */
void ae__task_report(struct ae__task *task);

#endif
