/* SPDX-License-Identifier: Apache-2.0 */
/* How work gets into the pool: calls of tasks, which are suspended meanwhile; of plain threads,
 * which take a seat and work themselves; and letters to every thread (ae_par_broadcast).
 *
 * E1  A root lies in its caller's frame; its state changes under the pool's lock, which the caller
 *     takes once more before it returns. (As calls of the blocking pool do.)
 * E2  Only a thread with nothing on its stack takes a root: work that waits for a part of its own
 *     never begins another's (L1). */
#include <errno.h>

#include "base/assert.h"
#include "base/mem.h"
#include "par/threads.h"

/* ---- roots ---- */

static void push_root(struct ae_par_pool *pool, struct ae__par_root *root)
{
    root->next = NULL;
    *pool->roots_end = root;
    pool->roots_end = &root->next;
    atomic_fetch_add(&pool->pending, 1);
}

/* E1: under the lock. */
static void remove_root(struct ae_par_pool *pool, struct ae__par_root *root)
{
    struct ae__par_root **link = &pool->roots;

    while (*link != root) {
        link = &(*link)->next;
    }
    *link = root->next;
    if (pool->roots_end == &root->next) pool->roots_end = link;
    atomic_fetch_sub(&pool->pending, 1);
}

static struct ae__par_root *take_root(struct ae_par_pool *pool)
{
    ae__lock_acquire(&pool->lock);
    struct ae__par_root *root = pool->roots;
    if (root) {
        remove_root(pool, root);
        root->state = AE__PAR_RUNS;
    }
    ae__lock_release(&pool->lock);
    return root;
}

bool ae__par_run_root(struct ae__par_worker *w)
{
    struct ae_par_pool *pool = w->pool;
    struct ae__par_root *root = take_root(pool);
    struct ae__job_slot *floor = w->deque.head;
    struct ae__wakes wakes;

    if (!root) return false;
    if (ae__par_has_pending(pool)) ae__par_wake_one(pool, NULL); /* N3 */
    ae__scope_lend(&root->scope, root->caller, &w->base.actor);
    int status = ae__par_drain(w, floor, root->fn(root->arg));
    ae__scope_unlend(&root->scope, &w->base.actor, &w->base.node);
    ae__wakes_init(&wakes);
    ae__lock_acquire(&pool->lock);
    root->status = status;
    root->state = AE__PAR_DONE;
    (void)ae__wait_wake(root->caller, root->sequence, AE__REASON_DONE, &wakes);
    ae__lock_release(&pool->lock);
    if (wakes.head) ae__ready_all(&wakes);
    return true;
}

/* The caller was woken by a cancel, or it is done. Under the lock, which it releases. E1. */
static int finish_root(struct ae_par_pool *pool, struct ae__par_root *root)
{
    if (root->state == AE__PAR_QUEUED) {
        remove_root(pool, root);
        ae__lock_release(&pool->lock);
        return -ECANCELED;
    }
    if (root->state == AE__PAR_RUNS) { /* begun: what it does sees the cancel itself */
        root->sequence = ae__wait_begin(root->caller, false, AE__WAIT_BLOCKING, root);
        ae__lock_release(&pool->lock);
        (void)ae__wait_park(root->caller);
        ae__lock_acquire(&pool->lock);
    }
    AE_ASSERT(root->state == AE__PAR_DONE);
    ae__lock_release(&pool->lock);
    return root->status;
}

static int call_root(struct ae_par_pool *pool, struct ae__actor *self, ae_fn *fn, void *arg)
{
    struct ae__par_root root = { .fn = fn, .arg = arg, .caller = self };

    ae__lock_acquire(&pool->lock);
    root.sequence = ae__wait_begin(self, true, AE__WAIT_BLOCKING, &root);
    push_root(pool, &root);
    ae__lock_release(&pool->lock);
    ae__par_wake_one(pool, NULL);
    (void)ae__wait_park(self);
    ae__lock_acquire(&pool->lock);
    return finish_root(pool, &root);
}

/* ---- seats ---- */

static struct ae__par_worker *take_seat(struct ae_par_pool *pool)
{
    struct ae__par_worker *seat = NULL;

    ae__lock_acquire(&pool->lock);
    for (uint32_t i = pool->width; i-- > pool->width - AE__PAR_SEATS && !seat;) {
        if (!pool->workers[i]->seated) seat = pool->workers[i];
    }
    if (seat) seat->seated = true;
    ae__lock_release(&pool->lock);
    return seat;
}

static void leave_seat(struct ae__par_worker *seat)
{
    ae__lock_acquire(&seat->pool->lock);
    seat->seated = false;
    ae__lock_release(&seat->pool->lock);
}

/* The thread is this seat's for the time of the call: its scopes go on below its own record's. */
static int call_seated(struct ae__par_worker *seat, struct ae__actor *self, ae_fn *fn, void *arg)
{
    struct ae__thread *before = ae__thread_get();
    struct ae__scope scope;

    seat->base.errno_at = ae__thread_errno();
    ae__scope_lend(&scope, self, &seat->base.actor);
    ae__thread_set(&seat->base);
    int rc = ae__par_drain(seat, seat->deque.base, fn(arg));
    ae__scope_unlend(&scope, &seat->base.actor, &seat->base.node);
    ae__thread_set(before);
    leave_seat(seat);
    return rc;
}

int ae__par_enter(struct ae_par_pool *pool, ae_fn *fn, void *arg)
{
    const struct ae__par_worker *w = ae__par_self();
    struct ae__par_worker *seat = NULL;

    AE_ASSERT(fn);
    if (w && (!pool || w->pool == pool)) return fn(arg);
    struct ae__actor *self = ae__actor_self();
    if (ae__actor_cancelled(self)) return -ECANCELED;
    int rc = pool ? 0 : ae__par_default(&pool);
    if (rc < 0) return rc;
    if (!ae__in_task()) seat = take_seat(pool);
    return seat ? call_seated(seat, self, fn, arg) : call_root(pool, self, fn, arg);
}

int ae_par_run(ae_par_pool *pool, ae_fn *fn, void *arg)
{
    return ae__par_enter(pool, fn, arg);
}

/* ---- letters ---- */

bool ae__par_run_mail(struct ae__par_worker *w)
{
    struct ae_par_pool *pool = w->pool;

    ae__lock_acquire(&pool->lock);
    struct ae__par_mail *mail = w->mail;
    if (mail) {
        w->mail = mail->next;
        atomic_fetch_sub(&w->mails, 1);
    }
    ae__lock_release(&pool->lock);
    if (mail) mail->run(mail, w);
    return mail != NULL;
}

struct broadcast {
    ae_par_each *fn;
    void *arg;
    struct ae__node *node;     /* the caller's */
    _Atomic(int) status;       /* first error */
    _Atomic(uint32_t) left;    /* futex: letters not done */
};

struct letter {
    struct ae__par_mail mail;
    struct broadcast *broadcast;
};

static void run_each(struct broadcast *b, struct ae__par_worker *w)
{
    struct ae__job_slot *floor = w->deque.head;
    struct ae__node *before = w->base.actor.node;
    struct ae__scope scope;
    int none = 0;

    ae__par_scope_open(&scope, w, b->node);
    int rc = ae__par_drain(w, floor, b->fn(b->arg, w->index));
    ae__par_scope_close(&scope, w, before);
    if (rc < 0) (void)atomic_compare_exchange_strong(&b->status, &none, rc);
}

static void run_letter(struct ae__par_mail *mail, struct ae__par_worker *w)
{
    struct broadcast *b = AE_CONTAINER_OF(mail, struct letter, mail)->broadcast;

    run_each(b, w);
    /* The frame it is in may be gone after this; the wake needs only the number. */
    if (atomic_fetch_sub(&b->left, 1) == 1) ae__os_futex_wake(&b->left, 1);
}

static void send(struct ae__par_worker *to, struct letter *letter, struct broadcast *b)
{
    letter->broadcast = b;
    letter->mail.run = run_letter;
    ae__lock_acquire(&to->pool->lock);
    letter->mail.next = to->mail;
    to->mail = &letter->mail;
    atomic_fetch_add(&to->mails, 1);
    ae__lock_release(&to->pool->lock);
    ae__par_wake(to);
}

/* Others may wait for us to read our own letters, so this looks at them now and then. */
static void wait_letters(struct ae__par_worker *w, struct broadcast *b)
{
    uint32_t left;

    while ((left = atomic_load(&b->left)) > 0) {
        if (ae__par_has_mail(w) && ae__par_run_mail(w)) continue;
        ae__os_futex_wait(&b->left, left, ae__os_now() + 1000000);
    }
}

static int broadcast_here(void *arg)
{
    struct broadcast *b = arg;
    struct ae__par_worker *w = ae__par_self();
    struct ae_par_pool *pool = w->pool;
    struct letter *letters = ae__mem_zalloc(pool->threads * sizeof *letters);

    if (!letters) return -ENOMEM;
    b->node = w->base.actor.node;
    atomic_init(&b->left, pool->threads - (w->index < pool->threads ? 1 : 0));
    for (uint32_t i = 0; i < pool->threads; i++) {
        if (i != w->index) send(pool->workers[i], &letters[i], b);
    }
    if (w->index < pool->threads) run_each(b, w);
    wait_letters(w, b);
    ae__mem_free(letters);
    return atomic_load(&b->status);
}

int ae_par_broadcast(ae_par_each *fn, void *arg)
{
    struct broadcast b = { .fn = fn, .arg = arg };

    AE_ASSERT(fn);
    return ae__par_enter(NULL, broadcast_here, &b);
}
