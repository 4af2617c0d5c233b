//! What a driver uses: the crate `virtio-drivers` over shadow queues.
//!
//! The driver's space of addresses is its own address space: memory is given to the
//! device where the driver has it mapped, so there is nothing to translate here.
//!
//! The crate trusts the ring of what was used. Here the proxy writes that ring, and it
//! has looked at what the device said (`proxy::queue`).

#[allow(unsafe_code, reason = "the crate asks for memory by address")]
mod hal;
#[allow(unsafe_code, reason = "descriptors are made of slices")]
mod queue;
mod transport;

pub use queue::{Data, Own, Queue};
pub use transport::Proxied;
