/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring driver: how few system calls it makes, cancels and closes while the kernel has the
 * buffer, when it gives way to epoll, and that a ring can do no more than its process.
 * Covers: src/driver/choose.c src/driver/ring.c src/driver/uring_file.c src/driver/uring_op.c */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/files.h"
#include "io/io.h"
#include "sched/sched.h"
#include "uring_test.h"

static int name_driver(void *arg)
{
    ae_metrics m = { .size = sizeof m };

    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    snprintf(arg, sizeof m.driver, "%s", m.driver);
    return 0;
}

/* ---- which driver ---- */

static char log_text[2000];

static void keep_line(void *context, enum ae_log_level level, const char *line)
{
    (void)context;
    (void)level;
    size_t used = strlen(log_text);
    snprintf(log_text + used, sizeof log_text - used, "%s\n", line);
}

static void expect_driver(const ae_config *config, const char *expected)
{
    char name[16] = "";

    EXPECT_EQ(ae_run(config, name_driver, name), 0);
    EXPECT_STREQ(name, expected);
}

TEST(config_and_environment_choose_the_driver)
{
    const ae_config rings = { AE_CONFIG, .workers = 2, .driver = AE_DRIVER_URING };
    const ae_config epolls = { AE_CONFIG, .workers = 2, .driver = AE_DRIVER_EPOLL };
    const char *best = has_rings() ? "uring" : "epoll";

    ae_log_set_sink(keep_line, NULL);
    ae_log_set_level(AE_WARN);
    unsetenv("AE_DRIVER");
    expect_driver(NULL, "epoll");
    expect_driver(&rings, best);
    setenv("AE_DRIVER", "uring", 1);
    expect_driver(NULL, best);
    expect_driver(&epolls, "epoll");
    if (strcmp(best, "uring") == 0) EXPECT_STREQ(log_text, "");
    setenv("AE_DRIVER", "kqueue", 1);
    expect_driver(NULL, "epoll");
    EXPECT_NOT_NULL(strstr(log_text, "AE_DRIVER=kqueue is ignored"));
}

TEST(a_current_thread_runtime_has_an_epoll)
{
    const ae_config config = { AE_CONFIG, .flavor = AE_CURRENT_THREAD, .driver = AE_DRIVER_URING };

    expect_driver(&config, "epoll");
}

/* From now on io_uring_setup fails so, for this process. */
static void deny_rings(unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void fall_back(unsigned error, const char *reason)
{
    const ae_config config = { AE_CONFIG, .workers = 2, .driver = AE_DRIVER_URING };

    ae_log_set_sink(keep_line, NULL);
    ae_log_set_level(AE_WARN);
    deny_rings(error);
    expect_driver(&config, "epoll");
    if (!strstr(log_text, reason)) test_note("the log: %s", log_text);
    EXPECT_NOT_NULL(strstr(log_text, "epoll instead of io_uring"));
    EXPECT_NOT_NULL(strstr(log_text, reason));
}

TEST(forbidden_rings_give_epoll_and_the_log_says_so)
{
    fall_back(EPERM, "forbidden");
}

TEST(a_kernel_without_rings_gives_epoll)
{
    fall_back(ENOSYS, "no io_uring");
}

TEST(an_old_kernel_gives_epoll)
{
    fall_back(EINVAL, "older than 6.1");
}

/* Descriptors for the trial, but not for every worker's ring. */
TEST(too_few_descriptors_for_all_rings_give_epoll)
{
    const ae_config config = { AE_CONFIG, .workers = 8, .driver = AE_DRIVER_URING };
    struct rlimit limit;

    if (!has_rings()) return;
    ae_log_set_sink(keep_line, NULL);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int next = dup(0);
    close(next);
    for (int room = 17; room > 0; room--) { /* 8 workers: 16 by epoll, 16 by rings */
        char name[16] = "";
        limit.rlim_cur = (rlim_t)(next + room);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        int rc = ae_run(&config, name_driver, name);
        EXPECT_TRUE(rc == 0 || rc == -EMFILE);
        EXPECT_EQ(dup(0), next); /* nothing is left behind */
        close(next);
    }
}

/* ---- how few system calls ---- */

enum { REQUESTS = 1000, PAIRS = 32 };

static int answer(void *arg)
{
    ae_stream *stream = arg;
    char buf[256];
    ssize_t n;

    while ((n = ae_read(stream, buf, sizeof buf)) > 0) {
        EXPECT_EQ(ae_write(stream, buf, (size_t)n), n);
    }
    return (int)n;
}

static int ask(void *arg)
{
    ae_stream *stream = arg;
    char buf[256] = "";

    for (int i = 0; i < REQUESTS; i++) {
        EXPECT_EQ(ae_write(stream, buf, 32), 32);
        EXPECT_EQ(ae_read(stream, buf, sizeof buf), 32);
    }
    return ae_shutdown(stream);
}

static int count_calls(void *arg)
{
    ae_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    struct pair pairs[PAIRS];
    ae_scope scope;

    for (int i = 0; i < PAIRS; i++) pairs[i] = open_pair();
    EXPECT_EQ(ae_metrics_get(NULL, &before), 0);
    ae_scope_begin(&scope);
    for (int i = 0; i < PAIRS; i++) {
        EXPECT_EQ(ae_go(answer, pairs[i].b), 0);
        EXPECT_EQ(ae_go(ask, pairs[i].a), 0);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(ae_metrics_get(NULL, &after), 0);
    const double trips = (double)PAIRS * REQUESTS;
    uint64_t calls = after.io_syscalls - before.io_syscalls;
    test_note("%.3f system calls a round trip, %.3f of them entries", (double)calls / trips,
              (double)(after.io_polls - before.io_polls) / trips);
    EXPECT_LT(calls, PAIRS * REQUESTS * *(int *)arg / 10); /* epoll: 4 and its waits */
    for (int i = 0; i < PAIRS; i++) close_pair(&pairs[i]);
    return 0;
}

TEST(entries_carry_many_requests)
{
    int tenths = 5;

    if (has_rings()) run_on_rings(1, count_calls, &tenths);
}

TEST(tries_save_the_waits_alone)
{
    int tenths = 25;

    setenv("AE_URING", "try", 1);
    if (has_rings()) run_on_rings(1, count_calls, &tenths);
}

/* ---- cancel while the kernel has the buffer ---- */

struct reading {
    ae_stream *stream;
    ssize_t n;
};

/* The buffer is this task's stack: it must not be written after the read has returned. */
static int read_and_look(void *arg)
{
    struct reading *r = arg;
    char buf[512];

    memset(buf, 'x', sizeof buf);
    r->n = ae_read(r->stream, buf, sizeof buf);
    size_t got = r->n > 0 ? (size_t)r->n : 0;
    for (size_t i = got; i < sizeof buf; i++) EXPECT_EQ(buf[i], 'x');
    return r->n < 0 ? (int)r->n : 0;
}

/* Data and cancel race; whichever wins, no byte is lost: the read has it, or still the socket. */
static int cancel_against_data(void *arg)
{
    struct pair p = open_pair();
    size_t won = 0, rounds = *(size_t *)arg;

    for (size_t i = 0; i < rounds; i++) {
        struct reading r = { .stream = p.b };
        char rest[16];
        ae_task *task = ae_spawn(read_and_look, &r);
        yield_times((int)(i % 4));
        if (i % 3 == 0) EXPECT_EQ(ae_write(p.a, "12345678", 8), 8);
        if (i % 5 == 0) yield_times((int)(i % 7));
        ae_cancel(task);
        if (i % 3 == 1) EXPECT_EQ(ae_write(p.a, "12345678", 8), 8);
        (void)!ae_join(task);
        EXPECT_TRUE(r.n == -ECANCELED || r.n == 8);
        won += r.n == 8;
        if (i % 3 != 2 && r.n < 0) EXPECT_EQ(ae_read(p.b, rest, sizeof rest), 8);
    }
    test_note("%zu of %zu reads got their data first", won, rounds);
    close_pair(&p);
    return 0;
}

TEST(a_cancelled_read_loses_no_byte_and_writes_none_later)
{
    size_t rounds = 5000;

    run_both_on_rings(cancel_against_data, &rounds);
}

static int write_much(void *arg)
{
    static const char block[1 << 20];
    const struct iovec parts[2] = { { (void *)block, sizeof block / 2 },
                                    { (void *)block, sizeof block / 2 } };

    ssize_t n = ae_writev(arg, parts, 2);
    EXPECT_TRUE(n == -ECANCELED || n > 0);
    return 0;
}

static int cancel_writers(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct pair p = open_pair();
        char buf[4096];
        ae_task *task = ae_spawn(write_much, p.a);
        yield_times(i % 5);
        if (i % 2) EXPECT_GE(ae_read(p.b, buf, sizeof buf), 0);
        ae_cancel(task);
        EXPECT_EQ(ae_join(task), 0);
        close_pair(&p);
    }
    return 0;
}

TEST(a_cancelled_write_returns)
{
    run_both_on_rings(cancel_writers, NULL);
}

static int accept_one(void *arg)
{
    ae_stream *stream = NULL;

    int rc = ae_accept(arg, &stream, NULL);
    ae_close(stream);
    return rc;
}

static int cancel_acceptors(void *arg)
{
    char address[AE_ADDR_TEXT_MAX];
    ae_listener *listener = listen_local(address, sizeof address);

    (void)arg;
    for (int i = 0; i < 500; i++) {
        ae_stream *stream = NULL;
        ae_task *task = ae_spawn(accept_one, listener);
        yield_times(i % 3);
        if (i % 2) EXPECT_EQ(ae_connect(address, &stream), 0);
        ae_cancel(task);
        int rc = ae_join(task);
        EXPECT_TRUE(rc == 0 || rc == -ECANCELED);
        if (i % 2 && rc < 0) EXPECT_EQ(accept_one(listener), 0); /* it is still in the queue */
        ae_close(stream);
    }
    if (ae_runtime_workers(ae_runtime_current()) == 1) { /* so it has begun after a few turns */
        ae_task *task = ae_spawn(accept_one, listener);
        yield_times(3);
        ae_listener_close(listener);
        EXPECT_EQ(ae_join(task), -ECANCELED);
    } else {
        ae_listener_close(listener);
    }
    return 0;
}

TEST(a_cancelled_accept_loses_no_connection)
{
    run_both_on_rings(cancel_acceptors, NULL);
}

/* ---- close ---- */

static void wait_until_in_flight(ae_stream *stream)
{
    struct ae__socket *socket = ae__stream_socket(stream);
    bool flies = false;

    while (!flies) {
        ae_yield();
        struct ae__fd *fd = atomic_load(&socket->ref.fd);
        if (!fd) continue;
        ae__lock_acquire(&fd->lock);
        flies = fd->flights != NULL;
        ae__lock_release(&fd->lock);
    }
}

/* The other end hears of a close at once, whatever the ring still holds. */
static int close_what_is_read(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        struct pair p = open_pair();
        struct reading r = { .stream = p.b };
        char byte;
        int number = ae_stream_fd(p.b);
        ae_task *task = ae_spawn(read_and_look, &r);
        wait_until_in_flight(p.b);
        yield_times(i % 4);
        ae_close(p.b);
        if (i % 4 < 2) yield_times(2);
        EXPECT_EQ(ae_read(p.a, &byte, 1), 0);
        EXPECT_EQ(ae_join(task), -ECANCELED);
        ae_close(p.a);
        EXPECT_EQ(fcntl(number, F_GETFD), -1);
    }
    return 0;
}

TEST(a_close_ends_the_read_and_the_connection)
{
    run_both_on_rings(close_what_is_read, NULL);
}

static int count_start(void *arg)
{
    int started = ae_started_by();

    (*(_Atomic(int) *)arg)++;
    EXPECT_TRUE(started == -ETIMEDOUT || started == -ECANCELED || started == AE_READABLE);
    return 0;
}

/* Starts that wait without a stack, ended by data, by time, by close, all at once. */
static int end_deferred(void *arg)
{
    _Atomic(int) started = 0;
    ae_scope scope;

    (void)arg;
    ae_scope_begin(&scope);
    for (int i = 0; i < 400; i++) {
        struct pair p = open_pair();
        int64_t deadline_ns = i % 4 == 0 ? ae_now() + 50 * AE_US : AE_FOREVER;
        char byte;
        EXPECT_EQ(ae_go_on(p.b, AE_READABLE, deadline_ns, count_start, &started), 0);
        yield_times(i % 3);
        if (i % 4 == 1) EXPECT_EQ(ae_write(p.a, "x", 1), 1);
        if (i % 4 == 2) (void)!ae_sleep(100 * AE_US);
        ae_close(p.b);
        ssize_t n = ae_read(p.a, &byte, 1);
        EXPECT_TRUE(n == 0 || n == -ECONNRESET);
        ae_close(p.a);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    EXPECT_EQ(started, 400);
    return 0;
}

TEST(deferred_starts_end_once_and_their_connections_close)
{
    run_both_on_rings(end_deferred, NULL);
}

/* ---- the end of a runtime ---- */

static int leave_polls_behind(void *arg)
{
    int fds[2];

    (void)arg;
    REQUIRE(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    struct pair p = open_pair();
    ae_scope scope;
    ae_scope_begin(&scope);
    ae_scope_deadline(&scope, ae_now() + 2 * AE_MS);
    EXPECT_EQ(ae_fd_wait(fds[0], AE_READABLE), -ECANCELED);
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
    ae_fd_forget(fds[0]);
    close(fds[0]);
    close(fds[1]);
    ae_close(p.a);
    ae_close(p.b);
    return 0;
}

static int open_descriptors(void)
{
    int n = 0;

    for (int i = 0; i < 1024; i++) n += fcntl(i, F_GETFD) >= 0;
    return n;
}

TEST(the_end_of_a_runtime_closes_everything)
{
    int before = open_descriptors();

    for (int i = 0; i < 50; i++) run_both_on_rings(leave_polls_behind, NULL);
    EXPECT_EQ(open_descriptors(), before);
}

/* A number that was closed and opened anew is another descriptor, also to a poll left over. */
static int reuse_numbers(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int fds[2];
        ae_scope scope;
        REQUIRE(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
        ae_scope_begin(&scope);
        ae_scope_deadline(&scope, ae_now() + 20 * AE_US);
        (void)!ae_fd_wait(fds[0], AE_READABLE);
        (void)!ae_scope_end(&scope, 0);
        if (i % 2) ae_fd_forget(fds[0]);
        close(fds[0]);
        close(fds[1]);
        REQUIRE(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
        EXPECT_EQ(write(fds[1], "x", 1), 1);
        EXPECT_EQ(ae_fd_wait(fds[0], AE_READABLE), AE_READABLE);
        ae_fd_forget(fds[0]);
        close(fds[0]);
        close(fds[1]);
    }
    return 0;
}

TEST(a_number_used_again_is_another_descriptor)
{
    run_both_on_rings(reuse_numbers, NULL);
}

/* ---- files ---- */

enum { FILE_BLOCKS = 64, BLOCK_BYTES = 4096 };

struct block_job {
    int number, index;
};

static int write_block(void *arg)
{
    const struct block_job *job = arg;
    char block[BLOCK_BYTES];

    memset(block, 'a' + job->index % 26, sizeof block);
    int64_t at = (int64_t)job->index * BLOCK_BYTES;
    EXPECT_EQ(ae__file_ring_writeat(job->number, block, sizeof block, at), BLOCK_BYTES);
    return 0;
}

static int read_block(void *arg)
{
    const struct block_job *job = arg;
    char block[BLOCK_BYTES] = "", expected[BLOCK_BYTES];

    memset(expected, 'a' + job->index % 26, sizeof expected);
    int64_t at = (int64_t)job->index * BLOCK_BYTES;
    EXPECT_EQ(ae__file_ring_readat(job->number, block, sizeof block, at), BLOCK_BYTES);
    EXPECT_MEMEQ(block, expected, BLOCK_BYTES);
    return 0;
}

static void all_blocks(int number, ae_fn *fn)
{
    struct block_job jobs[FILE_BLOCKS];
    ae_scope scope;

    ae_scope_begin(&scope);
    for (int i = 0; i < FILE_BLOCKS; i++) {
        jobs[i] = (struct block_job){ number, i };
        EXPECT_EQ(ae_go(fn, &jobs[i]), 0);
    }
    EXPECT_EQ(ae_scope_end(&scope, 0), 0);
}

static int use_file(void *arg)
{
    char path[] = "/tmp/ae-uring-XXXXXX", byte;
    int number = mkstemp(path);

    (void)arg;
    REQUIRE(number >= 0);
    unlink(path);
    EXPECT_TRUE(ae__file_on_ring());
    all_blocks(number, write_block);
    EXPECT_EQ(ae__file_ring_sync(number, false), 0);
    EXPECT_EQ(posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED), 0);
    all_blocks(number, read_block);
    EXPECT_EQ(ae__file_ring_readat(number, &byte, 1, FILE_BLOCKS * BLOCK_BYTES), 0); /* the end */
    close(number);
    EXPECT_EQ(ae__file_ring_readat(number, &byte, 1, 0), -EBADF);
    return 0;
}

TEST(files_are_written_synced_and_read_cold)
{
    run_both_on_rings(use_file, NULL);
}

static int read_pipe(void *arg)
{
    char buf[64];

    memset(buf, 'x', sizeof buf);
    ssize_t n = ae__file_ring_readat(*(int *)arg, buf, sizeof buf, 0);
    for (size_t i = n > 0 ? (size_t)n : 0; i < sizeof buf; i++) EXPECT_EQ(buf[i], 'x');
    return (int)n;
}

/* A pipe stands for a disk that takes its time. */
static int cancel_file_reads(void *arg)
{
    int fds[2];

    (void)arg;
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    for (int i = 0; i < 500; i++) {
        ae_task *task = ae_spawn(read_pipe, &fds[0]);
        yield_times(i % 4);
        if (i % 2) EXPECT_EQ(write(fds[1], "1234", 4), 4);
        ae_cancel(task);
        int n = ae_join(task);
        EXPECT_TRUE(n == -ECANCELED || (n == 4 && i % 2));
        if (i % 2 && n < 0) EXPECT_EQ(read_pipe(&fds[0]), 4);
    }
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(a_cancelled_file_read_loses_nothing)
{
    run_both_on_rings(cancel_file_reads, NULL);
}

/* ---- what a ring may do ---- */

static int complete_one(struct ae__ring *ring, struct io_uring_cqe *cqe)
{
    int rc = ae__ring_wait(ring, 5 * AE_SEC);

    return rc < 0 ? rc : ae__ring_pop(ring, cqe) ? 0 : -ENOENT;
}

TEST(a_restricted_ring_opens_no_file)
{
    static const uint8_t allowed[] = { IORING_OP_NOP, IORING_OP_RECV };
    struct ae__ring ring;
    struct io_uring_cqe cqe;
    const char *why;
    uint32_t place;

    if (!has_rings()) return;
    REQUIRE(ae__ring_open(&ring, 8, 16, &why) == 0);
    REQUIRE(ae__ring_restrict(&ring, allowed, sizeof allowed) == 0);
    REQUIRE(ae__ring_enable(&ring, true) == 0);
    struct io_uring_sqe *sqe = ae__ring_next(&ring, &place);
    sqe->opcode = IORING_OP_OPENAT;
    sqe->fd = AT_FDCWD;
    sqe->addr = (uintptr_t) "/dev/null";
    REQUIRE(complete_one(&ring, &cqe) == 0);
    EXPECT_EQ(cqe.res, -EACCES);
    sqe = ae__ring_next(&ring, &place);
    sqe->opcode = IORING_OP_NOP;
    REQUIRE(complete_one(&ring, &cqe) == 0);
    EXPECT_EQ(cqe.res, 0);
    ae__ring_close(&ring);
}

static int drop_privileges(void *context)
{
    (void)context;
    if (setegid(65534) < 0 || seteuid(65534) < 0) return -errno;
    return 0;
}

static int make_and_ask(void *arg)
{
    struct io_uring_cqe cqe = { .res = 0 };
    struct ae__ring ring;
    const char *why;
    uint32_t place;

    REQUIRE(ae__ring_open(&ring, 8, 16, &why) == 0);
    REQUIRE(ae__ring_enable(&ring, true) == 0); /* not restricted, as ours are */
    struct io_uring_sqe *sqe = ae__ring_next(&ring, &place);
    sqe->opcode = IORING_OP_OPENAT;
    sqe->fd = AT_FDCWD;
    sqe->addr = (uintptr_t)arg;
    REQUIRE(complete_one(&ring, &cqe) == 0);
    ae__ring_close(&ring);
    EXPECT_EQ(open(arg, O_RDONLY), -1);
    return cqe.res;
}

TEST(a_dropped_process_opens_nothing_through_a_ring)
{
    const ae_config config = { AE_CONFIG, .workers = 1, .driver = AE_DRIVER_URING,
                               .before_start = drop_privileges };
    char path[] = "/tmp/ae-secret-XXXXXX";

    if (!has_rings()) return;
    if (getuid() != 0) {
        test_note("not tested: only root can drop privileges");
        return;
    }
    int number = mkstemp(path);
    REQUIRE(number >= 0);
    EXPECT_EQ(ae_run(&config, make_and_ask, path), -EACCES);
    close(number);
    EXPECT_EQ(seteuid(0), 0);
    EXPECT_EQ(unlink(path), 0);
}

TEST(a_full_queue_gives_no_entry)
{
    struct ae__ring ring;
    struct io_uring_cqe cqe;
    const char *why;
    uint32_t place;
    int came = 0;

    if (!has_rings()) return;
    REQUIRE(ae__ring_open(&ring, 8, 16, &why) == 0);
    REQUIRE(ae__ring_enable(&ring, true) == 0);
    for (int i = 0; i < 8; i++) REQUIRE(ae__ring_next(&ring, &place) != NULL);
    EXPECT_TRUE(ae__ring_next(&ring, &place) == NULL);
    EXPECT_EQ(ae__ring_pending(&ring), 8);
    EXPECT_EQ(ae__ring_submit(&ring), 0); /* opcode 0 is NOP */
    EXPECT_EQ(ae__ring_pending(&ring), 0);
    EXPECT_EQ(ae__ring_reap(&ring), 0);
    while (ae__ring_pop(&ring, &cqe)) came++;
    EXPECT_EQ(came, 8);
    int64_t start = ae_now();
    EXPECT_EQ(ae__ring_wait(&ring, AE_MS), -ETIME);
    EXPECT_GE(ae_now() - start, AE_MS);
    ae__ring_close(&ring);
}
