//! `Ping`: whether somebody is there.

use super::*;

/// An answer to an echo request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct PingAnswer {
    /// Who answers.
    pub source: IpAddress,
    /// The number that the request had.
    pub sequence: u16,
    /// Bytes of its data.
    pub length: u64,
}

/// ICMP echo, of the version that the address is of.
#[interface]
pub trait Ping {
    /// Asks for an echo of `data`. `WouldBlock`, `TooLarge`, `BadAddress`,
    /// `Unreachable`, `BadMemory`.
    #[op(0)]
    fn request(&mut self, to: IpAddress, sequence: u16, data: Lease) -> Result<(), NetError>;

    /// Waits for an answer, whose data are put into `into`. `TooLarge`, `Busy`,
    /// `BadMemory`.
    #[op(1)]
    #[deferred]
    fn answer(&mut self, into: LeaseMut) -> Result<PingAnswer, NetError>;

    /// Takes an answer that is there. Errors as of `answer`; `WouldBlock`.
    #[op(2)]
    fn try_answer(&mut self, into: LeaseMut) -> Result<PingAnswer, NetError>;
}
