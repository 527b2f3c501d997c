/* SPDX-License-Identifier: Apache-2.0 */
/* `aether doctor --profile PID`: where the time of a runtime's workers goes, and whether io_uring
 * would save some of it. The process is only looked at, from outside; it needs no control socket,
 * but if it has one, it is asked how many system calls its driver makes. */
#include "profile.h"

#include "attach.h"
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUSY_PERCENT 2.0    /* less is nothing to improve */
#define IO_PERCENT   40.0   /* of the busy time */
#define DEAR_PERCENT 10.0   /* of the busy time, for entering the kernel alone */
#define FEW_PERCENT  0.5    /* the same */

/* What the program says itself. */
struct said {
    bool known;
    char driver[16];
    uint64_t io_syscalls;
};

/* In percent of the workers' time. */
struct shares {
    double of[PROFILE_CLASSES], busy;
    bool split; /* scheduler and user are told apart */
};

static volatile sig_atomic_t ended; /* tidy: allow volatile: a signal handler sets it */

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static bool is_ended(void)
{
    return ended;
}

/* ---- what the program says ---- */

static void ask(unsigned pid, struct said *out)
{
    char path[ATTACH_PATH_BYTES], *line = NULL;
    size_t size = 0;

    *out = (struct said){ .known = false };
    FILE *from = attach_find_quietly(pid, path) ? attach_ask(path, "stats") : NULL;
    while (from && getline(&line, &size, from) >= 0) {
        (void)sscanf(line, "driver %15s", out->driver);
        if (sscanf(line, "io_syscalls %" SCNu64, &out->io_syscalls) == 1) out->known = true;
    }
    free(line);
    if (from) fclose(from);
}

/* ---- what it means ---- */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Into the kernel and back, the best of many rounds: others run here as well. */
static double entry_ns(void)
{
    const int rounds = 100, calls = 1000;
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < rounds; i++) {
        uint64_t from = now_ns();
        for (int k = 0; k < calls; k++) (void)syscall(SYS_getppid);
        uint64_t took = now_ns() - from;
        if (took < best) best = took;
    }
    return (double)best / calls;
}

/* Samples of what the kernel hides are missing, so its share is taken from the clocks then. */
static void compute(const struct profile_times *t, struct shares *out)
{
    uint64_t ran = t->user_ticks + t->kernel_ticks, samples = 0;

    *out = (struct shares){ .busy = 0 };
    for (int i = 0; i < PROFILE_CLASSES; i++) samples += t->samples[i];
    if (t->wall_ticks > 0) out->busy = 100.0 * (double)ran / (double)t->wall_ticks;
    if (out->busy > 100) out->busy = 100; /* spares ran beside stuck workers */
    double kernel = ran ? out->busy * (double)t->kernel_ticks / (double)ran : 0;
    bool seen = samples > 0 && !t->kernel_hidden;
    if (seen) kernel = 0;
    for (int i = 0; i < PROFILE_CLASSES && samples > 0; i++) {
        out->of[i] = (out->busy - kernel) * (double)t->samples[i] / (double)samples;
    }
    if (samples == 0) out->of[PROFILE_USER] = out->busy - kernel;
    out->of[PROFILE_DRIVER] += kernel;
    out->split = samples > 0 || (ran == 0 && !t->refused);
}

static void print_share(const char *name, double percent, const char *what)
{
    printf("  %-10s %5.1f %%   %s\n", name, percent, what);
}

static void print_shares(const struct shares *s)
{
    print_share("user", s->of[PROFILE_USER], "the program's own code, and what it calls but I/O");
    if (s->split) {
        print_share("scheduler", s->of[PROFILE_SCHEDULER], "queues, switches, waits, timers");
    } else {
        printf("  %-10s     - %%   not told apart from user\n", "scheduler");
    }
    print_share("driver", s->of[PROFILE_DRIVER], "I/O: the driver, and the kernel");
    print_share("idle", 100 - s->busy, "asleep, or waiting for a CPU");
}

static void print_notes(const struct profile_times *t, const struct shares *s, bool has_runtime)
{
    if (t->refused) {
        printf("\nSamples are refused here (perf_event_open: %s): kernel.perf_event_paranoid is\n"
               "above 2, or the container forbids it. By the kernel's clocks: all that is not in\n"
               "the kernel is user.\n", ae_strerror(t->refused));
    } else if (t->kernel_hidden) {
        puts("\nThe kernel's time is by its clocks, and all the driver's: samples there need\n"
             "kernel.perf_event_paranoid at 1 or less.");
    } else if (s->split && s->busy > BUSY_PERCENT && !has_runtime) {
        puts("\nNot one function of the runtime was met: if it is linked in and the program is\n"
             "stripped, what is the runtime's is counted as user.");
    }
    if (t->current) puts("\nThere is no thread of a worker: the main thread was watched.");
}

/* The part of the busy time in percent that entering the kernel takes, at most what io_uring could
 * save of it. Negative: the program does not say how many calls it makes. */
static double calls_percent(const struct said *before, const struct said *after,
                            const struct profile_times *t, double ns)
{
    double ran_s = (double)(t->user_ticks + t->kernel_ticks) / (double)sysconf(_SC_CLK_TCK);

    if (!before->known || !after->known || ran_s <= 0) return -1;
    return 100 * (double)(after->io_syscalls - before->io_syscalls) * ns / 1e9 / ran_s;
}

static void print_io_verdict(double io, const struct said *before, const struct said *after,
                             const struct profile_times *t)
{
    double ns = entry_ns(), percent = calls_percent(before, after, t, ns);

    if (percent >= 0 && percent < FEW_PERCENT) {
        puts("\nio_uring would not help: there are few system calls to save.");
    } else if (percent >= 0 && percent < DEAR_PERCENT) {
        puts("\nio_uring would save system calls, but little time.");
    } else {
        puts("\nio_uring may help.");
    }
    printf("%.0f %% of the busy time is I/O. A system call costs %.0f ns here for itself", io, ns);
    if (percent >= 0) {
        printf("; %.0f a second\nare %.1f %% of the busy time, the most that could be saved",
               (double)(after->io_syscalls - before->io_syscalls) / t->seconds, percent);
    }
    puts(".\nMeasure it: run the program with AE_DRIVER=uring, under the same load.");
}

static void print_verdict(const struct shares *s, const struct said *before,
                          const struct said *after, const struct profile_times *t)
{
    double io = s->busy > 0 ? 100 * s->of[PROFILE_DRIVER] / s->busy : 0;

    if (s->busy < BUSY_PERCENT) {
        puts("\nio_uring would not help: the workers are idle.");
    } else if (io < IO_PERCENT) {
        printf("\nio_uring would not help: %.0f %% of the busy time is not I/O.\n", 100 - io);
    } else if (strcmp(after->driver, "uring") == 0) {
        printf("\nio_uring is used already; %.0f %% of the busy time is I/O. Measure without:\n"
               "run the program with AE_DRIVER=epoll, under the same load.\n", io);
    } else {
        print_io_verdict(io, before, after, t);
    }
}

/* ---- the command ---- */

static int cannot_look(unsigned pid, int rc)
{
    switch (rc) {
    case -ENOENT:
    case -ESRCH: return cli_fail(EXIT_FAILURE, "there is no process %u", pid);
    case -EACCES:
    case -EPERM:
        return cli_fail(EXIT_FAILURE, "process %u may not be looked at: it is another user's, or "
                        "has more rights", pid);
    }
    return cli_fail(EXIT_FAILURE, "cannot look at process %u: %s", pid, ae_strerror(rc));
}

static void watch_it(unsigned pid, unsigned seconds, struct profile_watch *watch,
                     struct profile_code *code)
{
    struct said before, after;
    struct profile_times t;
    struct shares s;

    ask(pid, &before);
    profile_watch_run(watch, code, seconds, is_ended);
    ask(pid, &after);
    profile_watch_times(watch, &t);
    compute(&t, &s);
    printf("process %u: %u worker%s, %.1f s%s%s\n\n", pid, t.workers, t.workers == 1 ? "" : "s",
           t.seconds, before.known ? ", driver " : "", before.driver);
    print_shares(&s);
    print_notes(&t, &s, profile_code_has_runtime(code));
    print_verdict(&s, &before, after.known ? &after : &before, &t);
}

int profile_process(unsigned pid, unsigned seconds, bool samples)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct profile_code *code = NULL;
    struct profile_watch *watch = NULL;
    struct profile_times t = { .ended = false };
    int status = 0, rc = profile_code_open(pid, &code);

    if (rc == 0) rc = profile_watch_create(pid, samples, &watch);
    if (rc == 0) profile_watch_times(watch, &t);
    if (rc < 0) {
        status = cannot_look(pid, rc);
    } else if (!t.has_monitor && !profile_code_has_runtime(code)) {
        status = cli_fail(EXIT_FAILURE, "process %u has no runtime of Aether", pid);
    } else {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        watch_it(pid, seconds, watch, code);
        profile_watch_times(watch, &t);
        if (t.ended) status = cli_fail(EXIT_FAILURE, "process %u has ended", pid);
    }
    profile_watch_destroy(watch);
    profile_code_close(code);
    return status;
}
