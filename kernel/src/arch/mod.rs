//! All that differs between architectures, behind one trait.
//!
//! A port is one folder with the files of `aarch64/` and `riscv64/`, an empty
//! enum that implements [`Arch`], and a line here. `host/` is the port that
//! lets the kernel's logic run under `cargo test` and Miri.

mod boot;

use crate::{platform::Platform, schedule::core::Core};
use bitflags::bitflags;
use core::ops::Range;
use libipc_abi::{
    handle::Handle,
    label::Label,
    objects::{FaultKind, RegistersInfo, Shutdown},
    registers::{CallIn, CallOut},
    status::Status,
};

#[cfg(target_arch = "aarch64")]
#[cfg(target_os = "none")]
#[path = "aarch64/mod.rs"]
mod port;

#[cfg(target_arch = "riscv64")]
#[cfg(target_os = "none")]
#[path = "riscv64/mod.rs"]
mod port;

#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(not(target_os = "none"))]
use host as port;

pub use boot::Boot;
pub use port::Port;

/// A thread's registers, as this port saves them.
pub type Context = <Port as Arch>::Context;

/// Entries of a page table, on all architectures: 4 KiB pages, three levels.
pub const ENTRIES: usize = 512;

bitflags! {
    /// How a page may be used. Never writable and executable together.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u8 {
        /// Loads.
        const READ = 1 << 0;
        /// Stores.
        const WRITE = 1 << 1;
        /// Instruction fetches.
        const EXECUTE = 1 << 2;
        /// Registers of a device: neither cached nor reordered.
        const DEVICE = 1 << 3;
    }
}

/// A page-table entry, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Empty,
    /// The next level's table, at this physical address.
    Table(u64),
    /// A page for user programs, at this physical address.
    Page(u64, Access),
}

/// Why a user program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// System call: see [`Arch::call_in`].
    Call,
    /// Some interrupt waits: see [`Arch::claim`].
    Interrupt,
    /// First touch of floating point or vectors: see [`Arch::fp_load`].
    FloatingPoint,
    /// The instruction at the program counter cannot run.
    Fault {
        /// What it tried.
        kind: FaultKind,
        /// The address that it tried to use, or 0.
        address: u64,
        /// The architecture's own word on it (`ESR_EL1`, `scause`).
        code: u64,
    },
}

/// How a system call on the fast path ends: who goes on, and with what.
pub enum Exit<'c> {
    /// Another thread, with the caller's words and this.
    Hears(&'c Context, Heard),
    /// Another thread, with the result of its own system call in its registers.
    Returns(&'c Context),
    /// Another thread, where it was.
    GoesOn(&'c Context),
    /// The caller, with this and nothing else.
    Ends(Status),
}

/// What comes with the words of a message.
#[derive(Clone, Copy)]
pub struct Heard {
    /// The message's.
    pub label: Label,
    /// The caller's; 0 in an answer.
    pub badge: u64,
    /// The call's.
    pub request_id: u64,
}

/// An interrupt that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The alarm of [`Arch::set_alarm`]. It is off now.
    Timer,
    /// Another core asks for attention.
    Core,
    /// A device. The line is masked and its interrupt completed.
    Device(u32),
}

/// The port's side of the contract. Except where said, functions act on the
/// calling core; the kernel runs with interrupts masked and calls them so.
pub trait Arch {
    /// A thread's user registers and floating-point state. All zeros is a valid
    /// value; interior mutability, since assembly writes it.
    type Context: Sync + Default;

    /// Name, as people write it.
    const NAME: &'static str;

    /// Address-space identifiers that the processor tells apart.
    fn asids() -> u16;

    // Contexts.

    /// Makes a thread start at `entry` with this stack pointer, the two
    /// argument registers, and the thread register. Everything else is zero.
    fn start(context: &Self::Context, entry: u64, stack: u64, arguments: [u64; 2], thread: u64);
    /// Runs the user program, whose address space must have been chosen. When it
    /// traps the port calls [`crate::run::run`], with the core's stack empty.
    fn leave(context: &Self::Context) -> !;
    /// The registers of a system call.
    fn call_in(context: &Self::Context) -> CallIn;
    /// Its handle and label alone.
    fn called(context: &Self::Context) -> (Handle, Label);
    /// One of its words.
    fn word(context: &Self::Context, index: usize) -> u64;
    /// The request that it names.
    fn request(context: &Self::Context) -> Handle;
    /// Writes a system call's results and clears every caller-saved register
    /// that is not one of them.
    fn call_out(context: &Self::Context, out: &CallOut);
    /// Writes a system call's results alone, of a thread that [`Arch::pass`] lets return.
    fn words_out(context: &Self::Context, out: &CallOut);
    /// Writes the result of a call on an object but for its words, and clears every
    /// caller-saved register that is not part of it.
    fn object_out(context: &Self::Context, label: Label);
    /// Goes on with a system call that is nothing for the fast path by
    /// [`crate::run::called`].
    fn slowly() -> !;
    /// Ends a system call on the fast path, of the thread with the registers `from`, of
    /// which what a call preserves is saved: leaves the kernel, and the core's gate
    /// unless the core is `ALONE`. If `float`, its floating point is kept as at a call, if
    /// another thread goes on, whose own is brought back if it uses it after most calls.
    fn pass<const ALONE: bool>(core: &Core, from: &Self::Context, exit: Exit<'_>, float: bool)
    -> !;
    /// Writes word `index` of a system call.
    fn set_word(context: &Self::Context, index: usize, word: u64);
    /// Lets the system call that was just taken run once more.
    fn retry(context: &Self::Context);
    /// Does what the illegal instruction at which the thread stopped would do if it
    /// were the kernel's, in the few cases where programs may count on it; whether
    /// it has.
    fn stand_in(_context: &Self::Context, _instruction: u32) -> bool {
        false
    }
    /// The registers, for a person or a debugger.
    fn registers(context: &Self::Context) -> RegistersInfo;

    // Floating point and vectors. A thread's state is in the registers, saved
    // in its context, kept there as far as a call preserves it (the rest is zero
    // at the next touch), or absent (and then all zero).

    /// After [`Trap::FloatingPoint`]: brings the state into the registers.
    fn fp_load(context: &Self::Context);
    /// Before another thread runs: saves the state if it is in the registers.
    fn fp_save(context: &Self::Context);
    /// At a call: of the state what a call preserves is kept.
    fn fp_keep(context: &Self::Context);
    /// Whether [`Arch::pass`] has nothing to do with the state until the next
    /// [`Arch::fp_load`].
    fn fp_rests(context: &Self::Context) -> bool;
    /// At a thread's end: the state is absent from now on.
    fn fp_drop(context: &Self::Context);

    // Page tables.

    /// An entry for a page of user programs.
    fn page_entry(physical: u64, access: Access) -> u64;
    /// An entry for the next level's table.
    fn table_entry(physical: u64) -> u64;
    /// Takes an entry of level `level` (2 is the root, 0 the leaves) apart.
    fn entry(word: u64, level: usize) -> Entry;
    /// Entries of a fresh root table that are shared by all address spaces:
    /// index and word. User entries begin at 0.
    fn root_entries() -> impl Iterator<Item = (usize, u64)>;
    /// What chooses the address space with this root table and identifier.
    fn space(root: u64, asid: u16) -> u64;
    /// Chooses the address space for user programs.
    fn switch_space(space: u64);
    /// The same from one user program to another.
    fn pass_space<const ALONE: bool>(space: u64);
    /// A page has come in where this core found none: nothing need be forgotten
    /// but that it was not there.
    fn page_came(asid: u16, address: u64);
    /// Forgets pages of an address space, on all cores, once what was written
    /// before is visible to them. When it returns no core uses the pages.
    fn invalidate_pages(asid: u16, address: u64, pages: u64);
    /// Forgets an address space in the same way.
    fn invalidate_space(asid: u16);
    /// Makes instructions visible, to all cores, that were written through the
    /// physical map.
    fn synchronise_code(address: *const u8, length: usize);
    /// Where the kernel sees this physical address of RAM, or of a device that
    /// the kernel itself drives.
    fn physical(address: u64) -> *mut u8;

    // Time and interrupts.

    /// The counter that deadlines are expressed in.
    fn now() -> u64;
    /// The same, perhaps as it was some instructions ago: for accounting.
    fn count() -> u64;
    /// Its ticks in a second.
    fn frequency() -> u64;
    /// Interrupts at `deadline`; `u64::MAX` for never.
    fn set_alarm(deadline: u64);
    /// Takes the next interrupt that waits.
    fn claim() -> Option<Line>;
    /// Whether an interrupt waits, for long operations that can be interrupted.
    fn interrupt_waits() -> bool;
    /// Lets a device's interrupt arrive. `false` if there is no such line.
    fn unmask(line: u32) -> bool;
    /// Holds a device's interrupt back. `false` if there is no such line.
    fn mask(line: u32) -> bool;
    /// Sleeps until an interrupt waits; one that waits already is enough.
    fn idle();
    /// Forgets that another core asked for attention, if one did.
    fn clear_core_interrupt();
    /// Interrupts another core with [`Line::Core`]. What was written before is
    /// visible to it then.
    fn interrupt_core(core: usize);

    // The machine.

    /// Takes over what boot found: interrupt controller, timer, console.
    fn initialise(platform: &Platform);
    /// The calling core's number, 0 for the one that booted.
    fn core() -> usize;
    /// Prints a byte, busily, on the early console.
    fn print(byte: u8);
    /// Stops the machine.
    fn shutdown(how: Shutdown) -> !;
    /// Whether the kernel itself drives a device whose registers are here, so
    /// that no task may have them.
    fn keeps(range: &Range<u64>) -> bool;
    /// What the processor does to keep the kernel out of user memory, and user
    /// programs from learning about the kernel's: `None` where it cannot.
    fn guards() -> [(&'static str, Option<bool>); 2];
    /// The calling function's frame pointer.
    fn frame_pointer() -> usize;
    /// The return address and the caller's frame pointer saved at `frame`, if
    /// that lies in this core's kernel stack.
    fn caller(frame: usize) -> Option<(usize, usize)>;
}
