/* SPDX-License-Identifier: Apache-2.0 */
/* aesim: run a program in simulation, once for each seed, and tell which seeds it fails with.
 *
 *   aesim --seeds 1..1000 ./prog [args]     aesim --replay 17 ./prog [args]
 *
 * Each seed is a process of its own, so that nothing is left over from another one; the library
 * takes its settings from AE_SIM (src/driver/sim_settings.c) and reports through a pipe. What a
 * seed printed is shown if it failed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, REPORT_MAX = 8192, SOMETIMES_MAX = 256, SHOWN_MAX = 5, NO_REPORT = 125 };

struct options {
    uint64_t first, last;
    const char *settings;  /* of AE_SIM, besides seed and report */
    const char *say;
    unsigned jobs, timeout_s;
    bool twice, replay, stats, keep_going, expect_failure;
    char **program;
};

/* What a run of a seed said at its end. */
struct result {
    uint64_t hash, steps;
    int64_t ns;
    bool ended;            /* it reported */
    int status;            /* of waitpid */
    int output;            /* a file with what it printed; -1 */
    char report[REPORT_MAX];
};

struct run {
    pid_t pid;             /* 0: free */
    int report;            /* read end */
    int output;
    size_t length;
    uint64_t seed;
    bool again;            /* the second of a seed */
    struct result first;   /* of the first one, if this is the second */
    char text[REPORT_MAX];
};

struct claim {
    char name[128];
    uint64_t hits;
};

static struct options options = { .first = 1, .last = 100, .jobs = 2, .timeout_s = 120 };
static struct claim claims[SOMETIMES_MAX];
static size_t claims_count;
static uint64_t runs, failed, shown, steps;
static int64_t virtual_ns;

/* ---- telling ---- */

__attribute__((noreturn)) static void die(const char *what, const char *about)
{
    fprintf(stderr, "aesim: %s%s%s\n", what, about ? ": " : "", about ? about : "");
    exit(2);
}

__attribute__((noreturn)) static void usage(void)
{
    fputs("usage: aesim [--seeds A..B | --replay SEED] [options] PROGRAM [ARGUMENT...]\n"
          "  --seeds A..B          from A to B (1..100)\n"
          "  --replay SEED         one seed, with each step told and its output shown\n"
          "  --check-determinism   each seed twice; both must do the same steps\n"
          "  --set NAME=VALUE,...  policy=random|pct|starve|sticky|mixed, workers, steps, limit\n"
          "                        (virtual s), end (when a server is told to end, virtual s),\n"
          "                        clients, loss and faults (parts of a million)\n"
          "  --say TEXT            what each of the clients says; \\r \\n \\\\ are known\n"
          "  --jobs N              seeds at a time (2)\n"
          "  --timeout SECONDS     real time that a seed may take (120)\n"
          "  --keep-going          do not stop at the fifth seed that fails\n"
          "  --expect-failure      end well with the first seed that fails\n"
          "  --stats               steps a second\n",
          stderr);
    exit(2);
}

/* ---- starting a seed ---- */

static int open_output(void)
{
    int output = memfd_create("aesim", MFD_CLOEXEC);

    if (output < 0) die("no file for its output", strerror(errno));
    return output;
}

static void become(uint64_t seed, int report, int output)
{
    char text[512];

    snprintf(text, sizeof text, "seed=%" PRIu64 ",report=%d%s%s%s", seed, report + 1,
             options.replay ? ",trace=1" : "", options.settings ? "," : "",
             options.settings ? options.settings : "");
    setenv("AE_SIM", text, 1);
    if (options.say) setenv("AE_SIM_SAY", options.say, 1);
    fcntl(report, F_SETFD, 0);
    if (!options.replay) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    execvp(options.program[0], options.program);
    fprintf(stderr, "aesim: %s: %s\n", options.program[0], strerror(errno));
    _exit(NO_REPORT);
}

static void start(struct run *run, uint64_t seed, bool again)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) die("no pipe", strerror(errno));
    run->output = open_output();
    run->seed = seed;
    run->again = again;
    run->length = 0;
    run->report = ends[0];
    fflush(NULL);
    run->pid = fork();
    if (run->pid < 0) die("no process", strerror(errno));
    if (run->pid == 0) {
        /* The same addresses each time, and others the second time: if the program depends on
         * them, the two differ. */
        if (!again) personality(ADDR_NO_RANDOMIZE);
        alarm(options.timeout_s);
        become(seed, ends[1], run->output);
    }
    close(ends[1]);
}

/* ---- the end of a seed ---- */

static void add_claim(bool hit, const char *name)
{
    for (size_t i = 0; i < claims_count; i++) {
        if (strcmp(claims[i].name, name) != 0) continue;
        claims[i].hits += hit;
        return;
    }
    if (claims_count == SOMETIMES_MAX) return;
    snprintf(claims[claims_count].name, sizeof claims[0].name, "%s", name);
    claims[claims_count++].hits = hit;
}

static void read_line(struct result *result, const char *line)
{
    int hit, at = 0;

    if (sscanf(line, "sometimes %d %n", &hit, &at) == 1 && at > 0) {
        add_claim(hit, line + at);
    } else if (sscanf(line, "ended %" SCNx64 " %" SCNu64 " %" SCNd64, &result->hash,
                      &result->steps, &result->ns) == 3) {
        result->ended = true;
    }
}

static void read_report(struct run *run, struct result *result)
{
    char *rest = NULL;

    *result = (struct result){ .output = run->output };
    run->text[run->length] = '\0';
    for (char *line = strtok_r(run->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        read_line(result, line);
    }
}

static void show_output(int output)
{
    char buf[4096];
    ssize_t n;

    lseek(output, 0, SEEK_SET);
    while ((n = read(output, buf, sizeof buf)) > 0) {
        fwrite(buf, 1, (size_t)n, stdout);
    }
}

static void tell_failure(const struct run *run, const struct result *result, const char *why)
{
    failed++;
    if (shown == SHOWN_MAX && !options.keep_going) return;
    shown++;
    printf("seed %" PRIu64 " %s\n", run->seed, why);
    if (!options.replay) show_output(result->output);
    printf("again: aesim --replay %" PRIu64, run->seed);
    if (options.settings) printf(" --set %s", options.settings);
    for (char **word = options.program; *word; word++) {
        printf(" %s", *word);
    }
    printf("\n");
}

/* NULL: it went well. */
static const char *verdict(const struct run *run, const struct result *result, char *buf,
                           size_t size)
{
    if (WIFSIGNALED(result->status)) {
        snprintf(buf, size, "ended by signal %d (%s)", WTERMSIG(result->status),
                 strsignal(WTERMSIG(result->status)));
        return buf;
    }
    if (WEXITSTATUS(result->status) != 0) {
        snprintf(buf, size, "ended with status %d", WEXITSTATUS(result->status));
        return buf;
    }
    if (!result->ended) return "has not run in a simulation: is it a program of this library?";
    if (run->again && (result->hash != run->first.hash || result->steps != run->first.steps)) {
        snprintf(buf, size, "is not the same twice: %" PRIu64 " steps and %" PRIu64
                 ", hash %016" PRIx64 " and %016" PRIx64, run->first.steps, result->steps,
                 run->first.hash, result->hash);
        return buf;
    }
    return NULL;
}

/* True: a second run of the seed is to be started in its place. */
static bool finish(struct run *run)
{
    struct result result;
    char buf[256];

    read_report(run, &result);
    close(run->report);
    while (waitpid(run->pid, &result.status, 0) < 0 && errno == EINTR) {
        continue;
    }
    run->pid = 0;
    runs++;
    steps += result.steps;
    virtual_ns += result.ns;
    const char *why = verdict(run, &result, buf, sizeof buf);
    if (why) tell_failure(run, &result, why);
    close(run->output);
    run->first = result;
    return !why && options.twice && !run->again;
}

/* ---- all seeds ---- */

/* Something to read, or the end, of one of them. */
static struct run *wait_any(struct run *slots)
{
    struct pollfd fds[JOBS_MAX];
    struct run *of[JOBS_MAX];
    nfds_t count = 0;

    for (unsigned i = 0; i < options.jobs; i++) {
        if (!slots[i].pid) continue;
        fds[count] = (struct pollfd){ .fd = slots[i].report, .events = POLLIN };
        of[count++] = &slots[i];
    }
    if (count == 0) return NULL;
    if (poll(fds, count, -1) < 0) return of[0];
    for (nfds_t i = 0; i < count; i++) {
        if (fds[i].revents) return of[i];
    }
    return of[0];
}

/* True: that was its end. */
static bool read_some(struct run *run)
{
    size_t room = sizeof run->text - 1 - run->length;
    char lost[512];

    ssize_t n = room > 0 ? read(run->report, run->text + run->length, room)
                         : read(run->report, lost, sizeof lost);
    if (n > 0 && room > 0) run->length += (size_t)n;
    return n == 0;
}

static bool enough(void)
{
    if (options.expect_failure) return failed > 0;
    return failed >= SHOWN_MAX && !options.keep_going;
}

static void run_seeds(void)
{
    static struct run slots[JOBS_MAX];
    uint64_t next = options.first;
    struct run *run;

    for (unsigned i = 0; i < options.jobs && next <= options.last; i++) {
        start(&slots[i], next++, false);
    }
    while ((run = wait_any(slots))) {
        if (!read_some(run)) continue;
        if (finish(run)) {
            start(run, run->seed, true);
        } else if (next <= options.last && !enough()) {
            start(run, next++, false);
        }
    }
}

static int summary(double seconds)
{
    uint64_t seeds = options.last - options.first + 1;
    size_t hit = 0;

    for (size_t i = 0; i < claims_count; i++) {
        hit += claims[i].hits > 0;
        if (claims[i].hits == 0) printf("never: %s\n", claims[i].name);
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " runs, %" PRIu64 " steps, %.1f virtual hours", seeds,
           runs, steps, (double)virtual_ns / 3.6e12);
    if (claims_count > 0) printf(", %zu/%zu sometimes", hit, claims_count);
    printf(", %" PRIu64 " failed\n", failed);
    if (options.stats) {
        printf("%.2f million steps a second and %.0f runs a second in %.1f s\n",
               (double)steps / seconds / 1e6, (double)runs / seconds, seconds);
    }
    if (options.expect_failure) return failed == 0;
    return failed > 0 || hit < claims_count;
}

/* ---- the command line ---- */

static uint64_t number(const char *text, const char **end)
{
    char *stop;

    if (!text) usage();
    uint64_t value = strtoull(text, &stop, 10);
    if (stop == text) usage();
    *end = stop;
    return value;
}

static uint64_t whole(const char *text)
{
    const char *end;
    uint64_t value = number(text, &end);

    if (*end) usage();
    return value;
}

static void read_range(const char *text)
{
    const char *end;

    options.first = options.last = number(text, &end);
    if (strncmp(end, "..", 2) == 0) options.last = whole(end + 2);
    if (options.first == 0 || options.last < options.first) usage();
}

static const char *unescape(const char *text)
{
    char *out = strdup(text ? text : ""), *to = out;

    if (!out) die("no memory", NULL);
    for (const char *from = out; *from; from++) {
        if (*from != '\\' || !from[1]) {
            *to++ = *from;
            continue;
        }
        from++;
        *to++ = *from == 'r' ? '\r' : *from == 'n' ? '\n' : *from;
    }
    *to = '\0';
    return out;
}

/* One that takes a value. */
static void read_value(const char *name, const char *value)
{
    if (strcmp(name, "--seeds") == 0) {
        read_range(value);
    } else if (strcmp(name, "--replay") == 0) {
        options.first = options.last = whole(value);
        options.replay = true;
    } else if (strcmp(name, "--set") == 0 && value) {
        options.settings = value;
    } else if (strcmp(name, "--say") == 0) {
        options.say = unescape(value);
    } else if (strcmp(name, "--jobs") == 0) {
        options.jobs = (unsigned)whole(value);
    } else if (strcmp(name, "--timeout") == 0) {
        options.timeout_s = (unsigned)whole(value);
    } else {
        usage();
    }
}

static bool read_flag(const char *name)
{
    if (strcmp(name, "--check-determinism") == 0) {
        options.twice = true;
    } else if (strcmp(name, "--keep-going") == 0) {
        options.keep_going = true;
    } else if (strcmp(name, "--expect-failure") == 0) {
        options.expect_failure = true;
    } else if (strcmp(name, "--stats") == 0) {
        options.stats = true;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct timespec begun, ended;
    int i = 1;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (read_flag(argv[i])) continue;
        if (i + 1 == argc) usage();
        read_value(argv[i], argv[i + 1]);
        i++;
    }
    if (i >= argc || options.jobs == 0 || options.jobs > JOBS_MAX) usage();
    options.program = argv + i;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    run_seeds();
    clock_gettime(CLOCK_MONOTONIC, &ended);
    return summary((double)(ended.tv_sec - begun.tv_sec) +
                   (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
}
