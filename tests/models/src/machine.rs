//! Cores that interrupt each other.

use crate::sync::{AtomicBool, Ordering::Relaxed};
use std::cell::Cell;

/// Most cores.
pub const CORES: usize = 4;

/// What the lock asks of a port.
pub trait Arch {
    /// The calling core's number.
    fn core() -> usize;
    /// Waits for an interrupt, also one that came before.
    fn idle();
    /// Forgets that one came.
    fn clear_core_interrupt();
    /// Sends one.
    fn interrupt_core(core: usize);
}

/// The machine.
#[derive(Debug)]
pub struct Port;

loom::lazy_static! {
    static ref INTERRUPTED: [AtomicBool; CORES] = std::array::from_fn(|_| AtomicBool::new(false));
}

loom::thread_local! {
    static NUMBER: Cell<usize> = Cell::new(0);
}

/// The calling thread is that core from now on.
pub fn become_core(number: usize) {
    NUMBER.with(|cell| cell.set(number));
}

impl Arch for Port {
    fn core() -> usize {
        NUMBER.with(Cell::get)
    }

    fn idle() {
        while !INTERRUPTED[Port::core()].load(Relaxed) {
            loom::thread::yield_now();
        }
    }

    fn clear_core_interrupt() {
        INTERRUPTED[Port::core()].store(false, Relaxed);
    }

    fn interrupt_core(core: usize) {
        INTERRUPTED[core].store(true, Relaxed);
    }
}

/// No core of the model ends by a bug.
pub fn stop_if_ending() {}
