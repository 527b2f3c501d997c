/* SPDX-License-Identifier: Apache-2.0 */
/* Mutex (M1), wait group (G1) and event (E1) on the real wait word and wait queue, unmodified:
 * exclusion, hand-over past waiters that are cancelled, nobody forgotten, no late touch. */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "aether/sync.h"

static ae_mutex mutex;
static ae_wait_group group;
static ae_event event;
static int results[ACTORS], order[ACTORS], inside, shared;

void ae__charge(void)
{
}

static void reset(void)
{
    env_reset();
    model_revive(&mutex, sizeof mutex);
    model_revive(&group, sizeof group);
    model_revive(&event, sizeof event);
    memset(&mutex, 0, sizeof mutex);
    memset(&group, 0, sizeof group);
    memset(&event, 0, sizeof event);
    for (int i = 0; i < ACTORS; i++)
        results[i] = 1;
    inside = shared = 0;
    model_name(&mutex, "mutex");
    model_name(&group, "group");
    model_name(&event, "event");
    model_name(&shared, "shared");
}

static void cancel_first(void *arg)
{
    (void)arg;
    env_cancel(1);
}

/* ---- mutex ---- */

static void critical(void)
{
    model_assert(inside == 0); /* plain: a race if two are in */
    inside = 1;
    shared++;
    order[model_self()] = shared;
    model_yield();
    inside = 0;
}

static void lock_once(void *arg)
{
    (void)arg;
    ae_mutex_lock(&mutex);
    critical();
    ae_mutex_unlock(&mutex);
}

static void acquire_once(void *arg)
{
    int self = model_self();

    (void)arg;
    results[self] = ae_mutex_acquire(&mutex);
    if (results[self] != 0) return;
    critical();
    ae_mutex_unlock(&mutex);
}

static bool is_free(void)
{
    bool taken = ae_mutex_try(&mutex);
    if (taken) ae_mutex_unlock(&mutex);
    return taken;
}

static void mutex_setup(void)
{
    reset();
    for (int i = 0; i < 3; i++)
        model_thread(lock_once, NULL);
}

static void mutex_check(void)
{
    model_assert(shared == 3);
    model_assert(is_free());
}

MODEL(mutex_exclusion, "three lock it, one is in", mutex_setup, mutex_check, 4, 1)

/* The one in the middle of the queue is cancelled: the mutex goes past it. */
static void mutex_cancel_setup(void)
{
    reset();
    model_thread(acquire_once, NULL);
    model_thread(lock_once, NULL);
    model_thread(cancel_first, NULL);
}

static void mutex_cancel_check(void)
{
    model_assert(results[1] == 0 || results[1] == -ECANCELED);
    model_assert(shared == 1 + (results[1] == 0));
    model_assert(is_free());
}

MODEL(mutex_cancel, "a cancelled waiter is passed over, or is the owner", mutex_cancel_setup,
      mutex_cancel_check, 4, 2)

static void try_once(void *arg)
{
    (void)arg;
    results[model_self()] = ae_mutex_try(&mutex);
    if (!results[model_self()]) return;
    critical();
    ae_mutex_unlock(&mutex);
}

static void mutex_try_setup(void)
{
    reset();
    model_thread(try_once, NULL);
    model_thread(try_once, NULL);
    model_thread(lock_once, NULL);
}

static void mutex_try_check(void)
{
    model_assert(shared == 1 + results[1] + results[2]);
    model_assert(is_free());
}

MODEL(mutex_try, "who tries takes it alone or not at all", mutex_try_setup, mutex_try_check, 5, 1)

/* First come, first served: who queued while the mutex was held is not overtaken. */
static void hold_and_let_go(void *arg)
{
    (void)arg;
    ae_mutex_unlock(&mutex);
    lock_once(NULL);
}

static bool is_parked(void *arg)
{
    (void)arg;
    return (env_threads[2].actor.wait & 0xff) == AE__WAIT_PARKED;
}

static void unlock_when_queued(void *arg)
{
    ae_mutex_lock(&mutex);
    model_block(is_parked, NULL, "somebody to wait");
    hold_and_let_go(arg);
}

static bool is_held(void *arg)
{
    (void)arg;
    return *(void *volatile *)((char *)&mutex + sizeof(void *)) == &env_threads[1].actor;
}

static void wait_turn_late(void *arg)
{
    model_block(is_held, NULL, "the mutex to be held");
    lock_once(arg);
}

static void fair_setup(void)
{
    reset();
    model_thread(unlock_when_queued, NULL);
    model_thread(wait_turn_late, NULL);
    model_thread(try_once, NULL);
}

static void fair_check(void)
{
    model_assert(order[2] < order[1]); /* the waiter was in before the holder came again */
    model_assert(is_free());
}

MODEL(mutex_fair, "unlock hands over; who unlocked does not overtake", fair_setup, fair_check, 3, 1)

/* ---- wait group ---- */

static void group_done(void *arg)
{
    (void)arg;
    results[model_self()] = 0;
    ae_wait_group_done(&group);
}

static void group_wait_free(void *arg)
{
    (void)arg;
    results[1] = ae_wait_group_wait(&group);
    model_assert(results[2] == 0 && results[3] == 0); /* plain: ordered by the group */
    model_free(&group, sizeof group);
}

static void group_setup(void)
{
    reset();
    ae_wait_group_add(&group, 2);
    model_thread(group_wait_free, NULL);
    model_thread(group_done, NULL);
    model_thread(group_done, NULL);
}

static void group_check(void)
{
    model_assert(results[1] == 0);
}

MODEL(group_free, "who has waited for zero may free the group", group_setup, group_check, 4, 2)

static void group_wait(void *arg)
{
    (void)arg;
    results[model_self()] = ae_wait_group_wait(&group);
}

/* The count rises again at once: who was let go stays so. */
static void group_done_and_add(void *arg)
{
    (void)arg;
    ae_wait_group_done(&group);
    ae_wait_group_add(&group, 1);
    ae_wait_group_done(&group);
}

static void group_again_setup(void)
{
    reset();
    ae_wait_group_add(&group, 1);
    model_thread(group_wait, NULL);
    model_thread(group_wait, NULL);
    model_thread(group_done_and_add, NULL);
}

static void group_again_check(void)
{
    model_assert(results[1] == 0 && results[2] == 0);
}

MODEL(group_again, "a count that rises again holds nobody back", group_again_setup,
      group_again_check, 3, 1)

static void group_cancel_setup(void)
{
    reset();
    ae_wait_group_add(&group, 1);
    model_thread(group_wait, NULL);
    model_thread(group_wait, NULL);
    model_thread(group_done, NULL);
    model_thread(cancel_first, NULL);
}

static void group_cancel_check(void)
{
    model_assert(results[1] == 0 || results[1] == -ECANCELED);
    model_assert(results[2] == 0);
}

MODEL(group_cancel, "one of two waiters is cancelled", group_cancel_setup, group_cancel_check, 3, 0)

/* ---- event ---- */

static void event_wait(void *arg)
{
    (void)arg;
    results[model_self()] = ae_event_wait(&event);
}

static void event_reset_set(void *arg)
{
    (void)arg;
    ae_event_reset(&event);
    ae_event_set(&event);
}

static void event_pulse_setup(void)
{
    reset();
    model_thread(event_wait, NULL);
    model_thread(event_wait, NULL);
    model_thread(event_reset_set, NULL);
}

static void event_pulse_check(void)
{
    model_assert(results[1] == 0 && results[2] == 0);
    model_assert(ae_event_is_set(&event));
}

MODEL(event_pulse, "a reset forgets nobody who waits", event_pulse_setup, event_pulse_check, 3, 1)

static void event_set(void *arg)
{
    (void)arg;
    shared = 9;
    ae_event_set(&event);
}

static void event_look(void *arg)
{
    (void)arg;
    if (!ae_event_is_set(&event)) return;
    model_assert(shared == 9); /* plain: ordered by the event */
    results[model_self()] = 0;
}

static void event_cancel_setup(void)
{
    reset();
    model_thread(event_wait, NULL);
    model_thread(event_set, NULL);
    model_thread(event_look, NULL);
    model_thread(cancel_first, NULL);
}

static void event_cancel_check(void)
{
    model_assert(results[1] == 0 || results[1] == -ECANCELED);
}

MODEL(event_cancel, "set against cancel, and somebody looks", event_cancel_setup,
      event_cancel_check, 3, 1)
