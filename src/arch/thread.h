/* SPDX-License-Identifier: Apache-2.0 */
/* THE accessor of thread-local state. Nothing else in the tree may be thread-local.
 *
 * A task may continue on another thread after any call that can suspend. Compilers keep the
 * address of a thread-local object in a register across calls, so the address must come from code
 * they cannot see through: volatile asm, never merged, never hoisted. Call it again after every
 * possible switch; never keep the result in a variable that lives across one. */
#ifndef AE_ARCH_THREAD_H
#define AE_ARCH_THREAD_H

struct ae__thread;

struct ae__thread *ae__thread_get(void); /* NULL on a thread the library has not seen */
void ae__thread_set(struct ae__thread *thread);
/* Run destroy(record) when this thread ends, if its record is set then. */
void ae__thread_at_exit(void (*destroy)(struct ae__thread *));

#endif
