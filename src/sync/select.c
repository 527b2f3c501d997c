/* SPDX-License-Identifier: Apache-2.0 */
/* Select: wait for the first of several cases and do exactly that one.
 *
 * First every case is tried alone, one lock at a time; most selects end there. If none can
 * proceed, all channels are locked together, in the order of their addresses, and tried again: what
 * was found not ready then is still so when the waiters are queued, because no lock was released in
 * between. So the decision to wait is one atomic step, and two selects that meet on several
 * channels (also rendezvous ones, from both sides) need no claim of their own while they claim the
 * other. The price, a sort of the cases, is paid only by those who wait.
 *
 * L1  Channel locks are taken in ascending order of address, each once; while they are held no
 *     lock of another kind is taken.
 * L2  All cases share the actor's wait word: the first claim decides, by its reason
 *     AE__REASON_FIRST + index (+ events << 8). Whoever loses changes nothing.
 * L3  The wait begins under all locks, after nothing was found; timers, tasks and descriptors are
 *     armed after the locks are released, and one that turns out ready then may be chosen only if
 *     the wait can still be taken back.
 * L4  Before it returns every case that was armed is undone under its own lock: only then may the
 *     waiters, which live in ae_case.opaque, go. */
#include <errno.h>

#include "aether/time.h"
#include "arch/os.h"
#include "base/assert.h"
#include "base/rng.h"
#include "sync/chan.h"

enum {
    CASES_MAX = 256 - AE__REASON_FIRST, /* what the low byte of a reason can name */
    EVENT_SHIFT = 8,
    NO_CASE = -1,
};

/* What a case needs while it waits. */
struct place {
    struct ae__waiter waiter;   /* timers and descriptors use actor, sequence and reason only */
    struct ae__timer timer;
    struct ae_case *next;       /* channel cases in the order of their locks */
};

_Static_assert(sizeof(struct place) <= sizeof(((ae_case *)0)->opaque), "grow ae_case");

struct selection {
    ae_case *cases;
    size_t count;
    struct ae__actor *self;
    ae_case *by_lock;   /* channel cases, sorted */
    size_t armed;       /* cases before this one were armed by arm_others */
    uint32_t sequence;  /* of the wait */
};

static struct place *place_of(ae_case *c)
{
    return (struct place *)c->opaque;
}

static bool is_chan(const ae_case *c)
{
    return c->op == AE_CASE_SEND || c->op == AE_CASE_RECV;
}

static uint16_t reason_of(const struct selection *s, const ae_case *c)
{
    return (uint16_t)(AE__REASON_FIRST + (c - s->cases));
}

/* ---- trying, without waiting; each returns whether the case is done, with c->rc set ---- */

/* Under the channel's lock. */
static bool try_chan(const struct selection *s, ae_case *c, struct ae__wakes *wakes)
{
    c->rc = c->op == AE_CASE_SEND ? ae__chan_send_now(c->chan, s->self, c->item, wakes)
                                  : ae__chan_recv_now(c->chan, s->self, c->item, wakes);
    return c->rc != -EAGAIN;
}

static bool try_chan_alone(const struct selection *s, ae_case *c)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    ae__lock_acquire(&c->chan->lock);
    bool done = try_chan(s, c, &wakes);
    ae__lock_release(&c->chan->lock);
    if (wakes.head) ae__ready_all(&wakes);
    return done;
}

static bool try_task(ae_case *c)
{
    struct ae__task *task = ae__task_from_handle(c->task);

    c->rc = 0;
    return ae__task_is_done(task);
}

/* Descriptors can only be asked by beginning to wait for them. */
static bool try_fd(const struct selection *s, ae_case *c)
{
    uint16_t reason = reason_of(s, c);
    uint32_t sequence = ae__wait_begin(s->self, false, AE__WAIT_SELECT, s->cases);

    AE_ASSERT(ae__in_task());
    c->rc = ae__fd_watch(c->fd, c->events, s->self, sequence, reason);
    uint16_t claimed = ae__wait_abort(s->self);
    if (c->rc != 0) return true;
    ae__fd_unwatch(c->fd, s->self, sequence);
    if (claimed == AE__REASON_CLOSED) c->rc = -EBADF;
    if (claimed >= AE__REASON_FIRST) c->rc = claimed >> EVENT_SHIFT;
    return c->rc != 0;
}

static bool try_case(const struct selection *s, ae_case *c)
{
    switch (c->op) {
    case AE_CASE_NONE:
        return false;
    case AE_CASE_SEND:
    case AE_CASE_RECV:
        return try_chan_alone(s, c);
    case AE_CASE_TIMER:
        c->rc = 0;
        return ae__os_now() >= c->when_ns;
    case AE_CASE_TASK:
        return try_task(c);
    case AE_CASE_FD:
        return try_fd(s, c);
    }
    AE_ASSERT(!"a case has no such op");
    return false;
}

/* A random number that needs no state of its own: a channel's. Both the start and the direction of
 * the round are drawn, so that a ready case gains nothing from idle neighbours on one side. */
static uint32_t draw(const struct selection *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!is_chan(&s->cases[i])) continue;
        _Atomic(uint64_t) *fair = &s->cases[i].chan->fair;
        uint64_t state = atomic_load_explicit(fair, memory_order_relaxed);
        uint32_t drawn = ae__rng_next(&state);
        atomic_store_explicit(fair, state, memory_order_relaxed);
        return drawn;
    }
    return 0;
}

static int try_round(const struct selection *s, bool ordered)
{
    size_t count = s->count;
    uint32_t drawn = ordered ? 0 : draw(s);
    size_t at = count > 0 ? (drawn >> 1) % count : 0;
    size_t step = drawn & 1 ? count - 1 : 1;

    for (size_t tried = 0; tried < count; tried++) {
        if (try_case(s, &s->cases[at])) return (int)at;
        at = (at + step) % count;
    }
    return NO_CASE;
}

/* ---- all channels at once (L1) ---- */

static void sort_by_lock(struct selection *s)
{
    s->by_lock = NULL;
    for (size_t i = s->count; i-- > 0;) {
        ae_case *c = &s->cases[i], **at = &s->by_lock;
        if (!is_chan(c)) continue;
        while (*at && (uintptr_t)(*at)->chan < (uintptr_t)c->chan) {
            at = &place_of(*at)->next;
        }
        place_of(c)->next = *at;
        *at = c;
    }
}

static void lock_channels(const struct selection *s)
{
    const ae_chan *held = NULL;

    for (ae_case *c = s->by_lock; c; c = place_of(c)->next) {
        if (c->chan != held) ae__lock_acquire(&c->chan->lock);
        held = c->chan;
    }
}

static void unlock_channels(const struct selection *s)
{
    const ae_chan *released = NULL;

    for (ae_case *c = s->by_lock; c; c = place_of(c)->next) {
        if (c->chan != released) ae__lock_release(&c->chan->lock);
        released = c->chan;
    }
}

/* With all locks held: do one channel case, or begin the wait and queue for all of them. */
static int try_or_queue(struct selection *s, struct ae__wakes *wakes)
{
    for (size_t i = 0; i < s->count; i++) {
        if (is_chan(&s->cases[i]) && try_chan(s, &s->cases[i], wakes)) return (int)i;
    }
    s->sequence = ae__wait_begin(s->self, true, AE__WAIT_SELECT, s->cases);
    for (size_t i = 0; i < s->count; i++) {
        ae_case *c = &s->cases[i];
        struct ae__waiter *waiter = &place_of(c)->waiter;
        ae__waiter_init(waiter, s->self, s->sequence, reason_of(s, c));
        if (!is_chan(c)) continue;
        waiter->item = c->item;
        ae__waitq_push(c->op == AE_CASE_SEND ? &c->chan->senders : &c->chan->receivers, waiter);
    }
    return NO_CASE;
}

/* ---- timers, tasks, descriptors ---- */

static void fire(struct ae__timer *timer, struct ae__wakes *wakes)
{
    struct ae__waiter *waiter = &AE_CONTAINER_OF(timer, struct place, timer)->waiter;

    ae__wait_wake(waiter->actor, waiter->sequence, waiter->reason, wakes);
}

/* False: the case is ready already. */
static bool arm(const struct selection *s, ae_case *c)
{
    struct place *place = place_of(c);

    c->rc = 0;
    switch (c->op) {
    case AE_CASE_TIMER:
        place->timer = (struct ae__timer){ .link = NULL };
        ae__timer_arm(ae__runtime_self(), &place->timer, c->when_ns, fire);
        return true;
    case AE_CASE_TASK:
        return ae__task_watch(ae__task_from_handle(c->task), &place->waiter);
    case AE_CASE_FD:
        c->rc = ae__fd_watch(c->fd, c->events, s->self, s->sequence, reason_of(s, c));
        return c->rc == 0;
    default:
        return true;
    }
}

/* L3. The index of one that is ready already, or NO_CASE. */
static int arm_others(struct selection *s)
{
    for (s->armed = 0; s->armed < s->count;) {
        ae_case *c = &s->cases[s->armed++];
        if (!arm(s, c)) return (int)(s->armed - 1);
    }
    return NO_CASE;
}

/* L4 */
static void disarm(const struct selection *s, ae_case *c)
{
    struct place *place = place_of(c);

    if (c->op == AE_CASE_TIMER) {
        ae__timer_disarm(&place->timer);
    } else if (c->op == AE_CASE_TASK) {
        ae__task_unwatch(ae__task_from_handle(c->task), &place->waiter);
    } else if (c->op == AE_CASE_FD && c->rc == 0) { /* else the watch was refused */
        ae__fd_unwatch(c->fd, s->self, s->sequence);
    }
}

/* L4. A case that was handed over while parked is out of its queue already. */
static void leave_all(struct selection *s)
{
    for (ae_case *c = s->by_lock; c; c = place_of(c)->next) {
        struct ae__waitq *queue = c->op == AE_CASE_SEND ? &c->chan->senders : &c->chan->receivers;
        ae__waitq_settle(&c->chan->lock, queue, &place_of(c)->waiter);
    }
    for (size_t i = 0; i < s->armed; i++) {
        disarm(s, &s->cases[i]);
    }
}

/* ---- the whole ---- */

/* A descriptor was closed under the wait; which one, the claim does not say. */
static int closed_descriptor(struct selection *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->cases[i].op != AE_CASE_FD) continue;
        s->cases[i].rc = -EBADF;
        return (int)i;
    }
    return -EBADF;
}

/* What the claim says: the case, with its rc. */
static int outcome(struct selection *s, uint16_t reason)
{
    if (reason == AE__REASON_CANCEL) return -ECANCELED;
    if (reason == AE__REASON_CLOSED) return closed_descriptor(s);
    int index = (reason & ((1 << EVENT_SHIFT) - 1)) - AE__REASON_FIRST;
    AE_ASSERT(index >= 0 && (size_t)index < s->count);
    ae_case *c = &s->cases[index];
    bool closed = is_chan(c) && place_of(c)->waiter.amount == AE__CHAN_CLOSED;
    if (closed) {
        c->rc = -EPIPE;
    } else {
        c->rc = c->op == AE_CASE_FD ? reason >> EVENT_SHIFT : 0;
    }
    return index;
}

static int wait_for_one(struct selection *s)
{
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    sort_by_lock(s);
    lock_channels(s);
    int done = try_or_queue(s, &wakes);
    unlock_channels(s);
    if (wakes.head) ae__ready_all(&wakes);
    if (done != NO_CASE) return done;

    int early = arm_others(s);
    int early_rc = early == NO_CASE ? 0 : s->cases[early].rc;
    uint16_t reason = early == NO_CASE ? ae__wait_park(s->self) : ae__wait_abort(s->self);
    leave_all(s);
    if (reason != AE__REASON_NONE) return outcome(s, reason);
    AE_ASSERT(early != NO_CASE);
    s->cases[early].rc = early_rc;
    return early;
}

static int run_select(ae_case *cases, size_t count, bool ordered)
{
    struct selection s = { .cases = cases, .count = count, .self = ae__actor_self() };

    AE_ASSERT(count <= CASES_MAX);
    if (ae__actor_cancelled(s.self)) return -ECANCELED;
    int chosen = try_round(&s, ordered);
    if (chosen == NO_CASE) return wait_for_one(&s);
    ae__charge();
    return chosen;
}

int ae_select(ae_case *cases, size_t count)
{
    return run_select(cases, count, false);
}

int ae_select_ordered(ae_case *cases, size_t count)
{
    return run_select(cases, count, true);
}
