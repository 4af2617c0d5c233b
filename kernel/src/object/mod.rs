//! The kernel's objects: what each is made of. What can be done with them
//! through their interfaces is in [`crate::interface`].

pub mod binding;
pub mod dma;
pub mod endpoint;
pub mod interrupt;
pub mod line;
pub mod memory;
pub mod region;
pub mod reservation;
pub mod session;
pub mod task;
pub mod thread;
