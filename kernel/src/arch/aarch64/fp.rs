//! Floating point and vectors, for user programs alone: the kernel is built
//! without, so the registers keep a thread's values until another needs them.

#![allow(unsafe_code, reason = "reads and writes the registers")]

use core::{
    arch::{asm, global_asm},
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A thread's floating-point state.
#[derive(Default)]
#[repr(C, align(16))]
pub(super) struct State {
    /// `FPSR` and `FPCR`.
    control: [AtomicU64; 2],
    /// `v0` to `v31`, two words each.
    vectors: [[AtomicU64; 2]; 32],
    /// Where the state is: one of the numbers below.
    place: AtomicU64,
    /// How often it is brought back before the thread has touched it.
    eager: AtomicU64,
}

/// Where in a state its place is, for `trap.S`.
pub(super) const PLACE: usize = offset_of!(State, place);

/// Where in a state the word is that is 0 unless it may have to be brought back.
pub(super) const EAGER: usize = offset_of!(State, eager);

/// Nowhere: it is all zeros.
const ABSENT: u64 = 0;
/// In the registers of the core. The sign, for `trap.S`.
const LOADED: u64 = 1 << 63;
/// In `vectors` and `control`.
const SAVED: u64 = 2;
/// In the first of them are `v8` to `v15` and the control register, which a
/// call preserves; all else is zero.
const KEPT: u64 = 3;

global_asm!(
    ".arch_extension fp",
    ".arch_extension simd",
    // fp_save(x0: where)
    ".global tessera_fp_save",
    "tessera_fp_save:",
    "stp q0, q1, [x0, #16]",
    "stp q2, q3, [x0, #48]",
    "stp q4, q5, [x0, #80]",
    "stp q6, q7, [x0, #112]",
    "stp q8, q9, [x0, #144]",
    "stp q10, q11, [x0, #176]",
    "stp q12, q13, [x0, #208]",
    "stp q14, q15, [x0, #240]",
    "stp q16, q17, [x0, #272]",
    "stp q18, q19, [x0, #304]",
    "stp q20, q21, [x0, #336]",
    "stp q22, q23, [x0, #368]",
    "stp q24, q25, [x0, #400]",
    "stp q26, q27, [x0, #432]",
    "stp q28, q29, [x0, #464]",
    "stp q30, q31, [x0, #496]",
    "mrs x1, fpsr",
    "mrs x2, fpcr",
    "stp x1, x2, [x0]",
    "ret",
    // fp_load(x0: whence)
    ".global tessera_fp_load",
    "tessera_fp_load:",
    "ldp q0, q1, [x0, #16]",
    "ldp q2, q3, [x0, #48]",
    "ldp q4, q5, [x0, #80]",
    "ldp q6, q7, [x0, #112]",
    "ldp q8, q9, [x0, #144]",
    "ldp q10, q11, [x0, #176]",
    "ldp q12, q13, [x0, #208]",
    "ldp q14, q15, [x0, #240]",
    "ldp q16, q17, [x0, #272]",
    "ldp q18, q19, [x0, #304]",
    "ldp q20, q21, [x0, #336]",
    "ldp q22, q23, [x0, #368]",
    "ldp q24, q25, [x0, #400]",
    "ldp q26, q27, [x0, #432]",
    "ldp q28, q29, [x0, #464]",
    "ldp q30, q31, [x0, #496]",
    "ldp x1, x2, [x0]",
    "msr fpsr, x1",
    "msr fpcr, x2",
    "ret",
    // fp_keep(x0: a state that is loaded)
    ".global tessera_fp_keep",
    "tessera_fp_keep:",
    "mov x12, x0",
    // The same for trap.S, whose x12 is the state. Uses x13.
    ".global tessera_fp_leave",
    "tessera_fp_leave:",
    "mrs x13, fpcr",
    "str x13, [x12, #8]",
    "add x13, x12, #16",
    "st1 {{v8.2d-v11.2d}}, [x13], #64",
    "st1 {{v12.2d-v15.2d}}, [x13]",
    "mov x13, #{KEPT}",
    "str x13, [x12, #{PLACE}]",
    "mov x13, #{TRAP}",
    "msr cpacr_el1, x13",
    "ret",
    // For trap.S, whose x12 is a state that is eager: brings back what was kept. Uses
    // x13.
    ".global tessera_fp_come",
    "tessera_fp_come:",
    "ldr x13, [x12, #{PLACE}]",
    "cmp x13, #{KEPT}",
    "b.eq 1f",
    "ret",
    "1:",
    "ldr x13, [x12, #{EAGER}]",
    "sub x13, x13, #1",
    "str x13, [x12, #{EAGER}]",
    "b 2f",
    // fp_load_kept(x0: a state that was kept, or whose first words are zero)
    ".global tessera_fp_load_kept",
    "tessera_fp_load_kept:",
    "mov x12, x0",
    "2:",
    "mov x13, #{LOADED}",
    "str x13, [x12, #{PLACE}]",
    "mov x13, #{ALLOW}",
    "msr cpacr_el1, x13",
    "ldr x13, [x12, #8]",
    "msr fpcr, x13",
    "msr fpsr, xzr",
    "add x13, x12, #16",
    "ld1 {{v8.2d-v11.2d}}, [x13], #64",
    "ld1 {{v12.2d-v15.2d}}, [x13]",
    "adrp x13, 3f",
    "add x13, x13, :lo12:3f",
    "ld1 {{v0.2d-v3.2d}}, [x13]",
    "ld1 {{v4.2d-v7.2d}}, [x13]",
    "ld1 {{v16.2d-v19.2d}}, [x13]",
    "ld1 {{v20.2d-v23.2d}}, [x13]",
    "ld1 {{v24.2d-v27.2d}}, [x13]",
    "ld1 {{v28.2d-v31.2d}}, [x13]",
    "ret",
    // Zeros for four registers.
    ".pushsection .rodata",
    ".balign 64",
    "3:",
    ".space 64",
    ".popsection",
    ".arch_extension nosimd",
    ".arch_extension nofp",
    KEPT = const KEPT,
    LOADED = const LOADED,
    TRAP = const TRAP,
    ALLOW = const ALLOW,
    PLACE = const PLACE,
    EAGER = const EAGER,
);

/// FPEN, bits 21:20 of `CPACR_EL1` (ARM D19.2.30): EL0 traps at a touch, EL1 does not;
/// SVE and SME always. The next `eret` makes it take effect.
const TRAP: u64 = 0b01 << 20;
/// The same, and EL0 does not trap.
const ALLOW: u64 = 0b11 << 20;

unsafe extern "C" {
    fn tessera_fp_keep(state: *const State);
    fn tessera_fp_load_kept(state: *const State);
    fn tessera_fp_save(state: *const State);
    fn tessera_fp_load(state: *const State);
}

/// Who touched the registers does so again after most calls: so often they are ready
/// for it, and need no trap, before that is found out again.
const TIMES: u64 = 16;

impl State {
    /// Absent.
    pub(super) const fn new() -> Self {
        State {
            control: [const { AtomicU64::new(0) }; 2],
            vectors: [const { [const { AtomicU64::new(0) }; 2] }; 32],
            place: AtomicU64::new(ABSENT),
            eager: AtomicU64::new(0),
        }
    }

    pub(super) fn load(&self) {
        if self.place.load(Relaxed) == ABSENT {
            for word in self.vectors.as_flattened()[..16]
                .iter()
                .chain(&self.control)
            {
                word.store(0, Relaxed);
            }
        }
        self.eager.store(TIMES, Relaxed);
        if self.place.load(Relaxed) != SAVED {
            return self.load_kept();
        }
        // SAFETY: reads this state; the registers are nobody else's, as the kernel
        // saves a state before another thread runs.
        unsafe { tessera_fp_load(self) };
        self.place.store(LOADED, Relaxed);
        allow(true);
    }

    fn load_kept(&self) {
        // SAFETY: as in `load`.
        unsafe { tessera_fp_load_kept(self) };
    }

    pub(super) fn save(&self) {
        if self.place.load(Relaxed) == LOADED {
            // SAFETY: writes this state, which is made of atomics.
            unsafe { tessera_fp_save(self) };
            self.place.store(SAVED, Relaxed);
            allow(false);
        }
    }

    /// At a call: most threads have not touched the registers since the last one.
    #[inline(always)]
    pub(super) fn keep(&self) {
        if self.place.load(Relaxed) == LOADED {
            self.keep_loaded();
        }
    }

    #[cold]
    fn keep_loaded(&self) {
        // SAFETY: writes this state, which is made of atomics.
        unsafe { tessera_fp_keep(self) };
    }

    /// Whether a pass has nothing to do with it until it is loaded again.
    #[inline(always)]
    pub(super) fn rests(&self) -> bool {
        self.place.load(Relaxed) != LOADED && self.eager.load(Relaxed) == 0
    }

    pub(super) fn forget(&self) {
        if self.place.swap(ABSENT, Relaxed) == LOADED {
            allow(false);
        }
    }
}

/// Lets EL0 use the registers, or makes it trap.
pub(super) fn allow(user: bool) {
    let value = if user { ALLOW } else { TRAP };
    // SAFETY: concerns only user programs.
    unsafe { asm!("msr cpacr_el1, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}
