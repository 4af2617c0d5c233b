// Arguments and result as in C: x0 where to, x1 whence or the byte, x2 how many.
// In each loop the loads of a round come before its stores, so that a copy to just
// below its source is right. What is left after the rounds of 64 bytes is the sum
// of the powers of two that are set in the count.

    .section .text.libipc_mem, "ax", %progbits

    .global memcpy, memmove
    .type   memcpy, %function
    .type   memmove, %function
memcpy:
memmove:
    sub     x3, x0, x1
    cmp     x3, x2
    b.lo    5f                              // it ends inside the source
    mov     x3, x0
    subs    x2, x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1], #64
    ldp     x6, x7, [x1, #-48]
    ldp     x8, x9, [x1, #-32]
    ldp     x10, x11, [x1, #-16]
    stp     x4, x5, [x3], #64
    stp     x6, x7, [x3, #-48]
    stp     x8, x9, [x3, #-32]
    stp     x10, x11, [x3, #-16]
    subs    x2, x2, #64
    b.hs    1b
    ands    x2, x2, #63
    b.eq    4f
2:  tbz     x2, #5, 3f
    ldp     x4, x5, [x1], #32
    ldp     x6, x7, [x1, #-16]
    stp     x4, x5, [x3], #32
    stp     x6, x7, [x3, #-16]
3:  tbz     x2, #4, 0f
    ldp     x4, x5, [x1], #16
    stp     x4, x5, [x3], #16
0:  tbz     x2, #3, 0f
    ldr     x4, [x1], #8
    str     x4, [x3], #8
0:  tbz     x2, #2, 0f
    ldr     w4, [x1], #4
    str     w4, [x3], #4
0:  tbz     x2, #1, 0f
    ldrh    w4, [x1], #2
    strh    w4, [x3], #2
0:  tbz     x2, #0, 4f
    ldrb    w4, [x1]
    strb    w4, [x3]
4:  ret

5:  add     x1, x1, x2                      // from the end
    add     x3, x0, x2
    subs    x2, x2, #64
    b.lo    7f
6:  ldp     x4, x5, [x1, #-16]
    ldp     x6, x7, [x1, #-32]
    ldp     x8, x9, [x1, #-48]
    ldp     x10, x11, [x1, #-64]!
    stp     x4, x5, [x3, #-16]
    stp     x6, x7, [x3, #-32]
    stp     x8, x9, [x3, #-48]
    stp     x10, x11, [x3, #-64]!
    subs    x2, x2, #64
    b.hs    6b
7:  tbz     x2, #5, 8f
    ldp     x4, x5, [x1, #-16]
    ldp     x6, x7, [x1, #-32]!
    stp     x4, x5, [x3, #-16]
    stp     x6, x7, [x3, #-32]!
8:  tbz     x2, #4, 9f
    ldp     x4, x5, [x1, #-16]!
    stp     x4, x5, [x3, #-16]!
9:  tbz     x2, #3, 9f
    ldr     x4, [x1, #-8]!
    str     x4, [x3, #-8]!
9:  tbz     x2, #2, 9f
    ldr     w4, [x1, #-4]!
    str     w4, [x3, #-4]!
9:  tbz     x2, #1, 9f
    ldrh    w4, [x1, #-2]!
    strh    w4, [x3, #-2]!
9:  tbz     x2, #0, 9f
    ldrb    w4, [x1, #-1]
    strb    w4, [x3, #-1]
9:  ret
    .size   memcpy, . - memcpy
    .size   memmove, . - memmove

    .global memset
    .type   memset, %function
memset:
    mov     x3, x0
    and     x1, x1, #0xff
    orr     x1, x1, x1, lsl #8
    orr     x1, x1, x1, lsl #16
    orr     x1, x1, x1, lsl #32
    cmp     x2, #512
    b.lo    3f
    cbnz    x1, 3f
    mrs     x4, dczid_el0                   // ARM D19.2.36: blocks of 64 bytes,
    cmp     x4, #4                          // and they are allowed
    b.ne    3f
    stp     xzr, xzr, [x3]                  // up to the first whole block
    stp     xzr, xzr, [x3, #16]
    stp     xzr, xzr, [x3, #32]
    stp     xzr, xzr, [x3, #48]
    add     x4, x3, #64
    and     x4, x4, #~63
    sub     x5, x4, x3
    sub     x2, x2, x5
    mov     x3, x4
    subs    x2, x2, #256
    b.lo    2f
1:  dc      zva, x3
    add     x4, x3, #64
    dc      zva, x4
    add     x4, x3, #128
    dc      zva, x4
    add     x4, x3, #192
    dc      zva, x4
    add     x3, x3, #256
    subs    x2, x2, #256
    b.hs    1b
2:  add     x2, x2, #256
3:  subs    x2, x2, #64
    b.lo    5f
4:  stp     x1, x1, [x3], #64
    stp     x1, x1, [x3, #-48]
    stp     x1, x1, [x3, #-32]
    stp     x1, x1, [x3, #-16]
    subs    x2, x2, #64
    b.hs    4b
    ands    x2, x2, #63
    b.eq    8f
5:  tbz     x2, #5, 6f
    stp     x1, x1, [x3], #32
    stp     x1, x1, [x3, #-16]
6:  tbz     x2, #4, 7f
    stp     x1, x1, [x3], #16
7:  tbz     x2, #3, 7f
    str     x1, [x3], #8
7:  tbz     x2, #2, 7f
    str     w1, [x3], #4
7:  tbz     x2, #1, 7f
    strh    w1, [x3], #2
7:  tbz     x2, #0, 8f
    strb    w1, [x3]
8:  ret
    .size   memset, . - memset

    .text
