/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at another thread of this process: how long it ran, whether it sleeps, where it is. */
#ifndef AE_ARCH_WATCH_H
#define AE_ARCH_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPU time of the thread with this kernel id, ns; -1: it is gone. */
int64_t ae__os_thread_cpu(uint64_t id);

/* Does it sleep in the kernel (not: wait for a CPU)? *queued_ns: how long it has waited for a CPU
 * in its life, 0 where the kernel does not tell. */
bool ae__os_thread_sleeps(uint64_t id, int64_t *queued_ns);

/* All threads of the process pass a full memory barrier. False: the kernel has no such call. It is
 * a barrier for them where they have one for the compiler only. */
bool ae__os_barrier_all(void);

static inline void ae__compiler_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Do sanitizers or Valgrind make every time wrong? */
bool ae__os_times_are_odd(void);

/* What is known of a thread's registers: as many as an unwinder needs. */
enum { AE__REGS = 33 }; /* DWARF numbers; enough for x86-64 (17) and aarch64 (33) */
struct ae__regs {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t reg[AE__REGS];
    uint64_t known; /* bit i: reg[i] is */
};

/* Have fn(context, regs) run on that thread, in a signal handler; true when it has. False: not
 * within the time, and it will not any more. It interrupts system calls, so use it on threads that
 * run. One look at a time. */
bool ae__os_look(uint64_t id, void (*fn)(void *context, const struct ae__regs *regs),
                 void *context, int64_t timeout_ns);
/* The calling thread may be looked at by ae__os_look. */
void ae__os_look_allow(void);

/* Where a thread sleeps in a system call: pc and sp. False: it does not, or nobody tells. */
bool ae__os_sleeps_at(uint64_t id, struct ae__regs *out);

/* Copy of own memory that may be gone: how many bytes were read. */
size_t ae__os_peek(void *to, uintptr_t from, size_t bytes);

#endif
