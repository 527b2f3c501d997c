/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of waiting frames, with actors that are only a wait word. */
#include "sched/sched.h"
#include "test.h"

#define REASON 7

struct sleeper {
    struct ae__actor actor;
    struct ae__waiter waiter;
};

static void arm(struct sleeper *s)
{
    *s = (struct sleeper){ .actor = { .kind = AE__ACTOR_THREAD } };
    uint32_t sequence = ae__wait_begin(&s->actor, true, AE__WAIT_EVENT, s);
    ae__waiter_init(&s->waiter, &s->actor, sequence, REASON);
}

/* As its own commit would do. */
static void park(struct sleeper *s)
{
    uint64_t word = atomic_load(&s->actor.wait);
    atomic_store(&s->actor.wait, (word & ~UINT64_C(0xff)) | AE__WAIT_PARKED);
}

static void cancel(struct sleeper *s)
{
    EXPECT_NE(ae__wait_claim(&s->actor, s->waiter.sequence, AE__REASON_CANCEL), AE__CLAIM_LOST);
}

TEST(waiters_come_out_in_the_order_they_went_in)
{
    struct sleeper s[4];
    struct ae__waitq queue = { NULL, NULL };
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    for (int i = 0; i < 4; i++) {
        arm(&s[i]);
        ae__waitq_push(&queue, &s[i].waiter);
    }
    for (int i = 0; i < 4; i++) {
        EXPECT_PTR_EQ(ae__waitq_claim(&queue, NULL, &wakes), &s[i].waiter);
    }
    EXPECT_TRUE(ae__waitq_is_empty(&queue));
    EXPECT_NULL(ae__waitq_claim(&queue, NULL, &wakes));
}

TEST(removing_any_of_three_keeps_the_order_of_the_others)
{
    for (int gone = 0; gone < 3; gone++) {
        struct sleeper s[3];
        struct ae__waitq queue = { NULL, NULL };
        struct ae__wakes wakes;
        ae__wakes_init(&wakes);
        for (int i = 0; i < 3; i++) {
            arm(&s[i]);
            ae__waitq_push(&queue, &s[i].waiter);
        }
        ae__waitq_remove(&queue, &s[gone].waiter);
        ae__waitq_remove(&queue, &s[gone].waiter); /* not queued: nothing happens */
        EXPECT_FALSE(s[gone].waiter.queued);
        for (int i = 0; i < 3; i++) {
            if (i == gone) continue;
            EXPECT_PTR_EQ(ae__waitq_claim_head(&queue, &wakes), &s[i].waiter);
        }
        EXPECT_TRUE(ae__waitq_is_empty(&queue));
        ae__waitq_push(&queue, &s[gone].waiter); /* an empty queue can be filled again */
        EXPECT_PTR_EQ(queue.head, queue.tail);
    }
}

TEST(a_claim_of_a_parked_one_goes_on_the_wake_list_and_is_handed)
{
    struct sleeper armed, parked;
    struct ae__waitq queue = { NULL, NULL };
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    arm(&armed);
    arm(&parked);
    park(&parked);
    ae__waitq_push(&queue, &armed.waiter);
    ae__waitq_push(&queue, &parked.waiter);
    ae__waitq_claim_all(&queue, &wakes);
    EXPECT_TRUE(ae__waitq_is_empty(&queue));
    EXPECT_EQ(wakes.count, 1);
    EXPECT_PTR_EQ(wakes.head, &parked.actor);
    EXPECT_TRUE(parked.waiter.handed);
    EXPECT_FALSE(armed.waiter.handed);
    EXPECT_EQ(ae__wait_abort(&armed.actor), REASON);
}

TEST(a_cancelled_one_is_passed_over_and_out_of_the_queue)
{
    struct sleeper gone, next;
    struct ae__waitq queue = { NULL, NULL };
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    arm(&gone);
    arm(&next);
    ae__waitq_push(&queue, &gone.waiter);
    ae__waitq_push(&queue, &next.waiter);
    cancel(&gone);
    EXPECT_PTR_EQ(ae__waitq_claim(&queue, NULL, &wakes), &next.waiter);
    EXPECT_FALSE(gone.waiter.queued);
    EXPECT_FALSE(gone.waiter.handed);
    EXPECT_EQ(ae__wait_abort(&gone.actor), AE__REASON_CANCEL);
}

TEST(one_attempt_at_a_cancelled_head_gives_nothing)
{
    struct sleeper gone;
    struct ae__waitq queue = { NULL, NULL };
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    arm(&gone);
    ae__waitq_push(&queue, &gone.waiter);
    cancel(&gone);
    EXPECT_NULL(ae__waitq_claim_head(&queue, &wakes));
    EXPECT_TRUE(ae__waitq_is_empty(&queue));
    EXPECT_EQ(wakes.count, 0);
}

TEST(waiters_of_the_excepted_actor_keep_their_places)
{
    struct sleeper self, other;
    struct ae__waitq queue = { NULL, NULL };
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    arm(&self);
    arm(&other);
    ae__waitq_push(&queue, &self.waiter);
    ae__waitq_push(&queue, &other.waiter);
    EXPECT_PTR_EQ(ae__waitq_claim(&queue, &self.actor, &wakes), &other.waiter);
    EXPECT_NULL(ae__waitq_claim(&queue, &self.actor, &wakes));
    EXPECT_TRUE(self.waiter.queued);
    EXPECT_PTR_EQ(ae__waitq_claim(&queue, NULL, &wakes), &self.waiter);
}

TEST(a_late_claim_of_an_earlier_wait_loses)
{
    struct sleeper s;
    struct ae__waitq queue = { NULL, NULL };
    struct ae__wakes wakes;

    ae__wakes_init(&wakes);
    arm(&s);
    ae__waitq_push(&queue, &s.waiter);
    EXPECT_EQ(ae__wait_abort(&s.actor), AE__REASON_NONE);
    ae__wait_begin(&s.actor, true, AE__WAIT_EVENT, &s);
    EXPECT_NULL(ae__waitq_claim(&queue, NULL, &wakes));
    EXPECT_EQ(ae__wait_abort(&s.actor), AE__REASON_NONE);
}

TEST(queueing_a_waiter_twice_asserts)
{
    struct sleeper s;
    struct ae__waitq queue = { NULL, NULL };

    arm(&s);
    ae__waitq_push(&queue, &s.waiter);
    EXPECT_DEATH(ae__waitq_push(&queue, &s.waiter), "queued");
}
