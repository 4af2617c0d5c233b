// The first instructions of each core. The loader puts the image anywhere 2 MiB
// above the start of RAM, caches and translation off, at EL1 or EL2, with the
// device tree in x0 on the core that boots; PSCI starts other cores the same
// way, with their number in x0.
//
// Leaves in the upper half, on the core's own stack, translation on.

    .section .head, "ax"

// The Image header (Linux, Documentation/arch/arm64/booting.rst).
    .global _start
    .type   _start, %function
_start:
    b       1f
    .long   0
    .quad   0                               // offset from a 2 MiB boundary
    .quad   image_size                      // an archive behind adds to it
    .quad   0b0010                          // little endian, pages of 4 KiB
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

1:  mov     x19, x0                         // the device tree
    mov     x20, #0                         // the core's number
    b       2f

    .global _secondary
_secondary:
    mov     x20, x0

2:  msr     daifset, #0xf
    ldr     x21, ={SCTLR}
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.ne    3f

// From EL2 to EL1 (ARM D19.2.48 and following): EL1 is 64-bit, its pointer
// authentication, timers, counter and floating point do not trap to EL2.
    mov     x0, #(1 << 31)
    orr     x0, x0, #(0b11 << 40)
    msr     hcr_el2, x0
    mov     x0, #0b11
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    msr     sctlr_el1, x21
    mov     x0, #0x3c5                      // EL1 with SP_EL1, all masked
    msr     spsr_el2, x0
    adr     x0, 3f
    msr     elr_el2, x0
    eret

3:  adrp    x0, {LOWER}
    msr     ttbr0_el1, x0
    adrp    x0, {UPPER}
    msr     ttbr1_el1, x0
    ldr     x0, ={MAIR}
    msr     mair_el1, x0
    ldr     x0, ={TCR}
    mrs     x1, id_aa64mmfr0_el1
    and     x2, x1, #0xf                    // PARange: physical address bits,
    mov     x3, #0b101                      // at most 48
    cmp     x2, x3
    csel    x2, x2, x3, lo
    bfi     x0, x2, #32, #3                 // IPS
    ubfx    x2, x1, #4, #4                  // ASIDBits: 0b0010 for 16 bits
    cmp     x2, #0b0010
    cset    x2, eq
    bfi     x0, x2, #36, #1                 // AS
    msr     tcr_el1, x0
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    mov     x0, #0x1005                     // M, C, I
    orr     x0, x21, x0
    msr     sctlr_el1, x0
    isb
    ldr     x0, =4f
    br      x0

4:  msr     spsel, #1
    adrp    x0, {STACKS}
    add     x0, x0, :lo12:{STACKS}
    ldr     x1, ={STRIDE}
    madd    x0, x20, x1, x0
    add     x0, x0, x1                      // stacks grow down
    mov     sp, x0
    mov     x29, #0                         // backtraces end here
    mov     x30, #0
    msr     tpidr_el1, xzr                  // no locals yet
    cbnz    x20, 5f
    mov     x0, x19
    mrs     x1, mpidr_el1
    ldr     x2, =0xff00ffffff               // affinity levels
    and     x1, x1, x2
    bl      {boot}
5:  mov     x0, x20
    bl      {secondary}
    .ltorg
    .size   _start, . - _start

    .text
