/* SPDX-License-Identifier: Apache-2.0 */
/* The second seam (the first is the driver table): what the core asks of the operating system
 * beneath it. One implementation per system: os_linux.c. A simulation plays the parts that differ
 * from run to run: time, chance, threads, signals. */
#ifndef AE_ARCH_OS_H
#define AE_ARCH_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t ae__os_now(void);        /* CLOCK_MONOTONIC, ns */
uint64_t ae__os_random(void);
size_t ae__os_page_bytes(void);
unsigned ae__os_cpus(void);      /* usable: affinity and cgroup quota, >= 1 */
/* The quota alone, in whole CPUs rounded up; 0: none. `root` comes before each path (for tests). */
unsigned ae__os_cpu_quota(const char *root);
const char *ae__os_env(const char *name); /* NULL if unset, or in a set-uid program */

/* Threads. start: 0 or -EAGAIN. The new thread has all asynchronous signals blocked. */
typedef struct ae__os_thread {
    uint64_t handle;
} ae__os_thread;
int ae__os_thread_start(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg);
void ae__os_thread_join(ae__os_thread thread);
void ae__os_thread_detach(ae__os_thread thread);
void ae__os_thread_yield(void);
/* Tests: starting the n-th thread from now and all later ones fails (0 = none does). */
void ae__os_thread_fail_after(long n);
uint64_t ae__os_thread_id(void); /* of the kernel */

/* Sleep while *word == expected, at most until deadline_ns (INT64_MAX: no end). May return early.
 * */
void ae__os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
void ae__os_futex_wake(_Atomic(uint32_t) *word, int count);

/* Pages. map: readable, writable, cleared, not reserved; NULL: no memory. */
void *ae__os_map(size_t bytes);
void ae__os_unmap(void *base, size_t bytes);
void ae__os_no_huge_pages(void *base, size_t bytes);
void ae__os_discard(void *base, size_t bytes);        /* contents are lost, memory is given back */
bool ae__os_guard(void *base, size_t bytes, bool by_protect); /* touching it faults from now on */
bool ae__os_guard_works(void);   /* guards that cost no mapping are to be had (tested, not asked) */
size_t ae__os_maps_max(void);    /* mappings a process may have */
size_t ae__os_address_space_max(void); /* bytes of all mappings together; SIZE_MAX: no limit */

/* SIGINT and SIGTERM call on_end(context), in a handler, until restore; the second one kills the
 * process. SIGQUIT calls on_look(context), each time. One taker at a time: false if there is one
 * already. */
bool ae__os_signals_take(void (*on_end)(void *context), void (*on_look)(void *context),
                         void *context);
void ae__os_signals_restore(void);
/* Faults call this (in a handler on an alternate stack); false: not ours, the old action follows.
 * */
void ae__os_faults_take(bool (*on_fault)(uintptr_t address, uintptr_t sp));
/* This thread gets an alternate signal stack, unless it has one: then NULL. */
void *ae__os_fault_stack_set(void);
void ae__os_fault_stack_drop(void *stack); /* by the thread that set it; accepts NULL */
void ae__os_write_error(const char *text, size_t length); /* stderr; signal-safe */
/* All of it, waiting as long as it takes. 0 or -errno; signal-safe. */
int ae__os_write(int fd, const void *data, size_t size);
unsigned ae__os_pid(void);

/* A counter that costs a few cycles to read and is the same on all processors. How long a tick is
 * follows from two looks at it and at the clock (sched/recorder.c). */
static inline uint64_t ae__cpu_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}

/* About how many ticks there are in a millisecond: for limits, not for measuring. */
static inline uint64_t ae__cpu_ticks_per_ms(void)
{
#if defined(__aarch64__)
    uint64_t hertz;
    __asm__("mrs %0, cntfrq_el0" : "=r"(hertz));
    return hertz / 1000 + 1;
#else
    return 2500000; /* they count at the nominal frequency */
#endif
}

/* What a simulation answers in the system's place: see the functions above, which ask it if there
 * is one. Set and taken back while the process has one thread. */
struct ae__os_simulated {
    int64_t (*now)(void);
    uint64_t (*random)(void);
    unsigned (*cpus)(void);
    int (*thread_start)(ae__os_thread *out, const char *name, void (*fn)(void *), void *arg);
    void (*thread_join)(ae__os_thread thread);
    void (*thread_detach)(ae__os_thread thread);
    void (*thread_yield)(void);
    void (*futex_wait)(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
    void (*futex_wake)(_Atomic(uint32_t) *word, int count);
    bool (*signals_take)(void (*on_signal)(void *context), void *context);
    void (*signals_restore)(void);
};
extern const struct ae__os_simulated *ae__os_simulated; /* NULL: the system itself */

static inline void ae__cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
