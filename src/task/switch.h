/* SPDX-License-Identifier: Apache-2.0 */
/* Switching between contexts (a task's stack, a worker's native stack), and all that must be told
 * about it: sanitizers, errno. */
#ifndef AE_TASK_SWITCH_H
#define AE_TASK_SWITCH_H

#include "arch/sanitize.h"

/* One side of a switch. */
struct ae__context {
    void **save;            /* where the stack pointer is kept while away */
    struct ae__san *san;
};

/* Leave `from`, continue `to_sp`. Returns when somebody switches back here, perhaps on another
 * thread: everything thread-local must be looked up again. dying: `from` never comes back. */
void ae__context_switch(struct ae__context from, void *to_sp, struct ae__san *to_san, bool dying);

/* Call fn on a fresh stack. Returns on the same thread, when fn returns or somebody switches back
 * (then fn never returns). Not in builds with ASan or TSan. */
void ae__context_call(struct ae__context from, void *top, void (*fn)(void));

/* First call on a fresh stack that was switched to. */
void ae__context_arrived(void);

#endif
