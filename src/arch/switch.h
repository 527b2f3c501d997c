/* SPDX-License-Identifier: Apache-2.0 */
/* The switch: six callee-saved registers pushed, stack pointers swapped, six popped, ret.
 *
 * It ends in ret and never in a jump: an indirect jump would leave the CPU's return-address
 * stack off by one, and every later return of the resumed task would be mispredicted. Signal
 * masks, FP control words and x87 state are the thread's, not the task's. */
#ifndef AE_ARCH_SWITCH_H
#define AE_ARCH_SWITCH_H

/* Save the caller's registers on its stack, its stack pointer in *save_sp, and continue where to_sp
 * was saved. Returns when somebody switches back, perhaps on another thread. */
void ae__arch_switch(void **save_sp, void *to_sp);

/* Save the caller as ae__arch_switch does, and call fn() on the stack that ends at `top` (16-byte
 * aligned). Comes back when fn returns, or earlier when somebody switches back: then fn must not
 * return any more, its caller has gone on. A call and its return keep the CPU's return-address
 * stack in order, which a pair of switches cannot. */
void ae__arch_call(void **save_sp, void *top, void (*fn)(void));

/* Lay out a fresh stack so that the first switch to it calls entry(), which must not return.
 * `top` is 16-byte aligned. Returns the stack pointer to switch to. */
void *ae__arch_prepare(void *top, void (*entry)(void));

/* First code on a fresh stack; ends the call chain for unwinders. Not for calling. */
void ae__arch_entry(void);

#endif
