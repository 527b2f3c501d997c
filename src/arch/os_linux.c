/* SPDX-License-Identifier: Apache-2.0 */
/* Linux behind os.h: clock, threads, futex, pages. Signals are in signals_linux.c. */
#include "arch/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

#define NS_PER_S 1000000000

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

const struct ae__os_simulated *ae__os_simulated;

int64_t ae__os_now(void)
{
    struct timespec ts;

    if (AE_UNLIKELY(ae__os_simulated)) return ae__os_simulated->now();
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

uint64_t ae__os_random(void)
{
    uint64_t value;

    if (AE_UNLIKELY(ae__os_simulated)) return ae__os_simulated->random();
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value) {
        value = (uint64_t)ae__os_now() * UINT64_C(0x9E3779B97F4A7C15);
    }
    return value ? value : 1;
}

const char *ae__os_env(const char *name)
{
    return secure_getenv(name);
}

/* ---- threads ---- */

struct thread_start {
    void (*fn)(void *);
    void *arg;
    char name[16];
};

static _Atomic(long) thread_fail_countdown;

void ae__os_thread_fail_after(long n)
{
    atomic_store(&thread_fail_countdown, n);
}

static bool thread_must_fail(void)
{
    long left = atomic_load(&thread_fail_countdown);

    if (left <= 0) return false;
    if (left == 1) return true;
    atomic_fetch_sub(&thread_fail_countdown, 1);
    return false;
}

static void *thread_main(void *arg)
{
    struct thread_start start = *(struct thread_start *)arg;

    ae__mem_free(arg);
    pthread_setname_np(pthread_self(), start.name);
    start.fn(start.arg);
    return NULL;
}

int ae__os_thread_start(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg)
{
    sigset_t all, old;
    pthread_t handle;

    if (AE_UNLIKELY(ae__os_simulated)) {
        return ae__os_simulated->thread_start(out, name, fn, arg);
    }
    struct thread_start *start = thread_must_fail() ? NULL : ae__mem_alloc(sizeof *start);

    if (!start) return -11;
    start->fn = fn;
    start->arg = arg;
    snprintf(start->name, sizeof start->name, "%.15s", name);
    /* Signal frames do not belong on task stacks: faults only, which cannot be put off. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&handle, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        ae__mem_free(start);
        return -11;
    }
    out->handle = (uint64_t)handle;
    return 0;
}

void ae__os_thread_join(ae__os_thread thread)
{
    if (AE_UNLIKELY(ae__os_simulated)) {
        ae__os_simulated->thread_join(thread);
        return;
    }
    int rc = pthread_join((pthread_t)thread.handle, NULL);

    AE_ASSERT(rc == 0);
}

void ae__os_thread_detach(ae__os_thread thread)
{
    if (AE_UNLIKELY(ae__os_simulated)) {
        ae__os_simulated->thread_detach(thread);
        return;
    }
    pthread_detach((pthread_t)thread.handle);
}

void ae__os_thread_yield(void)
{
    if (AE_UNLIKELY(ae__os_simulated)) {
        ae__os_simulated->thread_yield();
        return;
    }
    sched_yield();
}

uint64_t ae__os_thread_id(void)
{
    return (uint64_t)syscall(SYS_gettid);
}

/* ---- futex ---- */

void ae__os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    struct timespec ts, *limit = NULL;

    if (AE_UNLIKELY(ae__os_simulated)) {
        ae__os_simulated->futex_wait(word, expected, deadline_ns);
        return;
    }
#if AE_TSAN
    /* TSan holds handlers back until the thread is in a blocking call that it knows, which a bare
     * system call is not: come out now and then, and pass one. */
    int64_t look_ns = ae__os_now() + NS_PER_S / 50;
    if (deadline_ns > look_ns) deadline_ns = look_ns;
#endif
    if (deadline_ns != INT64_MAX) {
        if (deadline_ns < 0) deadline_ns = 0;
        ts.tv_sec = deadline_ns / NS_PER_S;
        ts.tv_nsec = deadline_ns % NS_PER_S;
        limit = &ts;
    }
    /* WAIT_BITSET takes an absolute CLOCK_MONOTONIC time. Its errors all mean: look again. */
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, limit,
                      NULL, FUTEX_BITSET_MATCH_ANY);
#if AE_TSAN
    if (rc < 0) usleep(1);
#endif
    (void)rc;
}

void ae__os_futex_wake(_Atomic(uint32_t) *word, int count)
{
    if (AE_UNLIKELY(ae__os_simulated)) {
        ae__os_simulated->futex_wake(word, count);
        return;
    }
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
}

/* ---- pages ---- */

size_t ae__os_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *ae__os_map(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return base == MAP_FAILED ? NULL : base;
}

void ae__os_unmap(void *base, size_t bytes)
{
    munmap(base, bytes);
}

void ae__os_no_huge_pages(void *base, size_t bytes)
{
    (void)madvise(base, bytes, MADV_NOHUGEPAGE);
}

void ae__os_discard(void *base, size_t bytes)
{
    (void)madvise(base, bytes, MADV_DONTNEED);
}

bool ae__os_guard(void *base, size_t bytes, bool by_protect)
{
    if (by_protect) return mprotect(base, bytes, PROT_NONE) == 0;
    return madvise(base, bytes, MADV_GUARD_INSTALL) == 0;
}

/* Tested, not asked: the kernel itself must refuse to read from such a page. */
bool ae__os_guard_works(void)
{
    size_t page = ae__os_page_bytes();
    int pipe_fds[2];
    char *base = ae__os_map(2 * page);
    bool works = false;

    if (!base) return false;
    if (ae__os_guard(base, page, false) && pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0) {
        base[page] = 1;
        works = write(pipe_fds[1], base, 1) < 0 && write(pipe_fds[1], base + page, 1) == 1;
        close(pipe_fds[0]);
        close(pipe_fds[1]);
    }
    ae__os_unmap(base, 2 * page);
    return works;
}

size_t ae__os_maps_max(void)
{
    unsigned long count = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");

    if (!file) return count;
    if (fscanf(file, "%lu", &count) != 1) count = 65530;
    fclose(file);
    return count;
}

size_t ae__os_address_space_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    return limit.rlim_cur;
}

void ae__os_write_error(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDERR_FILENO, text, length);
        if (n <= 0) return;
        text += n;
        length -= (size_t)n;
    }
}

int ae__os_write(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd full = { .fd = fd, .events = POLLOUT };
            (void)poll(&full, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return -errno;
        } else if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

unsigned ae__os_pid(void)
{
    return (unsigned)getpid();
}
