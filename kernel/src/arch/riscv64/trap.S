// Entry to user mode and every way back.
//
// While a user program runs, sscratch is at its context, where its core's locals
// are noted. A trap from user mode saves into the context and calls
// tessera_trapped on the core's stack, which is empty then. Nothing returns from
// there: it ends by tessera_leave, which loads a context.
//
// A system call saves only what a call preserves and the call's own registers,
// and asks tessera_pass first, which may name another thread's context.
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
    li      a0, 0
    call    {trapped}
    .size   tessera_trap, . - tessera_trap

// Of a system call: a0 is the context, t0 is saved, sscratch has the user's a0.
// ra and t4 to t6 are dead, but ra is kept for whoever asks where it was.
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
    mv      s2, a0
    mv      a5, t3                          // tessera_pass(handle, context, label,
    mv      a4, t2                          //     core, deadline, request)
    mv      a2, a1
    mv      a1, a0
    mv      a0, t0
    li      s0, 0
    ld      s1, {CORE}(tp)
    mv      a3, s1
    call    {pass}
    beqz    a0, 1f
    ld      t0, {FP_PLACE}(s2)
    li      t1, {FP_LOADED}
    beq     t0, t1, 2f
3:  ld      t0, {FP_EAGER}(a0)
    bnez    t0, 4f
5:  beqz    a1, 6f
    ld      t0, {PC}(a0)
    csrw    sepc, t0
    csrw    sscratch, a0
    sd      tp, {LOCAL}(a0)
    ld      a2, 88(a1)
    ld      a3, 96(a1)
    ld      a4, 104(a1)
    ld      a5, 112(a1)
    ld      a6, 120(a1)
    ld      a7, 128(a1)
    ld      t0, 32(a1)
    ld      t1, 40(a1)
    fence   rw, w                           // it has passed: from here on others
    sb      zero, {PASSING}(s1)             // may write what the words came from
    li      ra, 0
    li      t4, 0
    li      t5, 0
    li      t6, 0
    ld      sp, 8(a0)
    ld      gp, 16(a0)
    ld      tp, 24(a0)
    ld      t2, 48(a0)
    ld      t3, 216(a0)
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
    ld      a1, 80(a0)
    ld      a0, 72(a0)
    sret
1:  li      a0, 1
    call    {trapped}
    j       tessera_leave
2:  beq     a0, s2, 5b                      // floating point was touched by who called
    mv      s3, a0                          // and does not go on
    mv      s4, a1
    mv      a0, s2
    call    {fp_keep}
    mv      a0, s3
    mv      a1, s4
    j       3b
4:  mv      s3, a0                          // who goes on will touch it again
    mv      s4, a1
    call    {fp_bring_back}
    mv      a0, s3
    mv      a1, s4
    j       5b
6:  fence   rw, w
    sb      zero, {PASSING}(s1)
    j       tessera_leave
    .size   call_trap, . - call_trap

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
