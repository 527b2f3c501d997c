/* SPDX-License-Identifier: Apache-2.0 */
/* Select on timers, tasks and closing channels (L1..L4 of sync/select.c), with the real wait word,
 * wait queue, channels and timer wheel: exactly one case is done, the others are undone, and the
 * cases' memory may go when it returns. */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "aether/chan.h"
#include "aether/time.h"
#include "arch/os.h"
#include "base/mem.h"
#include "sched/sched.h"
#include "sched/wheel.h"
#include "sync/chan.h"

#define MS INT64_C(1000000)

static struct ae__wheel wheel;
static struct ae__task task;
static struct ae__node parent;
static ae_case cases[3]; /* of thread 1 */
static union {
    struct ae_chan chan;
    unsigned char memory[sizeof(struct ae_chan) + sizeof(uint64_t)];
} boxes[2];
static int results[ACTORS];
static uint64_t got;
static int64_t now_ns;

/* ---- what is played ---- */

void ae__charge(void)
{
}

int64_t ae__os_now(void)
{
    return now_ns;
}

struct ae_runtime *ae__runtime_self(void)
{
    return NULL;
}

bool ae__in_task(void)
{
    return true;
}

void ae__timer_arm(struct ae_runtime *rt, struct ae__timer *timer, int64_t when_ns,
                   void (*fire)(struct ae__timer *, struct ae__wakes *))
{
    (void)rt;
    timer->fire = fire;
    (void)ae__wheel_arm(&wheel, timer, when_ns);
}

void ae__timer_disarm(struct ae__timer *timer)
{
    ae__wheel_disarm(&wheel, timer);
}

/* As sched/task.c does it. */
struct ae__task *ae__task_from_handle(const ae_task *handle)
{
    return (struct ae__task *)(uintptr_t)handle;
}

bool ae__task_watch(struct ae__task *watched, struct ae__waiter *waiter)
{
    ae__lock_acquire(&parent.lock);
    bool running = watched->state != AE__TASK_DONE;
    if (running) ae__waitq_push(&watched->watchers, waiter);
    ae__lock_release(&parent.lock);
    return running;
}

void ae__task_unwatch(struct ae__task *watched, struct ae__waiter *waiter)
{
    ae__waitq_settle(&parent.lock, &watched->watchers, waiter);
}

/* A descriptor: one watcher, claimed by who makes it ready. */
static struct ae__lock fd_lock;
static bool fd_ready;
static struct ae__actor *fd_actor;
static uint32_t fd_sequence;
static uint16_t fd_reason;

static int fd_watch(int fd, unsigned events, struct ae__actor *actor, uint32_t sequence,
                    uint16_t reason)
{
    (void)fd;
    ae__lock_acquire(&fd_lock);
    bool ready = fd_ready;
    if (!ready) {
        fd_actor = actor;
        fd_sequence = sequence;
        fd_reason = reason;
    }
    ae__lock_release(&fd_lock);
    return ready ? (int)events : 0;
}

static void fd_unwatch(int fd, struct ae__actor *actor, uint32_t sequence)
{
    (void)fd;
    (void)actor;
    (void)sequence;
    ae__lock_acquire(&fd_lock);
    fd_actor = NULL;
    ae__lock_release(&fd_lock);
}

const struct ae__parts ae__parts = { .fd_watch = fd_watch, .fd_unwatch = fd_unwatch };

void *ae__mem_alloc(size_t size)
{
    (void)size;
    return NULL;
}

void ae__mem_free(void *ptr)
{
    (void)ptr;
}

/* ---- set-up and parts ---- */

static ae_chan *box(int i)
{
    return &boxes[i].chan;
}

static void reset(void)
{
    env_reset();
    memset(&wheel.lock, 0, sizeof wheel.lock);
    memset(wheel.occupied, 0, sizeof wheel.occupied);
    memset(wheel.slots, 0, sizeof wheel.slots[0] * 3);
    ae__wheel_init(&wheel, 0);
    memset(&task, 0, sizeof task);
    memset(&parent, 0, sizeof parent);
    task.state = AE__TASK_RUNNING;
    memset(cases, 0, sizeof cases);
    for (int i = 0; i < 2; i++) {
        memset(&boxes[i], 0, sizeof boxes[i]);
        box(i)->item_bytes = sizeof(uint64_t);
        box(i)->capacity = 1;
    }
    for (int i = 0; i < ACTORS; i++)
        results[i] = -1;
    memset(&fd_lock, 0, sizeof fd_lock);
    fd_actor = NULL;
    fd_ready = false;
    got = 0;
    now_ns = 0;
    model_name(&wheel.lock, "wheel.lock");
    model_name(&wheel, "wheel");
    model_name(&cases, "cases");
    model_name(&task, "task");
    model_name(&parent.lock, "parent.lock");
    model_name(box(0), "channel 0");
    model_name(box(1), "channel 1");
    model_name(&fd_lock, "fd.lock");
}

static bool is_watched(void)
{
    ae__lock_acquire(&fd_lock);
    bool watched = fd_actor != NULL;
    ae__lock_release(&fd_lock);
    return watched;
}

static void selecter(void *arg)
{
    results[1] = ae_select_ordered(cases, (size_t)(intptr_t)arg);
    results[0] = results[1] >= 0 ? cases[results[1]].rc : 0;
    model_assert(!is_watched());
    model_free(cases, sizeof cases); /* its frame */
}

static void sender(void *arg)
{
    uint64_t value = 7;

    results[model_self()] = ae_send(box((int)(intptr_t)arg), &value);
}

static void closer(void *arg)
{
    ae_chan_close(box((int)(intptr_t)arg));
}

static void canceller(void *arg)
{
    (void)arg;
    env_cancel(1);
}

static bool is_armed(void *arg)
{
    (void)arg;
    return ae__wheel_next(&wheel) != INT64_MAX || results[1] >= 0;
}

static void advancer(void *arg)
{
    struct ae__wakes wakes;

    (void)arg;
    model_block(is_armed, NULL, "a timer");
    ae__wakes_init(&wakes);
    ae__wheel_advance(&wheel, 2 * MS, &wakes);
    if (wakes.head) ae__ready_all(&wakes);
}

static void finisher(void *arg)
{
    struct ae__wakes wakes;

    (void)arg;
    ae__wakes_init(&wakes);
    ae__lock_acquire(&parent.lock);
    task.status = 5;
    atomic_store_explicit(&task.state, AE__TASK_DONE, memory_order_relaxed);
    ae__waitq_claim_all(&task.watchers, &wakes);
    ae__lock_release(&parent.lock);
    if (wakes.head) ae__ready_all(&wakes);
}

static void fd_event(void *arg)
{
    struct ae__wakes wakes;

    (void)arg;
    ae__wakes_init(&wakes);
    ae__lock_acquire(&fd_lock);
    fd_ready = true;
    if (fd_actor) {
        (void)ae__wait_wake(fd_actor, fd_sequence, (uint16_t)(fd_reason + (1u << 8)), &wakes);
        fd_actor = NULL;
    }
    ae__lock_release(&fd_lock);
    if (wakes.head) ae__ready_all(&wakes);
}

static ae_case receive(int i)
{
    return (ae_case){ .op = AE_CASE_RECV, .chan = box(i), .item = &got };
}

/* ---- a timer against a sender ---- */

static void timer_setup(void)
{
    reset();
    cases[0] = (ae_case){ .op = AE_CASE_TIMER, .when_ns = MS };
    cases[1] = receive(0);
    model_thread(selecter, (void *)2);
    model_thread(sender, (void *)0);
    model_thread(advancer, NULL);
}

static void timer_check(void)
{
    model_assert(results[1] == 0 || results[1] == 1);
    model_assert(box(0)->length == (results[1] == 0));
    model_assert(got == (results[1] == 1 ? 7 : 0));
    model_assert(ae__wheel_next(&wheel) == INT64_MAX || results[1] == 1);
}

MODEL(select_timer, "a timer fires while an item comes", timer_setup, timer_check, 3, 1)

/* ---- a task that ends against a cancel ---- */

static void task_setup(void)
{
    reset();
    cases[0] = receive(0);
    cases[1] = (ae_case){ .op = AE_CASE_TASK, .task = (ae_task *)(void *)&task };
    model_thread(selecter, (void *)2);
    model_thread(finisher, NULL);
    model_thread(canceller, NULL);
}

static void task_check(void)
{
    model_assert(results[1] == 1 || results[1] == -ECANCELED);
    model_assert(results[1] != 1 || task.status == 5);
    model_assert(!task.watchers.head && !box(0)->receivers.head);
}

MODEL(select_task, "a task ends while the select is cancelled", task_setup, task_check, 4, 1)

/* ---- close against send ---- */

static void close_setup(void)
{
    reset();
    cases[0] = receive(0);
    cases[1] = receive(1);
    model_thread(selecter, (void *)2);
    model_thread(closer, (void *)0);
    model_thread(sender, (void *)1);
}

static void close_check(void)
{
    model_assert(results[1] == 0 || results[1] == 1);
    model_assert(results[0] == (results[1] == 0 ? -EPIPE : 0));
    model_assert(results[3] == 0);
    model_assert(box(1)->length == (results[1] == 0));
}

MODEL(select_close, "one channel closes, the other gets an item", close_setup, close_check, 4, 1)

/* ---- a descriptor against a sender ---- */

static void fd_setup(void)
{
    reset();
    cases[0] = (ae_case){ .op = AE_CASE_FD, .fd = 3, .events = 1 };
    cases[1] = receive(0);
    model_thread(selecter, (void *)2);
    model_thread(fd_event, NULL);
    model_thread(sender, (void *)0);
}

static void fd_check(void)
{
    model_assert(results[1] == 0 || results[1] == 1);
    model_assert(results[0] == (results[1] == 0 ? 1 : 0));
    model_assert(box(0)->length == (results[1] == 0));
    model_assert(!fd_actor);
}

MODEL(select_fd, "a descriptor gets ready while an item comes", fd_setup, fd_check, 4, 1)

/* ---- two selects want the same item ---- */

static int shared_results[2];
static uint64_t items[2];

static void rival(void *arg)
{
    intptr_t i = (intptr_t)arg;
    ae_case own[] = { { .op = AE_CASE_RECV, .chan = box((int)i), .item = &items[i] },
                      { .op = AE_CASE_RECV, .chan = box((int)(1 - i)), .item = &items[i] } };

    shared_results[i] = ae_select_ordered(own, 2);
}

static void rivals_setup(void)
{
    reset();
    memset(items, 0, sizeof items);
    shared_results[0] = shared_results[1] = -1;
    model_thread(rival, (void *)0);
    model_thread(rival, (void *)1);
    model_thread(sender, (void *)0);
    model_thread(sender, (void *)1);
}

static void rivals_check(void)
{
    model_assert(shared_results[0] >= 0 && shared_results[1] >= 0);
    model_assert(items[0] == 7 && items[1] == 7);
    model_assert(box(0)->length == 0 && box(1)->length == 0);
}

MODEL(select_rivals, "two selects on two channels, two items", rivals_setup, rivals_check, 3, 0)
