//! The first instructions of each core, and the map that they turn on: the
//! image's own gigabyte, at its physical address and where the kernel sees it.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod port;

#[cfg(target_arch = "riscv64")]
#[path = "riscv64.rs"]
mod port;

pub(crate) use port::{ELF, MACHINE, early_map, early_retire, secondary_entry};
