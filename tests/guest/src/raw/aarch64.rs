//! aarch64: the trap, the thread register, and instructions that no compiler
//! would write.

use core::arch::{asm, naked_asm};
use libipc::{
    FOREVER,
    handle::Handle,
    label::{Flags, Label},
    registers::{CallIn, CallOut},
};

/// One system call with exactly these registers.
pub(crate) fn trap(input: &CallIn) -> CallOut {
    let Handle(mut status) = input.handle;
    let Label(mut label) = input.label;
    let [
        mut w0,
        mut w1,
        mut w2,
        mut w3,
        mut w4,
        mut w5,
        mut w6,
        mut w7,
    ] = input.words;
    let (mut badge, Handle(mut request_id)) = (input.deadline, input.request);
    // SAFETY: the kernel writes only the registers named here, the message
    // buffer, which is reached by volatile accesses only, and memory that the
    // message lends or names, which is the caller's to answer for.
    unsafe {
        asm!(
            "svc #0",
            inout("x0") status, inout("x1") label,
            inout("x2") w0, inout("x3") w1, inout("x4") w2, inout("x5") w3,
            inout("x6") w4, inout("x7") w5, inout("x8") w6, inout("x9") w7,
            inout("x10") badge, inout("x11") request_id,
            // Floating-point state does not survive a call, unlike in a C one.
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            clobber_abi("C"),
            options(nostack),
        );
    }
    CallOut {
        status,
        label: Label(label),
        words: [w0, w1, w2, w3, w4, w5, w6, w7],
        badge,
        request_id,
    }
}

/// The calling thread's message buffer.
pub(crate) fn buffer() -> *mut u64 {
    let buffer: *mut u64;
    // SAFETY: it only reads the thread register.
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) buffer, options(nomem, nostack, preserves_flags));
    }
    buffer
}

/// Registers that a call clears: `x12` to `x18` and `x30`.
pub(crate) const SCRATCH: usize = 8;

/// Registers that a call keeps: `x20` to `x28`.
pub(crate) const SAVED: usize = 9;

/// Puts `value` into each scratch register, makes a call, and returns what is in
/// them then.
pub(crate) fn scratch_after_call(value: u64, handle: Handle, label: Label) -> [u64; SCRATCH] {
    let mut after = [value; SCRATCH];
    // SAFETY: the call lends nothing, so nothing but registers and the message
    // buffer changes.
    unsafe {
        asm!(
            "mov x12, x20", "mov x13, x20", "mov x14, x20", "mov x15, x20",
            "mov x16, x20", "mov x17, x20", "mov x18, x20", "mov x30, x20",
            "svc #0",
            "stp x12, x13, [x21]", "stp x14, x15, [x21, #16]",
            "stp x16, x17, [x21, #32]", "stp x18, x30, [x21, #48]",
            in("x20") value, in("x21") after.as_mut_ptr(),
            in("x0") handle.0, in("x1") label.0, in("x10") FOREVER, in("x11") 0,
            clobber_abi("C"),
        );
    }
    after
}

/// Puts `values` into the registers that a call keeps, makes one that is
/// refused, and returns what is in them then.
pub(crate) fn saved_after_call(mut values: [u64; SAVED]) -> [u64; SAVED] {
    // SAFETY: the call names no capability, so nothing but registers changes;
    // the pointer is kept on the stack meanwhile.
    unsafe {
        asm!(
            "str x19, [sp, #-16]!",
            "mov x19, x0",
            "ldp x20, x21, [x19]", "ldp x22, x23, [x19, #16]", "ldp x24, x25, [x19, #32]",
            "ldp x26, x27, [x19, #48]", "ldr x28, [x19, #64]",
            "mov x0, xzr", "mov x1, xzr",
            "svc #0",
            "stp x20, x21, [x19]", "stp x22, x23, [x19, #16]", "stp x24, x25, [x19, #32]",
            "stp x26, x27, [x19, #48]", "str x28, [x19, #64]",
            "ldr x19, [sp], #16",
            inout("x0") values.as_mut_ptr() => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            clobber_abi("C"),
        );
    }
    values
}

/// Floating-point registers.
pub(crate) const FLOATING: usize = 32;

/// Loads the floating-point registers, makes a call that is refused, and returns
/// what is in them then.
pub(crate) fn floating_after_sleep(mut values: [u64; FLOATING], deadline: u64) -> [u64; FLOATING] {
    // SAFETY: the call names no capability, so nothing but registers changes.
    unsafe {
        asm!(
            "ldr d0, [x21, #0]", "ldr d1, [x21, #8]", "ldr d2, [x21, #16]", "ldr d3, [x21, #24]",
            "ldr d4, [x21, #32]", "ldr d5, [x21, #40]", "ldr d6, [x21, #48]", "ldr d7, [x21, #56]",
            "ldr d8, [x21, #64]", "ldr d9, [x21, #72]", "ldr d10, [x21, #80]", "ldr d11, [x21, #88]",
            "ldr d12, [x21, #96]", "ldr d13, [x21, #104]", "ldr d14, [x21, #112]", "ldr d15, [x21, #120]",
            "ldr d16, [x21, #128]", "ldr d17, [x21, #136]", "ldr d18, [x21, #144]", "ldr d19, [x21, #152]",
            "ldr d20, [x21, #160]", "ldr d21, [x21, #168]", "ldr d22, [x21, #176]", "ldr d23, [x21, #184]",
            "ldr d24, [x21, #192]", "ldr d25, [x21, #200]", "ldr d26, [x21, #208]", "ldr d27, [x21, #216]",
            "ldr d28, [x21, #224]", "ldr d29, [x21, #232]", "ldr d30, [x21, #240]", "ldr d31, [x21, #248]",
            "svc #0",
            "str d0, [x21, #0]", "str d1, [x21, #8]", "str d2, [x21, #16]", "str d3, [x21, #24]",
            "str d4, [x21, #32]", "str d5, [x21, #40]", "str d6, [x21, #48]", "str d7, [x21, #56]",
            "str d8, [x21, #64]", "str d9, [x21, #72]", "str d10, [x21, #80]", "str d11, [x21, #88]",
            "str d12, [x21, #96]", "str d13, [x21, #104]", "str d14, [x21, #112]", "str d15, [x21, #120]",
            "str d16, [x21, #128]", "str d17, [x21, #136]", "str d18, [x21, #144]", "str d19, [x21, #152]",
            "str d20, [x21, #160]", "str d21, [x21, #168]", "str d22, [x21, #176]", "str d23, [x21, #184]",
            "str d24, [x21, #192]", "str d25, [x21, #200]", "str d26, [x21, #208]", "str d27, [x21, #216]",
            "str d28, [x21, #224]", "str d29, [x21, #232]", "str d30, [x21, #240]", "str d31, [x21, #248]",
            in("x21") values.as_mut_ptr(),
            in("x0") 0, in("x1") Label::control(Flags::RECEIVE, 0).0, in("x10") deadline,
            in("x11") 0,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            clobber_abi("C"),
        );
    }
    values
}

/// Loads the floating-point registers, spins without a call until the counter
/// has come that far, and returns what is in them then.
pub(crate) fn floating_after_spin(mut values: [u64; FLOATING], until: u64) -> [u64; FLOATING] {
    // SAFETY: nothing but registers and the array changes.
    unsafe {
        asm!(
            "ldr d0, [x21, #0]", "ldr d1, [x21, #8]", "ldr d2, [x21, #16]", "ldr d3, [x21, #24]",
            "ldr d4, [x21, #32]", "ldr d5, [x21, #40]", "ldr d6, [x21, #48]", "ldr d7, [x21, #56]",
            "ldr d8, [x21, #64]", "ldr d9, [x21, #72]", "ldr d10, [x21, #80]", "ldr d11, [x21, #88]",
            "ldr d12, [x21, #96]", "ldr d13, [x21, #104]", "ldr d14, [x21, #112]", "ldr d15, [x21, #120]",
            "ldr d16, [x21, #128]", "ldr d17, [x21, #136]", "ldr d18, [x21, #144]", "ldr d19, [x21, #152]",
            "ldr d20, [x21, #160]", "ldr d21, [x21, #168]", "ldr d22, [x21, #176]", "ldr d23, [x21, #184]",
            "ldr d24, [x21, #192]", "ldr d25, [x21, #200]", "ldr d26, [x21, #208]", "ldr d27, [x21, #216]",
            "ldr d28, [x21, #224]", "ldr d29, [x21, #232]", "ldr d30, [x21, #240]", "ldr d31, [x21, #248]",
            "2: mrs x9, cntvct_el0",
            "cmp x9, x20",
            "b.lo 2b",
            "str d0, [x21, #0]", "str d1, [x21, #8]", "str d2, [x21, #16]", "str d3, [x21, #24]",
            "str d4, [x21, #32]", "str d5, [x21, #40]", "str d6, [x21, #48]", "str d7, [x21, #56]",
            "str d8, [x21, #64]", "str d9, [x21, #72]", "str d10, [x21, #80]", "str d11, [x21, #88]",
            "str d12, [x21, #96]", "str d13, [x21, #104]", "str d14, [x21, #112]", "str d15, [x21, #120]",
            "str d16, [x21, #128]", "str d17, [x21, #136]", "str d18, [x21, #144]", "str d19, [x21, #152]",
            "str d20, [x21, #160]", "str d21, [x21, #168]", "str d22, [x21, #176]", "str d23, [x21, #184]",
            "str d24, [x21, #192]", "str d25, [x21, #200]", "str d26, [x21, #208]", "str d27, [x21, #216]",
            "str d28, [x21, #224]", "str d29, [x21, #232]", "str d30, [x21, #240]", "str d31, [x21, #248]",
            in("x21") values.as_mut_ptr(), in("x20") until,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            clobber_abi("C"),
        );
    }
    values
}

/// Places in `RegistersInfo::general` of the registers that `lockstep` counts in,
/// in the order in which it adds to them; then of the one that says so.
pub(crate) const LOCKSTEP: [usize; 6] = [22, 23, 24, 25, 26, 27];
pub(crate) const MARKER: usize = 28;
pub(crate) const MARK: u64 = 0x7e57;

/// Adds one to registers in turn, without a call, until `stop` is not 0.
pub(crate) fn lockstep(stop: &core::sync::atomic::AtomicU64) {
    // SAFETY: nothing but registers changes.
    unsafe {
        asm!(
            "mov x22, xzr", "mov x23, xzr", "mov x24, xzr", "mov x25, xzr", "mov x26, xzr",
            "mov x27, xzr", "mov x28, #0x7e57",
            "2: add x22, x22, #1", "add x23, x23, #1", "add x24, x24, #1", "add x25, x25, #1",
            "add x26, x26, #1", "add x27, x27, #1",
            "ldr x9, [x21]",
            "cbz x9, 2b",
            in("x21") stop.as_ptr(),
            out("x9") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _, out("x26") _,
            out("x27") _, out("x28") _,
        );
    }
}

/// Where a thread can begin that needs no stack: it sleeps for ever, and again
/// when its sleep is cancelled.
#[unsafe(naked)]
pub(crate) extern "C" fn park() -> ! {
    naked_asm!(
        "1: mov x0, xzr",
        "mov x1, #1 << 27",
        "mov x10, #-1",
        "mov x11, xzr",
        "svc #0",
        "b 1b",
    )
}

/// Reads a word there, with one instruction that the compiler knows nothing of.
pub(crate) fn load(address: u64) -> u64 {
    let word;
    // SAFETY: it reads what it is told; where that cannot be read the thread
    // faults, which is what it is for.
    unsafe { asm!("ldr {0}, [{0}]", inlateout(reg) address => word, options(nostack)) };
    word
}

/// Writes a word there.
pub(crate) fn store(address: u64, word: u64) {
    // SAFETY: callers name memory that nothing else uses, or that cannot be
    // written, and then the thread faults.
    unsafe { asm!("str {1}, [{0}]", in(reg) address, in(reg) word, options(nostack)) };
}

/// Calls what is there, as a function without arguments.
pub(crate) fn jump(address: u64) -> u64 {
    let result;
    // SAFETY: callers put a function there, or nothing that can be executed, and
    // then the thread faults.
    unsafe { asm!("blr {0}", in(reg) address, lateout("x0") result, clobber_abi("C")) };
    result
}

/// An instruction that user programs may not execute.
pub(crate) fn privileged() {
    // SAFETY: it faults.
    unsafe { asm!("msr vbar_el1, xzr", options(nostack)) };
}

/// An instruction that does not exist.
pub(crate) fn illegal() {
    // SAFETY: it faults.
    unsafe { asm!(".inst 0", options(nostack)) };
}

/// A breakpoint.
pub(crate) fn breakpoint() {
    // SAFETY: it faults.
    unsafe { asm!("brk #7", options(nostack)) };
}

/// An access that is not aligned as it must be.
pub(crate) fn misaligned(address: u64) {
    // SAFETY: it faults.
    unsafe { asm!("ldaxr {0}, [{0}]", inout(reg) address | 1 => _, options(nostack)) };
}

/// Machine code of a function that returns 42.
pub(crate) const RETURNS_42: [u32; 2] = [0xd280_0540, 0xd65f_03c0];

/// Whether a call preserves the floating-point register: `v8` to `v15`.
pub(crate) fn is_preserved(index: usize) -> bool {
    (8..16).contains(&index)
}
