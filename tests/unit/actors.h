/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who runs a function and may wait in it: a task, a plain thread, or a job of the blocking
 * pool. Tests of the synchronisation objects start them, wait until they are parked for certain (by
 * looking at their wait word), and then act. */
#ifndef AE_TESTS_ACTORS_H
#define AE_TESTS_ACTORS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "aether/aether.h"
#include "sched/sched.h"
#include "test.h"

enum who { A_TASK, A_JOB, A_THREAD, WHO_KINDS };

struct one {
    ae_fn *fn;
    void *arg;
    enum who who;
    _Atomic(struct ae__actor *) actor;
    _Atomic(bool) ended;
    int rc;
    ae_task *task;
    pthread_t thread;
};

/* Let others run: for loops that wait for something that will happen. */
static inline void give_way(void)
{
    if (ae__in_task()) ae_yield();
    sched_yield();
}

static inline bool is_parked(struct ae__actor *actor)
{
    return (atomic_load(&actor->wait) & 0xff) == AE__WAIT_PARKED;
}

static int one_main(void *arg)
{
    struct one *one = arg;

    atomic_store(&one->actor, ae__actor_self());
    one->rc = one->fn(one->arg);
    atomic_store(&one->ended, true);
    return one->rc;
}

static void *one_thread(void *arg)
{
    one_main(arg);
    return NULL;
}

static inline void one_start(struct one *one, enum who who, ae_fn *fn, void *arg)
{
    *one = (struct one){ .fn = fn, .arg = arg, .who = who };
    switch (who) {
    case A_TASK:
        one->task = ae_spawn(one_main, one);
        REQUIRE(one->task);
        break;
    case A_JOB:
        one->task = ae_spawn_blocking(one_main, one);
        REQUIRE(one->task);
        break;
    default:
        REQUIRE(pthread_create(&one->thread, NULL, one_thread, one) == 0);
    }
}

/* Until it sleeps in a wait, or has ended (then the test will see what it did instead). */
static inline void one_until_parked(struct one *one)
{
    for (;;) {
        struct ae__actor *actor = atomic_load(&one->actor);
        if (atomic_load(&one->ended) || (actor && is_parked(actor))) return;
        give_way();
    }
}

static inline void one_start_parked(struct one *one, enum who who, ae_fn *fn, void *arg)
{
    one_start(one, who, fn, arg);
    one_until_parked(one);
    EXPECT_FALSE(atomic_load(&one->ended));
}

/* What its function returned. */
static inline int one_end(struct one *one)
{
    while (!atomic_load(&one->ended)) {
        give_way();
    }
    if (one->who == A_THREAD) {
        pthread_join(one->thread, NULL);
    } else {
        EXPECT_EQ(ae_join(one->task), one->rc);
    }
    return one->rc;
}

/* A thread that cancels a task when told to, so that it truly happens at the same time as what the
 * test does next. */
struct canceller {
    pthread_t thread;
    _Atomic(uint32_t) told, did; /* rounds */
    _Atomic(bool) stop;
    ae_task *task;
};

static void *canceller_main(void *arg)
{
    struct canceller *c = arg;

    for (uint32_t round = 1; !atomic_load(&c->stop);) {
        if (atomic_load(&c->told) != round) {
            sched_yield();
            continue;
        }
        ae_cancel(c->task);
        atomic_store(&c->did, round++);
    }
    return NULL;
}

static inline void canceller_start(struct canceller *c)
{
    *c = (struct canceller){ .task = NULL };
    REQUIRE(pthread_create(&c->thread, NULL, canceller_main, c) == 0);
}

/* Returns at once. The handle must live until canceller_wait. */
static inline void canceller_tell(struct canceller *c, ae_task *task)
{
    c->task = task;
    atomic_fetch_add(&c->told, 1);
}

static inline void canceller_wait(struct canceller *c)
{
    while (atomic_load(&c->did) != atomic_load(&c->told)) {
        sched_yield();
    }
}

static inline void canceller_end(struct canceller *c)
{
    atomic_store(&c->stop, true);
    pthread_join(c->thread, NULL);
}

/* Some instructions, more with every round, so that two things meet at every offset. */
static inline void stagger(int round)
{
    _Atomic(int) spent = 0;

    for (int i = round % 512; i > 0; i--) {
        atomic_fetch_add_explicit(&spent, 1, memory_order_relaxed);
    }
}

/* Fewer rounds where each costs more. */
static inline int rounds_of(int rounds)
{
    return test_under_tsan() || test_under_asan() ? rounds / 8 : rounds;
}

/* Run `fn(arg)` as the first task of a runtime. */
static inline int run_with(unsigned workers, ae_fn *fn, void *arg)
{
    ae_config config = { AE_CONFIG, .workers = workers };
    return ae_run(&config, fn, arg);
}

/* For each kind of actor, `fn(&kind)` on one worker and on three. */
static inline void run_for_all(ae_fn *fn)
{
    for (int who = 0; who < WHO_KINDS; who++) {
        enum who kind = (enum who)who;
        EXPECT_EQ(run_with(1, fn, &kind), 0);
        EXPECT_EQ(run_with(3, fn, &kind), 0);
    }
}

#endif
