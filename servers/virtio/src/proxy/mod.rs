//! The task that has the device.
#![forbid(unsafe_code)]

pub mod mmio;
pub mod pci;
pub mod queue;
pub mod ring;
pub mod server;
pub mod space;

/// Most queues of a device.
const QUEUES: u16 = 4;

/// The registers of a device, whatever bus it is on.
pub trait Registers {
    /// Its type.
    fn device(&self) -> u32;
    /// What it can do.
    fn features(&self) -> u64;
    /// What of that its driver uses.
    fn set_features(&mut self, features: u64);
    /// Its status bits.
    fn status(&self) -> u32;
    /// Sets them; 0 resets it.
    fn set_status(&mut self, status: u32);
    /// Most descriptors of a queue; 0 if it has none.
    fn queue_size(&mut self, queue: u16) -> u32;
    /// Where a queue is, in physical addresses.
    fn set_queue(&mut self, queue: u16, size: u16, place: ring::Place<u64>);
    /// Something is available in a queue.
    fn notify(&mut self, queue: u16);
    /// Why it interrupts; it stops doing so.
    fn take_interrupt(&mut self) -> u32;
    /// A byte of its configuration.
    fn config(&self, offset: usize) -> Option<u8>;
}
