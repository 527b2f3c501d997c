/* SPDX-License-Identifier: Apache-2.0 */
/* Linux signals behind os.h: the two that ask a program to end, and faults on an alternate stack.
 * */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "arch/os.h"
#include "base/compiler.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* ---- ending ---- */

static const int ending[] = { SIGINT, SIGTERM, SIGQUIT }; /* the last one does not end it */
enum { ENDING = sizeof ending / sizeof ending[0] };

static struct sigaction old_ending[ENDING];
static void (*ending_call)(void *);
static void (*looking_call)(void *);
static void *ending_context;
static _Atomic(int) ending_taken;
static _Atomic(int) ending_count;
static _Atomic(int) ending_live;    /* 1: the context is there */
static _Atomic(int) ending_running; /* handlers on other threads; restore waits for them */

static void on_ending(int number)
{
    int saved = errno;

    if (atomic_fetch_add(&ending_count, 1) > 0) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, number);
        signal(number, SIG_DFL);
        pthread_sigmask(SIG_UNBLOCK, &one, NULL); /* it is blocked in its own handler */
        raise(number);
        _exit(128 + number);
    }
    atomic_fetch_add(&ending_running, 1);
    bool live = atomic_load(&ending_live);
    if (live) ending_call(ending_context);
    atomic_fetch_sub(&ending_running, 1);
    if (!live) raise(number); /* restored meanwhile: the action of before takes it */
    errno = saved;
}

static void on_looking(int number)
{
    int saved = errno;

    atomic_fetch_add(&ending_running, 1);
    bool live = atomic_load(&ending_live);
    if (live) looking_call(ending_context);
    atomic_fetch_sub(&ending_running, 1);
    if (!live) raise(number);
    errno = saved;
}

bool ae__os_signals_take(void (*on_end)(void *context), void (*on_look)(void *context),
                         void *context)
{
    struct sigaction action = { .sa_flags = SA_RESTART | SA_ONSTACK };

    if (AE_UNLIKELY(ae__os_simulated)) return ae__os_simulated->signals_take(on_end, context);
    if (atomic_exchange(&ending_taken, 1)) return false;
    ending_call = on_end;
    looking_call = on_look;
    ending_context = context;
    atomic_store(&ending_count, 0);
    atomic_store(&ending_live, 1);
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < ENDING; i++) {
        sigaction(ending[i], NULL, &old_ending[i]);
        action.sa_handler = ending[i] == SIGQUIT ? on_looking : on_ending;
        /* What the starter of this program told it to ignore stays ignored (nohup). */
        if (old_ending[i].sa_handler != SIG_IGN) sigaction(ending[i], &action, NULL);
    }
    return true;
}

void ae__os_signals_restore(void)
{
    if (AE_UNLIKELY(ae__os_simulated)) {
        ae__os_simulated->signals_restore();
        return;
    }
    for (int i = 0; i < ENDING; i++) {
        sigaction(ending[i], &old_ending[i], NULL);
    }
    atomic_store(&ending_live, 0);
    while (atomic_load(&ending_running) > 0) {
        ae__os_thread_yield();
    }
    atomic_store(&ending_taken, 0);
}

/* ---- faults ---- */

static const int faults[] = { SIGSEGV, SIGBUS };
enum { FAULTS = sizeof faults / sizeof faults[0] };

static struct sigaction old_faults[FAULTS];
static bool (*fault_call)(uintptr_t, uintptr_t);
static pthread_once_t faults_once = PTHREAD_ONCE_INIT;

static uintptr_t stack_pointer(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#else
    return (uintptr_t)context->uc_mcontext.sp;
#endif
}

/* Not ours, or told already: the action of before takes the signal, when the instruction is
 * run again. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    if (fault_call) (void)fault_call((uintptr_t)info->si_addr, stack_pointer(context));
    for (int i = 0; i < FAULTS; i++) {
        if (faults[i] == number) sigaction(number, &old_faults[i], NULL);
    }
}

static void take_faults(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigemptyset(&action.sa_mask);
    for (int i = 0; i < FAULTS; i++) {
        sigaction(faults[i], &action, &old_faults[i]);
    }
}

void ae__os_faults_take(bool (*on_fault_call)(uintptr_t address, uintptr_t sp))
{
    fault_call = on_fault_call;
    pthread_once(&faults_once, take_faults);
}

static size_t fault_stack_bytes(void)
{
    size_t bytes = 4 * getauxval(AT_MINSIGSTKSZ);

    if (bytes < 65536) bytes = 65536;
    return (bytes + 4095) / 4096 * 4096;
}

void *ae__os_fault_stack_set(void)
{
    size_t bytes = fault_stack_bytes();
    size_t page = ae__os_page_bytes();
    stack_t old;

    if (sigaltstack(NULL, &old) < 0 || !(old.ss_flags & SS_DISABLE)) return NULL; /* it has one */
    char *base = ae__os_map(bytes + page);
    if (!base) return NULL;
    ae__os_guard(base, page, true);
    stack_t stack = { .ss_sp = base + page, .ss_size = bytes };
    if (sigaltstack(&stack, NULL) == 0) return base + page;
    ae__os_unmap(base, bytes + page);
    return NULL;
}

void ae__os_fault_stack_drop(void *stack)
{
    size_t page = ae__os_page_bytes();
    stack_t off = { .ss_flags = SS_DISABLE }, now;

    if (!stack) return;
    /* The program may have set its own meanwhile. */
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == stack) sigaltstack(&off, NULL);
    ae__os_unmap((char *)stack - page, fault_stack_bytes() + page);
}
