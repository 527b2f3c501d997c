/* SPDX-License-Identifier: Apache-2.0 */
/* The run queue (R1..R4 of sched/runq.h) with a ring of four, and the shared queue it overflows to
 * (J1). Each task is run once, by one thread, which sees what its spawner wrote into it. */
#include "environment.h"

#include <string.h>

#include "sched/inject.h"
#include "sched/runq.h"

enum { TASKS = 8 };

static struct ae__task tasks[TASKS];
static int runs[TASKS];
static struct ae__runq rings[3];
static struct ae__inject inject;
static int spawned;

static void reset(void)
{
    env_reset();
    memset(rings, 0, sizeof rings);
    memset(&inject, 0, sizeof inject);
    ae__inject_init(&inject);
    memset(runs, 0, sizeof runs);
    for (int i = 0; i < TASKS; i++)
        tasks[i].status = 0;
    spawned = 0;
    model_name(&rings[0].head, "owner.head");
    model_name(&rings[0].tail, "owner.tail");
    model_name(&rings[0].slots, "owner.slots");
    model_name(&rings[1].head, "thief1.head");
    model_name(&rings[1].tail, "thief1.tail");
    model_name(&rings[2].head, "thief2.head");
    model_name(&inject.lock, "inject.lock");
    model_name(&inject.length, "inject.length");
    model_name(&tasks, "tasks");
    model_name(&runs, "runs");
}

static void run(struct ae__task *task)
{
    long i = task - tasks;

    model_assert(i >= 0 && i < TASKS);
    model_assert(task->status == i + 1); /* plain: a race if the queue does not order it */
    runs[i]++;
}

static void push_some(int n, bool announce)
{
    while (n-- > 0) {
        struct ae__task *task = &tasks[spawned++];
        task->status = spawned;
        ae__runq_push(&rings[0], task, &inject, announce);
    }
}

static void pop_all(int ring)
{
    struct ae__task *task;

    while ((task = ae__runq_pop(&rings[ring])))
        run(task);
}

static void take_shared(void)
{
    struct ae__wakes out;
    struct ae__actor *next;

    ae__wakes_init(&out);
    ae__inject_pop(&inject, TASKS, &out);
    for (struct ae__actor *actor = out.head; actor; actor = next) {
        next = actor->next;
        run(ae__task_of(actor));
    }
}

static void steal(void *arg)
{
    int ring = (int)(intptr_t)arg;
    uint32_t taken = 0;
    struct ae__task *task = ae__runq_steal(&rings[0], &rings[ring], &taken);

    if (!task) return;
    model_assert(taken >= 1);
    run(task);
    pop_all(ring);
}

static void steal_twice(void *arg)
{
    steal(arg);
    steal(arg);
}

static void check(void)
{
    for (int ring = 0; ring < 3; ring++)
        pop_all(ring);
    take_shared();
    for (int i = 0; i < spawned; i++)
        model_assert(runs[i] == 1);
    model_assert(ae__inject_length(&inject) == 0);
}

/* ---- push, pop, steal ---- */

static void push_two_pop(void *arg)
{
    (void)arg;
    push_some(2, false);
    pop_all(0);
}

static void steal_setup(void)
{
    reset();
    model_thread(push_two_pop, NULL);
    model_thread(steal, (void *)1);
}

MODEL(push_pop_steal, "one thief against pop", steal_setup, check, 7, 2)

static void steal_twice_setup(void)
{
    reset();
    push_some(2, false);
    model_thread(push_two_pop, NULL);
    model_thread(steal_twice, (void *)1);
}

MODEL(push_pop_steal_twice, "a thief that comes back", steal_twice_setup, check, 4, 2)

static void thieves_setup(void)
{
    reset();
    push_some(2, false);
    model_thread(push_two_pop, NULL);
    model_thread(steal, (void *)1);
    model_thread(steal, (void *)2);
}

MODEL(two_thieves, "two thieves and the owner", thieves_setup, check, 3, 1)

/* ---- wrap and overflow ---- */

static void push_three_pop(void *arg)
{
    (void)arg;
    push_some(3, true);
    pop_all(0);
}

static void overflow_setup(void)
{
    reset();
    push_some(3, false);
    model_thread(push_three_pop, NULL);
    model_thread(steal, (void *)1);
}

MODEL(overflow_steal, "a full ring overflows while a thief copies", overflow_setup, check, 4, 2)

/* Nothing was there before: a thief that sees the new head must not see a tail before it. */
static void push_five_pop(void *arg)
{
    (void)arg;
    push_some(5, false);
    pop_all(0);
}

static void fresh_setup(void)
{
    reset();
    model_thread(push_five_pop, NULL);
    model_thread(steal, (void *)1);
}

MODEL(overflow_fresh, "an empty ring is filled until it overflows", fresh_setup, check, 3, 2)

static void wrap_setup(void)
{
    reset();
    for (int ring = 0; ring < 2; ring++) {
        atomic_store(&rings[ring].head, UINT64_C(0xfffffffefffffffe));
        atomic_store(&rings[ring].tail, 0xfffffffeu);
    }
    push_some(3, false);
    model_thread(push_three_pop, NULL);
    model_thread(steal, (void *)1);
}

MODEL(overflow_wrap, "the same where the indices wrap", wrap_setup, check, 4, 1)

/* The owner takes one and refills while a thief copies: its slots are not free yet (R1, R4). */
static void pop_one_push_two(void *arg)
{
    struct ae__task *task = ae__runq_pop(&rings[0]);

    (void)arg;
    if (task) run(task);
    push_some(2, false);
}

static void refill_setup(void)
{
    reset();
    push_some(4, false);
    model_thread(pop_one_push_two, NULL);
    model_thread(steal, (void *)1);
}

MODEL(pop_push_steal, "pop and push while a thief copies", refill_setup, check, 5, 2)

/* One thief ends its copy while another is at it: R4 forbids the other. */
static void push_three(void *arg)
{
    (void)arg;
    push_some(3, false);
}

static void refill_thieves_setup(void)
{
    reset();
    push_some(4, false);
    model_thread(steal, (void *)1);
    model_thread(steal, (void *)2);
    model_thread(push_three, NULL);
}

MODEL(two_thieves_push, "two thieves while the owner refills", refill_thieves_setup, check, 3, 1)

/* A thief of a thief: its own ring is stolen from while it steals. */
static void chain_setup(void)
{
    reset();
    push_some(4, false);
    model_thread(steal, (void *)1);
    model_thread(steal, (void *)2);
}

MODEL(thieves_only, "two thieves, a full ring, no owner", chain_setup, check, 6, 2)

/* What a thief put into its own ring is stolen from it (R3). */
static void steal_on(void *arg)
{
    uint32_t taken = 0;
    struct ae__task *task = ae__runq_steal(&rings[1], &rings[2], &taken);

    (void)arg;
    if (task) run(task);
}

static void steal_and_keep(void *arg)
{
    uint32_t taken = 0;
    struct ae__task *task = ae__runq_steal(&rings[0], &rings[1], &taken);

    (void)arg;
    if (task) run(task);
}

static void steal_on_setup(void)
{
    reset();
    model_thread(push_three, NULL);
    model_thread(steal_and_keep, NULL);
    model_thread(steal_on, NULL);
}

MODEL(steal_stolen, "a thief is stolen from", steal_on_setup, check, 4, 2)

/* Nothing was there before: who comes after a thief must see no tail from before that one's. */
static void thieves_fresh_setup(void)
{
    reset();
    model_thread(push_three, NULL);
    model_thread(steal, (void *)1);
    model_thread(steal, (void *)2);
}

MODEL(thieves_fresh, "two thieves come as the ring is filled", thieves_fresh_setup, check, 3, 1)

/* A push that is announced against one that goes to sleep (R5): not both miss the other. */
static _Atomic(int) sleeping;
static int saw_sleeper, saw_nothing;

static void push_and_look(void *arg)
{
    push_some(1, true);
    saw_sleeper = atomic_load(&sleeping);
    if (!saw_sleeper && !arg) {
        pop_all(0);
        push_some(1, true);
        saw_sleeper = atomic_load(&sleeping);
    }
}

static void sleep_and_look(void *arg)
{
    (void)arg;
    atomic_fetch_add(&sleeping, 1);
    saw_nothing = ae__runq_is_empty(&rings[0]);
}

static void announce_setup(void)
{
    reset();
    atomic_init(&sleeping, 0);
    saw_sleeper = saw_nothing = 0;
    model_name(&sleeping, "sleeping");
    model_thread(push_and_look, NULL);
    model_thread(sleep_and_look, NULL);
    model_thread(steal, (void *)1);
}

static void announce_check(void)
{
    bool left = atomic_load(&rings[0].tail) != (uint32_t)atomic_load(&rings[0].head);

    model_assert(saw_sleeper || !saw_nothing || !left);
    check();
}

MODEL(announce_sleep, "a push is not missed by who goes to sleep", announce_setup, announce_check,
      5, 2)

/* ---- the shared queue ---- */

static void inject_two(void *arg)
{
    struct ae__task *task = &tasks[(intptr_t)arg];
    struct ae__wakes batch;

    ae__wakes_init(&batch);
    for (int i = 0; i < 2; i++) {
        task[i].status = (int)(task + i - tasks) + 1;
        ae__wakes_push(&batch, &task[i].actor);
    }
    ae__inject_push_all(&inject, &batch);
}

static void take_one(void *arg)
{
    struct ae__wakes out;

    (void)arg;
    ae__wakes_init(&out);
    ae__inject_pop(&inject, 1, &out);
    if (out.head) run(ae__task_of(out.head));
    take_shared();
}

static void inject_setup(void)
{
    reset();
    spawned = 4;
    model_thread(inject_two, (void *)0);
    model_thread(inject_two, (void *)2);
    model_thread(take_one, NULL);
}

MODEL(inject_push_pop, "two producers, a consumer", inject_setup, check, 8, 3)

static void inject_one_setup(void)
{
    reset();
    spawned = 2;
    model_thread(inject_two, (void *)0);
    model_thread(take_one, NULL);
    model_thread(take_one, NULL);
}

MODEL(inject_two_takers, "a producer, two consumers", inject_one_setup, check, 7, 3)
