/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes and shields: opening, closing, waiting for children. The walk of a cancel is in cancel.c.
 *
 * A scope is a node on its owner's stack. The owner's innermost node is actor->node; a parent knows
 * the scope opened inside it by the same owner as `inner`, and the tasks it owns as children. */
#include "aether/scope.h"

#include <errno.h>

#include "aether/time.h"
#include "base/assert.h"
#include "sched/sched.h"
#include "sched/scope.h"
#include "sched/spawn.h"
#include "sched/worker.h"

static struct ae__scope *from_public(void *opaque)
{
    return opaque;
}

void ae__scope_init(struct ae__scope *scope, enum ae__node_kind kind, struct ae_runtime *rt,
                    struct ae__actor *owner, struct ae__node *parent)
{
    *scope = (struct ae__scope){ .rt = rt, .owner = owner, .deadline_ns = AE_FOREVER };
    scope->node.kind = (uint8_t)kind;
    scope->node.parent = parent;
    ae__list_init(&scope->node.sibling);
    ae__list_init(&scope->children);
}

static void inherit(struct ae__node *node, const struct ae__node *parent)
{
    uint32_t bits = atomic_load_explicit(&parent->cancelled, memory_order_relaxed);

    atomic_store_explicit(&node->cancelled, bits & AE__CANCELLED, memory_order_relaxed);
}

/* Open inside `parent`, the innermost node of its owner. */
static void open_inside(struct ae__scope *scope, struct ae__node *parent)
{
    ae__lock_acquire(&parent->lock);
    AE_ASSERT(!parent->inner);
    if (scope->node.kind == AE__NODE_SCOPE) inherit(&scope->node, parent);
    parent->inner = &scope->node;
    ae__lock_release(&parent->lock);
}

static void close_inside(struct ae__scope *scope)
{
    struct ae__node *parent = scope->node.parent;

    ae__lock_acquire(&parent->lock);
    AE_ASSERT(parent->inner == &scope->node);
    parent->inner = NULL;
    ae__lock_release(&parent->lock);
}

void ae_scope_begin(ae_scope *opaque)
{
    struct ae__scope *scope = from_public(opaque);
    struct ae__actor *self = ae__actor_self();

    ae__scope_init(scope, AE__NODE_SCOPE, ae__runtime_self(), self, self->node);
    open_inside(scope, self->node);
    self->node = &scope->node;
}

/* Is the caller the owner, and the scope its innermost one? */
static struct ae__actor *check_owner(const struct ae__scope *scope)
{
    struct ae__actor *self = ae__actor_self();

    AE_ASSERT(scope->owner == self);       /* only who began a scope ends it */
    AE_ASSERT(self->node == &scope->node); /* scopes and shields end in reverse order */
    return self;
}

/* The task of a listed child if it has a handle and has not returned: such are not in `live`. */
static struct ae__task *uncounted(struct ae__list *link)
{
    struct ae__node *node = AE_CONTAINER_OF(link, struct ae__node, sibling);

    if (node->kind != AE__NODE_TASK && node->kind != AE__NODE_JOB) return NULL;
    struct ae__task *task = AE_CONTAINER_OF(node, struct ae__task, node);
    uint8_t life = atomic_load_explicit(&task->life, memory_order_acquire);
    return (life & (AE__LIFE_HANDLE | AE__LIFE_DONE)) == AE__LIFE_HANDLE ? task : NULL;
}

/* The first such child; under the lock. The list is turned to begin with it, so that waiting for
 * all of them looks at each a few times only. */
static struct ae__task *find_uncounted(struct ae__scope *scope)
{
    struct ae__list *head = &scope->children;

    for (struct ae__list *link = head->next; link != head; link = link->next) {
        struct ae__task *task = uncounted(link);
        if (!task) continue;
        ae__list_remove(head);
        ae__list_push(link, head);
        return task;
    }
    return NULL;
}

bool ae__scope_watch(struct ae__scope *scope, struct ae__actor *self, bool cancellable,
                     struct ae__scope_watch *watch)
{
    ae__lock_acquire(&scope->node.lock);
    watch->child = scope->live == 0 ? find_uncounted(scope) : NULL;
    bool busy = scope->live > 0 || watch->child;
    if (busy) {
        watch->sequence = ae__wait_begin(self, cancellable, AE__WAIT_SCOPE, scope);
        ae__waiter_init(&watch->waiter, self, watch->sequence, AE__REASON_DONE);
    }
    if (scope->live > 0) {
        scope->waiter_seq = watch->sequence;
        scope->waiter = self;
    } else if (busy && !ae__task_watch_locked(watch->child, &watch->waiter)) {
        /* It ended meanwhile: claimed by nobody, so do it here, and look again. */
        (void)ae__wait_claim(self, watch->sequence, AE__REASON_DONE);
    }
    ae__lock_release(&scope->node.lock);
    return busy;
}

void ae__scope_unwatch(struct ae__scope *scope, struct ae__scope_watch *watch)
{
    ae__lock_acquire(&scope->node.lock);
    scope->waiter = NULL;
    /* Still in the queue: then the child has not ended, and its block is there. */
    if (watch->waiter.queued) ae__waitq_remove(&watch->child->watchers, &watch->waiter);
    ae__lock_release(&scope->node.lock);
}

uint32_t ae__scope_unfinished(struct ae__scope *scope)
{
    struct ae__list *head = &scope->children;

    ae__lock_acquire(&scope->node.lock);
    uint32_t count = scope->live;
    for (struct ae__list *link = head->next; link != head; link = link->next) {
        if (uncounted(link)) count++;
    }
    ae__lock_release(&scope->node.lock);
    return count;
}

int ae__scope_wait_children(struct ae__scope *scope, struct ae__actor *self, bool cancellable)
{
    struct ae__scope_watch watch;

    while (ae__scope_watch(scope, self, cancellable, &watch)) {
        uint16_t reason = ae__wait_park(self);
        ae__scope_unwatch(scope, &watch);
        if (reason == AE__REASON_CANCEL) return ae__scope_unfinished(scope) ? -ECANCELED : 0;
    }
    return 0;
}

void ae__scope_child_done(struct ae__scope *scope, struct ae__wakes *wakes)
{
    AE_ASSERT(scope->live > 0);
    if (--scope->live == 0 && scope->waiter) {
        (void)ae__wait_wake(scope->waiter, scope->waiter_seq, AE__REASON_DONE, wakes);
        scope->waiter = NULL;
    }
}

/* What a cancel of this scope becomes outside of it. */
static int outcome(const struct ae__scope *scope, int rc)
{
    uint32_t own = atomic_load_explicit(&scope->node.cancelled, memory_order_relaxed);
    uint32_t outer = atomic_load_explicit(&scope->node.parent->cancelled, memory_order_acquire);

    if (rc != -ECANCELED || outer & AE__CANCELLED) return rc;
    if (own & AE__CANCEL_DEADLINE) return -ETIMEDOUT;
    if (own & AE__CANCEL_OWN) return scope->cause;
    return rc;
}

int ae_scope_end(ae_scope *opaque, int rc)
{
    struct ae__scope *scope = from_public(opaque);
    struct ae__actor *self = check_owner(scope);

    AE_ASSERT(scope->node.kind == AE__NODE_SCOPE);
    (void)ae__scope_wait_children(scope, self, false);
    if (scope->timer_armed) ae__timer_disarm(&scope->timer);
    ae__scope_free_children(scope);
    close_inside(scope);
    self->node = scope->node.parent;
    return outcome(scope, rc);
}

int ae_scope_wait(ae_scope *opaque)
{
    struct ae__scope *scope = from_public(opaque);
    struct ae__actor *self = ae__actor_self();

    AE_ASSERT(scope->owner == self);
    if (ae__actor_cancelled(self)) return -ECANCELED;
    return ae__scope_wait_children(scope, self, true);
}

size_t ae_scope_live(ae_scope *opaque)
{
    return ae__scope_unfinished(from_public(opaque));
}

static void fire_deadline(struct ae__timer *timer, struct ae__wakes *wakes)
{
    struct ae__scope *scope = AE_CONTAINER_OF(timer, struct ae__scope, timer);

    ae__cancel_node(&scope->node, AE__CANCEL_DEADLINE, -ETIMEDOUT, wakes);
}

static void arm_deadline(struct ae__scope *scope, int64_t deadline_ns)
{
    struct ae__wakes wakes;

    if (scope->timer_armed) ae__timer_disarm(&scope->timer);
    scope->timer_armed = false;
    scope->deadline_ns = deadline_ns;
    if (deadline_ns == AE_FOREVER) return;
    if (deadline_ns <= ae__os_now()) { /* no need to wait for somebody to look */
        ae__wakes_init(&wakes);
        fire_deadline(&scope->timer, &wakes);
        if (wakes.head) ae__ready_all(&wakes);
        return;
    }
    scope->timer.link = NULL;
    scope->timer_armed = true;
    ae__timer_arm(scope->rt, &scope->timer, deadline_ns, fire_deadline);
}

void ae_scope_deadline(ae_scope *opaque, int64_t deadline_ns)
{
    struct ae__scope *scope = from_public(opaque);

    AE_ASSERT(scope->owner == ae__actor_self());
    arm_deadline(scope, deadline_ns);
}

void ae_scope_cancel(ae_scope *opaque, int cause)
{
    struct ae__scope *scope = from_public(opaque);
    struct ae__wakes wakes;

    AE_ASSERT(cause <= 0);
    ae__wakes_init(&wakes);
    ae__cancel_node(&scope->node, AE__CANCEL_OWN, cause, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

void ae_shield_begin(ae_shield *opaque, int64_t grace_ns)
{
    struct ae__scope *shield = from_public(opaque);
    struct ae__actor *self = ae__actor_self();
    int64_t now_ns = grace_ns < 0 ? 0 : ae__os_now();

    ae__scope_init(shield, AE__NODE_SHIELD, ae__runtime_self(), self, self->node);
    open_inside(shield, self->node);
    self->node = &shield->node;
    if (grace_ns >= 0 && grace_ns < AE_FOREVER - now_ns) arm_deadline(shield, now_ns + grace_ns);
}

void ae_shield_end(ae_shield *opaque)
{
    struct ae__scope *shield = from_public(opaque);
    struct ae__actor *self = check_owner(shield);

    AE_ASSERT(shield->node.kind == AE__NODE_SHIELD);
    if (shield->timer_armed) ae__timer_disarm(&shield->timer);
    close_inside(shield);
    self->node = shield->node.parent;
}

struct ae__scope *ae__scope_innermost(const struct ae__actor *actor)
{
    struct ae__node *node = actor->node;

    while (node && node->kind != AE__NODE_SCOPE && node->kind != AE__NODE_ROOT) {
        node = node->parent;
    }
    return node ? ae__scope_of(node) : NULL;
}

bool ae__scope_open_in_root(struct ae__scope *scope, struct ae_runtime *rt, struct ae__actor *self)
{
    struct ae__node *root = &rt->root.node;

    ae__scope_init(scope, AE__NODE_SCOPE, rt, self, root);
    ae__lock_acquire(&root->lock);
    /* The end begins under this lock: it waits for this scope, or this one is refused. */
    bool open = atomic_load_explicit(&rt->stopping, memory_order_relaxed) == 0;
    if (open) {
        inherit(&scope->node, root);
        ae__list_push(&rt->root.children, &scope->node.sibling);
        rt->root.live++;
        self->node = &scope->node;
    }
    ae__lock_release(&root->lock);
    return open;
}

void ae__scope_close_in_root(struct ae__scope *scope, struct ae__actor *self,
                             struct ae__node *before)
{
    struct ae__scope *root = ae__scope_of(scope->node.parent);
    struct ae__wakes wakes;

    (void)ae__scope_wait_children(scope, self, false);
    ae__scope_free_children(scope);
    ae__wakes_init(&wakes);
    ae__lock_acquire(&root->node.lock);
    ae__list_remove(&scope->node.sibling);
    ae__scope_child_done(root, &wakes);
    ae__lock_release(&root->node.lock);
    self->node = before;
    if (wakes.head) ae__ready_all(&wakes);
}

void ae__scope_lend(struct ae__scope *scope, struct ae__actor *caller, struct ae__actor *borrower)
{
    struct ae__scope *above = ae__scope_innermost(caller);

    ae__scope_init(scope, AE__NODE_SCOPE, above ? above->rt : NULL, borrower, caller->node);
    open_inside(scope, caller->node);
    borrower->node = &scope->node;
}

void ae__scope_unlend(struct ae__scope *scope, struct ae__actor *borrower, struct ae__node *before)
{
    AE_ASSERT(borrower->node == &scope->node); /* the job left a scope open */
    (void)ae__scope_wait_children(scope, borrower, false);
    ae__scope_free_children(scope);
    close_inside(scope);
    borrower->node = before;
}
