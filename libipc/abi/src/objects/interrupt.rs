//! `Interrupt`: a device interrupt line.

use super::*;

/// A device interrupt line. It is masked when it arrives and stays so until it
/// is acknowledged.
#[interface]
pub trait Interrupt {
    /// Names the endpoint whose signal bits `signals` are set when the
    /// interrupt arrives, and unmasks it. Needs `BIND`, and `SIGNAL` on the
    /// endpoint.
    #[op(0)]
    #[errors(Died)]
    fn bind(&mut self, endpoint: &EndpointClient, signals: u64) -> Result<(), ObjectError>;

    /// Unmasks the line after the device was served. Needs `BIND`.
    #[op(1, idempotent)]
    #[errors(WrongState)]
    fn acknowledge(&mut self) -> Result<(), ObjectError>;

    /// Masks the line and forgets the endpoint. Needs `BIND`.
    #[op(2, idempotent)]
    fn unbind(&mut self) -> Result<(), ObjectError>;
}
