/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random reads of 4 KiB: `file_reads pread|aether PATH DEPTH cached|cold READS`.
 *
 * DEPTH tasks on one worker read one block after another (pread: one loop, whatever the depth).
 * cached: a pass that reads all of the file comes first. cold: the file is dropped from the page
 * cache first, and no block is read twice. Each block carries its number, which is compared. It
 * prints wall and CPU time for a read; CPU time is that of all threads of the process, the
 * kernel's for it included.
 */
#include <aether/aether.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, DEPTH_MAX = 1024 };

static const char *path;
static unsigned depth;
static uint64_t reads, blocks;
static uint32_t *order;       /* the blocks in the order in which they are read */
static uint64_t next_read;    /* one worker: no two tasks look at once */
static int64_t wall_ns, cpu_ns;
static char driver[16] = "none";

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "file_reads: %s\n", what);
    exit(1);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- before the pass ---- */

static void shuffle(void)
{
    uint64_t state = 88172645463325252u;

    order = malloc(blocks * sizeof(*order));
    check(order != NULL, "no memory");
    for (uint64_t i = 0; i < blocks; i++)
        order[i] = (uint32_t)i;
    for (uint64_t i = blocks - 1; i > 0; i--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t k = state % (i + 1);
        uint32_t kept = order[i];
        order[i] = order[k];
        order[k] = kept;
    }
}

static void prepare(bool cold)
{
    static char buf[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    check(fd >= 0 && fstat(fd, &st) == 0, "the file cannot be opened");
    blocks = (uint64_t)st.st_size / BLOCK_BYTES;
    check(blocks > 0 && (!cold || reads <= blocks), "the file is too short");
    shuffle();
    if (cold) {
        check(fsync(fd) == 0, "fsync");
        check(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, "posix_fadvise");
    } else {
        while (read(fd, buf, sizeof(buf)) > 0)
            continue;
    }
    close(fd);
}

static uint64_t take_block(void)
{
    return order[next_read++ % blocks];
}

static void check_block(const char *buf, ssize_t n, uint64_t block)
{
    uint64_t number;

    check(n == BLOCK_BYTES, "a read was short");
    memcpy(&number, buf, sizeof(number));
    check(number == block, "another block than asked for");
}

/* ---- the passes ---- */

static void read_plainly(void)
{
    char buf[BLOCK_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    check(fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0, "open");
    int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (next_read < reads) {
        uint64_t block = take_block();
        check_block(buf, pread(fd, buf, sizeof(buf), (off_t)(block * BLOCK_BYTES)), block);
    }
    wall_ns = clock_ns(CLOCK_MONOTONIC) - wall;
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    close(fd);
}

static int read_some(void *arg)
{
    char buf[BLOCK_BYTES];

    while (next_read < reads) {
        uint64_t block = take_block();
        ssize_t n = ae_file_readat(arg, buf, sizeof(buf), (int64_t)(block * BLOCK_BYTES));
        check_block(buf, n, block);
    }
    return 0;
}

static int read_in_tasks(void *arg)
{
    ae_metrics m = {.size = sizeof(m)};
    ae_scope scope;
    ae_file *file;

    (void)arg;
    check(ae_metrics_get(NULL, &m) == 0, "metrics");
    snprintf(driver, sizeof(driver), "%s", m.driver);
    check(ae_file_open(path, O_RDONLY, 0, &file) == 0, "open");
    check(posix_fadvise(ae_file_fd(file), 0, 0, POSIX_FADV_RANDOM) == 0, "posix_fadvise");
    int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    ae_scope_begin(&scope);
    for (unsigned i = 0; i < depth; i++)
        check(ae_go(read_some, file) == 0, "spawn");
    int rc = ae_scope_end(&scope, 0);
    wall_ns = clock_ns(CLOCK_MONOTONIC) - wall;
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    ae_file_close(file);
    return rc;
}

int main(int argc, char **argv)
{
    const ae_config config = {AE_CONFIG, .workers = 1};

    if (argc != 6) {
        fprintf(stderr, "usage: file_reads pread|aether PATH DEPTH cached|cold READS\n");
        return 2;
    }
    path = argv[2];
    depth = (unsigned)atoi(argv[3]);
    reads = strtoull(argv[5], NULL, 10);
    check(depth > 0 && depth <= DEPTH_MAX && reads > 0, "arguments");
    prepare(strcmp(argv[4], "cold") == 0);
    if (strcmp(argv[1], "pread") == 0)
        read_plainly();
    else
        check(ae_run(&config, read_in_tasks, NULL) == 0, "run");
    printf("{\"value\": %.1f, \"cpu_ns\": %.1f, \"driver\": \"%s\"}\n",
           (double)wall_ns / (double)reads, (double)cpu_ns / (double)reads, driver);
    return 0;
}
