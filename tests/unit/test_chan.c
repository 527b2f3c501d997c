/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: each item arrives once, in order, or stays with its sender. */
#include <stdlib.h>

#include "actors.h"
#include "base/mem.h"

struct transfer {
    ae_chan *chan;
    uint64_t value;
};

static int send_value(void *arg)
{
    struct transfer *t = arg;
    return ae_send(t->chan, &t->value);
}

static int recv_value(void *arg)
{
    struct transfer *t = arg;
    return ae_recv(t->chan, &t->value);
}

static ae_chan *make(size_t capacity)
{
    ae_chan *chan = ae_chan_create(sizeof(uint64_t), capacity);
    REQUIRE(chan);
    return chan;
}

TEST(items_come_out_in_order_and_try_says_when_it_would_wait)
{
    ae_chan *chan = make(3);
    uint64_t out = 0;

    EXPECT_EQ(ae_chan_capacity(chan), 3);
    for (uint64_t round = 0; round < 5; round++) { /* the ring wraps */
        EXPECT_EQ(ae_try_recv(chan, &out), -EAGAIN);
        for (uint64_t i = 0; i < 3; i++) {
            uint64_t in = round * 10 + i;
            EXPECT_EQ(ae_chan_length(chan), i);
            EXPECT_EQ(i % 2 ? ae_send(chan, &in) : ae_try_send(chan, &in), 0);
        }
        EXPECT_EQ(ae_try_send(chan, &out), -EAGAIN);
        for (uint64_t i = 0; i < 3; i++) {
            EXPECT_EQ(i % 2 ? ae_try_recv(chan, &out) : ae_recv(chan, &out), 0);
            EXPECT_EQ(out, round * 10 + i);
        }
    }
    ae_chan_destroy(chan);
    ae_chan_destroy(NULL);
}

TEST(items_of_any_size_arrive_whole)
{
    static const size_t sizes[] = { 0, 1, 3, 8, 9, 1000 };
    unsigned char in[1000], out[1001];

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        ae_chan *chan = ae_chan_create(sizes[s], 2);
        REQUIRE(chan);
        for (int i = 0; i < 5; i++) {
            memset(in, 'a' + i, sizeof in);
            memset(out, 0, sizeof out);
            EXPECT_EQ(ae_send(chan, sizes[s] ? in : NULL), 0);
            EXPECT_EQ(ae_recv(chan, sizes[s] ? out : NULL), 0);
            EXPECT_MEMEQ(in, out, sizes[s]);
            EXPECT_EQ(out[sizes[s]], 0);
        }
        ae_chan_destroy(chan);
    }
}

TEST(a_channel_larger_than_memory_is_null)
{
    EXPECT_NULL(ae_chan_create(8, SIZE_MAX / 8));
    EXPECT_NULL(ae_chan_create(SIZE_MAX, 2));
    EXPECT_NULL(ae_chan_create(2, SIZE_MAX));
    ae__mem_fail_after(1);
    EXPECT_NULL(ae_chan_create(8, 1));
    ae__mem_fail_after(0);
}

/* ---- waiting ---- */

static int recv_waits(void *arg)
{
    ae_chan *chan = make(1);
    struct one ones[3];
    struct transfer t[3];

    for (int i = 0; i < 3; i++) {
        t[i] = (struct transfer){ chan, 0 };
        one_start_parked(&ones[i], *(enum who *)arg, recv_value, &t[i]);
    }
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t value = 100 + i;
        EXPECT_EQ(i == 1 ? ae_try_send(chan, &value) : ae_send(chan, &value), 0);
        EXPECT_EQ(ae_chan_length(chan), 0); /* handed over, not buffered */
        EXPECT_EQ(one_end(&ones[i]), 0);
        EXPECT_EQ(t[i].value, value);
    }
    ae_chan_destroy(chan);
    return 0;
}

TEST(receivers_are_served_in_the_order_they_came)
{
    run_for_all(recv_waits);
}

static int send_waits(void *arg)
{
    ae_chan *chan = make(2);
    struct one ones[3];
    struct transfer t[3];
    uint64_t value;

    for (value = 1; value <= 2; value++) {
        EXPECT_EQ(ae_send(chan, &value), 0);
    }
    for (int i = 0; i < 3; i++) {
        t[i] = (struct transfer){ chan, 3 + (uint64_t)i };
        one_start_parked(&ones[i], *(enum who *)arg, send_value, &t[i]);
    }
    for (uint64_t i = 1; i <= 5; i++) {
        EXPECT_EQ(i == 2 ? ae_try_recv(chan, &value) : ae_recv(chan, &value), 0);
        EXPECT_EQ(value, i);
        EXPECT_EQ(ae_chan_length(chan), i <= 3 ? 2 : 5 - i); /* refilled by who waited */
        if (i <= 3) EXPECT_EQ(one_end(&ones[i - 1]), 0);
    }
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_receiver_that_makes_room_takes_the_first_waiting_item_in)
{
    run_for_all(send_waits);
}

static int rendezvous(void *arg)
{
    ae_chan *chan = make(0);
    struct one one;
    struct transfer t = { chan, 7 };
    uint64_t value = 0;

    EXPECT_EQ(ae_try_send(chan, &value), -EAGAIN);
    EXPECT_EQ(ae_try_recv(chan, &value), -EAGAIN);
    one_start_parked(&one, *(enum who *)arg, send_value, &t);
    EXPECT_EQ(ae_chan_length(chan), 0);
    EXPECT_EQ(ae_recv(chan, &value), 0);
    EXPECT_EQ(value, 7);
    EXPECT_EQ(one_end(&one), 0);

    one_start_parked(&one, *(enum who *)arg, recv_value, &t);
    value = 8;
    EXPECT_EQ(ae_send(chan, &value), 0);
    EXPECT_EQ(one_end(&one), 0);
    EXPECT_EQ(t.value, 8);
    ae_chan_destroy(chan);
    return 0;
}

TEST(with_capacity_0_a_sender_meets_a_receiver)
{
    run_for_all(rendezvous);
}

/* ---- closing ---- */

TEST(after_close_what_is_buffered_still_arrives)
{
    ae_chan *chan = make(2);
    uint64_t value = 5;

    EXPECT_EQ(ae_send(chan, &value), 0);
    ae_chan_close(chan);
    ae_chan_close(chan);
    EXPECT_EQ(ae_send(chan, &value), -EPIPE);
    EXPECT_EQ(ae_try_send(chan, &value), -EPIPE);
    value = 0;
    EXPECT_EQ(ae_recv(chan, &value), 0);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(ae_recv(chan, &value), -EPIPE);
    EXPECT_EQ(ae_try_recv(chan, &value), -EPIPE);
    ae_chan_destroy(chan);
}

static int close_wakes(void *arg)
{
    ae_chan *empty = make(1), *full = make(1);
    struct one receivers[2], senders[2];
    struct transfer in = { empty, 42 }, out = { full, 43 };
    uint64_t value = 1;

    EXPECT_EQ(ae_send(full, &value), 0);
    for (int i = 0; i < 2; i++) {
        one_start_parked(&receivers[i], *(enum who *)arg, recv_value, &in);
        one_start_parked(&senders[i], *(enum who *)arg, send_value, &out);
    }
    ae_chan_close(empty);
    ae_chan_close(full);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(one_end(&receivers[i]), -EPIPE);
        EXPECT_EQ(one_end(&senders[i]), -EPIPE);
    }
    EXPECT_EQ(in.value, 42);
    EXPECT_EQ(ae_recv(full, &value), 0);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(ae_recv(full, &value), -EPIPE); /* the waiting senders' items were not taken */
    ae_chan_destroy(empty);
    ae_chan_destroy(full);
    return 0;
}

TEST(close_lets_everybody_go_and_takes_nothing)
{
    run_for_all(close_wakes);
}

/* ---- cancelling ---- */

static int cancel_waiters(void *arg)
{
    ae_chan *chan = make(1);
    struct one one;
    struct transfer t = { chan, 9 };
    enum who who = *(enum who *)arg;
    uint64_t value = 1;

    if (who == A_THREAD) goto out;
    one_start_parked(&one, who, recv_value, &t);
    ae_cancel(one.task);
    EXPECT_EQ(one_end(&one), -ECANCELED);
    EXPECT_EQ(t.value, 9);
    EXPECT_EQ(ae_send(chan, &value), 0);
    EXPECT_EQ(ae_chan_length(chan), 1);

    one_start_parked(&one, who, send_value, &t);
    ae_cancel(one.task);
    EXPECT_EQ(one_end(&one), -ECANCELED);
    EXPECT_EQ(ae_recv(chan, &value), 0);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(ae_try_recv(chan, &value), -EAGAIN);
out:
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_cancelled_waiter_has_sent_and_taken_nothing)
{
    run_for_all(cancel_waiters);
}

static int cancelled_before(void *arg)
{
    ae_chan *chan = make(2);
    ae_scope scope;
    uint64_t value = 3;

    (void)arg;
    EXPECT_EQ(ae_send(chan, &value), 0);
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_send(chan, &value), -ECANCELED);
    EXPECT_EQ(ae_recv(chan, &value), -ECANCELED);
    EXPECT_EQ(ae_chan_length(chan), 1);
    EXPECT_EQ(ae_try_recv(chan, &value), 0); /* try does not ask */
    EXPECT_EQ(ae_try_send(chan, &value), 0);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), 0);
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_cancelled_one_sends_and_takes_nothing_though_it_could)
{
    EXPECT_EQ(run_with(1, cancelled_before, NULL), 0);
    EXPECT_EQ(cancelled_before(NULL), 0);
}

/* Whatever wins, the item is in exactly one place. */
static int cancel_against_send(void *arg)
{
    struct canceller canceller;
    int rounds = rounds_of(20000), received = 0;
    ae_chan *chan = make(1);

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        struct one one;
        struct transfer t = { chan, 0 };
        uint64_t value = (uint64_t)i + 1;
        one_start(&one, A_TASK, recv_value, &t);
        if (i % 4) one_until_parked(&one);
        canceller_tell(&canceller, one.task);
        stagger(i);
        EXPECT_EQ(ae_try_send(chan, &value), 0);
        canceller_wait(&canceller);
        int rc = one_end(&one);
        REQUIRE(ae_chan_length(chan) == (rc == 0 ? 0 : 1));
        REQUIRE(t.value == (rc == 0 ? value : 0));
        if (rc < 0) EXPECT_EQ(ae_try_recv(chan, &value), 0);
        received += rc == 0;
    }
    canceller_end(&canceller);
    ae_chan_destroy(chan);
    test_note("cancel against send: received in %d of %d rounds", received, rounds);
    return 0;
}

static int cancel_against_recv(void *arg)
{
    struct canceller canceller;
    int rounds = rounds_of(20000), sent = 0;
    ae_chan *chan = make(1);

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        struct one one;
        struct transfer t = { chan, (uint64_t)i + 1 };
        uint64_t value = 0;
        EXPECT_EQ(ae_try_send(chan, &value), 0);
        one_start(&one, A_TASK, send_value, &t);
        if (i % 4) one_until_parked(&one);
        canceller_tell(&canceller, one.task);
        stagger(i);
        EXPECT_EQ(ae_try_recv(chan, &value), 0);
        EXPECT_EQ(value, 0);
        canceller_wait(&canceller);
        int rc = one_end(&one);
        REQUIRE(ae_chan_length(chan) == (rc == 0 ? 1 : 0));
        if (rc == 0) {
            EXPECT_EQ(ae_try_recv(chan, &value), 0);
            EXPECT_EQ(value, t.value);
        }
        sent += rc == 0;
    }
    canceller_end(&canceller);
    ae_chan_destroy(chan);
    test_note("cancel against recv: sent in %d of %d rounds", sent, rounds);
    return 0;
}

TEST(cancel_against_a_partner_never_loses_or_doubles_an_item)
{
    EXPECT_EQ(run_with(1, cancel_against_send, NULL), 0);
    EXPECT_EQ(run_with(3, cancel_against_send, NULL), 0);
    EXPECT_EQ(run_with(1, cancel_against_recv, NULL), 0);
    EXPECT_EQ(run_with(3, cancel_against_recv, NULL), 0);
}

/* ---- fairness ---- */

static _Atomic(bool) had_a_turn;

static int note_turn(void *arg)
{
    (void)arg;
    atomic_store(&had_a_turn, true);
    return 0;
}

static int never_waits(void *arg)
{
    ae_chan *chan = make(1);
    uint64_t value = 0;

    (void)arg;
    EXPECT_EQ(ae_go(note_turn, NULL), 0);
    for (int i = 0; i < 1000 && !atomic_load(&had_a_turn); i++) {
        EXPECT_EQ(ae_send(chan, &value), 0);
        EXPECT_EQ(ae_recv(chan, &value), 0);
    }
    EXPECT_TRUE(atomic_load(&had_a_turn));
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_task_that_never_has_to_wait_still_gives_way)
{
    EXPECT_EQ(run_with(1, never_waits, NULL), 0);
}

/* ---- stress ---- */

enum { SENDERS = 4, RECEIVERS = 4 };

static struct {
    ae_chan *chan;
    uint64_t each;
    _Atomic(uint64_t) sum, count;
    _Atomic(uint8_t) *seen;
} pipe_line;

static int send_many(void *arg)
{
    uint64_t base = (uint64_t)(intptr_t)arg * pipe_line.each;

    for (uint64_t i = 0; i < pipe_line.each; i++) {
        uint64_t value = base + i;
        int rc = ae_send(pipe_line.chan, &value);
        if (rc < 0) return rc;
    }
    return 0;
}

static int recv_many(void *arg)
{
    uint64_t value;
    int rc;

    (void)arg;
    while ((rc = ae_recv(pipe_line.chan, &value)) == 0) {
        EXPECT_EQ(atomic_fetch_add(&pipe_line.seen[value], 1), 0);
        atomic_fetch_add(&pipe_line.sum, value);
        atomic_fetch_add(&pipe_line.count, 1);
    }
    return rc;
}

static enum who kind_of(int i)
{
    return i % 4 == 2 ? A_THREAD : i % 4 == 3 ? A_JOB : A_TASK;
}

static int many_to_many(void *arg)
{
    struct one senders[SENDERS], receivers[RECEIVERS];
    uint64_t total = SENDERS * (uint64_t)rounds_of(8000);

    pipe_line.each = total / SENDERS;
    pipe_line.chan = make(*(size_t *)arg);
    pipe_line.seen = calloc(total, sizeof *pipe_line.seen);
    REQUIRE(pipe_line.seen);
    atomic_store(&pipe_line.sum, 0);
    atomic_store(&pipe_line.count, 0);
    for (int i = 0; i < RECEIVERS; i++) {
        one_start(&receivers[i], kind_of(i), recv_many, NULL);
        one_start(&senders[i], kind_of(i), send_many, (void *)(intptr_t)i);
    }
    for (int i = 0; i < SENDERS; i++) {
        EXPECT_EQ(one_end(&senders[i]), 0);
    }
    ae_chan_close(pipe_line.chan);
    for (int i = 0; i < RECEIVERS; i++) {
        EXPECT_EQ(one_end(&receivers[i]), -EPIPE);
    }
    EXPECT_EQ(atomic_load(&pipe_line.count), total);
    EXPECT_EQ(atomic_load(&pipe_line.sum), total * (total - 1) / 2);
    ae_chan_destroy(pipe_line.chan);
    free((void *)pipe_line.seen);
    return 0;
}

TEST(between_many_tasks_and_threads_each_item_arrives_once)
{
    static const size_t capacities[] = { 0, 1, 16 };

    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        size_t capacity = capacities[i];
        EXPECT_EQ(run_with(1, many_to_many, &capacity), 0);
        EXPECT_EQ(run_with(3, many_to_many, &capacity), 0);
    }
}

static int echo(void *arg)
{
    ae_chan **chans = arg;
    uint64_t value;

    while (ae_recv(chans[0], &value) == 0) {
        value++;
        if (ae_send(chans[1], &value) < 0) break;
    }
    return 0;
}

static int ping_pong(void *arg)
{
    int rounds = rounds_of(40000);
    ae_chan *chans[2] = { make(*(size_t *)arg), make(*(size_t *)arg) };
    struct one other;

    one_start(&other, A_TASK, echo, chans);
    for (int i = 0; i < rounds; i++) {
        uint64_t value = (uint64_t)i;
        REQUIRE(ae_send(chans[0], &value) == 0);
        REQUIRE(ae_recv(chans[1], &value) == 0);
        REQUIRE(value == (uint64_t)i + 1);
    }
    ae_chan_close(chans[0]);
    EXPECT_EQ(one_end(&other), 0);
    ae_chan_destroy(chans[0]);
    ae_chan_destroy(chans[1]);
    return 0;
}

TEST(two_tasks_play_ping_pong)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        EXPECT_EQ(run_with(1, ping_pong, &capacity), 0);
        EXPECT_EQ(run_with(2, ping_pong, &capacity), 0);
    }
}

/* ---- misuse ---- */

static int destroy_under_a_waiter(void *arg)
{
    struct one one;
    struct transfer t = { make(0), 0 };

    (void)arg;
    one_start_parked(&one, A_TASK, recv_value, &t);
    ae_chan_destroy(t.chan);
    return 0;
}

TEST(destroying_a_channel_somebody_waits_on_asserts)
{
    EXPECT_DEATH(run_with(1, destroy_under_a_waiter, NULL), "receivers");
}
