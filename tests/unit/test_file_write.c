/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/io/file.c src/driver/files.c src/driver/uring_file.c
 * Files with both drivers: written, read at their position, synced, cut; and who waits for it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "uring_test.h"

static char path[128];

static void make_file(void)
{
    snprintf(path, sizeof path, "%s/XXXXXX", test_folder());
    int number = mkstemp(path);
    REQUIRE(number >= 0);
    close(number);
}

/* On epoll and, where there are rings, on those; from one worker and two. */
static void run_everywhere(ae_fn *body)
{
    make_file();
    run_both(body, NULL);
    run_both_on_rings(body, NULL);
    EXPECT_EQ(unlink(path), 0);
}

static ae_file *open_it(int flags)
{
    ae_file *file = NULL;

    REQUIRE(ae_file_open(path, flags, 0, &file) == 0);
    return file;
}

/* ---- writing and reading ---- */

static int use_positions(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC);
    ae_file_stat st;
    char buf[16];

    (void)arg;
    EXPECT_EQ(ae_file_write(file, "abcdef", 6), 6);
    EXPECT_EQ(ae_file_write(file, "ghi", 3), 3);
    EXPECT_EQ(ae_file_read(file, buf, sizeof buf), 0);
    EXPECT_EQ(ae_file_seek(file, 2, SEEK_SET), 2);
    EXPECT_EQ(ae_file_read(file, buf, 4), 4);
    EXPECT_MEMEQ(buf, "cdef", 4);
    EXPECT_EQ(ae_file_writeat(file, "XY", 2, 1), 2); /* moves nothing */
    EXPECT_EQ(ae_file_readat(file, buf, sizeof buf, 0), 9);
    EXPECT_MEMEQ(buf, "aXYdefghi", 9);
    EXPECT_EQ(ae_file_read(file, buf, sizeof buf), 3);
    EXPECT_MEMEQ(buf, "ghi", 3);
    EXPECT_EQ(ae_file_seek(file, 0, SEEK_CUR), 9);
    EXPECT_EQ(ae_file_seek(file, -1, SEEK_SET), -EINVAL);
    EXPECT_EQ(ae_file_write(file, "", 0), 0);
    EXPECT_EQ(ae_file_truncate(file, 4), 0);
    EXPECT_EQ(ae_file_sync(file), 0);
    EXPECT_EQ(ae_file_truncate(file, 6), 0);
    EXPECT_EQ(ae_file_datasync(file), 0);
    EXPECT_EQ(ae_file_stat_of(file, &st), 0);
    EXPECT_EQ(st.size, 6);
    EXPECT_EQ(ae_file_readat(file, buf, sizeof buf, 0), 6);
    EXPECT_MEMEQ(buf, "aXYd\0\0", 6);
    ae_file_close(file);
    return 0;
}

TEST(files_are_written_and_read_at_their_position)
{
    run_everywhere(use_positions);
}

static int on_the_pool(void *arg)
{
    return ae_blocking(use_positions, arg);
}

TEST(files_are_written_by_plain_threads_and_pool_jobs)
{
    make_file();
    EXPECT_EQ(use_positions(NULL), 0);
    run_with(1, on_the_pool, NULL);
    EXPECT_EQ(unlink(path), 0);
}

static int append(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC), *end = open_it(O_WRONLY | O_APPEND);
    char buf[8];

    (void)arg;
    EXPECT_EQ(ae_file_write(end, "12", 2), 2);
    EXPECT_EQ(ae_file_write(file, "ab", 2), 2);
    EXPECT_EQ(ae_file_write(file, "cd", 2), 2);
    EXPECT_EQ(ae_file_write(end, "34", 2), 2);
    EXPECT_EQ(ae_file_readat(file, buf, sizeof buf, 0), 6);
    EXPECT_MEMEQ(buf, "abcd34", 6);
    ae_file_close(file);
    ae_file_close(end);
    return 0;
}

TEST(what_is_appended_goes_to_the_end)
{
    run_everywhere(append);
}

enum { BIG = 1024 * 1024 + 321 };

static int write_big(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC);
    unsigned char *data = malloc(BIG), *back = malloc(BIG);

    (void)arg;
    for (size_t i = 0; i < BIG; i++) data[i] = (unsigned char)(i * 11 + (i >> 9));
    EXPECT_EQ(ae_file_writeat(file, data, BIG, 7), BIG);
    EXPECT_EQ(ae_file_readat(file, back, BIG, 7), BIG);
    EXPECT_TRUE(memcmp(data, back, BIG) == 0);
    free(data);
    free(back);
    ae_file_close(file);
    return 0;
}

TEST(a_big_write_is_written_whole)
{
    run_everywhere(write_big);
}

/* ---- errors ---- */

static int write_too_much(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC), *full;
    char buf[1500] = "";

    (void)arg;
    EXPECT_EQ(ae_file_write(file, buf, sizeof buf), 1000);
    EXPECT_EQ(ae_file_write(file, buf, sizeof buf), -EFBIG);
    ae_file_close(file);
    file = open_it(O_RDONLY);
    EXPECT_EQ(ae_file_write(file, buf, 1), -EBADF);
    EXPECT_EQ(ae_file_truncate(file, 0), -EINVAL);
    ae_file_close(file);
    REQUIRE(ae_file_open("/dev/full", O_RDWR, 0, &full) == 0);
    EXPECT_EQ(ae_file_write(full, buf, 1), -ENOSPC);
    ae_file_close(full);
    return 0;
}

TEST(what_was_written_before_an_error_is_told_first)
{
    const struct rlimit limit = { 1000, 1000 };

    signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    run_everywhere(write_too_much);
}

static int cancelled_calls(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC);
    ae_file_stat st;
    ae_scope scope;
    char buf[8];

    (void)arg;
    ae_scope_begin(&scope);
    ae_scope_cancel(&scope, 0);
    EXPECT_EQ(ae_file_write(file, "abc", 3), -ECANCELED);
    EXPECT_EQ(ae_file_writeat(file, "abc", 3, 0), -ECANCELED);
    EXPECT_EQ(ae_file_read(file, buf, 3), -ECANCELED);
    EXPECT_EQ(ae_file_sync(file), -ECANCELED);
    EXPECT_EQ(ae_file_datasync(file), -ECANCELED);
    EXPECT_EQ(ae_file_truncate(file, 10), -ECANCELED);
    EXPECT_EQ(ae_scope_end(&scope, -ECANCELED), 0);
    EXPECT_EQ(ae_file_stat_of(file, &st), 0);
    EXPECT_EQ(st.size, 0);
    ae_file_close(file);
    return 0;
}

TEST(cancelled_calls_on_files_do_nothing)
{
    run_everywhere(cancelled_calls);
}

/* ---- nobody else waits ---- */

/* A job is counted some time after its caller went on: when no thread of the pool does anything. */
static uint64_t jobs_done(void)
{
    ae_metrics m = { .size = sizeof m };

    for (;;) {
        EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
        if (m.blocking_idle == m.blocking_threads && m.blocking_queued == 0) break;
        EXPECT_EQ(ae_sleep(AE_MS), 0);
    }
    return m.blocking_jobs;
}

static bool on_rings(void)
{
    ae_metrics m = { .size = sizeof m };

    EXPECT_EQ(ae_metrics_get(NULL, &m), 0);
    return strcmp(m.driver, "uring") == 0;
}

static int read_one(void *arg)
{
    char c = 0;
    ssize_t n = ae_file_read(arg, &c, 1);

    EXPECT_EQ(n, 1);
    return c;
}

/* A named pipe stands for a disk that takes its time: with one worker, the task that fills it runs
 * only if the one that waits for it does not hold the worker. */
static int wait_for_a_pipe(void *arg)
{
    ae_file *pipe;

    (void)arg;
    REQUIRE(ae_file_open(path, O_RDWR, 0, &pipe) == 0);
    uint64_t jobs = jobs_done();
    ae_task *reader = ae_spawn(read_one, pipe);
    yield_times(10);
    EXPECT_EQ(write(ae_file_fd(pipe), "x", 1), 1);
    EXPECT_EQ(ae_join(reader), 'x');
    EXPECT_EQ(jobs_done() - jobs, on_rings() ? 0 : 1);
    ae_file_close(pipe);
    return 0;
}

TEST(a_read_that_waits_holds_no_worker)
{
    snprintf(path, sizeof path, "%s/pipe", test_folder());
    REQUIRE(mkfifo(path, 0600) == 0);
    run_with(1, wait_for_a_pipe, NULL);
    if (has_rings()) run_on_rings(1, wait_for_a_pipe, NULL);
    EXPECT_EQ(unlink(path), 0);
}

enum { PAGE = 4096, PAGES = 64 };

static bool is_resident(int number)
{
    unsigned char in[PAGES], any = 0;
    void *map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, number, 0);

    REQUIRE(map != MAP_FAILED);
    EXPECT_EQ(mincore(map, PAGES * PAGE, in), 0);
    munmap(map, PAGES * PAGE);
    for (int i = 0; i < PAGES; i++) any |= in[i] & 1;
    return any;
}

/* qemu-user has no preadv2. */
static bool reads_without_waiting(int number)
{
    char byte;
    struct iovec iov = { &byte, 1 };

    return preadv2(number, &iov, 1, 0, RWF_NOWAIT) >= 0 || errno == EAGAIN;
}

static int read_cold(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC);
    char block[PAGE], back[PAGE];
    int number = ae_file_fd(file);

    (void)arg;
    memset(block, 'c', sizeof block);
    for (int i = 0; i < PAGES; i++) {
        EXPECT_EQ(ae_file_writeat(file, block, PAGE, i * PAGE), PAGE);
    }
    EXPECT_EQ(ae_file_sync(file), 0);
    EXPECT_EQ(posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED), 0);
    bool cold = !is_resident(number);
    uint64_t jobs = jobs_done();
    EXPECT_EQ(ae_file_readat(file, back, PAGE, 17 * PAGE), PAGE);
    EXPECT_MEMEQ(block, back, PAGE);
    uint64_t after = jobs_done();
    if (!cold) {
        test_note("not tested: this file system keeps what it is told to drop");
    } else {
        EXPECT_EQ(after - jobs, on_rings() ? 0 : 1);
    }
    EXPECT_EQ(ae_file_readat(file, back, PAGE, 17 * PAGE), PAGE);
    if (reads_without_waiting(number)) {
        EXPECT_EQ(jobs_done(), after); /* cached by now */
    } else {
        test_note("not tested: no RWF_NOWAIT here, so each read may wait");
    }
    ae_file_close(file);
    return 0;
}

TEST(a_cold_read_goes_to_the_pool_or_the_ring)
{
    make_file();
    run_with(1, read_cold, NULL);
    if (has_rings()) run_on_rings(1, read_cold, NULL);
    EXPECT_EQ(unlink(path), 0);
}

static int past_the_cache(void *arg)
{
    ae_file *file = NULL;
    char *block = aligned_alloc(PAGE, PAGE), *back = aligned_alloc(PAGE, PAGE);

    (void)arg;
    if (ae_file_open(path, O_RDWR | O_DIRECT, 0, &file) == -EINVAL) {
        test_note("not tested: this file system has no O_DIRECT");
    } else {
        for (int i = 0; i < 3; i++) {
            memset(block, 'a' + i, PAGE);
            EXPECT_EQ(ae_file_writeat(file, block, PAGE, i * PAGE), PAGE);
        }
        uint64_t jobs = jobs_done();
        EXPECT_EQ(ae_file_readat(file, back, PAGE, 2 * PAGE), PAGE);
        EXPECT_MEMEQ(block, back, PAGE);
        EXPECT_EQ(jobs_done() - jobs, on_rings() ? 0 : 1);
    }
    ae_file_close(file);
    free(block);
    free(back);
    return 0;
}

TEST(a_read_past_the_cache_is_never_made_on_a_worker)
{
    run_everywhere(past_the_cache);
}

/* ---- cancelled at any point ---- */

enum { BLOCKS = 32, ROUNDS = 40 };

struct block {
    ae_file *file;
    int index;
};

/* Whole or not at all: a block holds one letter only. */
static int rewrite(void *arg)
{
    const struct block *b = arg;
    char data[512], back[512];

    for (int i = 0; i < ROUNDS; i++) {
        int64_t at = (int64_t)b->index * (int64_t)sizeof data;
        memset(data, 'a' + i % 26, sizeof data);
        ssize_t n = ae_file_writeat(b->file, data, sizeof data, at);
        if (n < 0) return (int)n;
        EXPECT_EQ(n, sizeof data);
        n = ae_file_readat(b->file, back, sizeof back, at);
        if (n < 0) return (int)n;
        EXPECT_TRUE(memcmp(data, back, sizeof back) == 0);
        int rc = i % 8 == 7 ? ae_file_datasync(b->file) : 0;
        if (rc < 0) return rc;
    }
    return 0;
}

static int cancel_rewrites(void *arg)
{
    ae_file *file = open_it(O_RDWR | O_TRUNC);
    struct block blocks[BLOCKS];
    ae_task *tasks[BLOCKS];
    char data[512];

    (void)arg;
    memset(data, 'a', sizeof data);
    for (int i = 0; i < BLOCKS; i++) {
        EXPECT_EQ(ae_file_writeat(file, data, sizeof data, i * 512), 512);
        blocks[i] = (struct block){ file, i };
        tasks[i] = ae_spawn(rewrite, &blocks[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        yield_times(i % 7);
        if (i % 3) ae_cancel(tasks[i]);
        int rc = ae_join(tasks[i]);
        EXPECT_TRUE(rc == 0 || (rc == -ECANCELED && i % 3));
    }
    for (int i = 0; i < BLOCKS; i++) {
        EXPECT_EQ(ae_file_readat(file, data, sizeof data, i * 512), 512);
        for (size_t k = 1; k < sizeof data; k++) EXPECT_EQ(data[k], data[0]);
    }
    ae_file_close(file);
    return 0;
}

TEST(a_cancelled_write_is_whole_or_not_there)
{
    run_everywhere(cancel_rewrites);
}
