//! What depends on the architecture: the trap, the thread register and the
//! counter. Each file has the same functions.

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
#[path = "aarch64.rs"]
mod selected;
#[cfg(all(target_os = "none", target_arch = "riscv64"))]
#[path = "riscv64.rs"]
mod selected;
#[cfg(not(target_os = "none"))]
#[path = "host.rs"]
mod selected;

pub(crate) use selected::{brief, buffer, memory, stack_pointer, ticks, trap};
