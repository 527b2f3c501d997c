/* SPDX-License-Identifier: Apache-2.0 */
/* See switch.h. AAPCS64: x19-x28, x29 (fp), x30 (lr) and d8-d15 are the callee's to keep. */
    .text

#define FRAME 176

    .globl ae__arch_switch
    .hidden ae__arch_switch
    .type ae__arch_switch, %function
    .p2align 4
ae__arch_switch:
    .cfi_startproc
    hint #34                     /* bti c */
    sub sp, sp, #FRAME
    .cfi_adjust_cfa_offset FRAME
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #FRAME
    .cfi_adjust_cfa_offset -FRAME
    .cfi_restore x29
    .cfi_restore x30
    ret x30
    .cfi_endproc
    .size ae__arch_switch, .-ae__arch_switch

    /* void ae__arch_call(void **save_sp, void *top, void (*fn)(void)): saved as by the switch, so
     * that one comes back to who called either by fn's return or by a switch. */
    .globl ae__arch_call
    .hidden ae__arch_call
    .type ae__arch_call, %function
    .p2align 4
ae__arch_call:
    .cfi_startproc
    hint #34                     /* bti c */
    sub sp, sp, #FRAME
    .cfi_adjust_cfa_offset FRAME
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x19, sp
    str x19, [x0]
    mov x29, #0                  /* end of the frame chain */
    .cfi_remember_state
    .cfi_undefined x30
    mov sp, x1
    blr x2
    mov sp, x19
    .cfi_restore_state
    ldp x19, x20, [sp, #0]       /* fn kept the others as they were */
    ldp x29, x30, [sp, #80]
    add sp, sp, #FRAME
    .cfi_adjust_cfa_offset -FRAME
    .cfi_restore x19
    .cfi_restore x29
    .cfi_restore x30
    ret x30
    .cfi_endproc
    .size ae__arch_call, .-ae__arch_call

    .globl ae__arch_entry
    .hidden ae__arch_entry
    .type ae__arch_entry, %function
    .p2align 4
ae__arch_entry:
    .cfi_startproc
    .cfi_undefined x30
    hint #36                     /* bti j */
    blr x19
    brk #1
    .cfi_endproc
    .size ae__arch_entry, .-ae__arch_entry

    /* void *ae__arch_prepare(void *top, void (*entry)(void)) */
    .globl ae__arch_prepare
    .hidden ae__arch_prepare
    .type ae__arch_prepare, %function
    .p2align 4
ae__arch_prepare:
    .cfi_startproc
    hint #34                     /* bti c */
    sub x0, x0, #FRAME
    mov x9, #0
    add x10, x0, #FRAME
1:  sub x10, x10, #16
    stp x9, x9, [x10]
    cmp x10, x0
    b.ne 1b
    str x1, [x0, #0]             /* x19: what ae__arch_entry calls */
    adrp x9, ae__arch_entry
    add x9, x9, #:lo12:ae__arch_entry
    str x9, [x0, #88]            /* x30: where ret goes; x29 = 0 ends the frame chain */
    ret
    .cfi_endproc
    .size ae__arch_prepare, .-ae__arch_prepare

    .section .note.GNU-stack,"",%progbits
