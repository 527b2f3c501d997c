/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the scheduler: the tree of scopes. */
#ifndef AE_SCHED_SCOPE_H
#define AE_SCHED_SCOPE_H

#include "sched/types.h"
#include "sched/wait.h"

/* scope.c */
void ae__scope_init(struct ae__scope *scope, enum ae__node_kind kind, struct ae_runtime *rt,
                    struct ae__actor *owner, struct ae__node *parent);
/* A scope under the root whose owner is a plain thread (ae_block_on). False: the end has begun. */
bool ae__scope_open_in_root(struct ae__scope *scope, struct ae_runtime *rt,
                            struct ae__actor *self);
void ae__scope_close_in_root(struct ae__scope *scope, struct ae__actor *self,
                             struct ae__node *before);
/* One wait for a scope: for the count of those without handles, or for one child with a handle. */
struct ae__scope_watch {
    struct ae__waiter waiter;
    struct ae__task *child;
    uint32_t sequence; /* of the wait begun */
};
/* Begin a wait that ends when something the scope waits for has returned. False: all have, and no
 * wait was begun. After the park, unwatch, and look again. */
bool ae__scope_watch(struct ae__scope *scope, struct ae__actor *self, bool cancellable,
                     struct ae__scope_watch *watch);
void ae__scope_unwatch(struct ae__scope *scope, struct ae__scope_watch *watch);
/* How many children have not returned; looks at each. */
uint32_t ae__scope_unfinished(struct ae__scope *scope);
/* Wait until all children have returned; -ECANCELED if `cancellable` and cancelled first. */
int ae__scope_wait_children(struct ae__scope *scope, struct ae__actor *self, bool cancellable);
void ae__scope_free_children(struct ae__scope *scope); /* all are done; handles die */
/* The scope that owns what the actor spawns now. NULL: a plain thread without any. */
struct ae__scope *ae__scope_innermost(const struct ae__actor *actor);
/* A child came or returned; under the scope's lock. The waiter goes onto wakes. */
void ae__scope_child_done(struct ae__scope *scope, struct ae__wakes *wakes);

/* cancel.c: mark a node and all below it, claim who waits there. Takes the node's lock. */
void ae__cancel_node(struct ae__node *node, uint32_t bits, int cause, struct ae__wakes *wakes);

/* The task that has this generation, if it still has; 0 or -ESRCH. */
int ae__cancel_generation(struct ae__task *task, uint32_t generation);

#endif
