// Entry to user mode and every way back.
//
// tessera_run is a call: it saves the registers that a call preserves, and the
// context's address, on the kernel stack, loads the user's registers and leaves
// by eret. A trap from EL0 arrives with SP_EL1 where tessera_run left it:
//
//      sp + 96  the context
//      sp +  0  x29 x30 x19 ... x28
//
// and ends as tessera_run's return, in x0 the vector's number.
// A trap from EL1 is a bug: its registers go to an emergency stack, as the
// stack itself may be what broke, and from there to kernel_trap.

    .text

    .global tessera_run
    .type   tessera_run, %function
tessera_run:
    stp     x29, x30, [sp, #-112]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    str     x0, [sp, #96]
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
    .size   tessera_run, . - tessera_run

// From a vector: x0 and x1 are on the stack, x1 is the result.
    .type   user_trap, %function
user_trap:
    ldr     x0, [sp, #112]                  // the context
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
    str     x30, [x0, #240]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [x0, #{PC}]
    mrs     x2, sp_el0
    str     x2, [x0, #{SP}]
    mov     x0, x1
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret
    .size   user_trap, . - user_trap

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
    stp     x0, x1, [sp, #-16]!
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
    from_user {SYNCHRONOUS}                 // EL0
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
