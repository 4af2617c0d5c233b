// Entry to user mode and every way back.
//
// While a user program runs, SP_EL1 is at its context and TPIDR_EL1 at the core's
// locals. A trap from EL0 saves into the context and calls tessera_trapped on the
// core's stack, which is empty then. Nothing returns from there: it ends by
// tessera_leave, which loads a context.
//
// A system call saves only what a call preserves and the call's own registers,
// and goes by the fast path first.
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
    stp     xzr, xzr, [x0, #96]             // for its next call
    stp     xzr, xzr, [x0, #112]
    stp     xzr, xzr, [x0, #128]
    str     xzr, [x0, #144]
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

// What the ways out are made of. x16: the context of the thread that goes on;
// x2: that of who called; x3: the core, unless it is alone. Uses x12 and x13.

    .macro  pass_fp
    ldr     x12, [x2, #{FP_PLACE}]
    tbz     x12, #63, 3f
    add     x12, x2, #{FP}
    bl      tessera_fp_leave                // who called has touched it
3:  ldr     x12, [x16, #{FP_EAGER}]
    cbz     x12, 5f
    add     x12, x16, #{FP}
    bl      tessera_fp_come                 // who goes on will touch it again
5:
    .endm

    .macro  pass_state
    ldp     x12, x13, [x16, #{SP}]           // and PC
    msr     sp_el0, x12
    msr     elr_el1, x13
    msr     spsr_el1, xzr                   // EL0, no flags (ARM C5.2.19)
    ldr     x12, [x16, #{THREAD}]
    msr     tpidr_el0, x12
    .endm

    .macro  pass_preserved                  // and clears what a call does not preserve
    mov     sp, x16
    ldp     x12, x13, [x16, #96]             // zeros, up to x18
    ldp     x14, x15, [x16, #112]
    ldp     x18, x19, [x16, #144]
    ldp     x20, x21, [x16, #160]
    ldp     x22, x23, [x16, #176]
    ldp     x24, x25, [x16, #192]
    ldp     x26, x27, [x16, #208]
    ldp     x28, x29, [x16, #224]
    ldp     x16, x17, [x16, #128]
    mov     x30, xzr
    .endm

    .macro  end_call                        // with status x0 and nothing else
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    mov     x4, xzr
    mov     x5, xzr
    mov     x6, xzr
    mov     x7, xzr
    mov     x8, xzr
    mov     x9, xzr
    mov     x10, xzr
    mov     x11, xzr
    msr     spsr_el1, xzr
    eret
    dsb     nsh
    isb
    .endm

// x3: the core. It has passed: from here on others may write what it read.
    .macro  leave_gate alone
    .ifb    \alone
    add     x12, x3, #{PASSING}
    stlrb   wzr, [x12]
    .endif
    .endm

// A system call that is nothing for the fast path. Nothing returns from here.
    .global tessera_slowly
    .type   tessera_slowly, %function
tessera_slowly:
    mov     x29, xzr                        // backtraces end here
    bl      {called}
    .size   tessera_slowly, . - tessera_slowly

// System calls, from the vector to the ways out of a pass, on one of several cores
// or on the only one, which has no gate to leave.
    .macro  calls alone, call, answer, signal, receive, bytes, attached, other

// From the vector: sp is the context. The registers from x12 to x18 are dead, and so
// are the flags. A pass ends by one of the ways out below, or slowly; that of a signal
// returns if no other thread is to go on.
    .type   call_trap\alone, %function
call_trap\alone:
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
    mov     x2, sp                          // pass(handle, label, thread, core)
    ldp     x12, x3, [x12, #{STACK}]        // and CORE
    mov     sp, x12
    cmn     x10, #1                         // whoever has a deadline goes slowly
    b.ne    tessera_slowly
    tst     w1, #{MIDDLE}
    b.eq    \call
    and     w12, w1, #{PLAIN}
    mov     w13, #{PLAIN_ANSWER}
    cmp     w12, w13
    b.ne    1f
    cbz     x11, \answer                    // to the request that it serves
    b       \other
1:  tst     w1, #{BEYOND_BYTES}
    b.eq    \bytes
    tst     w1, #{FLAGS}
    b.eq    \attached
    mov     w13, #{SIGNAL}
    cmp     w12, w13
    b.ne    2f
    bl      \signal                         // comes back if that is all: x0 status,
    mov     sp, x1                          // x1 context; out of the gate
    ldp     x12, x13, [sp, #96]             // zeros, up to x18
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldr     x18, [sp, #144]
    mov     x30, xzr
    end_call
2:  mov     w13, #{RECEIVE}
    cmp     w12, w13
    b.eq    \receive
    b       \other
    .size   call_trap\alone, . - call_trap\alone

// It hears what the caller said: x1 label, x10 badge, x11 request.
    .global tessera_hear_float\alone, tessera_hear\alone
    .type   tessera_hear_float\alone, %function
tessera_hear_float\alone:
    pass_fp
tessera_hear\alone:
    pass_state
    ldp     x4, x5, [x2, #32]
    ldp     x6, x7, [x2, #48]
    ldp     x8, x9, [x2, #64]
    .ifb    \alone
    add     x12, x3, #{PASSING}
    ldp     x2, x3, [x2, #16]
    stlrb   wzr, [x12]                      // leave_gate, which needs x3
    .else
    ldp     x2, x3, [x2, #16]
    .endif
    pass_preserved
    mov     x0, xzr
    eret
    dsb     nsh
    isb
    .size   tessera_hear_float\alone, . - tessera_hear_float\alone

// Its system call has ended, with what is in its registers.
    .global tessera_return_float\alone, tessera_return\alone
    .type   tessera_return_float\alone, %function
tessera_return_float\alone:
    pass_fp
tessera_return\alone:
    pass_state
    leave_gate \alone
    ldp     x0, x1, [x16]
    ldp     x2, x3, [x16, #16]
    ldp     x4, x5, [x16, #32]
    ldp     x6, x7, [x16, #48]
    ldp     x8, x9, [x16, #64]
    ldp     x10, x11, [x16, #80]
    pass_preserved
    eret
    dsb     nsh
    isb
    .size   tessera_return_float\alone, . - tessera_return_float\alone

// Its system call has ended with status x1 and nothing else; it is who called.
    .global tessera_end\alone
    .type   tessera_end\alone, %function
tessera_end\alone:
    leave_gate \alone
    pass_preserved
    mov     x0, x1
    end_call
    .size   tessera_end\alone, . - tessera_end\alone

// It goes on where it was.
    .global tessera_go_on_float\alone, tessera_go_on\alone
    .type   tessera_go_on_float\alone, %function
tessera_go_on_float\alone:
    pass_fp
tessera_go_on\alone:
    leave_gate \alone
    mov     x0, x16
    b       tessera_leave
    .size   tessera_go_on_float\alone, . - tessera_go_on_float\alone
    .endm

    calls   , {pass_call}, {pass_answer}, {pass_signal}, {pass_receive}, {pass_bytes}, {pass_attached}, {pass_other}
    calls   _alone, {pass_call_alone}, {pass_answer_alone}, {pass_signal_alone}, {pass_receive_alone}, {pass_bytes_alone}, {pass_attached_alone}, {pass_other_alone}

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
    .macro  vectors alone
    .balign 2048
    .global tessera_vectors\alone
tessera_vectors\alone:
    .rept   8                               // EL1, with SP_EL0 and SP_EL1
    from_kernel
    .endr
    .balign 128                             // EL0
    str     x12, [sp, #{SPARE}]
    mrs     x12, esr_el1
    lsr     x12, x12, #26
    cmp     x12, #{CALL}
    b.eq    call_trap\alone
    ldr     x12, [sp, #{SPARE}]
    stp     x0, x1, [sp]
    mov     x1, #{SYNCHRONOUS}
    b       user_trap
    from_user {INTERRUPT}
    from_user {INTERRUPT}
    from_user {ERROR}
    .rept   4                               // EL0 in 32-bit state: never
    from_kernel
    .endr
    .endm

    vectors
    vectors _alone

    .bss
    .balign 16
    .global emergency_bottom, emergency_top
emergency_bottom:
    .space  8192
emergency_top:

    .text
