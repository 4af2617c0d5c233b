//! The port that lets the kernel's logic run on the host: page tables are real,
//! registers are a plain structure, time is what a test says, and physical
//! addresses are those of the host.
//!
//! Time, interrupts and the translation buffer are each thread's own, so that
//! tests can run side by side.

extern crate std;

use super::{Access, Arch, Context, Entry, Exit, Heard, Line};
use crate::{cell::Word, platform::Platform, schedule::core::Core};
use core::{cell::Cell, ops::Range, ptr};
use libipc_abi::{
    handle::Handle,
    label::Label,
    objects::{RegistersInfo, Shutdown},
    registers::{CallIn, CallOut, WORDS},
    status::Status,
};
use std::thread_local;

/// The host as an architecture.
pub enum Port {}

/// A thread's registers: those of a system call, and where it is.
#[derive(Default)]
pub struct Registers {
    handle: Word<u64>,
    label: Word<u64>,
    words: [Word<u64>; WORDS],
    deadline: Word<u64>,
    request: Word<u64>,
    pc: Word<u64>,
    sp: Word<u64>,
    /// See [`fp`].
    fp: Word<u8>,
}

impl Registers {
    /// All zeros.
    pub const fn new() -> Self {
        Registers {
            handle: Word::zeroed(),
            label: Word::zeroed(),
            words: [const { Word::zeroed() }; WORDS],
            deadline: Word::zeroed(),
            request: Word::zeroed(),
            pc: Word::zeroed(),
            sp: Word::zeroed(),
            fp: Word::zeroed(),
        }
    }
}

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1000) };
    static ALARM: Cell<u64> = const { Cell::new(u64::MAX) };
    static WAITS: Cell<u32> = const { Cell::new(u32::MAX) };
    static UNMASKED: Cell<u64> = const { Cell::new(0) };
    static CORE: Cell<usize> = const { Cell::new(0) };
    static INTERRUPTED: Cell<u64> = const { Cell::new(0) };
}

/// Sets the time of this thread's kernel.
pub fn set_now(now: u64) {
    NOW.set(now);
}

/// When the alarm was last set to ring.
pub fn alarm() -> u64 {
    ALARM.get()
}

/// Lines that were let through since this was asked last, modulo 64.
pub fn unmasked() -> u64 {
    UNMASKED.replace(0)
}

/// From the `count`-th look on, an interrupt waits; `u32::MAX` for never.
pub fn interrupt_after(count: u32) {
    WAITS.set(count);
}

/// Cores that were interrupted since the last look, as bits.
pub fn interrupted() -> u64 {
    INTERRUPTED.take()
}

/// Puts a system call into a thread's registers, as its program would.
pub fn set_call(context: &Context, call: &CallIn) {
    context.handle.set(call.handle.0);
    context.label.set(call.label.0);
    for (place, word) in context.words.iter().zip(call.words) {
        place.set(word);
    }
    context.deadline.set(call.deadline);
    context.request.set(call.request.0);
    context.pc.set(context.pc.get() + 4);
}

/// A thread hears what another said: [`Exit::Hears`].
pub fn hear(from: &Context, to: &Context, heard: Heard) {
    let out = CallOut {
        status: Status::Message.to_word(),
        label: heard.label,
        words: Port::call_in(from).words,
        badge: heard.badge,
        request_id: heard.request_id,
    };
    Port::call_out(to, &out);
}

/// Where a thread's floating-point state is: 0 absent, 1 saved, 2 in the registers,
/// 3 kept as far as a call preserves it.
pub fn fp(context: &Context) -> u8 {
    context.fp.get()
}

/// Makes the calling thread another core.
pub fn set_core(core: usize) {
    CORE.set(core);
}

/// Steps over the system call instruction once more, after [`Arch::retry`].
pub fn advance(context: &Context) {
    context.pc.set(context.pc.get() + 4);
}

/// The results of a system call, as the thread's program would see them.
pub fn results(context: &Context) -> CallOut {
    CallOut {
        status: context.handle.get(),
        label: Label(context.label.get()),
        words: core::array::from_fn(|index| context.words[index].get()),
        badge: context.deadline.get(),
        request_id: context.request.get(),
    }
}

const PAGE_BIT: u64 = 1 << 0;
const TABLE_BIT: u64 = 1 << 1;
const ACCESS_SHIFT: u32 = 2;
const ADDRESS: u64 = !0xfff;

impl Arch for Port {
    type Context = Registers;

    const NAME: &'static str = "host";

    fn asids() -> u16 {
        256
    }

    fn start(context: &Registers, entry: u64, stack: u64, arguments: [u64; 2], _thread: u64) {
        context.pc.set(entry);
        context.sp.set(stack);
        context.handle.set(arguments[0]);
        context.label.set(arguments[1]);
    }

    fn leave(_context: &Registers) -> ! {
        unreachable!("tests make the system calls themselves")
    }

    fn call_in(context: &Registers) -> CallIn {
        CallIn {
            handle: Handle(context.handle.get()),
            label: Label(context.label.get()),
            words: core::array::from_fn(|index| context.words[index].get()),
            deadline: context.deadline.get(),
            request: Handle(context.request.get()),
        }
    }

    fn called(context: &Registers) -> (Handle, Label) {
        (Handle(context.handle.get()), Label(context.label.get()))
    }

    fn word(context: &Registers, index: usize) -> u64 {
        context.words[index].get()
    }

    fn request(context: &Registers) -> Handle {
        Handle(context.request.get())
    }

    fn call_out(context: &Registers, out: &CallOut) {
        context.handle.set(out.status);
        context.label.set(out.label.0);
        for (place, word) in context.words.iter().zip(out.words) {
            place.set(word);
        }
        context.deadline.set(out.badge);
        context.request.set(out.request_id);
    }

    fn words_out(context: &Registers, out: &CallOut) {
        Port::call_out(context, out);
    }

    fn slowly() -> ! {
        panic!("there are no user programs")
    }

    fn pass<const ALONE: bool>(_: &Core, _: &Registers, _: Exit<'_>, _: bool) -> ! {
        unreachable!("tests end the system calls themselves")
    }

    fn object_out(context: &Registers, label: Label) {
        context.handle.set(Status::Message.to_word());
        context.label.set(label.0);
        context.deadline.set(0);
        context.request.set(0);
    }

    fn set_word(context: &Registers, index: usize, word: u64) {
        context.words[index].set(word);
    }

    fn retry(context: &Registers) {
        context.pc.set(context.pc.get() - 4);
    }

    fn registers(context: &Registers) -> RegistersInfo {
        RegistersInfo {
            pc: context.pc.get(),
            sp: context.sp.get(),
            fp: 0,
            ra: 0,
            general: [0; 31],
        }
    }

    fn fp_load(context: &Registers) {
        context.fp.set(2);
    }

    fn fp_save(context: &Registers) {
        if context.fp.get() == 2 {
            context.fp.set(1);
        }
    }

    fn fp_keep(context: &Registers) {
        if context.fp.get() == 2 {
            context.fp.set(3);
        }
    }

    fn fp_rests(context: &Registers) -> bool {
        context.fp.get() != 2
    }

    fn fp_drop(context: &Registers) {
        context.fp.set(0);
    }

    fn page_entry(physical: u64, access: Access) -> u64 {
        physical | u64::from(access.bits()) << ACCESS_SHIFT | PAGE_BIT
    }

    fn table_entry(physical: u64) -> u64 {
        physical | TABLE_BIT
    }

    fn entry(word: u64, _level: usize) -> Entry {
        if word & PAGE_BIT != 0 {
            let access = (word >> ACCESS_SHIFT) as u8;
            Entry::Page(word & ADDRESS, Access::from_bits_truncate(access))
        } else if word & TABLE_BIT != 0 {
            Entry::Table(word & ADDRESS)
        } else {
            Entry::Empty
        }
    }

    fn root_entries() -> impl Iterator<Item = (usize, u64)> {
        core::iter::empty()
    }

    fn space(root: u64, asid: u16) -> u64 {
        root ^ u64::from(asid).rotate_right(16)
    }

    fn switch_space(_space: u64) {}
    fn pass_space<const ALONE: bool>(_space: u64) {}

    fn page_came(_asid: u16, _address: u64) {}

    fn invalidate_pages(_asid: u16, _address: u64, _pages: u64) {}

    fn invalidate_space(_asid: u16) {}

    fn synchronise_code(_address: *const u8, _length: usize) {}

    fn physical(address: u64) -> *mut u8 {
        ptr::with_exposed_provenance_mut(address as usize)
    }

    fn now() -> u64 {
        NOW.get()
    }

    fn count() -> u64 {
        Port::now()
    }

    fn frequency() -> u64 {
        1_000_000
    }

    fn set_alarm(deadline: u64) {
        ALARM.set(deadline);
    }

    fn claim() -> Option<Line> {
        None
    }

    fn interrupt_waits() -> bool {
        match WAITS.get() {
            u32::MAX => false,
            0 => true,
            count => {
                WAITS.set(count - 1);
                false
            }
        }
    }

    fn unmask(line: u32) -> bool {
        UNMASKED.set(UNMASKED.get() | 1 << (line % 64));
        line < 64
    }

    fn mask(line: u32) -> bool {
        UNMASKED.set(UNMASKED.get() & !(1 << (line % 64)));
        line < 64
    }

    fn idle() {
        std::thread::yield_now();
    }

    fn clear_core_interrupt() {}

    fn interrupt_core(core: usize) {
        INTERRUPTED.set(INTERRUPTED.get() | 1 << core);
    }

    fn initialise(_platform: &Platform) {}

    fn core() -> usize {
        CORE.get()
    }

    fn print(_byte: u8) {}

    fn shutdown(how: Shutdown) -> ! {
        panic!("the machine stops: {how:?}")
    }

    fn keeps(_range: &Range<u64>) -> bool {
        false
    }

    fn guards() -> [(&'static str, Option<bool>); 2] {
        [("none", None); 2]
    }

    fn frame_pointer() -> usize {
        0
    }

    fn caller(_frame: usize) -> Option<(usize, usize)> {
        None
    }
}
