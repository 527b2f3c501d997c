/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the process of one run: deciding which calls fail, the program under test, and taking
 * stock at its end. */
#include "process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NUMBERS_LOOKED_AT = 256 };

struct run *run;

static pthread_t client;
static bool has_client;

bool fault_armed(void)
{
    if (!run || !atomic_load_explicit(&run->armed, memory_order_relaxed)) return false;
    return !has_client || !pthread_equal(pthread_self(), client);
}

bool fault_hit(void)
{
    long n = atomic_fetch_add(&run->seen, 1) + 1;

    if (n < run->plan.k || n - run->plan.k >= run->plan.repeat) return false;
    atomic_fetch_add(&run->injected, 1);
    return true;
}

const struct fault *fault_take(enum fault_call call)
{
    if (!fault_armed()) return NULL;
    atomic_fetch_add_explicit(&run->counts[call], 1, memory_order_relaxed);
    if (run->plan.loop != LOOP_CALL || run->plan.call != call) return NULL;
    return fault_hit() ? &run->plan.fault : NULL;
}

void fault_wrong(const char *format, ...)
{
    va_list args;

    if (atomic_exchange(&run->wrong, true)) return;
    va_start(args, format);
    vsnprintf(run->note, sizeof run->note, format, args);
    va_end(args);
}

void fault_end_program(void)
{
    if (!atomic_exchange(&run->told_to_end, true)) kill(getpid(), SIGTERM);
}

static int open_numbers(void)
{
    int count = 0;

    for (int fd = 0; fd < NUMBERS_LOOKED_AT; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Signals to the process are for the program's threads, as if there were no client. */
static void start_client(const struct scenario *s)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&client, NULL, client_thread, (void *)(uintptr_t)s) != 0) abort();
    has_client = true;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int call_main(const struct scenario *s)
{
    char *argv[] = { (char *)(uintptr_t)s->name, (char *)(uintptr_t)s->argument,
                     (char *)(uintptr_t)s->second, NULL };
    int argc = s->second ? 3 : s->argument ? 2 : 1;

    atomic_store(&run->armed, true);
    int status = s->main ? s->main(argc, argv) : s->plain_main();
    atomic_store(&run->armed, false);
    return status;
}

static void do_nothing(int sig)
{
    (void)sig; /* it came before the program took its signals, or after it gave them back */
}

void process_run(const struct scenario *s, struct run *mine, int out, int err)
{
    struct rlimit no_core = { 0, 0 };

    run = mine;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    setpgid(0, 0);
    signal(SIGTERM, do_nothing);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (s->takes_listener) listener_prepare();
    int before = open_numbers();
    if (s->takes_listener) before--; /* the program closes it */
    if (s->client) start_client(s);
    run->status = call_main(s);
    atomic_store(&run->ended, true);
    if (s->takes_listener) close(3); /* if it did not come to that */
    if (s->client) pthread_join(client, NULL);
    run->fds_left = open_numbers() - before;
    run->finished = true;
    exit(run->status); /* exit, not _exit: LeakSanitizer looks then */
}
