//! What boot tells the kernel about the machine it runs on.

use core::ops::Range;

/// Most ranges of reserved memory that are told apart.
pub const RESERVED: usize = 16;

/// Most cores that the kernel uses.
pub const CORES: usize = 8;

/// Physical addresses, from the device tree unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// RAM.
    pub memory: Range<u64>,
    /// Parts of it that are not free: firmware, kernel image, archive, device
    /// tree. In any order, possibly overlapping.
    pub reserved: [Range<u64>; RESERVED],
    /// The kernel image without the archive (from the linker).
    pub image: Range<u64>,
    /// The boot archive (its own header has the length).
    pub archive: Range<u64>,
    /// The device tree.
    pub device_tree: Range<u64>,
    /// Registers of the early console.
    pub console: u64,
    /// Registers of the interrupt controller: GIC distributor, or PLIC.
    pub interrupts: Range<u64>,
    /// Registers of the interrupt controller's processor interface (GIC only).
    pub interrupts_cpu: Range<u64>,
    /// The timer's interrupt line (GIC only).
    pub timer_line: u32,
    /// Ticks of the counter in a second.
    pub frequency: u64,
    /// Cores that are there.
    pub cores: usize,
    /// What firmware calls each core, the one that booted first: `MPIDR_EL1`,
    /// or hart.
    pub core_ids: [u64; CORES],
    /// The supervisor's context of each core at the PLIC.
    pub contexts: [u32; CORES],
    /// PSCI is reached by `smc`, not by `hvc`.
    pub smc: bool,
    /// The supervisor has a timer of its own (`Sstc`).
    pub sstc: bool,
    /// Registers that end the machine (`sifive,test0`), or 0.
    pub power: u64,
    /// Messages take no fast path: for tests of the slow one.
    pub slow: bool,
    /// Entropy of the boot loader, or 0.
    pub seed: u64,
}
