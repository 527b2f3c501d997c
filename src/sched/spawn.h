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
/* Out of every list: give the block back; its id and handles are stale from now on. */
void ae__task_free(struct ae__task *task);
/* Tell about a status that nobody will read. */
void ae__task_report(struct ae__task *task);

#endif
