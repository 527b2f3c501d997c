/* SPDX-License-Identifier: Apache-2.0 */
/* Wait queues (Q1..Q4 of sched/wait.h) through the objects that use them: events, semaphores,
 * channels and select, on the real wait word, all unmodified. Checked is that no item and no permit
 * is lost or doubled, and that a waker touches neither object nor frame once the woken one has
 * gone on. */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "aether/chan.h"
#include "aether/sync.h"
#include "arch/os.h"
#include "base/mem.h"
#include "sync/chan.h"

static int results[ACTORS];

/* ---- the environment ---- */

void ae__charge(void)
{
}

static void cancel_first(void *arg)
{
    (void)arg;
    env_cancel(1);
}

static void reset(void)
{
    env_reset();
    for (int i = 0; i < ACTORS; i++) {
        results[i] = 1;
    }
}

/* ---- an event that dies as soon as its waiter has seen it ---- */

static ae_event event;

static void wait_and_free(void *arg)
{
    (void)arg;
    results[1] = ae_event_wait(&event);
    model_free(&event, sizeof event);
}

static void set_event(void *arg)
{
    (void)arg;
    ae_event_set(&event);
}

static void event_setup(void)
{
    reset();
    model_revive(&event, sizeof event);
    memset(&event, 0, sizeof event);
    model_name(&event, "event");
    model_thread(wait_and_free, NULL);
    model_thread(set_event, NULL);
}

static void event_check(void)
{
    model_assert(results[1] == 0);
}

MODEL(event_free, "who was let go may free the event", event_setup, event_check, 7, 2)

/* ---- a permit against a cancel ---- */

static ae_sem sem;

static void acquire_one(void *arg)
{
    (void)arg;
    results[model_self()] = ae_sem_acquire(&sem, 1);
}

static void release_one(void *arg)
{
    (void)arg;
    ae_sem_release(&sem, 1);
}

static void sem_setup(void)
{
    reset();
    memset(&sem, 0, sizeof sem);
    model_name(&sem, "semaphore");
    model_thread(acquire_one, NULL);
    model_thread(release_one, NULL);
    model_thread(cancel_first, NULL);
}

static void sem_check(void)
{
    model_assert(results[1] == 0 || results[1] == -ECANCELED);
    model_assert(ae_sem_available(&sem) == (results[1] == 0 ? 0 : 1));
}

MODEL(sem_cancel, "a permit is with one or back in the semaphore", sem_setup, sem_check, 4, 2)

static void acquire_two(void *arg)
{
    (void)arg;
    results[1] = ae_sem_acquire(&sem, 2);
}

static void sem_head_setup(void)
{
    reset();
    ae_sem_init(&sem, 1);
    model_name(&sem, "semaphore");
    model_thread(acquire_two, NULL); /* can only be cancelled */
    model_thread(acquire_one, NULL); /* must be served, whoever came first */
    model_thread(cancel_first, NULL);
}

static void sem_head_check(void)
{
    model_assert(results[1] == -ECANCELED);
    model_assert(results[2] == 0);
}

MODEL(sem_head, "a cancelled head lets those behind it go on", sem_head_setup, sem_head_check, 4, 1)

/* ---- channels ---- */

static union {
    struct ae_chan chan;
    unsigned char memory[sizeof(struct ae_chan) + sizeof(uint64_t)];
} boxes[2];
static uint64_t items[ACTORS];

static ae_chan *box(int i)
{
    return &boxes[i].chan;
}

static void chan_reset(size_t capacity)
{
    reset();
    for (int i = 0; i < 2; i++) {
        model_revive(&boxes[i], sizeof boxes[i]);
        memset(&boxes[i], 0, sizeof boxes[i]);
        box(i)->item_bytes = sizeof(uint64_t);
        box(i)->capacity = capacity;
    }
    for (int i = 0; i < ACTORS; i++) {
        items[i] = 0;
    }
    model_name(box(0), "channel 0");
    model_name(box(1), "channel 1");
}

static void recv_first(void *arg)
{
    (void)arg;
    results[model_self()] = ae_recv(box(0), &items[model_self()]);
}

static void send_first(void *arg)
{
    uint64_t value = 7;

    (void)arg;
    results[model_self()] = ae_send(box(0), &value);
}

static void chan_cancel_setup(void)
{
    chan_reset(1);
    model_thread(recv_first, NULL);
    model_thread(send_first, NULL);
    model_thread(cancel_first, NULL);
}

static void chan_cancel_check(void)
{
    model_assert(results[2] == 0);
    model_assert(results[1] == 0 || results[1] == -ECANCELED);
    model_assert(items[1] == (results[1] == 0 ? 7 : 0));
    model_assert(box(0)->length == (results[1] == 0 ? 0 : 1));
}

MODEL(chan_cancel, "an item is received or still there", chan_cancel_setup, chan_cancel_check, 4, 2)

static void recv_and_free(void *arg)
{
    (void)arg;
    results[1] = ae_recv(box(0), &items[1]);
    model_free(&boxes[0], sizeof boxes[0]);
}

static void chan_free_setup(void)
{
    chan_reset(1);
    model_thread(recv_and_free, NULL);
    model_thread(send_first, NULL);
}

static void chan_free_check(void)
{
    model_assert(results[1] == 0 && items[1] == 7);
}

MODEL(chan_free, "who received the last item may free the channel", chan_free_setup,
      chan_free_check, 7, 2)

static void close_first(void *arg)
{
    (void)arg;
    ae_chan_close(box(0));
}

static void chan_close_setup(void)
{
    chan_reset(0);
    model_thread(recv_first, NULL);
    model_thread(send_first, NULL);
    model_thread(close_first, NULL);
}

static void chan_close_check(void)
{
    model_assert(results[1] == results[2]);
    model_assert(results[1] == 0 || results[1] == -EPIPE);
    model_assert(items[1] == (results[1] == 0 ? 7 : 0));
}

MODEL(chan_close, "a rendezvous happens for both or for neither", chan_close_setup,
      chan_close_check, 4, 1)

/* ---- select ---- */

static void recv_either(void *arg)
{
    uint64_t got = 0;
    ae_case cases[] = { { .op = AE_CASE_RECV, .chan = box(0), .item = &got },
                        { .op = AE_CASE_RECV, .chan = box(1), .item = &got } };

    (void)arg;
    results[1] = ae_select_ordered(cases, 2);
    items[1] = got;
}

static void send_to(void *arg)
{
    uint64_t value = 7 + (uint64_t)(intptr_t)arg;
    results[model_self()] = ae_send(box((int)(intptr_t)arg), &value);
}

static void select_setup(void)
{
    chan_reset(1);
    model_thread(recv_either, NULL);
    model_thread(send_to, (void *)0);
    model_thread(send_to, (void *)1);
}

static void select_check(void)
{
    model_assert(results[1] == 0 || results[1] == 1);
    model_assert(items[1] == 7 + (uint64_t)results[1]);
    model_assert(box(0)->length + box(1)->length == 1);
    model_assert(box(results[1])->length == 0);
}

MODEL(select_one, "exactly one of two ready cases is done", select_setup, select_check, 4, 0)

/* Both can both send and receive, on two rendezvous channels, from opposite ends. */
static void cross(void *arg)
{
    int self = model_self(), out = (int)(intptr_t)arg;
    uint64_t given = (uint64_t)self, got = 0;
    ae_case cases[] = { { .op = AE_CASE_SEND, .chan = box(out), .item = &given },
                        { .op = AE_CASE_RECV, .chan = box(1 - out), .item = &got } };

    results[self] = ae_select_ordered(cases, 2);
    items[self] = got;
}

static void cross_setup(void)
{
    chan_reset(0);
    model_thread(cross, (void *)0);
    model_thread(cross, (void *)1);
}

static void cross_check(void)
{
    model_assert(results[1] + results[2] == 1); /* one sent, the other received */
    model_assert(items[1] == (results[1] == 1 ? 2 : 0));
    model_assert(items[2] == (results[2] == 1 ? 1 : 0));
}

MODEL(select_cross, "two selects that cross meet", cross_setup, cross_check, 5, 1)

/* ---- what select could wait for besides, not used here ---- */

int64_t ae__os_now(void)
{
    return 0;
}

struct ae_runtime *ae__runtime_self(void)
{
    return NULL;
}

bool ae__in_task(void)
{
    return false;
}

void ae__timer_arm(struct ae_runtime *rt, struct ae__timer *timer, int64_t when_ns,
                   void (*fire)(struct ae__timer *, struct ae__wakes *))
{
    (void)rt;
    (void)timer;
    (void)when_ns;
    (void)fire;
}

void ae__timer_disarm(struct ae__timer *timer)
{
    (void)timer;
}

struct ae__task *ae__task_from_handle(const ae_task *handle)
{
    (void)handle;
    return NULL;
}

bool ae__task_watch(struct ae__task *task, struct ae__waiter *waiter)
{
    (void)task;
    (void)waiter;
    return false;
}

void ae__task_unwatch(struct ae__task *task, struct ae__waiter *waiter)
{
    (void)task;
    (void)waiter;
}

const struct ae__parts ae__parts;

void *ae__mem_alloc(size_t size)
{
    (void)size;
    return NULL;
}

void ae__mem_free(void *ptr)
{
    (void)ptr;
}
