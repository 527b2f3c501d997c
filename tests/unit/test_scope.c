/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes, deadlines, cancellation, shields.
 * Covers: src/sched/scope.c
 * Covers: src/sched/cancel.c */
#include <errno.h>
#include <stdatomic.h>

#include "aether/aether.h"
#include "test.h"

static int sleeper(void *arg)
{
    int rc = ae_sleep_until(AE_FOREVER);

    if (arg) atomic_fetch_add((_Atomic(int) *)arg, 1);
    return rc;
}

static int main_own_cancel(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(ae_go(sleeper, arg), 0);
    }
    ae_scope_cancel(&scope, -EPROTO);
    ae_scope_cancel(&scope, -EIO); /* the first cause stays */
    int rc = ae_sleep(1);
    EXPECT_EQ(rc, -ECANCELED);
    EXPECT_TRUE(ae_cancelled());
    rc = ae_scope_end(&scope, rc);
    EXPECT_FALSE(ae_cancelled());
    EXPECT_EQ(rc, -EPROTO);
    return 0;
}

TEST(an_own_cancel_reaches_all_inside_and_becomes_its_cause)
{
    _Atomic(int) ended = 0;

    EXPECT_EQ(ae_run(NULL, main_own_cancel, &ended), 0);
    EXPECT_EQ(ended, 10);
}

static int main_deadline(void *arg)
{
    ae_scope outer, inner;

    ae_scope_begin(&outer);
    ae_scope_deadline(&outer, ae_now() + 5 * AE_MS);
    ae_scope_begin(&inner);
    ae_scope_deadline(&inner, ae_now() + 3600 * AE_SEC);
    EXPECT_EQ(ae_go(sleeper, arg), 0);
    int rc = ae_sleep_until(AE_FOREVER);
    rc = ae_scope_end(&inner, rc);
    EXPECT_EQ(rc, -ECANCELED); /* not its own deadline */
    rc = ae_scope_end(&outer, rc);
    EXPECT_EQ(rc, -ETIMEDOUT);
    return 0;
}

TEST(the_nearest_deadline_wins_and_only_its_own_scope_calls_it_a_timeout)
{
    _Atomic(int) ended = 0;

    EXPECT_EQ(ae_run(NULL, main_deadline, &ended), 0);
    EXPECT_EQ(ended, 1);
}

static int main_past(void *arg)
{
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() - 1);
    EXPECT_EQ(ae_sleep(0), -ECANCELED); /* tested first, also when it could complete at once */
    EXPECT_EQ(ae_scope_end(&scope, 5), 5); /* only -ECANCELED is changed */
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 3600 * AE_SEC);
    ae_scope_deadline(&scope, AE_FOREVER);
    EXPECT_EQ(ae_sleep(1), 0);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), -ECANCELED);
    return 0;
}

TEST(a_deadline_in_the_past_cancels_at_once_and_one_taken_back_never)
{
    EXPECT_EQ(ae_run(NULL, main_past, NULL), 0);
}

static int cleans_up(void *arg)
{
    ae_shield shield;
    int rc = ae_sleep_until(AE_FOREVER);

    EXPECT_EQ(rc, -ECANCELED);
    ae_shield_begin(&shield, 3600 * AE_SEC);
    EXPECT_FALSE(ae_cancelled());
    if (ae_sleep(AE_MS) == 0) atomic_fetch_add((_Atomic(int) *)arg, 1);
    ae_scope scope;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_sleep(1), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    ae_shield_end(&shield);
    EXPECT_EQ(ae_sleep(1), -ECANCELED);
    ae_shield_begin(&shield, 0);
    EXPECT_EQ(ae_sleep_until(AE_FOREVER), -ECANCELED); /* the grace is over */
    ae_shield_end(&shield);
    return rc;
}

static int main_shield(void *arg)
{
    ae_task *task = ae_spawn(cleans_up, arg);

    ae_yield();
    ae_cancel(task);
    return ae_join(task);
}

TEST(a_shield_hides_the_cancel_until_its_end_or_grace)
{
    _Atomic(int) cleaned = 0;

    EXPECT_EQ(ae_run(NULL, main_shield, &cleaned), -ECANCELED);
    EXPECT_EQ(cleaned, 1);
}

struct late_cancel {
    ae_event inside;
    _Atomic(int) cleaned;
};

static int shielded_first(void *arg)
{
    struct late_cancel *late = arg;
    ae_shield shield;

    ae_shield_begin(&shield, -1);
    ae_event_set(&late->inside);
    for (int i = 0; i < 20; i++) {
        if (ae_sleep(100 * AE_US) == 0) atomic_fetch_add(&late->cleaned, 1);
    }
    ae_shield_end(&shield);
    return ae_sleep(1);
}

static int main_cancel_into_shield(void *arg)
{
    struct late_cancel *late = arg;
    ae_task *task = ae_spawn(shielded_first, late);

    EXPECT_EQ(ae_event_wait(&late->inside), 0);
    ae_cancel(task);
    return ae_join(task);
}

TEST(a_cancel_does_not_wake_a_wait_inside_a_shield)
{
    struct late_cancel late = { .cleaned = 0 };

    EXPECT_EQ(ae_run(NULL, main_cancel_into_shield, &late), -ECANCELED);
    EXPECT_EQ(late.cleaned, 20);
}

static int stubborn(void *arg)
{
    ae_shield shield;

    ae_shield_begin(&shield, -1);
    int rc = ae_event_wait(arg);
    ae_shield_end(&shield);
    return rc;
}

static int main_wait(void *arg)
{
    ae_scope scope, outer;
    ae_event *event = arg;

    ae_scope_begin(&outer);
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_scope_wait(&scope), 0);
    EXPECT_EQ(ae_go(stubborn, event), 0);
    EXPECT_EQ(ae_scope_live(&scope), 1);
    ae_scope_deadline(&outer, ae_now() + AE_MS);
    EXPECT_EQ(ae_scope_wait(&scope), -ECANCELED);
    ae_event_set(event);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(ae_scope_end(&outer, -ECANCELED), -ETIMEDOUT);
    return 0;
}

TEST(scope_wait_is_cancellable_and_end_is_not)
{
    ae_event event = { { NULL } };

    EXPECT_EQ(ae_run(NULL, main_wait, &event), 0);
}

static int main_wait_inside(void *arg)
{
    ae_scope outer, nap;

    ae_scope_begin(&outer);
    EXPECT_EQ(ae_go(sleeper, arg), 0);
    ae_scope_begin(&nap);
    ae_scope_deadline(&nap, ae_now() + AE_MS);
    int rc = ae_scope_wait(&outer);
    EXPECT_EQ(rc, -ECANCELED);
    rc = ae_scope_end(&nap, rc);
    EXPECT_EQ(rc, -ETIMEDOUT);
    EXPECT_EQ(ae_scope_live(&outer), 1);
    ae_scope_cancel(&outer, 0);
    return ae_scope_end(&outer, 0);
}

TEST(an_outer_scope_can_be_waited_for_until_a_deadline)
{
    EXPECT_EQ(ae_run(NULL, main_wait_inside, NULL), 0);
}

static int main_wrong_order(void *arg)
{
    ae_scope first, second;

    (void)arg;
    ae_scope_begin(&first);
    ae_scope_begin(&second);
    return ae_scope_end(&first, 0);
}

TEST(scopes_that_end_in_the_wrong_order_die)
{
    EXPECT_DEATH(EXPECT_EQ(ae_run(NULL, main_wrong_order, NULL), 0), "assertion failed");
}

static int nest(void *arg)
{
    int depth = *(int *)arg;
    ae_scope scope;

    if (depth == 0) return ae_sleep_until(AE_FOREVER);
    ae_scope_begin(&scope);
    int next = depth - 1;
    int rc = ae_join(ae_spawn(nest, &next));
    return ae_scope_end(&scope, rc);
}

static int main_deep(void *arg)
{
    ae_scope scope;
    int depth = *(int *)arg;

    ae_scope_begin(&scope);
    ae_task *task = ae_spawn(nest, &depth);
    EXPECT_EQ(ae_sleep(2 * AE_MS), 0);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_join(task), -ECANCELED);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancel_walks_down_two_hundred_levels)
{
    int depth = 200;

    EXPECT_EQ(ae_run(NULL, main_deep, &depth), 0);
}

static int in_root(void *arg)
{
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return ae_sleep_until(AE_FOREVER);
}

static int main_root(void *arg)
{
    ae_scope scope;

    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_in(NULL, in_root, arg), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0); /* does not wait for it */
    while (atomic_load((_Atomic(int) *)arg) == 0) {
        ae_yield();
    }
    return 0;
}

TEST(what_is_spawned_in_the_root_outlives_the_scope_and_ends_with_the_runtime)
{
    _Atomic(int) began = 0;

    EXPECT_EQ(ae_run(NULL, main_root, &began), 0);
    EXPECT_EQ(began, 1);
}

/* Spawners, cancels, deadlines and joins against one another. */
static int churn(void *arg)
{
    int seed = *(int *)arg;
    int64_t delay_ns = (seed % 7) * 20 * AE_US;

    for (int i = 0; i < 60; i++) {
        ae_scope scope;
        ae_scope_begin(&scope);
        ae_scope_deadline(&scope, ae_now() + (i % 3 + 1) * 50 * AE_US);
        for (int k = 0; k < 5; k++) {
            if (ae_go(sleeper, NULL) < 0) break;
        }
        int rc = ae_sleep(delay_ns);
        if (i % 5 == 0) ae_scope_cancel(&scope, 0);
        rc = ae_sleep(rc == 0 ? AE_SEC : 0);
        rc = ae_scope_end(&scope, rc);
        if (rc != -ETIMEDOUT && rc != 0) return rc;
    }
    return 0;
}

static int main_churn(void *arg)
{
    int seeds[32];
    ae_task *tasks[32];

    (void)arg;
    for (int i = 0; i < 32; i++) {
        seeds[i] = i;
        tasks[i] = ae_spawn(churn, &seeds[i]);
    }
    for (int i = 0; i < 32; i++) {
        EXPECT_EQ(ae_join(tasks[i]), 0);
    }
    return 0;
}

TEST(scopes_survive_deadlines_cancels_and_ends_at_the_same_time)
{
    ae_config config = { AE_CONFIG, .workers = 4 };

    EXPECT_EQ(ae_run(&config, main_churn, NULL), 0);
}

TEST(a_plain_thread_may_open_scopes_without_a_runtime)
{
    ae_scope scope;
    ae_shield shield;

    ae_scope_begin(&scope);
    EXPECT_EQ(ae_sleep(AE_MS), 0);
    ae_scope_deadline(&scope, ae_now() + AE_MS);
    int rc = ae_sleep_until(AE_FOREVER);
    EXPECT_EQ(rc, -ECANCELED);
    ae_shield_begin(&shield, AE_SEC);
    EXPECT_EQ(ae_sleep(1), 0);
    ae_shield_end(&shield);
    EXPECT_EQ(ae_scope_end(&scope, rc), -ETIMEDOUT);
}

TEST(the_deadline_of_a_plain_thread_needs_no_wait_to_pass)
{
    ae_scope outer, inner;

    ae_scope_begin(&outer);
    ae_scope_begin(&inner);
    int64_t deadline_ns = ae_now() + AE_MS;
    ae_scope_deadline(&inner, deadline_ns);
    while (ae_now() <= deadline_ns) {
    }
    EXPECT_TRUE(ae_cancelled());
    EXPECT_EQ(ae_checkpoint(), -ECANCELED);
    EXPECT_EQ(ae_sleep(0), -ECANCELED);
    EXPECT_EQ(ae_scope_end(&inner, -ECANCELED), -ETIMEDOUT);
    EXPECT_FALSE(ae_cancelled());
    EXPECT_EQ(ae_scope_end(&outer, 0), 0);
}
