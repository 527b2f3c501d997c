/* SPDX-License-Identifier: Apache-2.0 */
/* The search: every execution is a list of choices, and the next one differs in the last choice
 * that has an alternative left. Nothing is saved between executions but that list, so a failing
 * one is repeated exactly by giving the list again. */
#include "explore.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 8192,
    TRACE_MAX = 2000,
    WATCHDOG_SECONDS = 4, /* of CPU time without a visible operation */
    WARM_UP = 2000,
};

struct choice {
    uint8_t of;
    uint8_t pick;
};

struct line {
    int thread;
    const void *pc;
    char text[160];
};

int model__preemptions_left;
int model__stale_left;
bool model__preemptions_hit;
bool model__stale_hit;
bool model__tracing;
bool model__pruning;
bool model__learning;
bool model__exact;
bool model__recording;

static enum model__mode mode;
static struct choice choices[DEPTH_MAX];
static unsigned depth;  /* choices taken in this execution */
static unsigned prefix; /* of them prescribed */
static uint64_t random_state;

static sigjmp_buf execution;
static volatile sig_atomic_t in_execution;
static char failure[512];
static bool redundant;                       /* this execution was abandoned for that */
static uint8_t recorded[DEPTH_MAX]; /* picks, as without pruning */
static unsigned recorded_used;
static struct line lines[TRACE_MAX];
static unsigned lines_used;

/* ---- choices ------------------------------------------------------------------------------- */

static uint32_t random_next(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33);
}

static unsigned choose(unsigned n, bool rare)
{
    unsigned pick = 0;

    if (n == 1) return 0;
    if (depth == DEPTH_MAX) model_fail("more than %d choices", DEPTH_MAX);
    if (depth < prefix) {
        pick = choices[depth].pick;
        if (mode == MODE_SEARCH && choices[depth].of != n)
            model_fail("the model is not deterministic: %u alternatives, were %u", n,
                       choices[depth].of);
        if (pick >= n) model_fail("choice %u of the replay is %u of %u", depth, pick, n);
    } else if (mode == MODE_RANDOM) {
        pick = rare && random_next() % 4 != 0 ? 0 : random_next() % n;
    }
    choices[depth].of = (uint8_t)n;
    choices[depth++].pick = (uint8_t)pick;
    return pick;
}

static void record(unsigned of, unsigned pick)
{
    if (model__recording && of > 1 && recorded_used < DEPTH_MAX)
        recorded[recorded_used++] = (uint8_t)pick;
}

unsigned model__choose(unsigned n)
{
    unsigned pick = choose(n, false);

    record(n, pick);
    return pick;
}

unsigned model__choose_rare(unsigned n)
{
    unsigned pick = choose(n, true);

    record(n, pick);
    return pick;
}

unsigned model__choose_thread(const uint8_t *raw, unsigned n, unsigned of, bool rare)
{
    unsigned pick = choose(n, rare);

    record(of, raw[pick]);
    return pick;
}

unsigned model_choose(unsigned n)
{
    unsigned pick = model__choose(n);
    if (model__tracing) model__trace(__builtin_return_address(0), NULL, "choose %u of %u", pick, n);
    return pick;
}

/* Make the list of choices the next one to try; false when all have been. */
static bool advance(void)
{
    while (depth > 0 && choices[depth - 1].pick + 1 == choices[depth - 1].of)
        depth--;
    if (depth == 0) return false;
    choices[depth - 1].pick++;
    prefix = depth;
    return true;
}

/* ---- failures ------------------------------------------------------------------------------ */

_Noreturn void model__redundant(void)
{
    redundant = true;
    model__abandon();
}

_Noreturn void model__abandon(void)
{
    model__running = false;
    model__self = 0;
    siglongjmp(execution, 1);
}

void model_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
    if (model__tracing) model__trace(__builtin_return_address(0), NULL, "FAILS: %.140s", failure);
    model__abandon();
}

static void on_signal(int number)
{
    static uint64_t steps_before;

    if (number == SIGVTALRM && (!in_execution || steps_before != model__steps)) {
        steps_before = model__steps;
        return;
    }
    if (!in_execution) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    snprintf(failure, sizeof failure, "%s in thread %d",
             number == SIGVTALRM ? "endless loop without a visible operation" : "crash (signal)",
             model__self);
    if (model__tracing) model__trace(NULL, NULL, "FAILS: %s", failure);
    model__abandon();
}

static void catch_signals(void)
{
    static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGVTALRM };
    static bool done;
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER };
    struct itimerval every = { { WATCHDOG_SECONDS, 0 }, { WATCHDOG_SECONDS, 0 } };
    stack_t stack = { .ss_size = 128 * 1024 };

    if (done) return;
    done = true;
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
    setitimer(ITIMER_VIRTUAL, &every, NULL);
}

/* ---- the trace of a failing execution ------------------------------------------------------ */

void model__trace(const void *pc, const void *address, const char *format, ...)
{
    struct line *l;
    int used;
    va_list args;

    if (!model__tracing || lines_used == TRACE_MAX) return;
    l = &lines[lines_used++];
    l->thread = model__self;
    l->pc = pc;
    used = address ? snprintf(l->text, sizeof l->text, "%-22s ", model__name_of(address)) : 0;
    va_start(args, format);
    vsnprintf(l->text + used, sizeof l->text - (size_t)used, format, args);
    va_end(args);
}

/* The file offset addr2line wants: position independent programs are linked at 0. */
static size_t pc_offset(const void *pc)
{
    extern const char __executable_start[];
    bool independent = ((const uint16_t *)(const void *)__executable_start)[8] == 3; /* ET_DYN */
    size_t call = (size_t)pc - 1; /* inside the call, not after it */

    return independent ? call - (size_t)__executable_start : call;
}

static void print_trace(void)
{
    char command[64], place[512];
    char path[] = "/tmp/model-trace-XXXXXX";
    int fd = mkstemp(path);
    FILE *in = fd >= 0 ? fdopen(fd, "w") : NULL, *out;

    if (!in) return;
    for (unsigned i = 0; i < lines_used; i++)
        fprintf(in, "%zx\n", lines[i].pc ? pc_offset(lines[i].pc) : 0);
    fclose(in);
    fflush(stdout);
    snprintf(command, sizeof command, "addr2line -s -e /proc/%d/exe < %s", (int)getpid(), path);
    out = popen(command, "r");
    for (unsigned i = 0; i < lines_used; i++) {
        if (!out || !fgets(place, sizeof place, out)) place[0] = '\0';
        place[strcspn(place, "\n ")] = '\0';
        if (place[0] == '?') place[0] = '\0';
        printf("    %d%*s %-74s %s\n", lines[i].thread, 2 * lines[i].thread, "", lines[i].text,
               place);
    }
    if (out) pclose(out);
    remove(path);
}

/* ---- one execution, and all of them -------------------------------------------------------- */

static bool run_once(const model *m, int bound, int stale)
{
    model__threads_reset();
    model__memory_reset();
    model__names_reset();
    model__preemptions_left = bound;
    model__stale_left = stale;
    depth = 0;
    lines_used = 0;
    redundant = false;
    if (sigsetjmp(execution, 0) != 0) {
        in_execution = 0;
        return false;
    }
    in_execution = 1;
    m->setup();
    model__threads_run();
    if (m->check) m->check();
    in_execution = 0;
    return true;
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show_progress(const model *m, const struct model__result *r, double seconds)
{
    fprintf(stderr, "  ... %s: %llu executions, %.0f s, depth %u\n", m->name,
            (unsigned long long)r->executions, seconds, r->depth);
}

/* The execution at hand once more, to have its choices as they are without pruning. */
static void record_choices(const model *m, int bound, int stale)
{
    enum model__mode before = mode;

    mode = MODE_REPLAY;
    prefix = depth;
    recorded_used = 0;
    model__recording = true;
    run_once(m, bound, stale);
    model__recording = false;
    mode = before;
}

/* A schedule is "preemptions.stale:choice,choice,...": what is a choice depends on the budgets. */
static void note_failure(const model *m, struct model__result *r, int bound, int stale)
{
    size_t used;

    record_choices(m, bound, stale);
    r->failed = true;
    used = (size_t)snprintf(r->schedule, sizeof r->schedule, "%d.%d:", bound, stale);
    r->bound = bound;
    snprintf(r->message, sizeof r->message, "%s", failure);
    for (unsigned i = 0; i < recorded_used && used + 8 < sizeof r->schedule; i++)
        used += (size_t)snprintf(r->schedule + used, sizeof r->schedule - used, "%s%u",
                                 i ? "," : "", recorded[i]);
    while (used > 2 && strcmp(r->schedule + used - 2, ",0") == 0)
        r->schedule[used -= 2] = '\0';
}

/* What threads share, by executions at random before a search: what it learns later makes it begin
 * anew. */
static void learn(const model *m, const struct model__limits *l)
{
    uint64_t n = l->executions_max < WARM_UP * 64 ? l->executions_max / 64 : WARM_UP;
    enum model__mode before = mode;

    model__known_reset();
    model__learning = true;
    mode = MODE_RANDOM;
    for (uint64_t i = 0; i < n; i++) {
        prefix = 0;
        run_once(m, -1, -1); /* what fails here fails in the search, too, or is beyond its bounds */
    }
    mode = before;
    model__learned = false;
    model__learning = mode == MODE_SEARCH; /* at random it would change what choices mean */
}

static void begin_anew(struct model__result *r)
{
    model__learned = false;
    r->discarded += r->executions;
    r->executions = 0;
    depth = prefix = 0;
}

/* Run executions until one fails, all are done, or a limit is met. */
static void run_all(const model *m, const struct model__limits *l, int bound, int stale,
                    struct model__result *r)
{
    double start = now_seconds(), shown = start;

    depth = prefix = 0;
    model__preemptions_hit = model__stale_hit = false;
    r->searched_bound = bound;
    r->searched_stale = stale;
    for (uint64_t n = 1;; n++) {
        bool good;
        if (mode == MODE_RANDOM) prefix = 0;
        good = run_once(m, bound, stale);
        r->executions += !redundant;
        r->redundant += redundant;
        if (depth > r->depth) r->depth = depth;
        if (model__learned) {
            begin_anew(r); /* a failure is found again, and then its choices mean what they say */
            continue;
        }
        if (!good && !redundant) {
            note_failure(m, r, bound, stale);
            return;
        }
        if (mode == MODE_SEARCH && !advance()) {
            r->exhaustive = true;
            r->complete = !model__preemptions_hit && !model__stale_hit;
            return;
        }
        if (r->executions >= l->executions_max) return;
        if (n % 1024 != 0) continue;
        if (now_seconds() - start > l->seconds_max) return;
        if (now_seconds() - shown > 5 && !l->quiet) {
            shown = now_seconds();
            show_progress(m, r, shown - start);
        }
    }
}

/* A failing schedule with fewer preemptions and older values is easier to read: look for one. */
static void simplify(const model *m, const struct model__limits *l, struct model__result *r)
{
    static struct model__result other;
    struct model__limits less = *l;

    less.executions_max = 2 * 1000 * 1000;
    less.seconds_max = 5;
    for (int bound = 0; bound <= r->searched_bound; bound++) {
        for (int stale = 0; stale <= r->searched_stale; stale++) {
            if (bound == r->searched_bound && stale == r->searched_stale) return;
            memset(&other, 0, sizeof other);
            run_all(m, &less, bound, stale, &other);
            if (!other.failed) continue;
            memcpy(r->schedule, other.schedule, sizeof r->schedule);
            memcpy(r->message, other.message, sizeof r->message);
            r->bound = bound;
            return;
        }
    }
}

/* Search with growing bounds. What is said to be exhaustive is the last one that was. */
static void deepen(const model *m, const struct model__limits *l, struct model__result *r)
{
    static struct model__result step;
    struct model__limits left = *l;
    double start = now_seconds();
    int bound = 2, stale = l->stale;

    for (;;) {
        memset(&step, 0, sizeof step);
        run_all(m, &left, bound, stale, &step);
        step.executions += r->executions;
        step.redundant += r->redundant;
        step.discarded += r->discarded;
        if (!step.failed && !step.exhaustive && r->exhaustive) { /* this one was cut short */
            step.exhaustive = true;
            step.searched_bound = r->searched_bound;
            step.searched_stale = r->searched_stale;
            left.seconds_max = 0;
        }
        if (r->depth > step.depth) step.depth = r->depth;
        *r = step;
        left.seconds_max -= now_seconds() - start;
        start = now_seconds();
        if (r->failed || !r->exhaustive || r->complete || left.seconds_max <= 0) return;
        if (r->executions >= l->executions_max) return;
        left.executions_max = l->executions_max - r->executions;
        bound += model__preemptions_hit;
        stale += !model__preemptions_hit;
    }
}

/* Run one given schedule. */
static bool run_schedule(const model *m, const char *text, int *bound, int *stale)
{
    char *end;

    *bound = (int)strtol(text, &end, 10);
    *stale = *end == '.' ? (int)strtol(end + 1, &end, 10) : *bound;
    prefix = 0;
    while ((*end == ':' || *end == ',') && prefix < DEPTH_MAX)
        choices[prefix++].pick = (uint8_t)strtoul(end + 1, &end, 10);
    mode = MODE_REPLAY;
    model__pruning = model__learning = false;
    return run_once(m, *bound, *stale);
}

static void show_failure(const model *m, const struct model__result *r)
{
    int bound, stale;

    model__tracing = true;
    run_schedule(m, r->schedule, &bound, &stale);
    model__tracing = false;
    print_trace();
}

static void replay(const model *m, const struct model__limits *l, struct model__result *r)
{
    int bound, stale;

    r->executions = 1;
    if (!run_schedule(m, l->replay, &bound, &stale)) note_failure(m, r, bound, stale);
    r->depth = depth;
}

void model__search(const model *m, const struct model__limits *l, struct model__result *r)
{
    double start = now_seconds();
    uint64_t steps = model__steps;

    memset(r, 0, sizeof *r);
    catch_signals();
    mode = l->mode;
    random_state = l->seed;
    model__pruning = !l->full;
    model__learning = false;
    model__exact = mode == MODE_SEARCH;
    if (model__pruning && mode != MODE_REPLAY) learn(m, l);
    if (mode == MODE_REPLAY)
        replay(m, l, r);
    else if (mode == MODE_RANDOM)
        run_all(m, l, -1, -1, r); /* no bounds */
    else if (l->deepen)
        deepen(m, l, r);
    else
        run_all(m, l, l->bound, l->stale, r);
    r->threads = model__threads_count();
    r->steps = model__steps - steps;
    if (r->failed) r->executions += r->discarded;
    r->seconds = now_seconds() - start;
    if (!r->failed) return;
    if (mode == MODE_SEARCH && !l->quiet) simplify(m, l, r);
    if (!l->quiet) show_failure(m, r);
}
