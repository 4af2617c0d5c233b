//! What the benchmarks ask a driver.

use libipc::{ErrorCode, interface};

/// Why [`Driver`] refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum DriverError {
    /// No interrupt has come since it was last asked.
    Nothing = 1,
}

impl core::fmt::Display for DriverError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no interrupt has come")
    }
}

/// A driver that does nothing but note when it was woken.
#[interface]
pub trait Driver {
    /// The counter when its handler began, the last time.
    #[op(0)]
    fn woken(&mut self) -> Result<u64, DriverError>;
}
