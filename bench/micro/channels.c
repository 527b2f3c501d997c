/* SPDX-License-Identifier: Apache-2.0 */
/* Handing values from task to task: channels, a one-shot channel, a mutex. */
#include "micro.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    PINGPONG = 200000,
    STREAM = 2000000,
    STREAM_CAPACITY = 1024,
    ONESHOT = 200000,
    MUTEX_TASKS = 4,
    MUTEX_EACH = 200000,
};

static ae_chan *chan_of(size_t capacity)
{
    ae_chan *chan = ae_chan_create(sizeof(uint64_t), capacity);

    micro_check(chan != NULL, "channel: no memory");
    return chan;
}

struct echo {
    ae_chan *ping;
    ae_chan *pong;
};

static int echo(void *arg)
{
    struct echo *pair = arg;
    uint64_t value;

    while (ae_recv(pair->ping, &value) == 0) {
        value++;
        micro_ok(ae_send(pair->pong, &value), "send");
    }
    return 0;
}

static double chan_pingpong(void)
{
    struct echo pair = {chan_of(1), chan_of(1)};
    int64_t start = ae_now();
    ae_task *task = micro_spawn(echo, &pair);
    double result;

    for (uint64_t i = 0; i < PINGPONG; i++) {
        uint64_t value = i;

        micro_ok(ae_send(pair.ping, &value), "send");
        micro_ok(ae_recv(pair.pong, &value), "recv");
        micro_check(value == i + 1, "chan-pingpong: wrong value");
    }
    ae_chan_close(pair.ping);
    micro_ok(ae_join(task), "join");
    result = micro_per_op(start, PINGPONG);
    ae_chan_destroy(pair.ping);
    ae_chan_destroy(pair.pong);
    return result;
}

static int produce(void *arg)
{
    ae_chan *chan = arg;

    for (uint64_t i = 0; i < STREAM; i++)
        micro_ok(ae_send(chan, &i), "send");
    ae_chan_close(chan);
    return 0;
}

static double chan_stream(void)
{
    ae_chan *chan = chan_of(STREAM_CAPACITY);
    int64_t start = ae_now();
    ae_task *producer = micro_spawn(produce, chan);
    uint64_t sum = 0;
    uint64_t value;
    double result;

    while (ae_recv(chan, &value) == 0)
        sum += value;
    micro_ok(ae_join(producer), "join");
    result = micro_per_op(start, STREAM);
    micro_check(sum == (uint64_t)STREAM * (STREAM - 1) / 2, "chan-stream: an item was lost");
    ae_chan_destroy(chan);
    return result;
}

/* The receiver may have its value while the sender has not yet left ae_send: the last one out
 * destroys the channel. */
struct oneshot {
    ae_chan *chan;
    uint64_t value;
    atomic_int users;
};

static void oneshot_leave(struct oneshot *one)
{
    if (atomic_fetch_sub_explicit(&one->users, 1, memory_order_acq_rel) > 1)
        return;
    ae_chan_destroy(one->chan);
    free(one);
}

static int oneshot_send(void *arg)
{
    struct oneshot *one = arg;

    micro_ok(ae_send(one->chan, &one->value), "send");
    oneshot_leave(one);
    return 0;
}

static double oneshots(void)
{
    int64_t start = ae_now();

    for (uint64_t i = 0; i < ONESHOT; i++) {
        struct oneshot *one = malloc(sizeof(*one));
        uint64_t got;

        micro_check(one != NULL, "no memory");
        *one = (struct oneshot){.chan = chan_of(1), .value = i, .users = 2};
        micro_ok(ae_go(oneshot_send, one), "go");
        micro_ok(ae_recv(one->chan, &got), "recv");
        micro_check(got == i, "oneshot: wrong value");
        oneshot_leave(one);
    }
    return micro_per_op(start, ONESHOT);
}

struct counter {
    ae_mutex lock;
    uint64_t total;
};

static int count(void *arg)
{
    struct counter *counter = arg;

    for (unsigned i = 0; i < MUTEX_EACH; i++) {
        ae_mutex_lock(&counter->lock);
        counter->total++;
        ae_mutex_unlock(&counter->lock);
    }
    return 0;
}

static double mutex_4(void)
{
    struct counter counter = {0};
    ae_task *tasks[MUTEX_TASKS];
    int64_t start = ae_now();

    for (unsigned i = 0; i < MUTEX_TASKS; i++)
        tasks[i] = micro_spawn(count, &counter);
    for (unsigned i = 0; i < MUTEX_TASKS; i++)
        micro_ok(ae_join(tasks[i]), "join");
    micro_check(counter.total == MUTEX_TASKS * MUTEX_EACH, "mutex-4: an increment was lost");
    return micro_per_op(start, MUTEX_TASKS * MUTEX_EACH);
}

const struct micro micro_channels[] = {
    {"chan-pingpong", chan_pingpong, MICRO_TIMED},
    {"chan-stream-1024", chan_stream, MICRO_TIMED},
    {"oneshot", oneshots, MICRO_TIMED},
    {"mutex-4", mutex_4, MICRO_TIMED},
    {0},
};
