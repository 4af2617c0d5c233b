//! riscv64: the trap, the thread register, and instructions that no compiler
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
            "ecall",
            inout("a0") status, inout("a1") label,
            inout("a2") w0, inout("a3") w1, inout("a4") w2, inout("a5") w3,
            inout("a6") w4, inout("a7") w5, inout("t0") w6, inout("t1") w7,
            inout("t2") badge, inout("t3") request_id,
            // Floating-point state does not survive a call, unlike in a C one.
            out("fs0") _, out("fs1") _, out("fs2") _, out("fs3") _,
            out("fs4") _, out("fs5") _, out("fs6") _, out("fs7") _,
            out("fs8") _, out("fs9") _, out("fs10") _, out("fs11") _,
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
        asm!("mv {}, tp", out(reg) buffer, options(nomem, nostack, preserves_flags));
    }
    buffer
}

/// Registers that a call clears: `ra` and `t4` to `t6`.
pub(crate) const SCRATCH: usize = 4;

/// Registers that a call keeps: `s2` to `s11`.
pub(crate) const SAVED: usize = 10;

/// Puts `value` into each scratch register, makes a call, and returns what is in
/// them then.
pub(crate) fn scratch_after_call(value: u64, handle: Handle, label: Label) -> [u64; SCRATCH] {
    let mut after = [value; SCRATCH];
    // SAFETY: the call lends nothing, so nothing but registers and the message
    // buffer changes.
    unsafe {
        asm!(
            "mv ra, s2", "mv t4, s2", "mv t5, s2", "mv t6, s2",
            "ecall",
            "sd ra, 0(s3)", "sd t4, 8(s3)", "sd t5, 16(s3)", "sd t6, 24(s3)",
            in("s2") value, in("s3") after.as_mut_ptr(),
            in("a0") handle.0, in("a1") label.0, in("t2") FOREVER, in("t3") 0,
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
            "addi sp, sp, -16", "sd a0, 0(sp)",
            "ld s2, 0(a0)", "ld s3, 8(a0)", "ld s4, 16(a0)", "ld s5, 24(a0)", "ld s6, 32(a0)",
            "ld s7, 40(a0)", "ld s8, 48(a0)", "ld s9, 56(a0)", "ld s10, 64(a0)", "ld s11, 72(a0)",
            "li a0, 0", "li a1, 0",
            "ecall",
            "ld a0, 0(sp)", "addi sp, sp, 16",
            "sd s2, 0(a0)", "sd s3, 8(a0)", "sd s4, 16(a0)", "sd s5, 24(a0)", "sd s6, 32(a0)",
            "sd s7, 40(a0)", "sd s8, 48(a0)", "sd s9, 56(a0)", "sd s10, 64(a0)", "sd s11, 72(a0)",
            inout("a0") values.as_mut_ptr() => _,
            out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
            out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _,
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
            "fld f0, 0(s2)", "fld f1, 8(s2)", "fld f2, 16(s2)", "fld f3, 24(s2)",
            "fld f4, 32(s2)", "fld f5, 40(s2)", "fld f6, 48(s2)", "fld f7, 56(s2)",
            "fld f8, 64(s2)", "fld f9, 72(s2)", "fld f10, 80(s2)", "fld f11, 88(s2)",
            "fld f12, 96(s2)", "fld f13, 104(s2)", "fld f14, 112(s2)", "fld f15, 120(s2)",
            "fld f16, 128(s2)", "fld f17, 136(s2)", "fld f18, 144(s2)", "fld f19, 152(s2)",
            "fld f20, 160(s2)", "fld f21, 168(s2)", "fld f22, 176(s2)", "fld f23, 184(s2)",
            "fld f24, 192(s2)", "fld f25, 200(s2)", "fld f26, 208(s2)", "fld f27, 216(s2)",
            "fld f28, 224(s2)", "fld f29, 232(s2)", "fld f30, 240(s2)", "fld f31, 248(s2)",
            "ecall",
            "fsd f0, 0(s2)", "fsd f1, 8(s2)", "fsd f2, 16(s2)", "fsd f3, 24(s2)",
            "fsd f4, 32(s2)", "fsd f5, 40(s2)", "fsd f6, 48(s2)", "fsd f7, 56(s2)",
            "fsd f8, 64(s2)", "fsd f9, 72(s2)", "fsd f10, 80(s2)", "fsd f11, 88(s2)",
            "fsd f12, 96(s2)", "fsd f13, 104(s2)", "fsd f14, 112(s2)", "fsd f15, 120(s2)",
            "fsd f16, 128(s2)", "fsd f17, 136(s2)", "fsd f18, 144(s2)", "fsd f19, 152(s2)",
            "fsd f20, 160(s2)", "fsd f21, 168(s2)", "fsd f22, 176(s2)", "fsd f23, 184(s2)",
            "fsd f24, 192(s2)", "fsd f25, 200(s2)", "fsd f26, 208(s2)", "fsd f27, 216(s2)",
            "fsd f28, 224(s2)", "fsd f29, 232(s2)", "fsd f30, 240(s2)", "fsd f31, 248(s2)",
            in("s2") values.as_mut_ptr(),
            in("a0") 0, in("a1") Label::control(Flags::RECEIVE, 0).0, in("t2") deadline,
            in("t3") 0,
            out("fs0") _, out("fs1") _, out("fs2") _, out("fs3") _,
            out("fs4") _, out("fs5") _, out("fs6") _, out("fs7") _,
            out("fs8") _, out("fs9") _, out("fs10") _, out("fs11") _,
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
            "fld f0, 0(s2)", "fld f1, 8(s2)", "fld f2, 16(s2)", "fld f3, 24(s2)",
            "fld f4, 32(s2)", "fld f5, 40(s2)", "fld f6, 48(s2)", "fld f7, 56(s2)",
            "fld f8, 64(s2)", "fld f9, 72(s2)", "fld f10, 80(s2)", "fld f11, 88(s2)",
            "fld f12, 96(s2)", "fld f13, 104(s2)", "fld f14, 112(s2)", "fld f15, 120(s2)",
            "fld f16, 128(s2)", "fld f17, 136(s2)", "fld f18, 144(s2)", "fld f19, 152(s2)",
            "fld f20, 160(s2)", "fld f21, 168(s2)", "fld f22, 176(s2)", "fld f23, 184(s2)",
            "fld f24, 192(s2)", "fld f25, 200(s2)", "fld f26, 208(s2)", "fld f27, 216(s2)",
            "fld f28, 224(s2)", "fld f29, 232(s2)", "fld f30, 240(s2)", "fld f31, 248(s2)",
            "2: rdtime t0",
            "bltu t0, s3, 2b",
            "fsd f0, 0(s2)", "fsd f1, 8(s2)", "fsd f2, 16(s2)", "fsd f3, 24(s2)",
            "fsd f4, 32(s2)", "fsd f5, 40(s2)", "fsd f6, 48(s2)", "fsd f7, 56(s2)",
            "fsd f8, 64(s2)", "fsd f9, 72(s2)", "fsd f10, 80(s2)", "fsd f11, 88(s2)",
            "fsd f12, 96(s2)", "fsd f13, 104(s2)", "fsd f14, 112(s2)", "fsd f15, 120(s2)",
            "fsd f16, 128(s2)", "fsd f17, 136(s2)", "fsd f18, 144(s2)", "fsd f19, 152(s2)",
            "fsd f20, 160(s2)", "fsd f21, 168(s2)", "fsd f22, 176(s2)", "fsd f23, 184(s2)",
            "fsd f24, 192(s2)", "fsd f25, 200(s2)", "fsd f26, 208(s2)", "fsd f27, 216(s2)",
            "fsd f28, 224(s2)", "fsd f29, 232(s2)", "fsd f30, 240(s2)", "fsd f31, 248(s2)",
            in("s2") values.as_mut_ptr(), in("s3") until,
            out("fs0") _, out("fs1") _, out("fs2") _, out("fs3") _,
            out("fs4") _, out("fs5") _, out("fs6") _, out("fs7") _,
            out("fs8") _, out("fs9") _, out("fs10") _, out("fs11") _,
            clobber_abi("C"),
        );
    }
    values
}

/// Places in `RegistersInfo::general` of the registers that `lockstep` counts in,
/// in the order in which it adds to them; then of the one that says so.
pub(crate) const LOCKSTEP: [usize; 6] = [18, 19, 20, 21, 22, 23];
pub(crate) const MARKER: usize = 24;
pub(crate) const MARK: u64 = 0x7e57;

/// Adds one to registers in turn, without a call, until `stop` is not 0.
pub(crate) fn lockstep(stop: &core::sync::atomic::AtomicU64) {
    // SAFETY: nothing but registers changes.
    unsafe {
        asm!(
            "li s3, 0", "li s4, 0", "li s5, 0", "li s6, 0", "li s7, 0", "li s8, 0",
            "li s9, 0x7e57",
            "2: addi s3, s3, 1", "addi s4, s4, 1", "addi s5, s5, 1", "addi s6, s6, 1",
            "addi s7, s7, 1", "addi s8, s8, 1",
            "ld t0, 0(s2)",
            "beqz t0, 2b",
            in("s2") stop.as_ptr(),
            out("t0") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s8") _, out("s9") _,
        );
    }
}

/// Where a thread can begin that needs no stack: it sleeps for ever, and again
/// when its sleep is cancelled.
#[unsafe(naked)]
pub(crate) extern "C" fn park() -> ! {
    naked_asm!(
        "1: li a0, 0",
        "li a1, 1 << 27",
        "li t2, -1",
        "li t3, 0",
        "ecall",
        "j 1b",
    )
}

/// Reads a word there, with one instruction that the compiler knows nothing of.
pub(crate) fn load(address: u64) -> u64 {
    let word;
    // SAFETY: it reads what it is told; where that cannot be read the thread
    // faults, which is what it is for.
    unsafe { asm!("ld {0}, 0({0})", inlateout(reg) address => word, options(nostack)) };
    word
}

/// Writes a word there.
pub(crate) fn store(address: u64, word: u64) {
    // SAFETY: callers name memory that nothing else uses, or that cannot be
    // written, and then the thread faults.
    unsafe { asm!("sd {1}, 0({0})", in(reg) address, in(reg) word, options(nostack)) };
}

/// Calls what is there, as a function without arguments.
pub(crate) fn jump(address: u64) -> u64 {
    let result;
    // SAFETY: callers put a function there, or nothing that can be executed, and
    // then the thread faults.
    unsafe { asm!("jalr {0}", in(reg) address, lateout("a0") result, clobber_abi("C")) };
    result
}

/// An instruction that user programs may not execute.
pub(crate) fn privileged() {
    // SAFETY: it faults.
    unsafe { asm!("csrw stvec, zero", options(nostack)) };
}

/// An instruction that does not exist.
pub(crate) fn illegal() {
    // SAFETY: it faults.
    unsafe { asm!(".4byte 0", options(nostack)) };
}

/// A breakpoint.
pub(crate) fn breakpoint() {
    // SAFETY: it faults.
    unsafe { asm!("ebreak", options(nostack)) };
}

/// An access that is not aligned as it must be.
pub(crate) fn misaligned(address: u64) {
    // SAFETY: it faults.
    unsafe { asm!("amoadd.d {0}, zero, ({0})", inout(reg) address | 1 => _, options(nostack)) };
}

/// Machine code of a function that returns 42.
pub(crate) const RETURNS_42: [u32; 2] = [0x02a0_0513, 0x0000_8067];

/// Whether a call preserves the floating-point register: `fs0` to `fs11`.
pub(crate) fn is_preserved(index: usize) -> bool {
    matches!(index, 8 | 9 | 18..=27)
}
