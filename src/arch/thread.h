/* SPDX-License-Identifier: Apache-2.0 */
/* THE accessor of thread-local state. Nothing else in the tree may be thread-local.
 *
 * A task may continue on another thread after any call that can suspend. Compilers keep the
 * address of a thread-local object in a register across calls (llvm-project#98479), so the value
 * comes from asm that they cannot see through: volatile, never merged, and a memory clobber, never
 * moved over a call. Call it again after every possible switch; never keep the result in a
 * variable that lives across one. */
#ifndef AE_ARCH_THREAD_H
#define AE_ARCH_THREAD_H

struct ae__thread;

void ae__thread_set(struct ae__thread *thread);
/* The same for a simulation, which changes threads often: what happens at the end of the real
 * thread stays as it was. */
void ae__thread_swap(struct ae__thread *thread);
/* Run destroy(record) when a thread ends whose record is set then. */
void ae__thread_at_exit(void (*destroy)(struct ae__thread *));
/* Where this thread's errno is: fixed for its life, so it may be kept in its record. */
int *ae__thread_errno(void);

/* NULL on a thread that the library has not seen. */
static inline struct ae__thread *ae__thread_get(void)
{
    struct ae__thread *thread;

#if defined(__x86_64__)
    __asm__ volatile("movq ae__tls_thread@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(thread)
                     :
                     : "memory");
#elif defined(__aarch64__)
    void *base;
    __asm__ volatile("mrs %1, tpidr_el0\n\t"
                     "adrp %0, :gottprel:ae__tls_thread\n\t"
                     "ldr %0, [%0, #:gottprel_lo12:ae__tls_thread]\n\t"
                     "ldr %0, [%1, %0]"
                     : "=&r"(thread), "=&r"(base)
                     :
                     : "memory");
#else
#error "no accessor for this CPU"
#endif
    return thread;
}

#endif
