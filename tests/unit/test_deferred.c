/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that start when something happens. */
#include <fcntl.h>
#include <unistd.h>

#include "io_test.h"

struct starting {
    _Atomic(int) runs;
    int by;
    ae_stream *stream;
};

static int note_start(void *arg)
{
    struct starting *s = arg;

    s->by = ae_started_by();
    s->runs++;
    return 0;
}

static int started_as_usual(void *arg)
{
    struct starting *s = arg;

    EXPECT_EQ(ae_started_by(), 0);
    EXPECT_EQ(ae_join(ae_spawn(note_start, s)), 0);
    EXPECT_EQ(s->by, 0);
    return 0;
}

TEST(an_ordinary_task_was_started_by_nothing)
{
    struct starting s = { .by = -1 };

    EXPECT_EQ(ae_started_by(), 0);
    run_both(started_as_usual, &s);
    EXPECT_EQ(s.runs, 2);
}

/* ---- by an event ---- */

static int by_data(void *arg)
{
    struct pair p = open_pair();
    struct starting s = { 0 };
    ae_scope scope;
    char buf[8];

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, note_start, &s), 0);
    EXPECT_EQ(ae_scope_live(&scope), 1);
    yield_times(10);
    EXPECT_EQ(s.runs, 0);
    EXPECT_EQ(ae_write(p.a, "x", 1), 1);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(s.runs, 1);
    EXPECT_EQ(s.by, AE_READABLE);
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 1);
    close_pair(&p);
    return 0;
}

TEST(data_starts_it_once)
{
    run_both(by_data, NULL);
}

/* Data that came before, also where the driver has stopped looking after a short read. */
static int by_data_that_is_there(void *arg)
{
    struct pair p = open_pair();
    char buf[8];

    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct starting s = { 0 };
        ae_scope scope;
        ae_scope_begin(&scope);
        EXPECT_EQ(ae_write(p.a, "abcd", 4), 4);
        if (i % 2 == 0) EXPECT_EQ(ae_read(p.b, buf, 2), 2);
        EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, note_start, &s), 0);
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        EXPECT_EQ(s.runs, 1);
        EXPECT_EQ(s.by, AE_READABLE);
        EXPECT_EQ(ae_read(p.b, buf, sizeof buf), i % 2 == 0 ? 2 : 4);
    }
    close_pair(&p);
    return 0;
}

TEST(data_that_is_there_starts_it_at_once)
{
    run_both(by_data_that_is_there, NULL);
}

/* A connection is read, waits without a stack, is read again: as an HTTP server parks it. */
enum { REQUESTS = 200 };

static int serve_next(void *arg)
{
    struct starting *s = arg;
    char buf[64];

    if (!EXPECT_EQ(ae_started_by(), AE_READABLE)) return 0;
    ssize_t n = ae_read(s->stream, buf, sizeof buf);
    s->runs++;
    if (n <= 0) return (int)n;
    EXPECT_EQ(ae_write(s->stream, buf, (size_t)n), n);
    return ae_go_on(s->stream, AE_READABLE, AE_FOREVER, serve_next, s);
}

static int keep_alive(void *arg)
{
    struct pair p = open_pair();
    struct starting s = { .stream = p.b };
    ae_scope scope;
    char buf[8];

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, serve_next, &s), 0);
    for (int i = 0; i < REQUESTS; i++) {
        EXPECT_EQ(ae_write(p.a, "request", 7), 7);
        EXPECT_EQ(ae_read_full(p.a, buf, 7), 7);
    }
    EXPECT_EQ(ae_shutdown(p.a), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(s.runs, REQUESTS + 1); /* the end of the stream starts it, too */
    close_pair(&p);
    return 0;
}

TEST(a_connection_waits_without_a_stack_between_requests)
{
    run_both(keep_alive, NULL);
}

static int by_room(void *arg)
{
    struct pair p = open_pair();
    struct starting s = { 0 };
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(p.a, AE_READABLE | AE_WRITABLE, AE_FOREVER, note_start, &s), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(s.runs, 1);
    EXPECT_EQ(s.by, AE_WRITABLE);
    close_pair(&p);
    return 0;
}

TEST(room_to_write_starts_it)
{
    run_both(by_room, NULL);
}

/* ---- by time, cancel, close ---- */

static int by_time(void *arg)
{
    struct pair p = open_pair();
    struct starting s = { 0 };
    ae_scope scope;
    char buf[4];

    (void)arg;
    for (int i = 0; i < 5; i++) {
        ae_scope_begin(&scope);
        EXPECT_EQ(ae_go_on(p.b, AE_READABLE, ae_now() + i * AE_MS / 2, note_start, &s), 0);
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        EXPECT_EQ(s.runs, i + 1);
        EXPECT_EQ(s.by, -ETIMEDOUT);
    }
    EXPECT_EQ(ae_write(p.a, "x", 1), 1); /* the next reader is not disturbed */
    EXPECT_EQ(ae_read(p.b, buf, sizeof buf), 1);
    close_pair(&p);
    return 0;
}

TEST(the_deadline_starts_it)
{
    run_both(by_time, NULL);
}

static int by_cancel(void *arg)
{
    struct pair p = open_pair();
    struct starting s = { 0 }, t = { 0 }, u = { 0 };
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, note_start, &s), 0);
    EXPECT_EQ(ae_go_at(AE_FOREVER, note_start, &t), 0);
    yield_times(5);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_go_at(ae_now() + AE_SEC * 1000, note_start, &u), 0); /* cancelled already */
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), 0);
    EXPECT_EQ(s.runs, 1);
    EXPECT_EQ(s.by, -ECANCELED);
    EXPECT_EQ(t.runs, 1);
    EXPECT_EQ(t.by, -ECANCELED);
    EXPECT_EQ(u.runs, 1);
    EXPECT_EQ(u.by, -ECANCELED);
    close_pair(&p);
    return 0;
}

TEST(a_cancel_starts_it)
{
    run_both(by_cancel, NULL);
}

static int by_close(void *arg)
{
    struct pair p = open_pair();
    struct starting s = { 0 };
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on(p.b, AE_READABLE, AE_FOREVER, note_start, &s), 0);
    yield_times(5);
    ae_close(p.b);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(s.runs, 1);
    EXPECT_EQ(s.by, -ECANCELED);
    ae_close(p.a);
    return 0;
}

TEST(close_starts_it_as_cancelled)
{
    run_both(by_close, NULL);
}

/* Event, deadline and cancel all at the same time: one of them wins, and it runs once. */
static int by_whatever(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct pair p = open_pair();
        struct starting s = { 0 };
        ae_scope scope;
        ae_scope_begin(&scope);
        int64_t when = ae_now() + (i % 20) * AE_US * 5;
        EXPECT_EQ(ae_go_on(p.b, AE_READABLE, when, note_start, &s), 0);
        EXPECT_EQ(ae_write(p.a, "x", 1), 1);
        if (i % 3 == 0) ae_scope_cancel(&scope, 0);
        EXPECT_EQ(ae_scope_end(&scope, 0), 0);
        EXPECT_EQ(s.runs, 1);
        EXPECT_TRUE(s.by == AE_READABLE || s.by == -ETIMEDOUT || s.by == -ECANCELED);
        close_pair(&p);
    }
    return 0;
}

TEST(it_runs_once_whatever_comes_together)
{
    run_both(by_whatever, NULL);
}

/* ---- time alone, foreign descriptors ---- */

static int at_times(void *arg)
{
    struct starting s[3] = { { 0 } };
    ae_scope scope;
    int64_t begin = ae_now();

    (void)arg;
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_at(begin + 3 * AE_MS, note_start, &s[0]), 0);
    EXPECT_EQ(ae_go_at(begin, note_start, &s[1]), 0);
    EXPECT_EQ(ae_go_at(0, note_start, &s[2]), 0);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_GE(ae_now() - begin, 3 * AE_MS);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(s[i].runs, 1);
        EXPECT_EQ(s[i].by, -ETIMEDOUT);
    }
    return 0;
}

TEST(go_at_starts_it_at_its_time)
{
    run_both(at_times, NULL);
}

static int on_foreign(void *arg)
{
    struct starting s = { 0 };
    ae_scope scope;
    int fds[2];

    (void)arg;
    EXPECT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    ae_scope_begin(&scope);
    EXPECT_EQ(ae_go_on_fd(fds[0], AE_READABLE, AE_FOREVER, note_start, &s), 0);
    yield_times(5);
    EXPECT_EQ(s.runs, 0);
    EXPECT_EQ(write(fds[1], "x", 1), 1);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(s.runs, 1);
    EXPECT_EQ(s.by, AE_READABLE);
    EXPECT_EQ(ae_go_on_fd(-1, AE_READABLE, AE_FOREVER, note_start, &s), -EBADF);
    ae_fd_forget(fds[0]);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(a_foreign_descriptor_starts_it)
{
    run_both(on_foreign, NULL);
}

/* ---- many ---- */

enum { IDLE = 5000 };

static _Atomic(int) ended;

static int count_end(void *arg)
{
    (void)arg;
    EXPECT_EQ(ae_started_by(), -ECANCELED);
    ended++;
    return 0;
}

static int hold_many(void *arg)
{
    ae_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    ae_scope scope;

    (void)arg;
    ended = 0;
    EXPECT_EQ(ae_metrics_get(NULL, &before), 0);
    ae_scope_begin(&scope);
    for (int i = 0; i < IDLE; i++) EXPECT_EQ(ae_go_at(AE_FOREVER - 1 - i, count_end, NULL), 0);
    yield_times(5);
    EXPECT_EQ(ae_metrics_get(NULL, &after), 0);
    EXPECT_EQ(after.stacks_live, before.stacks_live);
    EXPECT_EQ(after.tasks_live - before.tasks_live, IDLE);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), 0);
    EXPECT_EQ(ended, IDLE);
    return 0;
}

TEST(waiting_starts_hold_no_stacks)
{
    run_both(hold_many, NULL);
}
