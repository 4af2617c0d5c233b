//! What `boot` needs of a port before the kernel's main can run, beside
//! [`Arch`](super::Arch).

use super::Access;
use crate::platform::Platform;
use core::ops::Range;

/// The port's side towards boot. Functions act on the calling core.
pub trait Boot {
    /// From a physical address to where the kernel sees it.
    const OFFSET: u64;

    /// An entry of level `level` for the kernel alone: a page (0), 2 MiB (1) or
    /// 1 GiB (2).
    fn kernel_entry(physical: u64, access: Access, level: usize) -> u64;
    /// Exchanges the map that the core was started with for the final one. The
    /// code, data and stack in use are at the same addresses in both.
    fn adopt(root: u64);
    /// Sets the core's registers to what the kernel and its users expect, and
    /// notes where its stack is.
    fn core_up(platform: &Platform, core: usize, stack: Range<usize>);
    /// Lets firmware start a core at physical address `entry`, with its number
    /// in the second argument register (riscv64) or the first (aarch64).
    fn start_core(platform: &Platform, core: usize, entry: u64) -> bool;
    /// Waits a moment for another core: an emulator may run one at a time, and
    /// the others only while this one does nothing.
    fn pause();
    /// Prints on the console whose registers are here, before
    /// [`Arch::initialise`](super::Arch::initialise).
    fn early_console(registers: u64);
}
