/* SPDX-License-Identifier: Apache-2.0 */
/* Cancellation: a walk down the tree of nodes.
 *
 * C1  Locks are taken parent before child, and the whole path from the start to the node at hand is
 *     held: children cannot leave or come, so no node on the way disappears.
 * C2  A cancelled node has only cancelled ones below it, shields and what is in them excepted:
 *     marks are set under the node's lock, and what begins below a marked one inherits the mark
 *     under that lock. So the walk stops at marks.
 * C3  The flag is set before the owner's wait is claimed (W4), and only the owner's innermost node
 *     (no inner one) claims it: a wait inside a shield is left alone. */
#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"
#include "sched/scope.h"

static struct ae__actor *owner_of(struct ae__node *node)
{
    switch (node->kind) {
    case AE__NODE_TASK:
        return &AE_CONTAINER_OF(node, struct ae__task, node)->actor;
    case AE__NODE_JOB:
        return AE_CONTAINER_OF(node, struct ae__task, node)->sp;
    case AE__NODE_THREAD:
        return &AE_CONTAINER_OF(node, struct ae__thread, node)->actor;
    default:
        return ae__scope_of(node)->owner;
    }
}

static bool has_children(const struct ae__node *node)
{
    return node->kind == AE__NODE_SCOPE || node->kind == AE__NODE_ROOT;
}

static struct ae__node *first_listed(struct ae__node *node)
{
    if (!has_children(node)) return NULL;
    struct ae__list *children = &ae__scope_of(node)->children;
    if (ae__list_is_empty(children)) return NULL;
    return AE_CONTAINER_OF(children->next, struct ae__node, sibling);
}

static struct ae__node *first_child(struct ae__node *node)
{
    if (node->inner && node->inner->kind != AE__NODE_SHIELD) return node->inner;
    return first_listed(node);
}

static struct ae__node *next_child(struct ae__node *parent, struct ae__node *child)
{
    AE_ASSERT(child->parent == parent); /* C1: nobody moved it while the path was locked */
    if (child == parent->inner) return first_listed(parent);
    struct ae__list *next = child->sibling.next;
    if (next == &ae__scope_of(parent)->children) return NULL;
    return AE_CONTAINER_OF(next, struct ae__node, sibling);
}

/* C2, C3; under the node's lock. False: it was marked before. */
static bool mark(struct ae__node *node, uint32_t bits, struct ae__wakes *wakes)
{
    /* release: who sees the cancel sees what the canceller wrote before it */
    uint32_t before = atomic_fetch_or_explicit(&node->cancelled, bits, memory_order_release);
    struct ae__actor *owner = owner_of(node);

    if (before & AE__CANCELLED) return false;
    if (!node->inner && owner) ae__wait_cancel(owner, wakes);
    return true;
}

/* C1; the node is locked, and stays so. */
static void walk(struct ae__node *start, uint32_t bits, struct ae__wakes *wakes)
{
    struct ae__node *node = start, *child, *done;

    if (!mark(start, bits | AE__CANCELLED, wakes)) return;
    child = first_child(start);
    for (;;) {
        if (child) {
            ae__lock_acquire(&child->lock);
            if (mark(child, AE__CANCELLED, wakes)) {
                node = child;
                child = first_child(node);
                continue;
            }
            done = child;
        } else {
            if (node == start) return;
            AE_ASSERT(node->parent);
            done = node;
            node = node->parent;
        }
        child = next_child(node, done);
        ae__lock_release(&done->lock);
    }
}

void ae__cancel_node(struct ae__node *node, uint32_t bits, int cause, struct ae__wakes *wakes)
{
    const uint32_t own = AE__CANCEL_OWN | AE__CANCEL_DEADLINE;

    AE_ASSERT(cause <= 0);
    ae__lock_acquire(&node->lock);
    if (bits) {
        AE_ASSERT(node->kind >= AE__NODE_SCOPE); /* tasks and threads have no cause */
        struct ae__scope *scope = ae__scope_of(node);
        if (atomic_load_explicit(&node->cancelled, memory_order_relaxed) & own) {
            bits = 0; /* the first cause stays */
        } else {
            scope->cause = cause;
        }
    }
    walk(node, bits, wakes);
    ae__lock_release(&node->lock);
}

int ae__cancel_generation(struct ae__task *task, uint32_t generation)
{
    struct ae__wakes wakes;
    int rc = -ESRCH;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&task->node.lock);
    /* A block whose id was given out changes its generation under this lock (L4), so this is the
     * task or none. */
    if (ae__task_generation(task) == generation && task->state != AE__TASK_FREE) {
        rc = 0;
        if (!ae__task_is_done(task)) walk(&task->node, 0, &wakes);
    }
    ae__lock_release(&task->node.lock);
    if (wakes.head) ae__ready_all(&wakes);
    return rc;
}
