/* SPDX-License-Identifier: Apache-2.0 */
/* Select: exactly one case is done, and the others leave no trace. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors.h"

static ae_chan *make(size_t capacity)
{
    ae_chan *chan = ae_chan_create(sizeof(uint64_t), capacity);
    REQUIRE(chan);
    return chan;
}

static ae_case receive(ae_chan *chan, uint64_t *out)
{
    return (ae_case){ .op = AE_CASE_RECV, .chan = chan, .item = out };
}

static ae_case send(ae_chan *chan, uint64_t *in)
{
    return (ae_case){ .op = AE_CASE_SEND, .chan = chan, .item = in };
}

static ae_case at_time(int64_t when_ns)
{
    return (ae_case){ .op = AE_CASE_TIMER, .when_ns = when_ns };
}

/* ---- at once ---- */

TEST(the_only_ready_case_is_done)
{
    ae_chan *empty = make(1), *full = make(1);
    uint64_t in = 6, out = 0, untouched = 9;

    EXPECT_EQ(ae_send(full, &in), 0);
    ae_case cases[] = { receive(empty, &untouched), send(full, &in), receive(full, &out) };
    EXPECT_EQ(ae_select(cases, 3), 2);
    EXPECT_EQ(cases[2].rc, 0);
    EXPECT_EQ(out, 6);
    EXPECT_EQ(untouched, 9);
    EXPECT_EQ(ae_chan_length(full), 0);
    EXPECT_EQ(ae_select(cases, 2), 1);
    EXPECT_EQ(ae_chan_length(full), 1);
    ae_chan_destroy(empty);
    ae_chan_destroy(full);
}

TEST(ordered_prefers_the_first_ready_case)
{
    ae_chan *a = make(1), *b = make(1);
    uint64_t value = 1;
    ae_case cases[] = { at_time(AE_FOREVER), send(a, &value), send(b, &value), at_time(0) };

    EXPECT_EQ(ae_select_ordered(cases, 4), 1);
    EXPECT_EQ(ae_select_ordered(cases, 4), 2);
    EXPECT_EQ(ae_select_ordered(cases, 4), 3);
    EXPECT_EQ(ae_select_ordered(cases, 4), 3);
    ae_chan_destroy(a);
    ae_chan_destroy(b);
}

TEST(select_starves_no_ready_case)
{
    enum { CASES = 4, ROUNDS = 4000 };
    ae_chan *chans[CASES];
    ae_case cases[CASES + 2] = { 0 };
    uint64_t values[CASES];
    int chosen[CASES] = { 0 };

    for (int i = 0; i < CASES; i++) {
        chans[i] = make(ROUNDS);
        values[i] = 0;
        cases[i] = send(chans[i], &values[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        int c = ae_select(cases, CASES + 2);
        REQUIRE(c >= 0 && c < CASES);
        chosen[c]++;
    }
    for (int i = 0; i < CASES; i++) {
        EXPECT_GT(chosen[i], ROUNDS / CASES / 4);
        EXPECT_EQ(ae_chan_length(chans[i]), chosen[i]);
        ae_chan_destroy(chans[i]);
    }
}

TEST(a_closed_channel_is_ready_with_epipe)
{
    ae_chan *open = make(0), *closed = make(1);
    uint64_t value = 0;

    ae_chan_close(closed);
    ae_case cases[] = { receive(open, &value), receive(closed, &value) };
    EXPECT_EQ(ae_select(cases, 2), 1);
    EXPECT_EQ(cases[1].rc, -EPIPE);
    cases[1] = send(closed, &value);
    EXPECT_EQ(ae_select(cases, 2), 1);
    EXPECT_EQ(cases[1].rc, -EPIPE);
    ae_chan_destroy(open);
    ae_chan_destroy(closed);
}

/* ---- waiting ---- */

struct choice {
    ae_case *cases;
    size_t count;
};

static int select_any(void *arg)
{
    struct choice *choice = arg;
    return ae_select(choice->cases, choice->count);
}

static int wakes_by_send_and_recv(void *arg)
{
    ae_chan *in = make(0), *out = make(1);
    uint64_t got = 0, given = 5, value = 1;
    struct one one;
    enum who who = *(enum who *)arg;

    EXPECT_EQ(ae_send(out, &value), 0); /* full */
    ae_case cases[] = { receive(in, &got), { .op = AE_CASE_NONE }, send(out, &given) };
    struct choice choice = { cases, 3 };

    one_start_parked(&one, who, select_any, &choice);
    value = 2;
    EXPECT_EQ(ae_send(in, &value), 0);
    EXPECT_EQ(one_end(&one), 0);
    EXPECT_EQ(cases[0].rc, 0);
    EXPECT_EQ(got, 2);

    one_start_parked(&one, who, select_any, &choice);
    EXPECT_EQ(ae_recv(out, &value), 0);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(one_end(&one), 2);
    EXPECT_EQ(ae_recv(out, &value), 0);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(ae_try_send(in, &value), -EAGAIN); /* nobody is left in the queues */
    EXPECT_EQ(ae_try_recv(out, &value), -EAGAIN);
    ae_chan_destroy(in);
    ae_chan_destroy(out);
    return 0;
}

TEST(a_partner_of_any_case_ends_the_wait)
{
    run_for_all(wakes_by_send_and_recv);
}

static int wakes_by_close(void *arg)
{
    ae_chan *a = make(0), *b = make(0);
    uint64_t value = 7;
    struct one one;
    ae_case cases[] = { receive(a, &value), send(b, &value) };
    struct choice choice = { cases, 2 };

    one_start_parked(&one, *(enum who *)arg, select_any, &choice);
    ae_chan_close(b);
    EXPECT_EQ(one_end(&one), 1);
    EXPECT_EQ(cases[1].rc, -EPIPE);

    cases[1].op = AE_CASE_NONE;
    one_start_parked(&one, *(enum who *)arg, select_any, &choice);
    ae_chan_close(a);
    EXPECT_EQ(one_end(&one), 0);
    EXPECT_EQ(cases[0].rc, -EPIPE);
    EXPECT_EQ(value, 7);
    ae_chan_destroy(a);
    ae_chan_destroy(b);
    return 0;
}

TEST(close_ends_the_wait_with_epipe)
{
    run_for_all(wakes_by_close);
}

static int wakes_by_timer(void *arg)
{
    ae_chan *chan = make(0);
    uint64_t value = 7;
    struct one one;
    int64_t when_ns = ae_now() + 2 * AE_MS;
    ae_case cases[] = { receive(chan, &value), at_time(AE_FOREVER), at_time(when_ns) };
    struct choice choice = { cases, 3 };

    one_start(&one, *(enum who *)arg, select_any, &choice);
    EXPECT_EQ(one_end(&one), 2);
    EXPECT_GE(ae_now(), when_ns);
    EXPECT_EQ(ae_try_send(chan, &value), -EAGAIN);
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_timer_ends_the_wait_and_not_before_its_time)
{
    run_for_all(wakes_by_timer);
}

static int timer_loses(void *arg)
{
    ae_chan *chan = make(0);
    uint64_t got = 0, value = 3;
    struct one one;
    ae_case cases[] = { at_time(ae_now() + 3600 * AE_SEC), receive(chan, &got) };
    struct choice choice = { cases, 2 };

    one_start_parked(&one, *(enum who *)arg, select_any, &choice);
    EXPECT_EQ(ae_send(chan, &value), 0);
    EXPECT_EQ(one_end(&one), 1);
    EXPECT_EQ(got, 3);
    memset(cases, 0xff, sizeof cases); /* whoever still knew the timer would trip over it */
    ae_chan_destroy(chan);
    return ae_sleep(2 * AE_MS);
}

TEST(a_timer_that_lost_is_forgotten)
{
    run_for_all(timer_loses);
}

TEST(a_plain_thread_outside_a_runtime_can_wait_for_a_time)
{
    ae_chan *chan = make(0);
    uint64_t value = 0;
    int64_t when_ns = ae_now() + 2 * AE_MS;
    ae_case cases[] = { receive(chan, &value), at_time(when_ns), at_time(AE_FOREVER) };

    EXPECT_EQ(ae_select(cases, 3), 1);
    EXPECT_GE(ae_now(), when_ns);
    ae_chan_destroy(chan);
}

static int wait_event(void *arg)
{
    int rc = ae_event_wait(arg);
    return rc < 0 ? rc : 77;
}

static int wakes_by_task(void *arg)
{
    ae_event first = { { NULL } }, second = { { NULL } };
    struct one one;
    ae_task *tasks[2] = { ae_spawn(wait_event, &first), ae_spawn(wait_event, &second) };
    ae_case cases[] = { { .op = AE_CASE_TASK, .task = tasks[0] },
                        { .op = AE_CASE_TASK, .task = tasks[1] } };
    struct choice choice = { cases, 2 };

    REQUIRE(tasks[0] && tasks[1]);
    one_start_parked(&one, *(enum who *)arg, select_any, &choice);
    ae_event_set(&second);
    EXPECT_EQ(one_end(&one), 1);
    EXPECT_EQ(ae_select(cases, 2), 1); /* it has returned, so it stays ready */
    ae_event_set(&first);
    EXPECT_EQ(ae_join(tasks[0]), 77); /* select did not consume the handles */
    EXPECT_EQ(ae_join(tasks[1]), 77);
    return 0;
}

TEST(the_end_of_a_task_ends_the_wait_and_its_handle_stays)
{
    run_for_all(wakes_by_task);
}

static int cancelled_waiting(void *arg)
{
    ae_chan *chan = make(0);
    uint64_t value = 4;
    struct one one;
    enum who who = *(enum who *)arg;
    ae_event never = { { NULL } };
    ae_task *task = ae_spawn(wait_event, &never);
    ae_case cases[] = { receive(chan, &value),
                        send(chan, &value),
                        at_time(ae_now() + 3600 * AE_SEC),
                        { .op = AE_CASE_TASK, .task = task } };
    struct choice choice = { cases, 4 };

    REQUIRE(task);
    if (who != A_THREAD) {
        one_start_parked(&one, who, select_any, &choice);
        ae_cancel(one.task);
        EXPECT_EQ(one_end(&one), -ECANCELED);
        EXPECT_EQ(ae_try_send(chan, &value), -EAGAIN);
        EXPECT_EQ(ae_try_recv(chan, &value), -EAGAIN);
        one_start_parked(&one, who, select_any, &(struct choice){ NULL, 0 });
        ae_cancel(one.task);
        EXPECT_EQ(one_end(&one), -ECANCELED);
    }
    ae_event_set(&never);
    EXPECT_EQ(ae_join(task), 77);
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_cancelled_select_has_done_nothing)
{
    run_for_all(cancelled_waiting);
}

static int cancelled_before(void *arg)
{
    ae_chan *chan = make(1);
    uint64_t value = 0;
    ae_scope scope;
    ae_case cases[] = { send(chan, &value), at_time(0) };

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_select(cases, 2), -ECANCELED);
    EXPECT_EQ(ae_select_ordered(cases, 2), -ECANCELED);
    EXPECT_EQ(ae_chan_length(chan), 0);
    ae_chan_destroy(chan);
    return ae_scope_end(&scope, -ECANCELED);
}

TEST(a_cancelled_one_does_nothing_though_a_case_is_ready)
{
    EXPECT_EQ(run_with(1, cancelled_before, NULL), 0);
    EXPECT_EQ(cancelled_before(NULL), 0);
}

/* ---- one channel in several cases, and both sides selecting ---- */

static int with_itself(void *arg)
{
    ae_chan *chan = make(0);
    uint64_t got = 0, given = 5, value = 6;
    struct one one;
    ae_case cases[] = { send(chan, &given), receive(chan, &got), receive(chan, &got) };
    struct choice choice = { cases, 3 };

    one_start_parked(&one, *(enum who *)arg, select_any, &choice); /* meets not itself */
    EXPECT_EQ(ae_recv(chan, &value), 0);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(one_end(&one), 0);

    one_start_parked(&one, *(enum who *)arg, select_any, &choice);
    value = 8;
    EXPECT_EQ(ae_try_send(chan, &value), 0);
    EXPECT_GE(one_end(&one), 1);
    EXPECT_EQ(got, 8);
    EXPECT_EQ(ae_try_recv(chan, &value), -EAGAIN);
    EXPECT_EQ(ae_try_send(chan, &value), -EAGAIN);
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_select_that_sends_and_receives_on_one_channel_meets_only_others)
{
    run_for_all(with_itself);
}

static int past_itself(void *arg)
{
    ae_chan *chan = make(0);
    uint64_t got[2] = { 0, 0 }, given[2] = { 1, 2 };
    struct one one;
    ae_case first[] = { send(chan, &given[0]), receive(chan, &got[0]) };
    ae_case second[] = { receive(chan, &got[1]), send(chan, &given[1]) };
    struct choice choice = { first, 2 };

    one_start_parked(&one, *(enum who *)arg, select_any, &choice);
    int mine = ae_select(second, 2), others = one_end(&one);
    EXPECT_EQ(mine, others); /* one sent, the other received */
    EXPECT_EQ(got[0], others == 1 ? 2 : 0);
    EXPECT_EQ(got[1], mine == 0 ? 1 : 0);
    ae_chan_destroy(chan);
    return 0;
}

TEST(two_selects_meet_in_a_rendezvous)
{
    run_for_all(past_itself);
}

/* ---- descriptors ---- */

static int readable(void *arg)
{
    int ends[2];
    ae_chan *chan = make(0);
    uint64_t value = 0;

    (void)arg;
    REQUIRE(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    ae_case cases[] = { { .op = AE_CASE_FD, .fd = ends[0], .events = AE_READABLE },
                        receive(chan, &value) };
    struct choice choice = { cases, 2 };
    struct one one;

    one_start_parked(&one, A_TASK, select_any, &choice);
    REQUIRE(write(ends[1], "x", 1) == 1);
    EXPECT_EQ(one_end(&one), 0);
    EXPECT_EQ(cases[0].rc, AE_READABLE);
    EXPECT_EQ(ae_select_ordered(cases, 2), 0); /* ready at once */
    EXPECT_EQ(cases[0].rc, AE_READABLE);

    char byte;
    REQUIRE(read(ends[0], &byte, 1) == 1);
    REQUIRE(read(ends[0], &byte, 1) == -1);
    one_start_parked(&one, A_TASK, select_any, &choice);
    value = 4;
    EXPECT_EQ(ae_send(chan, &value), 0);
    EXPECT_EQ(one_end(&one), 1);
    one_start_parked(&one, A_TASK, select_any, &choice);
    ae_cancel(one.task);
    EXPECT_EQ(one_end(&one), -ECANCELED);
    ae_fd_forget(ends[0]);
    close(ends[0]);
    close(ends[1]);
    ae_chan_destroy(chan);
    return 0;
}

TEST(a_descriptor_that_becomes_ready_ends_the_wait)
{
    EXPECT_EQ(run_with(1, readable, NULL), 0);
    EXPECT_EQ(run_with(3, readable, NULL), 0);
}

/* ---- stress ---- */

enum { CHANS = 3, ACTORS = 4 };

static struct {
    ae_chan *chans[CHANS];
    uint64_t each;
    _Atomic(uint64_t) sent, received, sum_sent, sum_received;
} net;

/* Sends on any channel until all is sent. */
static int send_anywhere(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= net.each; i++) {
        uint64_t value = i;
        ae_case cases[CHANS];
        for (int c = 0; c < CHANS; c++) {
            cases[c] = send(net.chans[(c + (int)i) % CHANS], &value);
        }
        int chosen = ae_select(cases, CHANS);
        if (!EXPECT_GE(chosen, 0) || !EXPECT_EQ(cases[chosen].rc, 0)) return -EIO;
        atomic_fetch_add(&net.sum_sent, i);
        atomic_fetch_add(&net.sent, 1);
    }
    return 0;
}

/* Receives from any channel until all are closed. */
static int recv_anywhere(void *arg)
{
    ae_case cases[CHANS + 1] = { 0 };
    uint64_t values[CHANS];
    int open = CHANS;

    (void)arg;
    for (int c = 0; c < CHANS; c++) {
        cases[c] = receive(net.chans[c], &values[c]);
    }
    while (open > 0) {
        cases[CHANS] = at_time(ae_now() + 50 * AE_US);
        int chosen = ae_select(cases, ae__in_task() ? CHANS + 1 : CHANS);
        if (!EXPECT_GE(chosen, 0)) return chosen;
        if (chosen == CHANS) continue;
        if (cases[chosen].rc == -EPIPE) {
            cases[chosen].op = AE_CASE_NONE;
            open--;
            continue;
        }
        atomic_fetch_add(&net.sum_received, values[chosen]);
        atomic_fetch_add(&net.received, 1);
    }
    return 0;
}

static enum who kind_of(int i)
{
    return i == 2 ? A_THREAD : i == 3 ? A_JOB : A_TASK;
}

static int anywhere(void *arg)
{
    struct one senders[ACTORS], receivers[ACTORS];

    net.each = (uint64_t)rounds_of(8000);
    atomic_store(&net.sent, 0);
    atomic_store(&net.received, 0);
    atomic_store(&net.sum_sent, 0);
    atomic_store(&net.sum_received, 0);
    for (int c = 0; c < CHANS; c++) {
        net.chans[c] = make(*(size_t *)arg);
    }
    for (int i = 0; i < ACTORS; i++) {
        one_start(&receivers[i], kind_of(i), recv_anywhere, NULL);
        one_start(&senders[i], kind_of(i), send_anywhere, NULL);
    }
    for (int i = 0; i < ACTORS; i++) {
        EXPECT_EQ(one_end(&senders[i]), 0);
    }
    for (int c = 0; c < CHANS; c++) {
        ae_chan_close(net.chans[c]);
    }
    for (int i = 0; i < ACTORS; i++) {
        EXPECT_EQ(one_end(&receivers[i]), 0);
    }
    EXPECT_EQ(atomic_load(&net.received), ACTORS * net.each);
    EXPECT_EQ(atomic_load(&net.sum_received), atomic_load(&net.sum_sent));
    for (int c = 0; c < CHANS; c++) {
        ae_chan_destroy(net.chans[c]);
    }
    return 0;
}

TEST(selects_on_both_sides_lose_and_double_nothing)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        EXPECT_EQ(run_with(1, anywhere, &capacity), 0);
        EXPECT_EQ(run_with(3, anywhere, &capacity), 0);
    }
}

/* Everybody sends and receives on the same rendezvous channels: each sent one is received. */
static int swap(void *arg)
{
    uint64_t sent = 0, received = 0;

    (void)arg;
    while (sent + received < net.each) {
        uint64_t in = 1, out = 0;
        ae_case cases[] = { send(net.chans[0], &in), receive(net.chans[1], &out),
                            send(net.chans[1], &in), receive(net.chans[0], &out),
                            { .op = AE_CASE_RECV, .chan = net.chans[2], .item = &out } };
        int chosen = ae_select(cases, 5);
        if (!EXPECT_GE(chosen, 0)) return chosen;
        if (chosen == 4) break; /* closed: the others have ended */
        sent += chosen == 0 || chosen == 2;
        received += chosen == 1 || chosen == 3;
        EXPECT_EQ(out, chosen == 1 || chosen == 3);
    }
    atomic_fetch_add(&net.sent, sent);
    atomic_fetch_add(&net.received, received);
    return 0;
}

static int crossing(void *arg)
{
    struct one ones[ACTORS];

    (void)arg;
    net.each = (uint64_t)rounds_of(16000);
    atomic_store(&net.sent, 0);
    atomic_store(&net.received, 0);
    for (int c = 0; c < CHANS; c++) {
        net.chans[c] = make(0);
    }
    for (int i = 0; i < ACTORS; i++) {
        one_start(&ones[i], kind_of(i), swap, NULL);
    }
    while (!atomic_load(&ones[0].ended) && !atomic_load(&ones[1].ended) &&
           !atomic_load(&ones[2].ended)) {
        give_way();
    }
    ae_chan_close(net.chans[2]); /* whoever is left may have no partner */
    for (int i = 0; i < ACTORS; i++) {
        EXPECT_EQ(one_end(&ones[i]), 0);
    }
    EXPECT_EQ(atomic_load(&net.sent), atomic_load(&net.received));
    for (int c = 0; c < CHANS; c++) {
        ae_chan_destroy(net.chans[c]);
    }
    return 0;
}

TEST(crossing_rendezvous_selects_pair_up_exactly)
{
    EXPECT_EQ(run_with(1, crossing, NULL), 0);
    EXPECT_EQ(run_with(3, crossing, NULL), 0);
}

static int cancel_against_send(void *arg)
{
    struct canceller canceller;
    int rounds = rounds_of(20000), received = 0;
    ae_chan *a = make(1), *b = make(0);

    (void)arg;
    canceller_start(&canceller);
    for (int i = 0; i < rounds; i++) {
        struct one one;
        uint64_t got = 0, value = (uint64_t)i + 1;
        ae_case cases[] = { receive(b, &got), receive(a, &got), at_time(ae_now() + AE_SEC) };
        struct choice choice = { cases, 3 };
        one_start(&one, A_TASK, select_any, &choice);
        if (i % 4) one_until_parked(&one);
        canceller_tell(&canceller, one.task);
        stagger(i);
        EXPECT_EQ(ae_try_send(a, &value), 0);
        canceller_wait(&canceller);
        int rc = one_end(&one);
        REQUIRE(rc == 1 || rc == -ECANCELED);
        REQUIRE(ae_chan_length(a) == (rc == 1 ? 0 : 1));
        REQUIRE(got == (rc == 1 ? value : 0));
        if (rc < 0) EXPECT_EQ(ae_try_recv(a, &value), 0);
        received += rc == 1;
    }
    canceller_end(&canceller);
    ae_chan_destroy(a);
    ae_chan_destroy(b);
    test_note("cancel against send: received in %d of %d rounds", received, rounds);
    return 0;
}

TEST(cancel_against_a_select_never_loses_an_item)
{
    EXPECT_EQ(run_with(1, cancel_against_send, NULL), 0);
    EXPECT_EQ(run_with(3, cancel_against_send, NULL), 0);
}

/* ---- misuse ---- */

TEST(more_cases_than_a_claim_can_name_asserts)
{
    ae_case *cases = calloc(241, sizeof *cases);

    REQUIRE(cases);
    cases[239] = at_time(0);
    EXPECT_EQ(ae_select(cases, 240), 239);
    EXPECT_DEATH((void)!ae_select(cases, 241), "count");
    free(cases);
}

TEST(waiting_for_a_descriptor_outside_a_task_asserts)
{
    ae_case c = { .op = AE_CASE_FD, .fd = 0, .events = AE_READABLE };
    EXPECT_DEATH((void)!ae_select(&c, 1), "in_task");
}
