//! The first thread's way from the entry to the program's function.
#![allow(
    unsafe_code,
    reason = "start information is memory that no Rust code made"
)]

use super::{Start, Termination};
use crate::{handle::Handle, heap, output, thread};
use core::sync::atomic::{AtomicU64, Ordering};
use libipc_abi::start::{Header, StartInfo};

static TASK: AtomicU64 = AtomicU64::new(0);
static FREQUENCY: AtomicU64 = AtomicU64::new(1);

/// The task's capability for itself.
pub(crate) fn task() -> Handle {
    Handle(TASK.load(Ordering::Relaxed))
}

/// Ticks of the counter in one second.
pub(crate) fn frequency() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}

/// Runs a program: `start` is the address in the first argument register.
pub fn run<T: Termination>(start: usize, program: fn(Start) -> T) -> ! {
    let info = information(start);
    let header = info.header();
    TASK.store(header.task.0, Ordering::Relaxed);
    FREQUENCY.store(header.counter_frequency.max(1), Ordering::Relaxed);
    heap::give(header.heap as usize, header.heap_length as usize);
    thread::note_first_stack(header.stack as usize, header.stack_length as usize);
    output::choose(&info);
    let code = program(Start::new(&info)).report();
    thread::exit(code.0.into())
}

/// The start information; a task without any cannot even say why it ends.
fn information(start: usize) -> StartInfo<'static> {
    // SAFETY: whoever made the task put it there, for good, where nothing else of the
    // program is (stacks end below), and its address into the first argument register;
    // it holds at least the header, of which any bits are a value, at a multiple of 8.
    let header = unsafe { (start as *const Header).read() };
    // SAFETY: as above; all of its `length` bytes are mapped.
    let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, header.length as usize) };
    StartInfo::after(header, bytes).unwrap_or_else(|| thread::exit(u64::MAX))
}
