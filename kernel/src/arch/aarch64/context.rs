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
    /// `x0` to `x30`. From `x12` to `x18` they are zero but of a thread that was
    /// interrupted or faulted: so a call has them to clear its own with.
    general: [AtomicU64; 31],
    /// `SP_EL0`.
    sp: AtomicU64,
    /// `ELR_EL1`: where it goes on.
    pc: AtomicU64,
    /// `SPSR_EL1`: condition flags; EL0 with nothing masked (ARM C5.2.19).
    pstate: AtomicU64,
    /// `TPIDR_EL0`: written at each entry, never read back.
    thread: AtomicU64,
    /// Of a trap's first instructions.
    spare: AtomicU64,
    /// Floating point and vectors. Last, as most traps leave it alone.
    fp: fp::State,
}

global_asm!(
    include_str!("trap.S"),
    PC = const offset_of!(Context, pc),
    SP = const offset_of!(Context, sp),
    THREAD = const offset_of!(Context, thread),
    SPARE = const offset_of!(Context, spare),
    SYNCHRONOUS = const SYNCHRONOUS,
    INTERRUPT = const INTERRUPT,
    ERROR = const ERROR,
    CALL = const CALL,
    STACK = const offset_of!(cpu::Local, stack),
    PASSING = const offset_of!(Core, gate) + Gate::PASSING,
    FP = const offset_of!(Context, fp),
    FP_PLACE = const offset_of!(Context, fp) + fp::PLACE,
    FP_EAGER = const offset_of!(Context, fp) + fp::EAGER,
    MIDDLE = const Label::MIDDLE,
    FLAGS = const fast::FLAGS,
    BEYOND_BYTES = const fast::BEYOND_BYTES,
    PLAIN = const fast::PLAIN,
    PLAIN_ANSWER = const fast::PLAIN_ANSWER,
    SIGNAL = const fast::SIGNAL,
    RECEIVE = const fast::RECEIVE,
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

/// What `tessera_trapped` gets: which vector was taken (ARM D1.4.1).
const SYNCHRONOUS: u64 = 0;
const INTERRUPT: u64 = 1;
const ERROR: u64 = 2;

/// The exception class of `svc` (ARM D19.2.37).
const CALL: u64 = 0x15;

/// `trap.S` reads and writes these in pairs, and looks for no bit in a plain call.
const _: () = {
    assert!(fast::PLAIN_CALL == 0);
    assert!(offset_of!(Context, pc) == offset_of!(Context, sp) + 8);
    assert!(offset_of!(cpu::Local, core) == offset_of!(cpu::Local, stack) + 8);
};

unsafe extern "C" {
    /// Enters user mode with these registers.
    fn tessera_leave(context: *const Context) -> !;
}

/// A trap from user mode that is no system call, the registers saved.
extern "C" fn tessera_trapped(vector: u64) -> ! {
    run::run(match vector {
        SYNCHRONOUS => decode(),
        INTERRUPT => Trap::Interrupt,
        // An access to a device's registers that the bus refused, late.
        _ => fault(FaultKind::Read, 0, syndrome()),
    })
}

/// See [`crate::arch::Arch::slowly`].
#[inline(always)]
pub(super) fn slowly() -> ! {
    // SAFETY: the registers of a system call are saved, and nothing returns from there.
    unsafe { asm!("b tessera_slowly", options(noreturn, nostack)) }
}

/// Jumps into `trap.S`, to the way out of a core that is alone or is not, by floating
/// point or past it.
macro_rules! way_out {
    ($alone:expr, $float:expr, $core:expr, $name:literal, $($operand:tt)*) => {
        match ($alone, $float) {
            (false, false) => way_out!($name, "", in("x3") $core, $($operand)*),
            (false, true) => way_out!($name, "_float", in("x3") $core, $($operand)*),
            (true, false) => way_out!($name, "_alone", $($operand)*),
            (true, true) => way_out!($name, "_float_alone", $($operand)*),
        }
    };
    ($name:literal, $which:literal, $($operand:tt)*) => {
        // SAFETY: at each use.
        unsafe { asm!(concat!("b ", $name, $which), $($operand)*, options(noreturn, nostack)) }
    };
}

impl Context {
    /// All zeros, and no floating-point state.
    pub const fn new() -> Self {
        Context {
            general: [const { AtomicU64::new(0) }; 31],
            sp: AtomicU64::new(0),
            pc: AtomicU64::new(0),
            pstate: AtomicU64::new(0),
            thread: AtomicU64::new(0),
            spare: AtomicU64::new(0),
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
        self.set(0, arguments[0]);
        self.set(1, arguments[1]);
        self.sp.store(stack, Relaxed);
        self.pc.store(entry, Relaxed);
        self.pstate.store(0, Relaxed);
        self.thread.store(thread, Relaxed);
        self.fp.forget();
    }

    #[inline(always)]
    pub(super) fn leave(&self) -> ! {
        // SAFETY: the context belongs to the thread that the kernel chose; what
        // user mode does with it cannot touch the kernel.
        unsafe { tessera_leave(self) }
    }

    #[inline(always)]
    pub(super) fn call_in(&self) -> CallIn {
        let (handle, label) = self.pair::<0>();
        let (w0, w1) = self.pair::<2>();
        let (w2, w3) = self.pair::<4>();
        let (w4, w5) = self.pair::<6>();
        let (w6, w7) = self.pair::<8>();
        let (deadline, request) = self.pair::<10>();
        CallIn {
            handle: Handle(handle),
            label: Label(label),
            words: [w0, w1, w2, w3, w4, w5, w6, w7],
            deadline,
            request: Handle(request),
        }
    }

    #[inline(always)]
    pub(super) fn called(&self) -> (Handle, Label) {
        (Handle(self.get(0)), Label(self.get(1)))
    }

    #[inline(always)]
    pub(super) fn word(&self, index: usize) -> u64 {
        self.get(2 + index)
    }

    #[inline(always)]
    pub(super) fn request(&self) -> Handle {
        Handle(self.get(11))
    }

    #[inline(always)]
    pub(super) fn call_out(&self, out: &CallOut) {
        self.words_out(out);
        self.clear();
    }

    #[inline(always)]
    pub(super) fn object_out(&self, label: Label) {
        self.set_pair::<0>(Status::Message.to_word(), label.0);
        self.set_pair::<10>(0, 0);
        self.clear();
    }

    #[inline(always)]
    fn clear(&self) {
        // What else is caller-saved, and not zero already.
        self.set(30, 0);
        // EL0, no flags.
        self.pstate.store(0, Relaxed);
    }

    #[inline(always)]
    pub(super) fn words_out(&self, out: &CallOut) {
        let [w0, w1, w2, w3, w4, w5, w6, w7] = out.words;
        self.set_pair::<0>(out.status, out.label.0);
        self.set_pair::<2>(w0, w1);
        self.set_pair::<4>(w2, w3);
        self.set_pair::<6>(w4, w5);
        self.set_pair::<8>(w6, w7);
        self.set_pair::<10>(out.badge, out.request_id);
    }

    #[inline(always)]
    pub(super) fn pass<const ALONE: bool>(&self, core: &Core, exit: Exit<'_>, float: bool) -> ! {
        let (from, core) = (ptr::from_ref(self), ptr::from_ref(core));
        // SAFETY of all: `trap.S` wants this in these registers, and leaves the gate if
        // there is one. The contexts belong to threads that this core runs.
        match exit {
            Exit::Hears(to, heard) => way_out!(
                ALONE, float, core, "tessera_hear", in("x16") ptr::from_ref(to), in("x2") from, in("x1") heard.label.0, in("x10") heard.badge,
                in("x11") heard.request_id
            ),
            Exit::Returns(to) => way_out!(
                ALONE, float, core, "tessera_return", in("x16") ptr::from_ref(to), in("x2") from
            ),
            Exit::GoesOn(to) => way_out!(
                ALONE, float, core, "tessera_go_on", in("x16") ptr::from_ref(to), in("x2") from
            ),
            Exit::Ends(status) => way_out!(
                ALONE, false, core, "tessera_end", in("x16") from,
                in("x1") status.to_word()
            ),
        }
    }

    #[inline(always)]
    pub(super) fn set_word(&self, index: usize, word: u64) {
        assert!(index < WORDS);
        self.set(2 + index, word);
    }

    pub(super) fn retry(&self) {
        self.pc
            .store(self.pc.load(Relaxed).wrapping_sub(4), Relaxed);
    }

    /// `mrs x, ID_AA64ISAR0_EL1` (ARM D19.2.61): which instructions there are is
    /// what libraries ask before they use them.
    pub(super) fn stand_in(&self, instruction: u32) -> bool {
        const READ: u32 = 0xd538_0600;
        const ZERO: usize = 31;
        let register = (instruction & 0x1f) as usize;
        if instruction & !0x1f != READ || register == ZERO {
            return false;
        }
        let features: u64;
        // SAFETY: reads a register.
        unsafe {
            asm!("mrs {}, id_aa64isar0_el1", out(reg) features,
                options(nomem, nostack, preserves_flags, pure));
        }
        self.set(register, features);
        let next = self.pc.load(Relaxed).wrapping_add(4);
        self.pc.store(next, Relaxed);
        true
    }

    pub(super) fn registers(&self) -> RegistersInfo {
        RegistersInfo {
            pc: self.pc.load(Relaxed),
            sp: self.sp.load(Relaxed),
            fp: self.get(29),
            ra: self.get(30),
            general: core::array::from_fn(|index| self.get(index)),
        }
    }

    /// This register and the next.
    #[inline(always)]
    fn pair<const REGISTER: usize>(&self) -> (u64, u64) {
        const { assert!(REGISTER < 30) };
        let (first, second);
        // SAFETY: both are there, and only this core writes them.
        unsafe {
            asm!("ldp {}, {}, [{}, {}]", out(reg) first, out(reg) second,
                in(reg) &raw const self.general, const REGISTER * 8,
                options(pure, readonly, nostack, preserves_flags));
        }
        (first, second)
    }

    /// Replaces this register and the next.
    #[inline(always)]
    fn set_pair<const REGISTER: usize>(&self, first: u64, second: u64) {
        const { assert!(REGISTER < 30) };
        // SAFETY: both are there and may be written through a shared reference, which
        // only this core does.
        unsafe {
            asm!("stp {}, {}, [{}, {}]", in(reg) first, in(reg) second,
                in(reg) &raw const self.general, const REGISTER * 8,
                options(nostack, preserves_flags));
        }
    }

    fn get(&self, register: usize) -> u64 {
        self.general[register].load(Relaxed)
    }

    fn set(&self, register: usize, value: u64) {
        self.general[register].store(value, Relaxed);
    }
}

/// `ESR_EL1` (ARM D19.2.37).
fn syndrome() -> u64 {
    let esr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, esr_el1", out(reg) esr, options(nomem, nostack, preserves_flags)) };
    esr
}

/// `FAR_EL1` (ARM D19.2.41).
fn fault_address() -> u64 {
    let far: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, far_el1", out(reg) far, options(nomem, nostack, preserves_flags)) };
    far
}

fn fault(kind: FaultKind, address: u64, code: u64) -> Trap {
    Trap::Fault {
        kind,
        address,
        code,
    }
}

/// Says what a synchronous exception from EL0 means, by the exception class in
/// bits 31:26 of the syndrome.
fn decode() -> Trap {
    const NO_ADDRESS: u64 = 1 << 10;
    const CACHE_MAINTENANCE: u64 = 1 << 8;
    const WRITE: u64 = 1 << 6;
    const ALIGNMENT: u64 = 0x21;

    let code = syndrome();
    let address = || match code & NO_ADDRESS {
        0 => fault_address(),
        _ => 0,
    };
    match code >> 26 & 0x3f {
        0x07 => Trap::FloatingPoint,
        0x20 => fault(FaultKind::Execute, address(), code),
        0x24 if code & 0x3f == ALIGNMENT => fault(FaultKind::Alignment, address(), code),
        0x24 if code & (WRITE | CACHE_MAINTENANCE) == WRITE => {
            fault(FaultKind::Write, address(), code)
        }
        0x24 => fault(FaultKind::Read, address(), code),
        0x22 => fault(FaultKind::Alignment, fault_address(), code),
        0x26 => fault(FaultKind::Alignment, 0, code),
        0x3c => fault(FaultKind::Breakpoint, 0, code),
        _ => fault(FaultKind::Illegal, 0, code),
    }
}
