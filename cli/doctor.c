/* SPDX-License-Identifier: Apache-2.0 */
/* `aether doctor`: what the runtime finds on this system, and what it does without.
 *
 * Each line is one fact, and where something is missing, what is lost by it. Nothing here is an
 * error: the status is 0 as long as a runtime can be started at all. `--profile PID` looks at a
 * running program instead: profile.c. */
#include "cli.h"
#include "profile.h"

#include <aether/blocking.h>
#include <aether/log.h>
#include <aether/metrics.h>
#include <aether/run.h>
#include <aether/task.h>
#include <aether/time.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#define ADVICE_GUARD_INSTALL 102 /* MADV_GUARD_INSTALL, Linux 6.13 */
#define FILES_WANTED         65536
#define MAPS_WANTED          262144

static void heading(const char *text)
{
    printf("\n%s\n", text);
}

static void fact(const char *name, const char *value, const char *lost)
{
    printf("  %-24s %-14s %s\n", name, value, lost ? lost : "");
}

static void fact_u64(const char *name, uint64_t value, const char *lost)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    fact(name, text, lost);
}

/* ---- the kernel ---- */

/* Called with arguments that can only fail: anything but ENOSYS, or EPERM from a filter, shows that
 * the call is there. */
static bool has_call(long number)
{
    long rc = syscall(number, -1L, 0L, 0L, 0L, 0L, 0L);

    return rc >= 0 || (errno != ENOSYS && errno != EPERM);
}

static void look_for_call(const char *name, long number, const char *lost)
{
    bool there = has_call(number);

    fact(name, there ? "yes" : "no", there ? NULL : lost);
}

static bool has_guard_pages(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;

    bool there = madvise(page, size, ADVICE_GUARD_INSTALL) == 0;
    munmap(page, size);
    return there;
}

static void show_kernel(void)
{
    struct utsname name;
    bool guards = has_guard_pages();

    heading("Kernel");
    if (uname(&name) == 0) fact(name.sysname, name.release, name.machine);
    look_for_call("openat2", SYS_openat2, "files: symbolic links are refused altogether");
    look_for_call("epoll_pwait2", SYS_epoll_pwait2, "timers are exact to the millisecond only");
    fact("guard pages by madvise", guards ? "yes" : "no",
         guards ? NULL : "each stack takes two mappings: fewer tasks fit vm.max_map_count");
}

/* ---- limits ---- */

/* The first line of a file, without its newline; false if there is none. */
static bool first_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;

    bool got = fgets(out, (int)size, file) != NULL;
    fclose(file);
    if (got) out[strcspn(out, "\n")] = '\0';
    return got;
}

static void show_setting(const char *name, const char *path, uint64_t wanted, const char *lost)
{
    char text[64];

    if (!first_line(path, text, sizeof text)) return;
    fact(name, text, strtoull(text, NULL, 10) < wanted ? lost : NULL);
}

static void show_limits(void)
{
    struct rlimit files;

    heading("Limits");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        char lost[96] = "";
        if (files.rlim_cur < FILES_WANTED) {
            snprintf(lost, sizeof lost, "connections stop at %" PRIu64 ": ulimit -n %d",
                     (uint64_t)files.rlim_cur * 4 / 5, FILES_WANTED);
        }
        fact_u64("open files", files.rlim_cur, lost);
    }
    show_setting("vm.max_map_count", "/proc/sys/vm/max_map_count", MAPS_WANTED,
                 has_guard_pages() ? NULL : "about half as many stacks at once");
    show_setting("net.core.somaxconn", "/proc/sys/net/core/somaxconn", 4096,
                 "bursts of new connections are refused: sysctl -w net.core.somaxconn=4096");
    show_setting("vm.overcommit_memory", "/proc/sys/vm/overcommit_memory", 0, NULL);
}

/* ---- processors ---- */

static void show_processors(void)
{
    char text[64], lost[96];
    cpu_set_t set;

    heading("Processors");
    fact_u64("online", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), NULL);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        fact_u64("of them for us", (uint64_t)CPU_COUNT(&set), NULL);
    }
    if (first_line("/sys/fs/cgroup/cpu.max", text, sizeof text) && strncmp(text, "max", 3) != 0) {
        snprintf(lost, sizeof lost, "quota and period in µs: fewer workers are started");
        fact("cgroup quota", text, lost);
    }
    const char *asked = getenv("AE_WORKERS");
    if (asked) fact("AE_WORKERS", asked, "overrides the count");
}

/* ---- I/O drivers ---- */

/* What the runtime says when it takes epoll in place of io_uring. */
static char reason[160];

static void keep_reason(void *context, enum ae_log_level level, const char *line)
{
    static const char before[] = "epoll instead of io_uring: ";
    const char *found = strstr(line, before);

    (void)context;
    (void)level;
    if (found) snprintf(reason, sizeof reason, "%s", found + sizeof before - 1);
}

static int name_driver(void *arg)
{
    ae_metrics m = { .size = sizeof m };

    int rc = ae_metrics_get(NULL, &m);
    if (rc == 0) snprintf(arg, sizeof m.driver, "%s", m.driver);
    return rc;
}

/* Asked of a runtime of its own, which wants rings: so the answer is the one that counts. */
static void show_io_uring(void)
{
    const ae_config config = { AE_CONFIG, .workers = 1, .driver = AE_DRIVER_URING };
    char name[16] = "";

    ae_log_set_sink(keep_reason, NULL);
    int rc = ae_run(&config, name_driver, name);
    ae_log_set_sink(NULL, NULL);
    if (rc == 0 && strcmp(name, "uring") == 0) {
        fact("io_uring", "yes", "AE_DRIVER=uring asks for it: docs/io_uring.md says when it pays");
    } else {
        fact("io_uring", "no", reason[0] ? reason : ae_strerror(rc));
    }
}

static void show_drivers(void)
{
    const char *asked = getenv("AE_DRIVER");
    struct rlimit locked;

    heading("I/O drivers");
    fact("AE_DRIVER", asked && *asked ? asked : "auto", "auto is epoll");
    fact("epoll", "yes", NULL);
    show_io_uring();
    show_setting("kernel.io_uring_disabled", "/proc/sys/kernel/io_uring_disabled", 0, NULL);
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != RLIM_INFINITY) {
        fact_u64("memory to lock, KiB", locked.rlim_cur >> 10, "rings need none since Linux 5.12");
    }
}

/* ---- the runtime itself ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Time from ae_spawn to ae_join's return, and for a pool job, the best of many. */
static void show_costs(void)
{
    int64_t task = INT64_MAX, job = INT64_MAX;
    char text[32];

    for (int i = 0; i < 1000; i++) {
        int64_t start = ae_now();
        if (ae_join(ae_spawn(nothing, NULL)) < 0) return;
        int64_t middle = ae_now();
        if (ae_blocking(nothing, NULL) < 0) return;
        int64_t end = ae_now();
        if (middle - start < task) task = middle - start;
        if (end - middle < job) job = end - middle;
    }
    snprintf(text, sizeof text, "%" PRId64 " ns", task);
    fact("spawn and join", text, "best of 1,000");
    snprintf(text, sizeof text, "%" PRId64 " ns", job);
    fact("a job on the pool", text, "best of 1,000");
}

static int look_at_runtime(void *arg)
{
    ae_metrics m = { .size = sizeof m };
    (void)arg;

    int rc = ae_metrics_get(NULL, &m);
    if (rc < 0) return rc;
    heading("Runtime");
    fact("driver", m.driver, NULL);
    fact_u64("workers", m.workers, NULL);
    show_costs();
    return 0;
}

static int examine(void)
{
    printf("aether %s\n", ae_version());
    show_kernel();
    show_limits();
    show_processors();
    show_drivers();
    fflush(stdout);
    int rc = ae_run(NULL, look_at_runtime, NULL);
    return rc < 0 ? cli_fail(EXIT_FAILURE, "no runtime can be started: %s", ae_strerror(rc)) : 0;
}

/* ---- the command ---- */

static const char HELP[] =
    "Usage: aether doctor\n"
    "       aether doctor --profile PID [--seconds N]\n\n"
    "Print what this system offers: kernel features, limits, processors, driver;\n"
    "and what is lost where something is missing.\n\n"
    "With --profile, watch a running program with a runtime instead: how the time of its workers\n"
    "is split into its own code, scheduler, I/O driver and idling; would io_uring help?\n"
    "Any process of one's own can be watched, also one that is stripped; it is not slowed down.\n\n"
    "  -p, --profile PID   the process\n"
    "  -s, --seconds N     how long, 1 to 600; 5 unless given. Ctrl-C ends it early\n"
    "      --no-samples    by the kernel's clocks alone, as where perf_event_open is forbidden:\n"
    "                      the scheduler's time is counted as the program's then\n"
    "  -h, --help          this text\n";

enum { OPT_NO_SAMPLES = 256, SECONDS_MAX = 600 };

static const struct option LONG[] = {
    { "profile", required_argument, NULL, 'p' },
    { "seconds", required_argument, NULL, 's' },
    { "no-samples", no_argument, NULL, OPT_NO_SAMPLES },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct doctor_options {
    unsigned pid, seconds; /* pid 0: no profile */
    bool no_samples, help;
};

static int take_option(int option, struct doctor_options *o)
{
    switch (option) {
    case 'p':
        o->pid = cli_number(optarg, 1u << 30);
        if (o->pid) return 0;
        return cli_fail(EXIT_USAGE, "--profile takes a process id, not \"%s\"", optarg);
    case 's':
        o->seconds = cli_number(optarg, SECONDS_MAX);
        if (o->seconds) return 0;
        return cli_fail(EXIT_USAGE, "--seconds takes 1 to %d, not \"%s\"", SECONDS_MAX, optarg);
    case OPT_NO_SAMPLES: o->no_samples = true; return 0;
    case 'h': o->help = true; return 0;
    }
    return cli_fail(EXIT_USAGE, "try aether doctor --help");
}

int cmd_doctor(int argc, char **argv)
{
    struct doctor_options o = { .pid = 0 };
    int option, status = 0;

    while (status == 0 && (option = getopt_long(argc, argv, "p:s:h", LONG, NULL)) != -1) {
        status = take_option(option, &o);
    }
    if (status) return status;
    if (o.help) return fputs(HELP, stdout) < 0;
    if (optind < argc) return cli_fail(EXIT_USAGE, "doctor: what is \"%s\"?", argv[optind]);
    if (o.pid) return profile_process(o.pid, o.seconds ? o.seconds : 5, !o.no_samples);
    if (o.seconds || o.no_samples) return cli_fail(EXIT_USAGE, "that goes with --profile PID");
    return examine();
}
