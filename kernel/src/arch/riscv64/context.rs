//! A thread's registers, and how it runs until it stops.

#![allow(unsafe_code, reason = "enters user mode, reads trap registers")]

use super::{cpu, fp};
use crate::{
    arch::{Exit, Trap},
    entry::Gate,
    ipc::fast,
    run,
    schedule::core::Core,
};
use core::{
    arch::{asm, global_asm},
    mem::offset_of,
    ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc_abi::{
    handle::Handle,
    label::Label,
    objects::{FaultKind, RegistersInfo},
    registers::{CallIn, CallOut, WORDS},
    status::Status,
};

/// A thread's user registers. Atomic because `trap.S` writes them through a
/// shared reference; only the core that runs the thread touches them.
#[derive(Default)]
#[repr(C, align(16))]
pub struct Context {
    /// `x1` to `x31`; in the place of `x4` (`tp`) the thread register, which is
    /// loaded at each entry and never read back.
    general: [AtomicU64; 31],
    /// `sepc`: where it goes on.
    pc: AtomicU64,
    /// The locals of the core that runs it.
    local: AtomicU64,
    /// Floating point. Last, as most traps leave it alone.
    fp: fp::State,
}

global_asm!(
    include_str!("trap.S"),
    PC = const offset_of!(Context, pc),
    LOCAL = const offset_of!(Context, local),
    STACK = const offset_of!(cpu::Local, stack),
    CALL = const CALL,
    CURRENT = const offset_of!(Core, current),
    CORE = const offset_of!(cpu::Local, core),
    PASSING = const offset_of!(Core, gate) + Gate::PASSING,
    FLAGS_BEGIN = const fast::FLAGS.trailing_zeros(),
    BYTES_END = const fast::BEYOND_BYTES.trailing_zeros(),
    PLAIN_ANSWER = const fast::PLAIN_ANSWER,
    SIGNAL = const fast::SIGNAL,
    RECEIVE = const fast::RECEIVE,
    FP = const offset_of!(Context, fp),
    FP_PLACE = const offset_of!(Context, fp) + fp::PLACE,
    FP_EAGER = const offset_of!(Context, fp) + fp::EAGER,
    pass_call = sym fast::pass_call::<false>,
    pass_call_alone = sym fast::pass_call::<true>,
    pass_answer = sym fast::pass_answer::<false>,
    pass_answer_alone = sym fast::pass_answer::<true>,
    pass_signal = sym fast::pass_signal::<false>,
    pass_signal_alone = sym fast::pass_signal::<true>,
    pass_receive = sym fast::pass_receive::<false>,
    pass_receive_alone = sym fast::pass_receive::<true>,
    pass_bytes = sym fast::pass_bytes::<false>,
    pass_bytes_alone = sym fast::pass_bytes::<true>,
    pass_attached = sym fast::pass_attached_call::<false>,
    pass_attached_alone = sym fast::pass_attached_call::<true>,
    pass_other = sym fast::pass_other::<false>,
    pass_other_alone = sym fast::pass_other::<true>,
    called = sym run::called,
    trapped = sym tessera_trapped,
    kernel_trap = sym super::machine::kernel_trap,
);

unsafe extern "C" {
    /// Enters user mode with these registers.
    fn tessera_leave(context: *const Context) -> !;
}

/// A trap from user mode that is no system call, the registers saved.
extern "C" fn tessera_trapped() -> ! {
    run::run(decode())
}

/// `trap.S` shifts away what it does not look at.
const _: () = assert!(Label::MIDDLE == !0xff & 0xffff_ffff && fast::PLAIN_CALL == 0);
const _: () = assert!(fast::PLAIN == !1 & 0xffff_ffff);

/// `scause` of `ecall` from user mode (Priv 4.1.8). `trap.S` steps over it.
const CALL: u64 = 8;

// Numbers of registers.
const RA: usize = 1;
const SP: usize = 2;
const TP: usize = 4;
const S0: usize = 8;
const A0: usize = 10;
const A1: usize = 11;
/// `a2` to `a7`, `t0`, `t1`.
const WORD: [usize; WORDS] = [12, 13, 14, 15, 16, 17, 5, 6];
const T2: usize = 7;
const T3: usize = 28;
/// Registers that a call clears because they are caller-saved and carry no
/// result: `ra`, `t4` to `t6`.
const CLEARED: [usize; 4] = [RA, 29, 30, 31];

/// See [`crate::arch::Arch::slowly`].
#[inline(always)]
pub(super) fn slowly() -> ! {
    // SAFETY: the registers of a system call are saved, and nothing returns from there.
    unsafe { asm!("j tessera_slowly", options(noreturn, nostack)) }
}

/// Jumps into `trap.S`, to the way out of a core that is alone or is not, by floating
/// point or past it.
macro_rules! way_out {
    ($alone:expr, $float:expr, $core:expr, $name:literal, $($operand:tt)*) => {
        match ($alone, $float) {
            (false, false) => way_out!($name, "", in("a3") $core, $($operand)*),
            (false, true) => way_out!($name, "_float", in("a3") $core, $($operand)*),
            (true, false) => way_out!($name, "_alone", $($operand)*),
            (true, true) => way_out!($name, "_float_alone", $($operand)*),
        }
    };
    ($name:literal, $which:literal, $($operand:tt)*) => {
        // SAFETY: at each use.
        unsafe { asm!(concat!("j ", $name, $which), $($operand)*, options(noreturn, nostack)) }
    };
}

impl Context {
    /// All zeros, and no floating-point state.
    pub const fn new() -> Self {
        Context {
            general: [const { AtomicU64::new(0) }; 31],
            pc: AtomicU64::new(0),
            local: AtomicU64::new(0),
            fp: fp::State::new(),
        }
    }

    pub(super) fn fp(&self) -> &fp::State {
        &self.fp
    }

    pub(super) fn start(&self, entry: u64, stack: u64, arguments: [u64; 2], thread: u64) {
        for register in &self.general {
            register.store(0, Relaxed);
        }
        self.set(A0, arguments[0]);
        self.set(A1, arguments[1]);
        self.set(SP, stack);
        self.set(TP, thread);
        self.pc.store(entry, Relaxed);
        self.fp.forget();
    }

    #[inline(always)]
    pub(super) fn leave(&self) -> ! {
        // SAFETY: the context belongs to the thread that the kernel chose; what
        // user mode does with it cannot touch the kernel.
        unsafe { tessera_leave(self) }
    }

    pub(super) fn call_in(&self) -> CallIn {
        CallIn {
            handle: Handle(self.get(A0)),
            label: Label(self.get(A1)),
            words: WORD.map(|register| self.get(register)),
            deadline: self.get(T2),
            request: Handle(self.get(T3)),
        }
    }

    #[inline(always)]
    pub(super) fn called(&self) -> (Handle, Label) {
        (Handle(self.get(A0)), Label(self.get(A1)))
    }

    #[inline(always)]
    pub(super) fn word(&self, index: usize) -> u64 {
        self.get(WORD[index])
    }

    #[inline(always)]
    pub(super) fn request(&self) -> Handle {
        Handle(self.get(T3))
    }

    #[inline(always)]
    pub(super) fn call_out(&self, out: &CallOut) {
        self.words_out(out);
        self.clear();
    }

    #[inline(always)]
    pub(super) fn object_out(&self, label: Label) {
        self.set(A0, Status::Message.to_word());
        self.set(A1, label.0);
        self.set(T2, 0);
        self.set(T3, 0);
        self.clear();
    }

    #[inline(always)]
    fn clear(&self) {
        for register in CLEARED {
            self.set(register, 0);
        }
    }

    #[inline(always)]
    pub(super) fn words_out(&self, out: &CallOut) {
        self.set(A0, out.status);
        self.set(A1, out.label.0);
        self.set(T2, out.badge);
        self.set(T3, out.request_id);
        for (register, word) in WORD.into_iter().zip(out.words) {
            self.set(register, word);
        }
    }

    #[inline(always)]
    pub(super) fn pass<const ALONE: bool>(&self, core: &Core, exit: Exit<'_>, float: bool) -> ! {
        let (from, core) = (ptr::from_ref(self), ptr::from_ref(core));
        // SAFETY of all: `trap.S` wants this in these registers, and leaves the gate if
        // there is one. The contexts belong to threads that this core runs.
        match exit {
            Exit::Hears(to, heard) => way_out!(
                ALONE, float, core, "tessera_hear", in("t6") ptr::from_ref(to), in("a2") from, in("a1") heard.label.0, in("t2") heard.badge,
                in("t3") heard.request_id
            ),
            Exit::Returns(to) => way_out!(
                ALONE, float, core, "tessera_return", in("t6") ptr::from_ref(to), in("a2") from
            ),
            Exit::GoesOn(to) => way_out!(
                ALONE, float, core, "tessera_go_on", in("t6") ptr::from_ref(to), in("a2") from
            ),
            Exit::Ends(status) => way_out!(
                ALONE, false, core, "tessera_end", in("t6") from,
                in("a1") status.to_word()
            ),
        }
    }

    #[inline(always)]
    pub(super) fn set_word(&self, index: usize, word: u64) {
        self.set(WORD[index], word);
    }

    pub(super) fn retry(&self) {
        let pc = self.pc.load(Relaxed);
        self.pc.store(pc.wrapping_sub(4), Relaxed);
    }

    pub(super) fn registers(&self) -> RegistersInfo {
        RegistersInfo {
            pc: self.pc.load(Relaxed),
            sp: self.get(SP),
            fp: self.get(S0),
            ra: self.get(RA),
            general: core::array::from_fn(|index| self.get(index + 1)),
        }
    }

    fn get(&self, register: usize) -> u64 {
        self.general[register - 1].load(Relaxed)
    }

    fn set(&self, register: usize, value: u64) {
        self.general[register - 1].store(value, Relaxed);
    }
}

/// Says what the trap means that came: `scause` and `stval` (Priv
/// 4.1.8, 4.1.9).
fn decode() -> Trap {
    const INTERRUPT: u64 = 1 << 63;

    let (code, address): (u64, u64);
    // SAFETY: reads registers.
    unsafe {
        asm!("csrr {}, scause", "csrr {}, stval", out(reg) code, out(reg) address,
            options(nomem, nostack, preserves_flags));
    }
    let fault = |kind, address| Trap::Fault {
        kind,
        address,
        code,
    };
    match code {
        _ if code & INTERRUPT != 0 => Trap::Interrupt,
        // Nothing says that it was about floating point, but with the state
        // loaded a truly illegal instruction comes back here.
        2 if !fp::allowed() => Trap::FloatingPoint,
        1 | 12 => fault(FaultKind::Execute, address),
        5 | 13 => fault(FaultKind::Read, address),
        7 | 15 => fault(FaultKind::Write, address),
        0 | 4 | 6 => fault(FaultKind::Alignment, address),
        3 => fault(FaultKind::Breakpoint, 0),
        _ => fault(FaultKind::Illegal, 0),
    }
}
