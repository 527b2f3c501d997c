/* SPDX-License-Identifier: Apache-2.0 */
/* The worker threads of a process, and what they do, seen from outside.
 *
 * How long each ran, and how much of it in the kernel, is in /proc. What it ran, the kernel tells
 * by samples (perf_event_open(2)): after each millisecond of a thread's CPU time, where it was; if
 * that was in the kernel, from where in the program it went there. One's own processes need no
 * rights for it, unless kernel.perf_event_paranoid is above 2 or a container forbids it; at 2
 * samples in the kernel are left out. Workers are known by their names: NAME-0, NAME-1 and
 * NAME-spare1 beside a monitor NAME-mon. A runtime on the current thread has none. Threads that
 * come later are found. */
#include "profile.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 512,
    NAME_BYTES = 20,
    RUNTIMES_MAX = 8,
    PAGES = 8,            /* of samples for each thread, a power of two; one more is the kernel's */
    PERIOD_NS = 1000000,
    LOOK_NS = 20000000,   /* from one look at the samples to the next */
    LOOKS_A_SCAN = 10,    /* for threads */
    CHAIN_MAX = 4,        /* frames */
};

struct worker {
    int tid, fd;
    bool spare;
    void *map;
    uint64_t user_start, kernel_start, user, kernel; /* ticks */
};

struct profile_watch {
    unsigned pid;
    bool samples, kernel_hidden, has_monitor, ended;
    int refused;
    uint64_t began_ns, length_ns;
    uint64_t classes[PROFILE_CLASSES];
    char monitors[RUNTIMES_MAX][NAME_BYTES]; /* without "-mon" */
    unsigned runtimes;
    size_t count;
    struct worker workers[WORKERS_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- /proc ---- */

static bool read_task_file(unsigned pid, int tid, const char *name, char *out, size_t size)
{
    char path[80];

    snprintf(path, sizeof path, "/proc/%u/task/%d/%s", pid, tid, name);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool got = fgets(out, (int)size, file) != NULL;
    fclose(file);
    return got;
}

/* False: the thread has ended. The name in the line may have blanks and brackets. */
static bool read_ticks(const struct profile_watch *watch, struct worker *w)
{
    char line[512], state;
    unsigned long long user, kernel;

    if (!read_task_file(watch->pid, w->tid, "stat", line, sizeof line)) return false;
    const char *rest = strrchr(line, ')');
    if (!rest) return false;
    int n = sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &state, &user,
                   &kernel);
    if (n != 3 || state == 'Z' || state == 'X') return false;
    w->user = user;
    w->kernel = kernel;
    return true;
}

static void read_name(const struct profile_watch *watch, int tid, char name[NAME_BYTES])
{
    name[0] = 0;
    if (!read_task_file(watch->pid, tid, "comm", name, NAME_BYTES)) return;
    name[strcspn(name, "\n")] = 0;
}

/* ---- which threads ---- */

static void take_monitor(struct profile_watch *watch, int tid)
{
    char name[NAME_BYTES];

    read_name(watch, tid, name);
    char *dash = strrchr(name, '-');
    if (!dash || strcmp(dash, "-mon") != 0 || watch->runtimes == RUNTIMES_MAX) return;
    *dash = 0;
    snprintf(watch->monitors[watch->runtimes++], NAME_BYTES, "%s", name);
    watch->has_monitor = true;
}

/* `spare`: a worker that works only while another one is stuck. */
static bool is_worker(const struct profile_watch *watch, const char *name, bool *spare)
{
    const char *dash = strrchr(name, '-');

    if (!dash) return false;
    *spare = strncmp(dash, "-spare", 6) == 0;
    const char *digits = dash + (*spare ? 6 : 1);
    if (!*digits || digits[strspn(digits, "0123456789")]) return false;
    for (unsigned i = 0; i < watch->runtimes; i++) {
        size_t length = strlen(watch->monitors[i]), own = (size_t)(dash - name);
        if (*spare && length > 7) length = 7; /* its name is cut there */
        if (own == length && strncmp(name, watch->monitors[i], length) == 0) return true;
    }
    return false;
}

static bool is_known(const struct profile_watch *watch, int tid)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->workers[i].tid == tid) return true;
    }
    return false;
}

static int open_samples(int tid, bool hide_kernel)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof attr,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_period = PERIOD_NS,
        .sample_type = PERF_SAMPLE_CALLCHAIN,
        .sample_max_stack = CHAIN_MAX,
        .exclude_callchain_kernel = 1,
        .exclude_kernel = hide_kernel,
        .exclude_hv = 1,
    };
    long fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

/* 0; -errno: no samples of it. */
static int sample(struct profile_watch *watch, struct worker *w)
{
    w->fd = open_samples(w->tid, watch->kernel_hidden);
    if ((w->fd == -EACCES || w->fd == -EPERM) && !watch->kernel_hidden) {
        w->fd = open_samples(w->tid, true);
        if (w->fd >= 0) watch->kernel_hidden = true;
    }
    if (w->fd < 0) return w->fd;
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE) * (PAGES + 1);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
    if (map == MAP_FAILED) return -errno;
    w->map = map;
    return 0;
}

static void add_worker(struct profile_watch *watch, int tid, bool spare)
{
    struct worker *w = &watch->workers[watch->count];

    *w = (struct worker){ .tid = tid, .fd = -1, .spare = spare };
    if (!read_ticks(watch, w)) return;
    watch->count++;
    if (watch->began_ns == 0) { /* what comes later has run since */
        w->user_start = w->user;
        w->kernel_start = w->kernel;
    }
    if (!watch->samples || watch->refused) return;
    int rc = sample(watch, w);
    if (rc < 0 && rc != -ESRCH) watch->refused = rc;
}

static void take_worker(struct profile_watch *watch, int tid)
{
    char name[NAME_BYTES];
    bool spare;

    read_name(watch, tid, name);
    if (watch->count == WORKERS_MAX || is_known(watch, tid)) return;
    if (is_worker(watch, name, &spare)) add_worker(watch, tid, spare);
}

/* 0 or -errno. */
static int each_thread(struct profile_watch *watch, void (*take)(struct profile_watch *, int tid))
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%u/task", watch->pid);
    DIR *dir = opendir(path);
    if (!dir) return -errno;
    for (struct dirent *d; (d = readdir(dir));) {
        int tid = atoi(d->d_name);
        if (tid > 0) take(watch, tid);
    }
    closedir(dir);
    return 0;
}

/* ---- samples ---- */

/* Records are multiples of 8 bytes and may go around the end. */
static uint64_t word_at(const char *data, uint64_t at, size_t size)
{
    uint64_t word;

    memcpy(&word, data + at % size, sizeof word);
    return word;
}

/* A chain is its length, then PERF_CONTEXT_USER, then where the program was. Without: a sample of
 * the kernel at work for itself on this thread, which is I/O as a rule. */
static enum profile_class class_of(struct profile_code *code, const char *data, uint64_t at,
                                   size_t size)
{
    uint64_t length = word_at(data, at, size);

    if (length < 2 || word_at(data, at + 8, size) != PERF_CONTEXT_USER) return PROFILE_DRIVER;
    return profile_code_class(code, word_at(data, at + 16, size));
}

static void take_samples(struct profile_watch *watch, struct worker *w, struct profile_code *code)
{
    struct perf_event_mmap_page *head = w->map;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = page * PAGES;

    if (!head) return;
    const char *data = (const char *)head + page;
    uint64_t at = head->data_tail;
    uint64_t end = atomic_load((_Atomic(__u64) *)&head->data_head);
    while (at < end) {
        struct perf_event_header record;
        uint64_t word = word_at(data, at, size);
        memcpy(&record, &word, sizeof record);
        if (record.size == 0) break;
        if (record.type == PERF_RECORD_SAMPLE) {
            watch->classes[class_of(code, data, at + sizeof record, size)]++;
        }
        at += record.size;
    }
    atomic_store((_Atomic(__u64) *)&head->data_tail, end);
}

/* ---- from begin to end ---- */

int profile_watch_create(unsigned pid, bool samples, struct profile_watch **out)
{
    struct profile_watch *watch = calloc(1, sizeof *watch);

    if (!watch) return -ENOMEM;
    watch->pid = pid;
    watch->samples = samples;
    int rc = each_thread(watch, take_monitor);
    if (rc == 0) rc = each_thread(watch, take_worker);
    if (rc == 0 && watch->count == 0) add_worker(watch, (int)pid, false);
    if (rc == 0 && watch->count == 0) rc = -ESRCH;
    if (rc == 0) *out = watch;
    if (rc < 0) profile_watch_destroy(watch);
    return rc;
}

/* The times so far; the process has ended when no thread is left. */
static void scan(struct profile_watch *watch)
{
    size_t alive = 0;

    (void)each_thread(watch, take_worker);
    for (size_t i = 0; i < watch->count; i++) alive += read_ticks(watch, &watch->workers[i]);
    watch->ended = alive == 0;
}

void profile_watch_run(struct profile_watch *watch, struct profile_code *code, unsigned seconds,
                       bool (*stopped)(void))
{
    const struct timespec pause = { .tv_nsec = LOOK_NS };
    uint64_t length_ns = (uint64_t)seconds * 1000000000;

    watch->began_ns = now_ns();
    for (unsigned i = 1; !stopped() && now_ns() - watch->began_ns < length_ns; i++) {
        nanosleep(&pause, NULL); /* a signal ends it early */
        for (size_t k = 0; k < watch->count; k++) take_samples(watch, &watch->workers[k], code);
        if (i % LOOKS_A_SCAN == 0) scan(watch);
        if (watch->ended) break;
    }
    if (!watch->ended) scan(watch);
    watch->length_ns = now_ns() - watch->began_ns;
}

void profile_watch_times(const struct profile_watch *watch, struct profile_times *out)
{
    *out = (struct profile_times){
        .seconds = (double)watch->length_ns / 1e9,
        .refused = watch->refused,
        .kernel_hidden = watch->kernel_hidden,
        .has_monitor = watch->has_monitor,
        .ended = watch->ended,
    };
    memcpy(out->samples, watch->classes, sizeof out->samples);
    for (size_t i = 0; i < watch->count; i++) {
        const struct worker *w = &watch->workers[i];
        out->workers += !w->spare;
        out->user_ticks += w->user - w->user_start;
        out->kernel_ticks += w->kernel - w->kernel_start;
        out->current = w->tid == (int)watch->pid;
    }
    out->wall_ticks = (uint64_t)(out->seconds * out->workers * (double)sysconf(_SC_CLK_TCK));
}

void profile_watch_destroy(struct profile_watch *watch)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE) * (PAGES + 1);

    if (!watch) return;
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->workers[i].map) munmap(watch->workers[i].map, bytes);
        if (watch->workers[i].fd >= 0) close(watch->workers[i].fd);
    }
    free(watch);
}
