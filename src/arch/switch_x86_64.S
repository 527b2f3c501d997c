/* SPDX-License-Identifier: Apache-2.0 */
/* See switch.h. SysV x86-64 ABI: rbx, rbp, r12-r15 are the callee's to keep. */
    .text

    .globl ae__arch_switch
    .hidden ae__arch_switch
    .type ae__arch_switch, @function
    .p2align 4
ae__arch_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    /* Both stacks have this very layout here, so the offsets hold on either side. */
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_endproc
    .size ae__arch_switch, .-ae__arch_switch

    /* void ae__arch_call(void **save_sp, void *top, void (*fn)(void)): saved as by the switch, so
     * that one comes back to who called either by fn's return or by a switch. */
    .globl ae__arch_call
    .hidden ae__arch_call
    .type ae__arch_call, @function
    .p2align 4
ae__arch_call:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    movq %rsp, (%rdi)
    movq %rsp, %rbx
    xorl %ebp, %ebp            /* end of the frame chain */
    .cfi_remember_state
    .cfi_undefined rip
    movq %rsi, %rsp
    callq *%rdx
    movq %rbx, %rsp
    .cfi_restore_state
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_endproc
    .size ae__arch_call, .-ae__arch_call

    .globl ae__arch_entry
    .hidden ae__arch_entry
    .type ae__arch_entry, @function
    .p2align 4
ae__arch_entry:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    callq *%rbx
    ud2
    .cfi_endproc
    .size ae__arch_entry, .-ae__arch_entry

    /* void *ae__arch_prepare(void *top, void (*entry)(void)) */
    .globl ae__arch_prepare
    .hidden ae__arch_prepare
    .type ae__arch_prepare, @function
    .p2align 4
ae__arch_prepare:
    .cfi_startproc
    endbr64
    leaq -72(%rdi), %rax
    movq $0, 0(%rax)           /* r15 */
    movq $0, 8(%rax)           /* r14 */
    movq $0, 16(%rax)          /* r13 */
    movq $0, 24(%rax)          /* r12 */
    movq %rsi, 32(%rax)        /* rbx: what ae__arch_entry calls */
    movq $0, 40(%rax)          /* rbp: end of the frame chain */
    leaq ae__arch_entry(%rip), %rcx
    movq %rcx, 48(%rax)        /* where ret goes, with rsp = top - 16: aligned for the call */
    movq $0, 56(%rax)
    ret
    .cfi_endproc
    .size ae__arch_prepare, .-ae__arch_prepare

    .section .note.GNU-stack,"",@progbits

    /* x86 feature note: indirect-branch tracking is kept, shadow stacks are not (a ret-based switch
     * would need one per task), so the loader turns only those off. */
    .section .note.gnu.property,"a"
    .p2align 3
    .long 1f - 0f
    .long 4f - 1f
    .long 5
0:  .asciz "GNU"
1:  .p2align 3
    .long 0xc0000002
    .long 3f - 2f
2:  .long 1
3:  .p2align 3
4:
