// Entry to user mode and every way back.
//
// While a user program runs, SP_EL1 is at its context and TPIDR_EL1 at the core's
// locals. A trap from EL0 saves into the context and calls tessera_trapped on the
// core's stack, which is empty then. Nothing returns from there: it ends by
// tessera_leave, which loads a context.
//
// A system call saves only what a call preserves and the call's own registers,
// and asks tessera_pass first, which may name another thread's context.
//
// A trap from EL1 is a bug: its registers go to an emergency stack, as the
// stack itself may be what broke, and from there to kernel_trap.

    .text

// tessera_leave(x0: whose registers to load). Nothing returns from here.
    .global tessera_leave
    .type   tessera_leave, %function
tessera_leave:
    mov     sp, x0
    ldp     x1, x2, [x0, #{PC}]             // pc, pstate
    msr     elr_el1, x1
    msr     spsr_el1, x2
    ldr     x1, [x0, #{SP}]
    msr     sp_el0, x1
    ldr     x1, [x0, #{THREAD}]
    msr     tpidr_el0, x1
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret
    dsb     nsh                             // no speculation past eret
    isb
    .size   tessera_leave, . - tessera_leave

// From a vector: sp is the context, x0 and x1 are saved, x1 is the result.
    .type   user_trap, %function
user_trap:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #{PC}]
    mrs     x2, sp_el0
    str     x2, [sp, #{SP}]
    mov     x0, x1
    mrs     x2, tpidr_el1
    ldr     x2, [x2, #{STACK}]
    mov     sp, x2
    mov     x29, xzr                        // backtraces end here
    bl      {trapped}
    .size   user_trap, . - user_trap

// From the vector, of a system call: sp is the context, x12 and x13 are saved.
// The other registers from x14 to x18 are dead, and so are the flags.
    .type   call_trap, %function
call_trap:
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    str     x19, [sp, #152]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mrs     x12, sp_el0
    mrs     x13, elr_el1
    stp     x12, x13, [sp, #{SP}]           // and PC
    mrs     x12, tpidr_el1
    mov     x20, sp
    mov     x5, x11                         // tessera_pass(handle, context, label,
    mov     x4, x10                         //     core, deadline, request)
    mov     x2, x1
    mov     x1, sp
    ldp     x12, x3, [x12, #{STACK}]        // and CORE
    mov     x19, x3
    mov     sp, x12
    mov     x29, xzr
    bl      {pass}
    cbz     x0, 1f
    ldr     x2, [x20, #{FP_PLACE}]
    cmp     x2, #{FP_LOADED}
    b.eq    2f
3:  ldr     x2, [x0, #{FP_EAGER}]
    cbnz    x2, 4f
5:  cbz     x1, 6f
    ldp     x2, x3, [x0, #{SP}]
    msr     sp_el0, x2
    msr     elr_el1, x3
    msr     spsr_el1, xzr                   // EL0, no flags (ARM C5.2.19)
    ldr     x2, [x0, #{THREAD}]
    msr     tpidr_el0, x2
    ldp     x2, x3, [x1, #16]
    ldp     x4, x5, [x1, #32]
    ldp     x6, x7, [x1, #48]
    ldp     x8, x9, [x1, #64]
    add     x1, x19, #{PASSING}             // it has passed: from here on others
    stlrb   wzr, [x1]                       // may write what the words came from
    mov     sp, x0
    ldp     x10, x11, [x0, #80]
    mov     x12, xzr
    mov     x13, xzr
    mov     x14, xzr
    mov     x15, xzr
    mov     x16, xzr
    mov     x17, xzr
    mov     x18, xzr
    ldr     x19, [x0, #152]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    mov     x30, xzr
    ldp     x0, x1, [x0]
    eret
    dsb     nsh
    isb
1:  mov     x0, #{CALLED}
    bl      {trapped}
2:  cmp     x0, x20                         // who called has touched floating point
    b.eq    5b                              // and goes on
    mov     x21, x0
    mov     x22, x1
    mov     x0, x20
    bl      {fp_keep}
    mov     x0, x21
    mov     x1, x22
    b       3b
4:  mov     x21, x0                         // who goes on will touch it again
    mov     x22, x1
    bl      {fp_bring_back}
    mov     x0, x21
    mov     x1, x22
    b       5b
6:  add     x1, x19, #{PASSING}
    stlrb   wzr, [x1]
    b       tessera_leave
    .size   call_trap, . - call_trap

// From a vector: TPIDRRO_EL0 holds x0. Nothing returns from here.
    .type   bug_trap, %function
bug_trap:
    adrp    x0, emergency_top
    add     x0, x0, :lo12:emergency_top
    sub     x0, x0, #272
    str     x1, [x0, #8]
    mrs     x1, tpidrro_el0
    str     x1, [x0]
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    stp     x18, x19, [x0, #144]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    mov     x2, sp
    stp     x30, x2, [x0, #240]
    mrs     x1, elr_el1
    str     x1, [x0, #256]
    stp     x29, x1, [x0, #-16]!            // a frame record: backtraces go on
    mov     sp, x0                          // in the code that trapped
    mov     x29, sp
    add     x0, sp, #16
    bl      {kernel_trap}
    .size   bug_trap, . - bug_trap

    .macro from_user result
    .balign 128
    stp     x0, x1, [sp]
    mov     x1, #\result
    b       user_trap
    .endm

    .macro from_kernel
    .balign 128
    msr     tpidrro_el0, x0
    b       bug_trap
    .endm

// ARM D1.4.1: sixteen entries of 128 bytes, in groups of synchronous, IRQ, FIQ,
// SError.
    .balign 2048
    .global tessera_vectors
tessera_vectors:
    .rept   8                               // EL1, with SP_EL0 and SP_EL1
    from_kernel
    .endr
    .balign 128                             // EL0
    stp     x12, x13, [sp, #96]
    mrs     x12, esr_el1
    lsr     x12, x12, #26
    cmp     x12, #{CALL}
    b.eq    call_trap
    ldr     x12, [sp, #96]
    stp     x0, x1, [sp]
    mov     x1, #{SYNCHRONOUS}
    b       user_trap
    from_user {INTERRUPT}
    from_user {INTERRUPT}
    from_user {ERROR}
    .rept   4                               // EL0 in 32-bit state: never
    from_kernel
    .endr

    .bss
    .balign 16
    .global emergency_bottom, emergency_top
emergency_bottom:
    .space  8192
emergency_top:

    .text
