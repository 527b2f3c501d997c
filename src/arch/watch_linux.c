/* SPDX-License-Identifier: Apache-2.0 */
/* Linux behind watch.h: thread clocks, /proc, membarrier, and a look by SIGURG. */
#include "arch/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "arch/os.h"
#include "base/assert.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#define NS_PER_S 1000000000

/* ---- how long it ran ---- */

/* The id of a thread's clock, as clock_getcpuclockid makes it: clock_gettime(2) has the layout. */
static clockid_t clock_of(uint64_t id)
{
    return (clockid_t)(~(uint32_t)id << 3 | 6);
}

int64_t ae__os_thread_cpu(uint64_t id)
{
    struct timespec ts;

    if (syscall(SYS_clock_gettime, clock_of(id), &ts) != 0) return -1;
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* ---- what it does ---- */

/* The file `name` of the thread, as text. */
static bool read_task_file(uint64_t id, const char *name, char *text, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/task/%u/%s", (unsigned)id, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    return true;
}

/* The letter behind the name in parentheses, which may hold anything. */
static char state_of(const char *stat)
{
    const char *end = strrchr(stat, ')');

    return end && end[1] == ' ' ? end[2] : 0;
}

bool ae__os_thread_sleeps(uint64_t id, int64_t *queued_ns)
{
    char text[512];
    long long ran, queued;

    *queued_ns = 0;
    if (!read_task_file(id, "stat", text, sizeof text)) return false;
    char state = state_of(text);
    if (read_task_file(id, "schedstat", text, sizeof text) &&
        sscanf(text, "%lld %lld", &ran, &queued) == 2) {
        *queued_ns = queued;
    }
    return state == 'S' || state == 'D';
}

bool ae__os_times_are_odd(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

/* ---- a barrier for all ---- */

static pthread_once_t barrier_once = PTHREAD_ONCE_INIT;
static _Atomic(bool) barrier_works;

static void register_barrier(void)
{
    long rc = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);

    atomic_store(&barrier_works, rc == 0);
}

bool ae__os_barrier_all(void)
{
    pthread_once(&barrier_once, register_barrier);
    if (!atomic_load(&barrier_works)) return false;
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* ---- a look ---- */

/* One at a time. A signal that comes late finds no request, or one for another thread. */
enum look_state { LOOK_NONE, LOOK_ASKED, LOOK_TAKEN, LOOK_DONE };

static struct {
    _Atomic(uint32_t) busy;
    _Atomic(uint32_t) state; /* enum look_state; a futex */
    _Atomic(uint64_t) id;
    void (*fn)(void *context, const struct ae__regs *regs);
    void *context;
} look;

static struct sigaction old_urgent;
static pthread_once_t urgent_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
/* DWARF number -> place in gregs (System V ABI, figure 3.36). */
static const uint8_t greg_of[] = {
    REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void read_regs(struct ae__regs *out, const ucontext_t *context)
{
    for (size_t i = 0; i < sizeof greg_of; i++) {
        out->reg[i] = (uintptr_t)context->uc_mcontext.gregs[greg_of[i]];
    }
    out->known = (1u << sizeof greg_of) - 1;
    out->sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    out->pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}
#else
static void read_regs(struct ae__regs *out, const ucontext_t *context)
{
    for (size_t i = 0; i < 31; i++) {
        out->reg[i] = (uintptr_t)context->uc_mcontext.regs[i];
    }
    out->reg[31] = out->sp = (uintptr_t)context->uc_mcontext.sp;
    out->known = (UINT64_C(1) << 32) - 1;
    out->pc = (uintptr_t)context->uc_mcontext.pc;
}
#endif

static void on_urgent(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    uint32_t asked = LOOK_ASKED;

    if (atomic_load(&look.state) == LOOK_ASKED && atomic_load(&look.id) == ae__os_thread_id() &&
        atomic_compare_exchange_strong(&look.state, &asked, LOOK_TAKEN)) {
        struct ae__regs regs;
        read_regs(&regs, context);
        look.fn(look.context, &regs);
        atomic_store(&look.state, LOOK_DONE);
        ae__os_futex_wake(&look.state, 1);
    } else if (old_urgent.sa_flags & SA_SIGINFO) {
        old_urgent.sa_sigaction(number, info, context);
    } else if (old_urgent.sa_handler != SIG_DFL && old_urgent.sa_handler != SIG_IGN) {
        old_urgent.sa_handler(number);
    }
    errno = saved;
}

static void take_urgent(void)
{
    struct sigaction action = {
        .sa_sigaction = on_urgent,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
    };

    sigemptyset(&action.sa_mask);
    sigaction(SIGURG, &action, &old_urgent);
}

void ae__os_look_allow(void)
{
    sigset_t one;

    sigemptyset(&one);
    sigaddset(&one, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

/* Until the handler has run, or the time is over. True: it has. */
static bool await_look(int64_t deadline_ns)
{
    for (;;) {
        uint32_t state = atomic_load(&look.state);
        if (state == LOOK_DONE) return true;
        if (state == LOOK_ASKED && ae__os_now() >= deadline_ns) {
            /* Nobody takes it any more; once taken it does not last. */
            if (atomic_compare_exchange_strong(&look.state, &state, LOOK_NONE)) return false;
            continue;
        }
        ae__os_futex_wait(&look.state, state,
                          state == LOOK_ASKED ? deadline_ns : ae__os_now() + NS_PER_S / 1000);
    }
}

bool ae__os_look(uint64_t id, void (*fn)(void *context, const struct ae__regs *regs),
                 void *context, int64_t timeout_ns)
{
    bool seen = false;

    AE_ASSERT(fn);
    if (id == 0 || atomic_exchange(&look.busy, 1)) return false; /* another runtime's monitor */
    pthread_once(&urgent_once, take_urgent);
    look.fn = fn;
    look.context = context;
    atomic_store(&look.id, id);
    atomic_store(&look.state, LOOK_ASKED);
    if (syscall(SYS_tgkill, getpid(), (int)id, SIGURG) == 0) {
        seen = await_look(ae__os_now() + timeout_ns);
    }
    atomic_store(&look.state, LOOK_NONE);
    atomic_store(&look.busy, 0);
    return seen;
}

bool ae__os_sleeps_at(uint64_t id, struct ae__regs *out)
{
    char text[256];

    /* "number six-arguments sp pc", "-1 sp pc", or "running" */
    if (!read_task_file(id, "syscall", text, sizeof text)) return false;
    char *last = strrchr(text, ' ');
    if (!last) return false;
    *last = 0;
    char *before = strrchr(text, ' ');
    if (!before) return false;
    *out = (struct ae__regs){ .known = 0 };
    out->pc = (uintptr_t)strtoull(last + 1, NULL, 16);
    out->sp = (uintptr_t)strtoull(before + 1, NULL, 16);
    return out->pc != 0 && out->sp != 0;
}

/* Where process_vm_readv is forbidden, a file does the same. */
static size_t peek_by_file(void *to, uintptr_t from, size_t bytes)
{
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

    if (fd < 0) return 0;
    ssize_t n = pread(fd, to, bytes, (off_t)from);
    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

size_t ae__os_peek(void *to, uintptr_t from, size_t bytes)
{
    struct iovec local = { to, bytes }, remote = { (void *)from, bytes };
    ssize_t n = syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0);

    if (n >= 0) return (size_t)n;
    return errno == EFAULT ? 0 : peek_by_file(to, from, bytes);
}
