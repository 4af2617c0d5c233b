// The first instructions of each core. Firmware comes here in supervisor mode
// with translation off: on the core that boots with its hart in a0 and the
// device tree in a1, on others with the number that the kernel gave in a1.
//
// Leaves in the upper half, on the core's own stack, translation on.

    .section .head, "ax"

    .global _start
    .type   _start, @function
_start:
    mv      s1, a1                          // the device tree
    mv      s2, a0                          // the hart
    li      s3, 0                           // the core's number
    // Firmware has been seen to let a second hart in (OpenSBI 1.1, once in some
    // hundred boots). The first one boots; any other stops itself, to be started
    // like the rest (SBI chapter 9, function 1).
    lla     t0, {BOOTING}
    li      t1, 1
    amoswap.w.aqrl t1, t1, (t0)
    beqz    t1, 1f
    csrw    sie, zero
    csrci   sstatus, 0b10                   // SIE
    li      a7, {HSM}
    li      a6, 1                           // hart_stop
    ecall
0:  wfi                                     // firmware that cannot stop a hart
    j       0b

    .global _secondary
_secondary:
    mv      s3, a1

1:  csrw    sie, zero
    csrci   sstatus, 0b10                   // SIE
    lla     t0, {EARLY}
    srli    t0, t0, 12
    li      t1, 8 << 60                     // Sv39 (Priv 4.1.11)
    or      t0, t0, t1
    lla     t1, 2f
    li      t2, {OFFSET}
    add     t1, t1, t2
    sfence.vma
    csrw    satp, t0
    sfence.vma
    jr      t1

2:  lla     t0, {STACKS}
    li      t1, {STRIDE}
    addi    t2, s3, 1                       // stacks grow down
    mul     t2, t2, t1
    add     sp, t0, t2
    li      s0, 0                           // backtraces end here
    li      ra, 0
    li      tp, 0                           // no locals yet
    bnez    s3, 3f
    mv      a0, s1
    mv      a1, s2
    call    {boot}
3:  mv      a0, s3
    call    {secondary}
    .size   _start, . - _start

    .text
