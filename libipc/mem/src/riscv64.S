// Arguments and result as in C: a0 where to, a1 whence or the byte, a2 how many.
// Words are aligned, as other accesses may be slow or trap: where source and
// destination do not lie alike, a word is made of two, each of which has a byte that is
// to be copied; towards lower addresses bytes are copied then. In each loop the loads of
// a round come before its stores, so that a copy to just below its source is right.

    .section .text.libipc_mem, "ax", @progbits

    .global memcpy, memmove
    .type   memcpy, @function
    .type   memmove, @function
memcpy:
memmove:
    sub     t0, a0, a1
    bltu    t0, a2, 10f                     // it ends inside the source
    mv      t6, a0
    andi    t0, t0, 7
    li      t1, 8
    bnez    t0, 20f
    bltu    a2, t1, 7f
1:  andi    t0, t6, 7                       // up to the first whole word
    beqz    t0, 2f
    lb      t1, 0(a1)
    addi    a1, a1, 1
    addi    a2, a2, -1
    sb      t1, 0(t6)
    addi    t6, t6, 1
    j       1b
2:  addi    a2, a2, -128
    bltz    a2, 4f
    add     t5, t6, a2                      // where the last whole round begins
3:  ld      a3, 0(a1)
    ld      a4, 8(a1)
    ld      a5, 16(a1)
    ld      a6, 24(a1)
    ld      a7, 32(a1)
    ld      t0, 40(a1)
    ld      t1, 48(a1)
    ld      t2, 56(a1)
    sd      a3, 0(t6)
    sd      a4, 8(t6)
    sd      a5, 16(t6)
    sd      a6, 24(t6)
    sd      a7, 32(t6)
    sd      t0, 40(t6)
    sd      t1, 48(t6)
    sd      t2, 56(t6)
    ld      a3, 64(a1)
    ld      a4, 72(a1)
    ld      a5, 80(a1)
    ld      a6, 88(a1)
    ld      a7, 96(a1)
    ld      t0, 104(a1)
    ld      t1, 112(a1)
    ld      t2, 120(a1)
    sd      a3, 64(t6)
    sd      a4, 72(t6)
    sd      a5, 80(t6)
    sd      a6, 88(t6)
    sd      a7, 96(t6)
    sd      t0, 104(t6)
    sd      t1, 112(t6)
    sd      t2, 120(t6)
    addi    a1, a1, 128
    addi    t6, t6, 128
    bleu    t6, t5, 3b
    sub     a2, t5, t6
4:  addi    a2, a2, 128 - 32
    bltz    a2, 6f
5:  ld      a3, 0(a1)
    ld      a4, 8(a1)
    ld      a5, 16(a1)
    ld      a6, 24(a1)
    sd      a3, 0(t6)
    sd      a4, 8(t6)
    sd      a5, 16(t6)
    sd      a6, 24(t6)
    addi    a1, a1, 32
    addi    t6, t6, 32
    addi    a2, a2, -32
    bgez    a2, 5b
6:  addi    a2, a2, 32 - 8
    bltz    a2, 8f
0:  ld      a3, 0(a1)
    addi    a1, a1, 8
    sd      a3, 0(t6)
    addi    t6, t6, 8
    addi    a2, a2, -8
    bgez    a2, 0b
8:  addi    a2, a2, 8
7:  add     a2, a2, t6                      // bytes, up to there
    beq     t6, a2, 9f
8:  lb      a3, 0(a1)
    addi    a1, a1, 1
    sb      a3, 0(t6)
    addi    t6, t6, 1
    bne     t6, a2, 8b
9:  ret

20: li      t1, 32
    bltu    a2, t1, 7b
21: andi    t0, t6, 7                       // up to the first whole word of the target
    beqz    t0, 22f
    lb      t1, 0(a1)
    addi    a1, a1, 1
    addi    a2, a2, -1
    sb      t1, 0(t6)
    addi    t6, t6, 1
    j       21b
22: andi    t0, a1, 7                       // so far into a word of the source, not 0
    sub     a1, a1, t0
    slli    t1, t0, 3
    li      t2, 64
    sub     t2, t2, t1
    ld      a3, 0(a1)
    addi    a2, a2, -32
    bltz    a2, 24f
23: ld      a4, 8(a1)
    ld      a5, 16(a1)
    ld      a6, 24(a1)
    ld      a7, 32(a1)
    srl     t3, a3, t1
    sll     t4, a4, t2
    or      t3, t3, t4
    sd      t3, 0(t6)
    srl     t3, a4, t1
    sll     t4, a5, t2
    or      t3, t3, t4
    sd      t3, 8(t6)
    srl     t3, a5, t1
    sll     t4, a6, t2
    or      t3, t3, t4
    sd      t3, 16(t6)
    srl     t3, a6, t1
    sll     t4, a7, t2
    or      t3, t3, t4
    sd      t3, 24(t6)
    mv      a3, a7
    addi    a1, a1, 32
    addi    t6, t6, 32
    addi    a2, a2, -32
    bgez    a2, 23b
24: addi    a2, a2, 32 - 8
    bltz    a2, 26f
25: ld      a4, 8(a1)
    srl     t3, a3, t1
    sll     t4, a4, t2
    or      t3, t3, t4
    mv      a3, a4
    addi    a1, a1, 8
    sd      t3, 0(t6)
    addi    t6, t6, 8
    addi    a2, a2, -8
    bgez    a2, 25b
26: addi    a2, a2, 8
    add     a1, a1, t0
    j       7b

10: add     a1, a1, a2                      // from the end
    add     t6, a0, a2
    andi    t0, t0, 7
    bnez    t0, 14f
11: beqz    a2, 15f                         // down to the last whole word
    andi    t0, t6, 7
    beqz    t0, 12f
    lb      t1, -1(a1)
    addi    a1, a1, -1
    addi    a2, a2, -1
    sb      t1, -1(t6)
    addi    t6, t6, -1
    j       11b
12: addi    a2, a2, -32
    bltz    a2, 13f
0:  ld      a3, -8(a1)
    ld      a4, -16(a1)
    ld      a5, -24(a1)
    ld      a6, -32(a1)
    sd      a3, -8(t6)
    sd      a4, -16(t6)
    sd      a5, -24(t6)
    sd      a6, -32(t6)
    addi    a1, a1, -32
    addi    t6, t6, -32
    addi    a2, a2, -32
    bgez    a2, 0b
13: addi    a2, a2, 32
14: beq     t6, a0, 15f
    lb      a3, -1(a1)
    addi    a1, a1, -1
    sb      a3, -1(t6)
    addi    t6, t6, -1
    j       14b
15: ret
    .size   memcpy, . - memcpy
    .size   memmove, . - memmove

    .global memset
    .type   memset, @function
memset:
    mv      t6, a0
    andi    a1, a1, 0xff
    slli    t0, a1, 8
    or      a1, a1, t0
    slli    t0, a1, 16
    or      a1, a1, t0
    slli    t0, a1, 32
    or      a1, a1, t0
    li      t0, 8
    bltu    a2, t0, 6f
1:  andi    t0, t6, 7                       // up to the first whole word
    beqz    t0, 2f
    sb      a1, 0(t6)
    addi    t6, t6, 1
    addi    a2, a2, -1
    j       1b
2:  addi    a2, a2, -256
    bltz    a2, 4f
    add     t5, t6, a2                      // where the last whole round begins
3:
    .irp    at, 0, 64, 128, 192
    sd      a1, \at(t6)
    sd      a1, \at + 8(t6)
    sd      a1, \at + 16(t6)
    sd      a1, \at + 24(t6)
    sd      a1, \at + 32(t6)
    sd      a1, \at + 40(t6)
    sd      a1, \at + 48(t6)
    sd      a1, \at + 56(t6)
    .endr
    addi    t6, t6, 256
    bleu    t6, t5, 3b
    sub     a2, t5, t6
4:  addi    a2, a2, 256 - 32
    bltz    a2, 0f
5:  sd      a1, 0(t6)
    sd      a1, 8(t6)
    sd      a1, 16(t6)
    sd      a1, 24(t6)
    addi    t6, t6, 32
    addi    a2, a2, -32
    bgez    a2, 5b
0:  addi    a2, a2, 32 - 8
    bltz    a2, 0f
5:  sd      a1, 0(t6)
    addi    t6, t6, 8
    addi    a2, a2, -8
    bgez    a2, 5b
0:  addi    a2, a2, 8
6:  add     a2, a2, t6                      // bytes, up to there
    beq     t6, a2, 8f
7:  sb      a1, 0(t6)
    addi    t6, t6, 1
    bne     t6, a2, 7b
8:  ret
    .size   memset, . - memset

    .text
