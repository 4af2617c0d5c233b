//! Floating point, for user programs alone: the kernel is built without, so the
//! registers keep a thread's values until another needs them.

#![allow(unsafe_code, reason = "reads and writes the registers")]

use core::{
    arch::{asm, global_asm},
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A thread's floating-point state.
#[derive(Default)]
#[repr(C)]
pub(super) struct State {
    /// `f0` to `f31`.
    values: [AtomicU64; 32],
    /// `fcsr`.
    control: AtomicU64,
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
/// In `values` and `control`.
const SAVED: u64 = 2;
/// In the first of them are `fs0` to `fs11` and the control register, which a call
/// preserves; all else is zero.
const KEPT: u64 = 3;

/// `sstatus.FS` (Priv 3.1.6.6), bits 14:13.
const FS: u64 = 0b11 << 13;
const CLEAN: u64 = 0b10 << 13;
const DIRTY: u64 = 0b11 << 13;

global_asm!(
    ".option push",
    ".option arch, +d",
    ".altmacro",
    ".macro each operation, n, at",
    "\\operation f\\n, \\at*8(a0)",
    ".endm",
    ".macro all operation",
    ".set n, 0",
    ".rept 32",
    "each \\operation, %n, %n",
    ".set n, n + 1",
    ".endr",
    ".endm",
    // fp_save(a0: where)
    ".global tessera_fp_save",
    "tessera_fp_save:",
    "all fsd",
    "frcsr t0",
    "sd t0, 256(a0)",
    "ret",
    // fp_load(a0: whence)
    ".global tessera_fp_load",
    "tessera_fp_load:",
    "all fld",
    "ld t0, 256(a0)",
    "fscsr t0",
    "ret",
    // fp_keep(a0: a state that is loaded)
    ".global tessera_fp_keep",
    "tessera_fp_keep:",
    "mv a4, a0",
    // The same for trap.S, whose a4 is the state. Uses a5.
    ".global tessera_fp_leave",
    "tessera_fp_leave:",
    "fsd f8, 0(a4)",
    "fsd f9, 8(a4)",
    "fsd f18, 16(a4)",
    "fsd f19, 24(a4)",
    "fsd f20, 32(a4)",
    "fsd f21, 40(a4)",
    "fsd f22, 48(a4)",
    "fsd f23, 56(a4)",
    "fsd f24, 64(a4)",
    "fsd f25, 72(a4)",
    "fsd f26, 80(a4)",
    "fsd f27, 88(a4)",
    "frcsr a5",
    "sd a5, 256(a4)",
    "li a5, {KEPT}",
    "sd a5, {PLACE}(a4)",
    "li a5, {FS}",
    "csrc sstatus, a5",
    "ret",
    // For trap.S, whose a4 is a state that is eager: brings back what was kept. Uses
    // a5 and a6.
    ".global tessera_fp_come",
    "tessera_fp_come:",
    "ld a5, {PLACE}(a4)",
    "li a6, {KEPT}",
    "beq a5, a6, 1f",
    "ret",
    "1:",
    "ld a5, {EAGER}(a4)",
    "addi a5, a5, -1",
    "sd a5, {EAGER}(a4)",
    "j 2f",
    // fp_load_kept(a0: a state that was kept, or whose first words are zero)
    ".global tessera_fp_load_kept",
    "tessera_fp_load_kept:",
    "mv a4, a0",
    "2:",
    "li a5, {LOADED}",
    "sd a5, {PLACE}(a4)",
    "li a5, {FS}",
    "csrs sstatus, a5",
    "fld f8, 0(a4)",
    "fld f9, 8(a4)",
    "fld f18, 16(a4)",
    "fld f19, 24(a4)",
    "fld f20, 32(a4)",
    "fld f21, 40(a4)",
    "fld f22, 48(a4)",
    "fld f23, 56(a4)",
    "fld f24, 64(a4)",
    "fld f25, 72(a4)",
    "fld f26, 80(a4)",
    "fld f27, 88(a4)",
    "fmv.d.x f0, zero",
    "fmv.d.x f1, zero",
    "fmv.d.x f2, zero",
    "fmv.d.x f3, zero",
    "fmv.d.x f4, zero",
    "fmv.d.x f5, zero",
    "fmv.d.x f6, zero",
    "fmv.d.x f7, zero",
    "fmv.d.x f10, zero",
    "fmv.d.x f11, zero",
    "fmv.d.x f12, zero",
    "fmv.d.x f13, zero",
    "fmv.d.x f14, zero",
    "fmv.d.x f15, zero",
    "fmv.d.x f16, zero",
    "fmv.d.x f17, zero",
    "fmv.d.x f28, zero",
    "fmv.d.x f29, zero",
    "fmv.d.x f30, zero",
    "fmv.d.x f31, zero",
    "ld a5, 256(a4)",
    "fscsr a5",
    "li a5, {DIRTY_NOT_CLEAN}",
    "csrc sstatus, a5",
    "ret",
    ".noaltmacro",
    ".option pop",
    KEPT = const KEPT,
    LOADED = const LOADED,
    FS = const FS,
    DIRTY_NOT_CLEAN = const DIRTY & !CLEAN,
    PLACE = const PLACE,
    EAGER = const EAGER,
);

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
            values: [const { AtomicU64::new(0) }; 32],
            control: AtomicU64::new(0),
            place: AtomicU64::new(ABSENT),
            eager: AtomicU64::new(0),
        }
    }

    pub(super) fn load(&self) {
        if self.place.load(Relaxed) == ABSENT {
            for word in self.values[..12].iter().chain([&self.control]) {
                word.store(0, Relaxed);
            }
        }
        self.eager.store(TIMES, Relaxed);
        if self.place.load(Relaxed) != SAVED {
            return self.load_kept();
        }
        set_status(DIRTY);
        // SAFETY: reads this state; the registers are nobody else's, as the kernel
        // saves a state before another thread runs.
        unsafe { tessera_fp_load(self) };
        set_status(CLEAN);
        self.place.store(LOADED, Relaxed);
    }

    fn load_kept(&self) {
        // SAFETY: as in `load`.
        unsafe { tessera_fp_load_kept(self) };
    }

    pub(super) fn save(&self) {
        if self.place.load(Relaxed) == LOADED {
            if status() & FS == DIRTY {
                // SAFETY: writes this state, which is made of atomics.
                unsafe { tessera_fp_save(self) };
            }
            self.place.store(SAVED, Relaxed);
            set_status(0);
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
            set_status(0);
        }
    }
}

/// Whether user programs may use the registers now.
pub(super) fn allowed() -> bool {
    status() & FS != 0
}

fn status() -> u64 {
    let status: u64;
    // SAFETY: reads a register.
    unsafe { asm!("csrr {}, sstatus", out(reg) status, options(nomem, nostack, preserves_flags)) };
    status
}

/// Sets `sstatus.FS`.
fn set_status(fs: u64) {
    // SAFETY: the kernel has no floating point.
    unsafe {
        asm!("csrc sstatus, {}", "csrs sstatus, {}", in(reg) FS, in(reg) fs,
            options(nostack, preserves_flags));
    }
}
