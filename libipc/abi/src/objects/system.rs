//! `System`: machine-wide functions, split by right.

use super::*;

/// Machine-wide functions.
#[interface]
pub trait System {
    /// Stops the machine. Needs `SHUTDOWN`.
    #[op(0)]
    fn shutdown(&mut self, how: Shutdown) -> Result<(), ObjectError>;

    /// Machine-wide numbers. Needs `COUNTERS`.
    #[op(1, idempotent)]
    fn counters(&mut self) -> Result<Counters, ObjectError>;

    /// Copies log text from byte position `from` on into the caller's memory at
    /// `into`, at most `length` bytes. Returns the position of the first byte
    /// copied (older ones may be gone) and the number copied. Needs `LOG`.
    ///
    /// # Safety
    ///
    /// The caller's own memory of `length` bytes at `into` is free to be written.
    #[op(2, idempotent)]
    #[errors(LeaseFault)]
    unsafe fn read_log(
        &mut self,
        from: u64,
        into: u64,
        length: u64,
    ) -> Result<(u64, u64), ObjectError>;

    /// Appends text of the caller's memory to the log. Needs `LOG`.
    #[op(3)]
    #[errors(OutOfRange, LeaseFault)]
    fn write_log(&mut self, from: u64, length: u64) -> Result<(), ObjectError>;

    /// Names the endpoint whose signal bits `signals` are set when the log
    /// grows. Needs `LOG`.
    #[op(4)]
    #[errors(Died)]
    fn bind_log(&mut self, endpoint: &EndpointClient, signals: u64) -> Result<(), ObjectError>;

    /// The kernel stops printing to the early console, for good or until it
    /// must report its own end. Needs `LOG`.
    #[op(5)]
    fn release_console(&mut self) -> Result<(), ObjectError>;

    /// Memory for the registers of a device: `pages` from physical `address`
    /// on, outside RAM. Needs `DEVICES`.
    #[op(6)]
    #[errors(BadAddress, OutOfRange, QuotaExceeded)]
    fn device_memory(&mut self, address: u64, pages: u64) -> Result<MemoryClient, ObjectError>;

    /// The interrupt line with the number that the device tree gives it: for
    /// GIC the interrupt id, for PLIC the source. Needs `DEVICES`.
    #[op(7)]
    #[errors(Overlap, NotFound, QuotaExceeded)]
    fn interrupt(&mut self, line: u64) -> Result<InterruptClient, ObjectError>;

    /// Processor time: `budget` counter ticks in each `period` of them, for no
    /// thread yet. `BadArgument` if the budget is zero or more than the period,
    /// or the period less than a ten-thousandth of a second. Who gives time out
    /// sees to it that there is so much. Needs `TIME`.
    #[op(8)]
    #[errors(BadArgument, QuotaExceeded)]
    fn create_reservation(
        &mut self,
        budget: u64,
        period: u64,
    ) -> Result<ReservationClient, ObjectError>;

    /// What a device may reach: no memory yet. The caller's task pays. Needs
    /// `DEVICES`, as who programs a device reaches all memory with it.
    #[op(9)]
    #[errors(QuotaExceeded)]
    fn create_dma(&mut self) -> Result<DmaClient, ObjectError>;
}
