//! The serial line by hand, for when the kernel no longer prints.

use crate::check::Failure;
use libipc::{handle::Rights, memory::Mapping, objects::MemoryClient};

/// Writes to the serial line.
pub(crate) struct Printer(Mapping);

impl Printer {
    /// Maps its registers.
    pub(crate) fn new(registers: &MemoryClient) -> Result<Printer, Failure> {
        Ok(Printer(Mapping::new(
            registers,
            Rights::READ | Rights::WRITE,
        )?))
    }

    /// Writes text, a byte at a time: an emulated line is always ready.
    pub(crate) fn print(&self, text: &str) {
        for byte in text.bytes() {
            // SAFETY: the register for data is the first of both kinds of line,
            // and mapped as long as `self` is.
            unsafe { (self.0.address() as *mut u8).write_volatile(byte) };
        }
    }
}
