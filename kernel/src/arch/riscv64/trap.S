// Entry to user mode and every way back.
//
// While a user program runs, sscratch is at its context, where its core's locals
// are noted. A trap from user mode saves into the context and calls
// tessera_trapped on the core's stack, which is empty then. Nothing returns from
// there: it ends by tessera_leave, which loads a context.
//
// A system call saves only what a call preserves and the call's own registers,
// and goes by the fast path first.
//
// While the kernel runs, tp leads to the locals and sscratch is 0: so a trap from
// the kernel is told apart, which is a bug. Its registers go to an emergency
// stack, as the stack itself may be what broke, and from there to kernel_trap.

    .text

// tessera_leave(a0: whose registers to load). Nothing returns from here.
    .global tessera_leave
    .type   tessera_leave, @function
tessera_leave:
    sd      tp, {LOCAL}(a0)
    ld      t0, {PC}(a0)
    csrw    sepc, t0
    csrw    sscratch, a0
    ld      ra, 0(a0)
    ld      sp, 8(a0)
    ld      gp, 16(a0)
    ld      tp, 24(a0)
    ld      t0, 32(a0)
    ld      t1, 40(a0)
    ld      t2, 48(a0)
    ld      s0, 56(a0)
    ld      s1, 64(a0)
    ld      a1, 80(a0)
    ld      a2, 88(a0)
    ld      a3, 96(a0)
    ld      a4, 104(a0)
    ld      a5, 112(a0)
    ld      a6, 120(a0)
    ld      a7, 128(a0)
    ld      s2, 136(a0)
    ld      s3, 144(a0)
    ld      s4, 152(a0)
    ld      s5, 160(a0)
    ld      s6, 168(a0)
    ld      s7, 176(a0)
    ld      s8, 184(a0)
    ld      s9, 192(a0)
    ld      s10, 200(a0)
    ld      s11, 208(a0)
    ld      t3, 216(a0)
    ld      t4, 224(a0)
    ld      t5, 232(a0)
    ld      t6, 240(a0)
    ld      a0, 72(a0)
    sret
    .size   tessera_leave, . - tessera_leave

// stvec (Priv 4.1.2), direct mode: aligned to four bytes.
    .balign 4
    .global tessera_trap
    .type   tessera_trap, @function
tessera_trap:
    csrrw   a0, sscratch, a0                // sscratch: the user's a0
    beqz    a0, bug_trap
    sd      t0, 32(a0)
    csrr    t0, scause
    addi    t0, t0, -{CALL}
    beqz    t0, call_trap
    sd      ra, 0(a0)
    sd      sp, 8(a0)
    sd      gp, 16(a0)
    sd      t1, 40(a0)
    sd      t2, 48(a0)
    sd      s0, 56(a0)
    sd      s1, 64(a0)
    sd      a1, 80(a0)
    sd      a2, 88(a0)
    sd      a3, 96(a0)
    sd      a4, 104(a0)
    sd      a5, 112(a0)
    sd      a6, 120(a0)
    sd      a7, 128(a0)
    sd      s2, 136(a0)
    sd      s3, 144(a0)
    sd      s4, 152(a0)
    sd      s5, 160(a0)
    sd      s6, 168(a0)
    sd      s7, 176(a0)
    sd      s8, 184(a0)
    sd      s9, 192(a0)
    sd      s10, 200(a0)
    sd      s11, 208(a0)
    sd      t3, 216(a0)
    sd      t4, 224(a0)
    sd      t5, 232(a0)
    sd      t6, 240(a0)
    csrrw   t0, sscratch, zero
    sd      t0, 72(a0)
    csrr    t0, sepc
    sd      t0, {PC}(a0)
    ld      tp, {LOCAL}(a0)
    ld      sp, {STACK}(tp)
    li      s0, 0                           // backtraces end here
    call    {trapped}
    .size   tessera_trap, . - tessera_trap

// The core has passed: from here on others may write what it read.
    .macro  leave_gate core
    fence   rw, w
    sb      zero, {PASSING}(\core)
    .endm

// Of a system call: a0 is the context, t0 is saved, sscratch has the user's a0.
// ra and t4 to t6 are dead, but ra is kept for whoever asks where it was.
// Nothing returns from a pass either: it ends by one of the ways out below, or slowly.
    .type   call_trap, @function
call_trap:
    csrrw   t0, sscratch, zero
    sd      t0, 72(a0)
    sd      ra, 0(a0)
    sd      sp, 8(a0)
    sd      gp, 16(a0)
    sd      s0, 56(a0)
    sd      s1, 64(a0)
    sd      s2, 136(a0)
    sd      s3, 144(a0)
    sd      s4, 152(a0)
    sd      s5, 160(a0)
    sd      s6, 168(a0)
    sd      s7, 176(a0)
    sd      s8, 184(a0)
    sd      s9, 192(a0)
    sd      s10, 200(a0)
    sd      s11, 208(a0)
    sd      a1, 80(a0)
    sd      a2, 88(a0)
    sd      a3, 96(a0)
    sd      a4, 104(a0)
    sd      a5, 112(a0)
    sd      a6, 120(a0)
    sd      a7, 128(a0)
    sd      t1, 40(a0)
    sd      t2, 48(a0)
    sd      t3, 216(a0)
    csrr    t4, sepc
    addi    t4, t4, 4
    sd      t4, {PC}(a0)
    ld      tp, {LOCAL}(a0)
    ld      sp, {STACK}(tp)
    li      s0, 0
    addi    t2, t2, 1                       // whoever has a deadline goes slowly
    bnez    t2, 1f
    mv      a2, a0                          // pass(handle, label, thread, core)
    mv      a0, t0
    ld      a3, {CORE}(tp)
    srliw   t4, a1, 8                       // its middle
    bnez    t4, 2f
    tail    {pass_call}
1:  call    {called}
2:  li      t5, {PLAIN_ANSWER} >> 8
    bne     t4, t5, 3f
    tail    {pass_answer}
3:  li      t5, {SIGNAL} >> 8
    bne     t4, t5, 4f
    tail    {pass_signal}
4:  li      t5, {RECEIVE} >> 8
    bne     t4, t5, 5f
    tail    {pass_receive}
5:  tail    {pass_other}
    .size   call_trap, . - call_trap

// What the ways out are made of. a0: the context of the thread that goes on;
// a2: that of who called; a3: the core. Uses t4 to t6 and ra.

    .macro  pass_fp
    ld      t4, {FP_PLACE}(a2)
    bgez    t4, 3f
    addi    t4, a2, {FP}
    call    tessera_fp_leave                // who called has touched it
3:  ld      t4, {FP_EAGER}(a0)
    beqz    t4, 5f
    addi    t4, a0, {FP}
    call    tessera_fp_come                 // who goes on will touch it again
5:
    .endm

    .macro  pass_state
    ld      t4, {PC}(a0)
    csrw    sepc, t4
    csrw    sscratch, a0
    sd      tp, {LOCAL}(a0)
    .endm

    .macro  pass_preserved                  // and clears what a call does not preserve
    ld      sp, 8(a0)
    ld      gp, 16(a0)
    ld      tp, 24(a0)
    ld      s0, 56(a0)
    ld      s1, 64(a0)
    ld      s2, 136(a0)
    ld      s3, 144(a0)
    ld      s4, 152(a0)
    ld      s5, 160(a0)
    ld      s6, 168(a0)
    ld      s7, 176(a0)
    ld      s8, 184(a0)
    ld      s9, 192(a0)
    ld      s10, 200(a0)
    ld      s11, 208(a0)
    li      ra, 0
    li      t4, 0
    li      t5, 0
    li      t6, 0
    .endm

// It hears what the caller said: a1 label, t2 badge, t3 request.
    .global tessera_hear
    .type   tessera_hear, @function
tessera_hear:
    pass_fp
    pass_state
    mv      t4, a3
    ld      a3, 96(a2)
    ld      a4, 104(a2)
    ld      a5, 112(a2)
    ld      a6, 120(a2)
    ld      a7, 128(a2)
    ld      t0, 32(a2)
    ld      t1, 40(a2)
    ld      a2, 88(a2)
    leave_gate t4
    pass_preserved
    li      a0, 0
    sret
    .size   tessera_hear, . - tessera_hear

// Its system call has ended, with what is in its registers.
    .global tessera_return
    .type   tessera_return, @function
tessera_return:
    pass_fp
    pass_state
    leave_gate a3
    pass_preserved
    ld      a1, 80(a0)
    ld      a2, 88(a0)
    ld      a3, 96(a0)
    ld      a4, 104(a0)
    ld      a5, 112(a0)
    ld      a6, 120(a0)
    ld      a7, 128(a0)
    ld      t0, 32(a0)
    ld      t1, 40(a0)
    ld      t2, 48(a0)
    ld      t3, 216(a0)
    ld      a0, 72(a0)
    sret
    .size   tessera_return, . - tessera_return

// Its system call has ended with status a1 and nothing else; it is who called.
    .global tessera_end
    .type   tessera_end, @function
tessera_end:
    pass_state
    leave_gate a3
    pass_preserved
    mv      a0, a1
    li      a1, 0
    li      a2, 0
    li      a3, 0
    li      a4, 0
    li      a5, 0
    li      a6, 0
    li      a7, 0
    li      t0, 0
    li      t1, 0
    li      t2, 0
    li      t3, 0
    sret
    .size   tessera_end, . - tessera_end

// It goes on where it was.
    .global tessera_go_on
    .type   tessera_go_on, @function
tessera_go_on:
    pass_fp
    leave_gate a3
    j       tessera_leave
    .size   tessera_go_on, . - tessera_go_on

// sscratch holds a0. Nothing returns from here.
    .type   bug_trap, @function
bug_trap:
    la      a0, emergency_top
    addi    a0, a0, -272
    sd      ra, 0(a0)
    sd      sp, 8(a0)
    sd      gp, 16(a0)
    sd      tp, 24(a0)
    sd      t0, 32(a0)
    sd      t1, 40(a0)
    sd      t2, 48(a0)
    sd      s0, 56(a0)
    sd      s1, 64(a0)
    sd      a1, 80(a0)
    sd      a2, 88(a0)
    sd      a3, 96(a0)
    sd      a4, 104(a0)
    sd      a5, 112(a0)
    sd      a6, 120(a0)
    sd      a7, 128(a0)
    sd      s2, 136(a0)
    sd      s3, 144(a0)
    sd      s4, 152(a0)
    sd      s5, 160(a0)
    sd      s6, 168(a0)
    sd      s7, 176(a0)
    sd      s8, 184(a0)
    sd      s9, 192(a0)
    sd      s10, 200(a0)
    sd      s11, 208(a0)
    sd      t3, 216(a0)
    sd      t4, 224(a0)
    sd      t5, 232(a0)
    sd      t6, 240(a0)
    csrrw   t0, sscratch, zero
    sd      t0, 72(a0)
    csrr    t0, sepc
    sd      t0, 248(a0)
    sd      t0, -8(a0)                      // a frame record: backtraces go on
    sd      s0, -16(a0)                     // in the code that trapped
    mv      s0, a0
    addi    sp, a0, -16
    call    {kernel_trap}
    .size   bug_trap, . - bug_trap

    .bss
    .balign 16
    .global emergency_bottom, emergency_top
emergency_bottom:
    .space  8192
emergency_top:

    .text
