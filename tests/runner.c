/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of one program, each in a process of its own.
 *
 *   test_x [--list] [--no-fork] [--verbose] [NAME...]    NAME: part of a test's name
 *
 * A test's output is kept back and shown only if it fails. The child leads a process group, so that
 * whatever a hanging test started ends with it. AE_TEST_TIMEOUT_SCALE multiplies every hang guard
 * (slow sanitizers, busy machines). The last line is always `N passed, N failed`; a skipped one is
 * neither.
 *
 * It knows nothing of the library under test: only libc. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_S_DEFAULT = 60, SKIPPED_STATUS = 77, FDS_MAX = 4096, DEATH_OUTPUT_MAX = 64 * 1024 };

static struct test_case *first, **last = &first;
static const char *current_name = "";
static _Atomic(int) failures;
static int report_fd = STDOUT_FILENO; /* the runner's own stdout, also inside a child */
static pid_t running;                 /* the child's process group, for the signal handler */
static char folder[80];               /* the running test's own; made when it asks for it */

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

bool test_under_asan(void)
{
    return UNDER_ASAN;
}

bool test_under_tsan(void)
{
    return UNDER_TSAN;
}

void test_register(struct test_case *test)
{
    *last = test;
    last = &test->next;
}

/* ---- reports from inside a test: any thread, any stack ---- */

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    failures++;
    dprintf(report_fd, "%s:%d: %s: %s\n", file, line, current_name, text);
}

void test_note(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(report_fd, "note: %s: %s\n", current_name, text);
}

void test_skip(const char *reason)
{
    dprintf(report_fd, "skip: %s: %s\n", current_name, reason);
    _exit(SKIPPED_STATUS);
}

void test_stop(void)
{
    fflush(NULL);
    _exit(1);
}

static bool holds(intmax_t a, const char *op, intmax_t b)
{
    switch (op[0]) {
    case '=':
        return a == b;
    case '!':
        return a != b;
    case '<':
        return op[1] ? a <= b : a < b;
    default:
        return op[1] ? a >= b : a > b;
    }
}

bool test_check_int(const char *file, int line, const char *text, intmax_t a, const char *op,
                    intmax_t b)
{
    if (holds(a, op, b)) return true;
    test_fail(file, line, "%s: %jd against %jd", text, a, b);
    return false;
}

bool test_check_str(const char *file, int line, const char *text, const char *a, const char *b)
{
    if (a == b || (a && b && strcmp(a, b) == 0)) return true;
    test_fail(file, line, "%s: \"%.180s\" against \"%.180s\"", text, a ? a : "(null)",
              b ? b : "(null)");
    return false;
}

bool test_check_mem(const char *file, int line, const char *text, const void *a, const void *b,
                    size_t size)
{
    const unsigned char *x = a, *y = b;
    size_t i = 0;

    while (i < size && x[i] == y[i]) i++;
    if (i == size) return true;
    test_fail(file, line, "%s: byte %zu of %zu is %#x against %#x", text, i, size, x[i], y[i]);
    return false;
}

/* ---- descriptors ---- */

static bool fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

int test_open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < FDS_MAX; fd++) count += fd_is_open(fd);
    return count;
}

static void report_leaked_fds(const bool *before)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (before[fd] || !fd_is_open(fd)) continue;
        char path[64], target[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        test_fail("tests/runner.c", __LINE__, "descriptor %d left open: %s", fd, target);
    }
}

/* ---- files ---- */

const char *test_folder(void)
{
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
        test_fail("tests/runner.c", __LINE__, "%s: %s", folder, strerror(errno));
        test_stop();
    }
    return folder;
}

/* Not made: only its name. */
static void name_folder(void)
{
    static int count;
    const char *top = getenv("TMPDIR");

    if (!top || !*top || strlen(top) > 40) top = "/tmp";
    snprintf(folder, sizeof folder, "%s/ae-test-%d-%d", top, (int)getpid(), ++count);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- one test, inside its process ---- */

static void run_in_this_process(struct test_case *test)
{
    static bool open_before[FDS_MAX];

    current_name = test->name;
    for (int fd = 0; fd < FDS_MAX; fd++) open_before[fd] = fd_is_open(fd);
    test->run();
    report_leaked_fds(open_before);
}

static void become_child(struct test_case *test, int output)
{
    struct rlimit no_core = { 0, 0 };

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setrlimit(RLIMIT_CORE, &no_core);
    report_fd = dup(STDOUT_FILENO);
    fcntl(report_fd, F_SETFD, FD_CLOEXEC);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
    run_in_this_process(test);
    fflush(NULL);
    exit(failures ? 1 : 0); /* exit, not _exit: LeakSanitizer looks then */
}

/* ---- death tests ---- */

bool test_death_begin(struct test_death *death)
{
    int ends[2];

    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) < 0) test_stop();
    death->pid = fork();
    if (death->pid < 0) test_stop();
    if (death->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDERR_FILENO);
        return true;
    }
    close(ends[1]);
    death->output = ends[0];
    return false;
}

void test_death_survived(void)
{
    fflush(NULL);
    _exit(0);
}

static char *read_all(int fd)
{
    char *text = calloc(1, DEATH_OUTPUT_MAX + 1);
    size_t size = 0;
    char rest[4096];
    ssize_t n;

    while (text && size < DEATH_OUTPUT_MAX &&
           (n = read(fd, text + size, DEATH_OUTPUT_MAX - size)) > 0) {
        size += (size_t)n;
    }
    while (read(fd, rest, sizeof rest) > 0) {
    }
    return text;
}

void test_death_end(struct test_death *death, const char *file, int line, const char *stmt,
                    const char *text)
{
    int status = 0;
    char *said = read_all(death->output);

    close(death->output);
    waitpid(death->pid, &status, 0);
    bool died = WIFSIGNALED(status) ||
                ((UNDER_ASAN || UNDER_TSAN) && WIFEXITED(status) && WEXITSTATUS(status) != 0);
    if (!died) {
        test_fail(file, line, "%s: did not die (status %#x)", stmt, (unsigned)status);
    } else if (!said || !strstr(said, text)) {
        test_fail(file, line, "%s: died without saying \"%s\" but: %.200s", stmt, text,
                  said ? said : "");
    }
    free(said);
}

/* ---- the runner's side ---- */

static unsigned guard_s(const struct test_case *test)
{
    const char *scale = getenv("AE_TEST_TIMEOUT_SCALE");
    unsigned seconds = test->timeout_s ? test->timeout_s : TIMEOUT_S_DEFAULT;
    int factor = scale ? atoi(scale) : 1;

    return seconds * (unsigned)(factor > 0 ? factor : 1);
}

/* Waits for the child to end, without eating its status; false when the guard ran out. */
static bool wait_guarded(pid_t pid, unsigned seconds)
{
    struct timespec step = { 0, 1000 * 1000 }, start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        siginfo_t info = { 0 };
        int rc = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG);
        if (rc < 0 || info.si_pid == pid) return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - start.tv_sec > (time_t)seconds) return false;
        nanosleep(&step, NULL);
        if (step.tv_nsec < 20 * 1000 * 1000) step.tv_nsec += 1000 * 1000;
    }
}

/* What every thread of a hanging test was doing, if a debugger is at hand. */
static void show_stacks(pid_t pid)
{
    char command[256];

    snprintf(command, sizeof command,
             "command -v gdb >/dev/null && timeout 30 gdb -nx -batch -p %d "
             "-ex 'thread apply all bt 30' 2>/dev/null | grep -E '^(Thread|#)' >&2",
             (int)pid);
    if (system(command) != 0) fprintf(stderr, "(no stacks: gdb is not installed)\n");
}

static void show_output(int fd)
{
    char text[4096];
    ssize_t n;

    fflush(stdout);
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, text, sizeof text)) > 0) {
        if (write(STDOUT_FILENO, text, (size_t)n) < 0) return;
    }
}

enum end { PASSED, FAILED, SKIPPED };

/* Says in one line how the test ended, unless it went well. */
static enum end verdict(const struct test_case *test, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return PASSED;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED_STATUS) return SKIPPED;
    if (WIFSIGNALED(status)) {
        printf("%s: FAILED: died of %s\n", test->name, strsignal(WTERMSIG(status)));
    } else {
        printf("%s: FAILED: exit status %d\n", test->name, WEXITSTATUS(status));
    }
    return FAILED;
}

static int scratch_file(void)
{
    char path[] = "/tmp/ae-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC | O_APPEND);

    if (fd < 0) {
        perror("runner: mkostemp");
        exit(2);
    }
    unlink(path);
    return fd;
}

static enum end run_forked(struct test_case *test, bool verbose)
{
    int status = 0, output = scratch_file();

    name_folder();
    fflush(NULL);
    pid_t pid = fork();

    if (pid < 0) {
        perror("runner: fork");
        exit(2);
    }
    if (pid == 0) become_child(test, output);
    setpgid(pid, pid);
    running = pid;
    bool ended = wait_guarded(pid, guard_s(test));
    if (!ended) {
        printf("%s: hangs for more than %u s\n", test->name, guard_s(test));
        fflush(stdout);
        show_stacks(pid);
    }
    kill(-pid, SIGKILL);
    running = 0;
    waitpid(pid, &status, 0);
    enum end end = ended ? verdict(test, status) : FAILED;
    if (end == FAILED || verbose) show_output(output);
    close(output);
    remove_folder();
    return end;
}

static enum end run_unforked(struct test_case *test)
{
    int before = failures;

    name_folder();
    run_in_this_process(test);
    remove_folder();
    return failures == before ? PASSED : FAILED;
}

static void end_child_and_self(int sig)
{
    if (running > 0) kill(-running, SIGKILL);
    _exit(128 + sig);
}

static bool wanted(const struct test_case *test, char **names)
{
    if (!*names) return true;
    for (; *names; names++) {
        if (strstr(test->name, *names)) return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    bool list = false, no_fork = false, verbose = false;
    int ends[3] = { 0 }, first_name = 1;

    for (; first_name < argc && strncmp(argv[first_name], "--", 2) == 0; first_name++) {
        list |= strcmp(argv[first_name], "--list") == 0;
        no_fork |= strcmp(argv[first_name], "--no-fork") == 0;
        verbose |= strcmp(argv[first_name], "--verbose") == 0;
    }
    signal(SIGINT, end_child_and_self);
    signal(SIGTERM, end_child_and_self);
    /* Debug builds log tasks that compute for a tenth of a millisecond: tests do. */
    setenv("AE_STALL_LOG_US", "100000", 0);
    for (struct test_case *test = first; test; test = test->next) {
        if (!wanted(test, argv + first_name)) continue;
        if (list) {
            puts(test->name);
            continue;
        }
        ends[no_fork ? run_unforked(test) : run_forked(test, verbose)]++;
    }
    if (list) return 0;
    printf("%d passed, %d failed\n", ends[PASSED], ends[FAILED]);
    return ends[FAILED] || ends[PASSED] + ends[SKIPPED] == 0;
}
