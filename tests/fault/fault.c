/* SPDX-License-Identifier: Apache-2.0 */
/* The fault loops: every scenario, once for each point at which something can fail or be cancelled.
 *
 *   fault [--loop alloc|call|cancel] [--workers N] [--driver NAME] [--jobs N]
 *         [--stride N] [--call NAME] [--verbose] [--expect-fail] [SCENARIO...]
 *
 * A sweep is one scenario with one kind of fault at point 1, 2, 3 and so on, until a run passes
 * fewer points than that. Each run is a process of its own. It must end by itself in bounded time,
 * leave no descriptor, block or mapping behind, and come to an end that is documented: what the
 * program does without a fault, or an error that it reports. Ends with `N passed, N failed`, where
 * a case is a sweep. */
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 16, OUTPUT_MAX = 16 * 1024, FAILURES_SHOWN = 40 };

struct options {
    int jobs;
    long stride;
    int loop; /* -1: all */
    bool verbose;
    bool expect_fail;    /* a bug is planted: finding it is what passes */
    const char *call;    /* NULL: all */
    const char *workers; /* NULL: the current-thread flavour */
    int scale;
};

/* Without a fault. */
struct baseline {
    struct run *run;
    char out[OUTPUT_MAX];
};

struct sweep {
    const struct scenario *scenario;
    const struct baseline *baseline;
    struct plan plan;
    long runs, injected, failed, nudged, aborted;
};

struct slot {
    struct sweep sweep;
    struct run *run;
    int out, err;
    pid_t pid;
    int64_t started_ms;
    bool busy, nudged;
};

struct totals {
    long sweeps, failed_sweeps, runs, injected[LOOP_CANCEL + 1], nudged, aborted, shown;
    long per_how[CANCEL_HOWS];
};

static struct options options = { .jobs = 4, .stride = 1, .loop = -1, .scale = 1 };
static struct totals totals;
static struct slot slots[JOBS_MAX];

static const char *const loop_names[] = { "none", "alloc", "call", "cancel" };
static const char *const how_names[] = { "awake", "asleep", "root" };

/* A program may end this way where it says so: what cannot be reported to anybody. */
static const char *const documented_ends[] = {
    "no task can run:",
    "no memory for a thread's record",
    "a ring that was made cannot be enabled", /* the workers run by then: nobody is there to ask */
};

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static struct run *shared_run(void)
{
    void *at =
        mmap(NULL, sizeof(struct run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) abort();
    return at;
}

static int scratch(void)
{
    int fd = memfd_create("fault", MFD_CLOEXEC);

    if (fd < 0) abort();
    return fd;
}

static void read_text(int fd, char *text, size_t size)
{
    ssize_t n = pread(fd, text, size - 1, 0);

    text[n > 0 ? n : 0] = '\0';
}

/* ---- names ---- */

static void describe(const struct sweep *s, long k, char *text, size_t size)
{
    const struct plan *r = &s->plan;
    char what[128] = "";

    if (r->loop == LOOP_CALL) fault_describe(r->call, &r->fault, what, sizeof what);
    if (r->loop == LOOP_CANCEL) snprintf(what, sizeof what, "%s", how_names[r->how]);
    snprintf(text, size, "%s: %s %s%s, k = %ld", s->scenario->name, loop_names[r->loop], what,
             r->repeat == FAULT_FOR_EVER ? " for ever"
             : r->repeat > 1             ? " repeatedly"
                                         : "",
             k);
}

/* ---- one run ---- */

static void settle_run(struct run *r, const struct sweep *s, long k)
{
    memset(r, 0, offsetof(struct run, got));
    for (int i = 0; i < TALKS_MAX; i++) {
        memset(r->got[i].bytes, 0, r->got[i].size);
        r->got[i].size = 0;
    }
    r->plan = s->plan;
    r->plan.k = k;
    /* While nothing works for ever nobody can expect an answer: only that it recovers. */
    r->patience_ms = (s->plan.repeat == FAULT_FOR_EVER ? 300 : 4000) * options.scale;
    r->probe_ms = 4000 * options.scale;
    r->expected = s->baseline && s->baseline->run ? s->baseline->run->got : NULL;
}

static void start(struct slot *slot, long k)
{
    settle_run(slot->run, &slot->sweep, k);
    if (ftruncate(slot->out, 0) < 0 || ftruncate(slot->err, 0) < 0) abort();
    lseek(slot->out, 0, SEEK_SET);
    lseek(slot->err, 0, SEEK_SET);
    fflush(NULL);
    slot->pid = fork();
    if (slot->pid < 0) abort();
    if (slot->pid == 0) process_run(slot->sweep.scenario, slot->run, slot->out, slot->err);
    slot->started_ms = now_ms();
    slot->nudged = false;
    slot->busy = true;
}

/* A program may wait for a task that was cancelled alone, and that is its own affair; but then it
 * must end when it is told to. True: it is hopeless. */
static bool hangs(struct slot *slot)
{
    int64_t age_ms = (now_ms() - slot->started_ms) / options.scale;

    if (age_ms > 2000 && slot->run->plan.loop == LOOP_CANCEL && !slot->nudged) {
        slot->nudged = true;
        if (!atomic_exchange(&slot->run->told_to_end, true)) kill(slot->pid, SIGTERM);
    }
    return age_ms > 25000;
}

static bool is_documented_end(const char *text)
{
    for (size_t i = 0; i < sizeof documented_ends / sizeof *documented_ends; i++) {
        if (strstr(text, documented_ends[i])) return true;
    }
    return false;
}

/* What is wrong with how it ended, or NULL. */
static const char *fault_of_end(struct slot *slot, int status, const char *err)
{
    struct run *r = slot->run;

    if (WIFSIGNALED(status)) {
        bool said = WTERMSIG(status) == SIGABRT && is_documented_end(err);
        if (said) slot->sweep.aborted++;
        return said ? NULL : strsignal(WTERMSIG(status));
    }
    if (!r->finished) return "it ended in the middle";
    if (r->wrong) return r->note;
    if (WEXITSTATUS(status) != (r->status & 0xff)) return "a sanitizer complained at the end";
    if (r->fds_left > 0) return "descriptors are left open";
    return NULL;
}

/* Compared with the run without a fault. */
static const char *fault_of_result(struct slot *slot, const char *out, const char *err)
{
    const struct baseline *baseline = slot->sweep.baseline;
    struct run *r = slot->run;

    if (!baseline || !baseline->run || !r->finished) return NULL;
    if (r->live > baseline->run->live) return "blocks of memory are left";
    if (r->maps > baseline->run->maps) return "mappings are left";
    bool silent = !*out && !*err && !slot->sweep.scenario->is_silent;
    if (r->status != 0 && silent) return "an error that nobody heard of";
    if (r->status != 0 && fault_is_hidden(&r->plan)) return "an error that had to be hidden";
    if (r->plan.loop == LOOP_CANCEL || r->status != 0) return NULL;
    if (slot->sweep.scenario->client) return NULL; /* it has compared the answers */
    return strcmp(out, baseline->out) == 0 ? NULL : "success, but another output";
}

static void judge(struct slot *slot, int status, bool hung)
{
    static char out[OUTPUT_MAX], err[OUTPUT_MAX];
    char name[256];
    const char *wrong = hung ? "it hangs" : NULL;

    read_text(slot->out, out, sizeof out);
    read_text(slot->err, err, sizeof err);
    if (!wrong) wrong = fault_of_end(slot, status, err);
    if (!wrong) wrong = fault_of_result(slot, out, err);
    describe(&slot->sweep, slot->run->plan.k, name, sizeof name);
    if (options.verbose) printf("%s: %s\n", name, wrong ? wrong : "ok");
    if (!wrong) return;
    slot->sweep.failed++;
    if (totals.shown++ >= FAILURES_SHOWN) return;
    printf("FAILED %s: %s\n  live %ld, maps %ld, fds %d, status %d\n", name, wrong,
           (long)slot->run->live, (long)slot->run->maps, slot->run->fds_left, slot->run->status);
    if (*out) printf("  out: %.300s\n", out);
    if (*err) printf("  err: %.1500s\n", err);
}

/* True: it has ended, and was judged. */
static bool reap(struct slot *slot)
{
    int status = 0;
    pid_t pid = waitpid(slot->pid, &status, WNOHANG);
    bool hung = pid == 0 && hangs(slot);

    if (pid == 0 && !hung) return false;
    if (hung) {
        kill(slot->pid, SIGKILL);
        waitpid(slot->pid, &status, 0);
    }
    slot->busy = false;
    slot->sweep.runs++;
    slot->sweep.injected += slot->run->injected > 0;
    slot->sweep.nudged += slot->nudged;
    judge(slot, status, hung);
    return true;
}

static void wait_a_moment(void)
{
    (void)poll(NULL, 0, 1);
}

/* ---- sweeps ---- */

static void end_sweep(struct slot *slot)
{
    struct sweep *s = &slot->sweep;

    totals.sweeps++;
    totals.failed_sweeps += s->failed > 0;
    totals.runs += s->runs;
    totals.injected[s->plan.loop] += s->injected;
    if (s->plan.loop == LOOP_CANCEL) totals.per_how[s->plan.how] += s->injected;
    totals.nudged += s->nudged;
    totals.aborted += s->aborted;
    slot->sweep.scenario = NULL;
}

/* Let every slot go on; true when one is free. */
static bool step(void)
{
    bool any_free = false;

    for (int i = 0; i < options.jobs; i++) {
        struct slot *slot = &slots[i];
        if (slot->busy && reap(slot)) {
            if (slot->run->injected > 0) {
                start(slot, slot->run->plan.k + options.stride);
            } else {
                end_sweep(slot);
            }
        }
        any_free |= !slot->busy;
    }
    return any_free;
}

static void sweep(const struct scenario *s, const struct baseline *baseline, struct plan plan)
{
    while (!step())
        wait_a_moment();
    for (int i = 0; i < options.jobs; i++) {
        struct slot *slot = &slots[i];
        if (slot->busy) continue;
        slot->sweep = (struct sweep){ .scenario = s, .baseline = baseline, .plan = plan };
        start(slot, 1);
        return;
    }
}

static bool any_busy(void)
{
    for (int i = 0; i < options.jobs; i++) {
        if (slots[i].busy) return true;
    }
    return false;
}

static void finish_sweeps(void)
{
    while (any_busy()) {
        (void)step();
        wait_a_moment();
    }
}

/* ---- the loops over one scenario ---- */

static bool wants(enum fault_loop loop)
{
    return options.loop < 0 || options.loop == (int)loop;
}

static void sweep_allocations(const struct scenario *s, const struct baseline *baseline)
{
    sweep(s, baseline, (struct plan){ .loop = LOOP_ALLOC, .repeat = 1 });
    sweep(s, baseline, (struct plan){ .loop = LOOP_ALLOC, .repeat = FAULT_FOR_EVER });
}

/* Once, and for those that a caller tries again, for a while. */
static void sweep_call(const struct scenario *s, const struct baseline *baseline,
                       enum fault_call call)
{
    for (const struct fault *fault = fault_list(call); fault->error || fault->how; fault++) {
        struct plan plan = { .loop = LOOP_CALL, .call = call, .fault = *fault, .repeat = 1 };
        bool again = fault->how == FAULT_LATER || fault->how == FAULT_SHORT ||
                     fault->error == EINTR || fault->error == EMFILE;
        sweep(s, baseline, plan);
        plan.repeat = 20;
        if (again) sweep(s, baseline, plan);
    }
}

static void sweep_calls(const struct scenario *s, const struct baseline *baseline)
{
    for (enum fault_call call = 0; call < CALL_COUNT; call++) {
        bool chosen = !options.call || strcmp(options.call, fault_call_name(call)) == 0;
        if (chosen && baseline->run->counts[call] > 0) sweep_call(s, baseline, call);
    }
}

static void sweep_suspensions(const struct scenario *s, const struct baseline *baseline)
{
    for (enum cancel_how how = 0; how < CANCEL_HOWS; how++) {
        sweep(s, baseline, (struct plan){ .loop = LOOP_CANCEL, .how = how, .repeat = 1 });
    }
}

/* The run that the others are compared with. False: it does not even pass without a fault. */
static bool measure(const struct scenario *s, struct baseline *baseline)
{
    struct run *mine = slots[0].run;

    baseline->run = NULL;
    slots[0].sweep = (struct sweep){ .scenario = s };
    start(&slots[0], 0);
    while (!reap(&slots[0]))
        wait_a_moment();
    baseline->run = mine;
    slots[0].run = shared_run();
    read_text(slots[0].out, baseline->out, sizeof baseline->out);
    return slots[0].sweep.failed == 0 && mine->finished && mine->status == 0;
}

static void run_scenario(const struct scenario *s)
{
    static struct baseline baseline;
    int64_t start_ms = now_ms();
    long injected = totals.injected[1] + totals.injected[2] + totals.injected[3];

    if (!measure(s, &baseline)) {
        printf("%s: FAILED without any fault\n", s->name);
        totals.sweeps++;
        totals.failed_sweeps++;
    } else {
        if (wants(LOOP_ALLOC)) sweep_allocations(s, &baseline);
        if (wants(LOOP_CALL)) sweep_calls(s, &baseline);
        if (wants(LOOP_CANCEL)) sweep_suspensions(s, &baseline);
        finish_sweeps();
        long all = totals.injected[1] + totals.injected[2] + totals.injected[3];
        printf("%s: %ld faults, %.1f s\n", s->name, all - injected,
               (double)(now_ms() - start_ms) / 1000);
    }
    munmap(baseline.run, sizeof(struct run));
    fflush(stdout);
}

/* ---- the command line ---- */

static bool is_wanted(const struct scenario *s, char **names)
{
    if (!*names) return true;
    for (; *names; names++) {
        if (strcmp(*names, s->name) == 0) return true;
    }
    return false;
}

static int loop_named(const char *name)
{
    for (int loop = LOOP_ALLOC; loop <= LOOP_CANCEL; loop++) {
        if (strcmp(name, loop_names[loop]) == 0) return loop;
    }
    fprintf(stderr, "fault: no such loop: %s\n", name);
    exit(2);
}

static void set_option(const char *name, const char *value)
{
    if (strcmp(name, "--loop") == 0) options.loop = loop_named(value);
    if (strcmp(name, "--jobs") == 0) options.jobs = atoi(value);
    if (strcmp(name, "--stride") == 0) options.stride = atol(value);
    if (strcmp(name, "--call") == 0) options.call = value;
    if (strcmp(name, "--driver") == 0) setenv("AE_DRIVER", value, 1);
    if (strcmp(name, "--workers") == 0) options.workers = value;
}

static char **parse(char **argv)
{
    const char *scale = getenv("AE_TEST_TIMEOUT_SCALE");

    if (scale && atoi(scale) > 0) options.scale = atoi(scale);
    for (argv++; *argv && strncmp(*argv, "--", 2) == 0; argv++) {
        if (strcmp(*argv, "--verbose") == 0) {
            options.verbose = true;
        } else if (strcmp(*argv, "--expect-fail") == 0) {
            options.expect_fail = true;
        } else if (argv[1]) {
            set_option(argv[0], argv[1]);
            argv++;
        }
    }
    if (options.jobs < 1 || options.jobs > JOBS_MAX) options.jobs = JOBS_MAX;
    return argv;
}

static void print_totals(void)
{
    printf("note: %ld faults injected: %ld allocations, %ld calls, %ld cancels "
           "(%ld before sleep, %ld asleep, %ld of everything), in %ld runs\n",
           totals.injected[1] + totals.injected[2] + totals.injected[3], totals.injected[1],
           totals.injected[2], totals.injected[3], totals.per_how[0], totals.per_how[1],
           totals.per_how[2], totals.runs);
    printf("note: %ld runs ended by a documented abort, %ld only when they were told to end\n",
           totals.aborted, totals.nudged);
    printf("%ld passed, %ld failed\n", totals.sweeps - totals.failed_sweeps, totals.failed_sweeps);
}

int main(int argc, char **argv)
{
    (void)argc;
    char **names = parse(argv);

    if (options.workers) {
        setenv("AE_WORKERS", options.workers, 1);
    } else {
        setenv("AE_FLAVOR", "current", 1); /* one thread: the k-th is the same one in each run */
    }
    for (int i = 0; i < options.jobs; i++) {
        slots[i] = (struct slot){ .run = shared_run(), .out = scratch(), .err = scratch() };
    }
    for (const struct scenario *s = scenarios; s->name; s++) {
        if (options.expect_fail && totals.failed_sweeps > 0) break;
        if (is_wanted(s, names)) run_scenario(s);
    }
    if (options.expect_fail) {
        bool found = totals.failed_sweeps > 0;
        printf("%d passed, %d failed\n", found, !found);
        return !found;
    }
    print_totals();
    return totals.failed_sweeps > 0;
}
