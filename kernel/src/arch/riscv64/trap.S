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

// What the ways out are made of. t6: the context of the thread that goes on;
// a2: that of who called; a3: the core, unless it is alone. Uses t4, and
// with floating point a4 to a6 and ra.

    .macro  pass_fp
    ld      t4, {FP_PLACE}(a2)
    bgez    t4, 3f
    addi    a4, a2, {FP}
    call    tessera_fp_leave                // who called has touched it
3:  ld      t4, {FP_EAGER}(t6)
    beqz    t4, 5f
    addi    a4, t6, {FP}
    call    tessera_fp_come                 // who goes on will touch it again
5:
    .endm

    .macro  pass_state alone
    ld      t4, {PC}(t6)
    csrw    sepc, t4
    csrw    sscratch, t6
    .ifb    \alone
    sd      tp, {LOCAL}(t6)                 // else it is there since it ran first
    .endif
    .endm

    .macro  pass_preserved                  // and clears what a call does not preserve
    ld      sp, 8(t6)
    ld      gp, 16(t6)
    ld      tp, 24(t6)
    ld      s0, 56(t6)
    ld      s1, 64(t6)
    ld      s2, 136(t6)
    ld      s3, 144(t6)
    ld      s4, 152(t6)
    ld      s5, 160(t6)
    ld      s6, 168(t6)
    ld      s7, 176(t6)
    ld      s8, 184(t6)
    ld      s9, 192(t6)
    ld      s10, 200(t6)
    ld      s11, 208(t6)
    li      ra, 0
    li      t4, 0
    li      t5, 0
    li      t6, 0
    .endm

    .macro  end_call                        // with status a0 and nothing else
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
    .endm

// The core has passed: from here on others may write what it read.
    .macro  leave_gate core, alone
    .ifb    \alone
    fence   rw, w
    sb      zero, {PASSING}(\core)
    .endif
    .endm

// A system call that is nothing for the fast path, and has no deadline. Nothing returns
// from here.
    .global tessera_slowly
    .type   tessera_slowly, @function
tessera_slowly:
    ld      t0, {CORE}(tp)
    ld      t0, {CURRENT}(t0)               // its context, where this was not saved
    li      t2, -1
    sd      t2, 48(t0)
tessera_wait:                               // from here on it may have a deadline
    li      s0, 0                           // backtraces end here
    call    {called}
    .size   tessera_slowly, . - tessera_slowly

// All traps from user mode, on one of several cores or on the only one, which has no
// gate to leave.
    .macro  traps alone, call, answer, signal, receive, bytes, attached, other

// stvec (Priv 4.1.2), direct mode: aligned to four bytes.
    .balign 4
    .global tessera_trap\alone
    .type   tessera_trap\alone, @function
tessera_trap\alone:
    csrrw   t4, sscratch, t4                // sscratch: the user's t4
    beqz    t4, bug_trap
    sd      t0, 32(t4)
    csrr    t0, scause
    addi    t0, t0, -{CALL}
    beqz    t0, call_trap\alone
    sd      ra, 0(t4)
    sd      sp, 8(t4)
    sd      gp, 16(t4)
    sd      t1, 40(t4)
    sd      t2, 48(t4)
    sd      s0, 56(t4)
    sd      s1, 64(t4)
    sd      a0, 72(t4)
    sd      a1, 80(t4)
    sd      a2, 88(t4)
    sd      a3, 96(t4)
    sd      a4, 104(t4)
    sd      a5, 112(t4)
    sd      a6, 120(t4)
    sd      a7, 128(t4)
    sd      s2, 136(t4)
    sd      s3, 144(t4)
    sd      s4, 152(t4)
    sd      s5, 160(t4)
    sd      s6, 168(t4)
    sd      s7, 176(t4)
    sd      s8, 184(t4)
    sd      s9, 192(t4)
    sd      s10, 200(t4)
    sd      s11, 208(t4)
    sd      t3, 216(t4)
    sd      t5, 232(t4)
    sd      t6, 240(t4)
    csrrw   t0, sscratch, zero
    sd      t0, 224(t4)
    csrr    t0, sepc
    sd      t0, {PC}(t4)
    ld      tp, {LOCAL}(t4)
    ld      sp, {STACK}(tp)
    li      s0, 0                           // backtraces end here
    call    {trapped}
    .size   tessera_trap\alone, . - tessera_trap\alone

// Of a system call: t4 is the context, t0 is saved.
// ra and t4 to t6 are dead, but ra is kept for whoever asks where it was; t2 is saved if
// it goes slowly.
// A pass ends by one of the ways out below, or slowly; that of a signal returns if no
// other thread is to go on.
    .type   call_trap\alone, @function
call_trap\alone:
    csrw    sscratch, zero
    sd      a0, 72(t4)
    sd      ra, 0(t4)
    sd      sp, 8(t4)
    sd      gp, 16(t4)
    sd      s0, 56(t4)
    sd      s1, 64(t4)
    sd      s2, 136(t4)
    sd      s3, 144(t4)
    sd      s4, 152(t4)
    sd      s5, 160(t4)
    sd      s6, 168(t4)
    sd      s7, 176(t4)
    sd      s8, 184(t4)
    sd      s9, 192(t4)
    sd      s10, 200(t4)
    sd      s11, 208(t4)
    sd      a1, 80(t4)
    sd      a2, 88(t4)
    sd      a3, 96(t4)
    sd      a4, 104(t4)
    sd      a5, 112(t4)
    sd      a6, 120(t4)
    sd      a7, 128(t4)
    sd      t1, 40(t4)
    sd      t3, 216(t4)
    csrr    t5, sepc
    addi    t5, t5, 4
    sd      t5, {PC}(t4)
    ld      tp, {LOCAL}(t4)
    ld      sp, {STACK}(tp)
    addi    t5, t2, 1                       // whoever has a deadline goes slowly
    bnez    t5, 1f
    mv      a2, t4                          // pass(handle, label, thread, core)
    ld      a3, {CORE}(tp)
    srliw   t4, a1, 8                       // its middle
    bnez    t4, 2f
    tail    \call
1:  sd      t2, 48(t4)
    j       tessera_wait
2:  srliw   t4, a1, 1
    li      t5, {PLAIN_ANSWER} >> 1
    bne     t4, t5, 3f
    bnez    t3, 5f
    tail    \answer                         // to the request that it serves
3:  srliw   t5, a1, {BYTES_END}
    bnez    t5, 6f
    tail    \bytes
6:  srliw   t5, a1, {FLAGS_BEGIN}
    bnez    t5, 7f
    tail    \attached
7:  li      t5, {SIGNAL} >> 1
    bne     t4, t5, 4f
    call    \signal                         // comes back if that is all: a0 status,
    ld      t4, {PC}(a1)                    // a1 context; out of the gate
    csrw    sepc, t4
    csrw    sscratch, a1
    ld      sp, 8(a1)
    ld      tp, 24(a1)
    li      ra, 0
    li      t4, 0
    li      t5, 0
    li      t6, 0
    end_call
4:  li      t5, {RECEIVE} >> 1
    bne     t4, t5, 5f
    tail    \receive
5:  tail    \other
    .size   call_trap\alone, . - call_trap\alone

// It hears what the caller said: a1 label, t2 badge, t3 request.
    .global tessera_hear_float\alone, tessera_hear\alone
    .type   tessera_hear_float\alone, @function
tessera_hear_float\alone:
    pass_fp
tessera_hear\alone:
    pass_state \alone
    .ifb    \alone
    mv      t4, a3
    .endif
    ld      a3, 96(a2)
    ld      a4, 104(a2)
    ld      a5, 112(a2)
    ld      a6, 120(a2)
    ld      a7, 128(a2)
    ld      t0, 32(a2)
    ld      t1, 40(a2)
    ld      a2, 88(a2)
    leave_gate t4, \alone
    pass_preserved
    li      a0, 0
    sret
    .size   tessera_hear_float\alone, . - tessera_hear_float\alone

// Its system call has ended, with what is in its registers.
    .global tessera_return_float\alone, tessera_return\alone
    .type   tessera_return_float\alone, @function
tessera_return_float\alone:
    pass_fp
tessera_return\alone:
    pass_state \alone
    leave_gate a3, \alone
    ld      a1, 80(t6)
    ld      a2, 88(t6)
    ld      a3, 96(t6)
    ld      a4, 104(t6)
    ld      a5, 112(t6)
    ld      a6, 120(t6)
    ld      a7, 128(t6)
    ld      t0, 32(t6)
    ld      t1, 40(t6)
    ld      t2, 48(t6)
    ld      t3, 216(t6)
    ld      a0, 72(t6)
    pass_preserved
    sret
    .size   tessera_return_float\alone, . - tessera_return_float\alone

// Its system call has ended with status a1 and nothing else; it is who called.
    .global tessera_end\alone
    .type   tessera_end\alone, @function
tessera_end\alone:
    pass_state \alone
    leave_gate a3, \alone
    pass_preserved
    mv      a0, a1
    end_call
    .size   tessera_end\alone, . - tessera_end\alone

// It goes on where it was.
    .global tessera_go_on_float\alone, tessera_go_on\alone
    .type   tessera_go_on_float\alone, @function
tessera_go_on_float\alone:
    pass_fp
tessera_go_on\alone:
    leave_gate a3, \alone
    mv      a0, t6
    j       tessera_leave
    .size   tessera_go_on_float\alone, . - tessera_go_on_float\alone
    .endm

    traps   , {pass_call}, {pass_answer}, {pass_signal}, {pass_receive}, {pass_bytes}, {pass_attached}, {pass_other}
    traps   _alone, {pass_call_alone}, {pass_answer_alone}, {pass_signal_alone}, {pass_receive_alone}, {pass_bytes_alone}, {pass_attached_alone}, {pass_other_alone}

// sscratch holds t4. Nothing returns from here.
    .type   bug_trap, @function
bug_trap:
    la      t4, emergency_top
    addi    t4, t4, -272
    sd      ra, 0(t4)
    sd      sp, 8(t4)
    sd      gp, 16(t4)
    sd      tp, 24(t4)
    sd      t0, 32(t4)
    sd      t1, 40(t4)
    sd      t2, 48(t4)
    sd      s0, 56(t4)
    sd      s1, 64(t4)
    sd      a0, 72(t4)
    sd      a1, 80(t4)
    sd      a2, 88(t4)
    sd      a3, 96(t4)
    sd      a4, 104(t4)
    sd      a5, 112(t4)
    sd      a6, 120(t4)
    sd      a7, 128(t4)
    sd      s2, 136(t4)
    sd      s3, 144(t4)
    sd      s4, 152(t4)
    sd      s5, 160(t4)
    sd      s6, 168(t4)
    sd      s7, 176(t4)
    sd      s8, 184(t4)
    sd      s9, 192(t4)
    sd      s10, 200(t4)
    sd      s11, 208(t4)
    sd      t3, 216(t4)
    sd      t5, 232(t4)
    sd      t6, 240(t4)
    csrrw   t0, sscratch, zero
    sd      t0, 224(t4)
    csrr    t0, sepc
    sd      t0, 248(t4)
    sd      t0, -8(t4)                      // a frame record: backtraces go on
    sd      s0, -16(t4)                     // in the code that trapped
    mv      s0, t4
    addi    sp, t4, -16
    mv      a0, t4
    call    {kernel_trap}
    .size   bug_trap, . - bug_trap

    .bss
    .balign 16
    .global emergency_bottom, emergency_top
emergency_bottom:
    .space  8192
emergency_top:

    .text
