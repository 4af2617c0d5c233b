//! `Dma`: memory that a device may reach.

use super::*;

/// What a device may reach by itself: memory that is pinned. A pin is a use of the
/// memory like a mapping, but nobody takes it back: the frames stay what they are,
/// charged to whoever made the memory, until the driver or whoever has reset the
/// device says that the device is done with them. That holds when the memory's
/// owner, or the driver, has ended. Pins of an object that nobody holds any more
/// stay for ever, so whoever manages the device keeps a capability for it.
#[interface]
pub trait Dma {
    /// Pins all of `memory` and returns the pin's number. `BadArgument` for memory
    /// that is none of a task's, as a device's registers; `QuotaExceeded` if there
    /// are 64 pins. Needs `PIN`, and `READ` and `WRITE` on the memory.
    #[op(0)]
    #[errors(BadArgument, QuotaExceeded)]
    fn pin(&mut self, memory: &MemoryClient) -> Result<u64, ObjectError>;

    /// The device is done with this memory. Needs `PIN`.
    #[op(1)]
    #[errors(NotFound)]
    fn unpin(&mut self, pin: u64) -> Result<(), ObjectError>;

    /// Physical addresses of up to eight pages of pinned memory from page `first`
    /// on; 0 past the end. Needs `PIN`.
    #[op(2, idempotent)]
    #[errors(NotFound, OutOfRange)]
    fn addresses(&mut self, pin: u64, first: u64) -> Result<[u64; 8], ObjectError>;

    /// The device has been reset, or is gone: takes all pins away. Needs `CONTROL`.
    #[op(3, idempotent)]
    fn release_all(&mut self) -> Result<(), ObjectError>;

    /// How many pins there are. Needs `CONTROL`.
    #[op(4, idempotent)]
    fn pins(&mut self) -> Result<u64, ObjectError>;

    /// Makes zeroed memory of up to 16 pages whose frames follow one another, which
    /// the caller's task pays for. `NotFound` if nowhere so many are free together.
    /// Needs `PIN`.
    #[op(5)]
    #[errors(OutOfRange, NotFound, QuotaExceeded)]
    fn create_contiguous(&mut self, pages: u64) -> Result<MemoryClient, ObjectError>;
}
