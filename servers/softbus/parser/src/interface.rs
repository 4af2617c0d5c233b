//! What the soft bus asks of whoever reads what a device says.

use libipc::{Bytes, ErrorCode, Lease, LeaseMut, interface};
use tessera_softbus_protocol::announce::HELLO;

use crate::small::{Datagram, Said};

/// Most bytes of records in one call.
pub const BATCH: usize = 24 << 10;
/// Most records in one call.
pub const RECORDS: usize = 32;
/// Most bytes of a message of pairing.
pub const SAID: usize = 64;

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ParserError {
    /// The bytes mean nothing.
    Malformed = 1,
    /// More than is read at once.
    TooLong = 2,
    /// The lease is memory that cannot be used.
    BadMemory = 3,
}

/// Reads. Nothing is remembered from one call to the next.
#[interface]
pub trait BusParser {
    /// Reads messages of a session, which are records (see
    /// [`tessera_softbus_protocol::records`]), and writes a [`crate::Form`] of each to
    /// `forms`, as far as they are messages: how many. `TooLong`, `BadMemory`.
    #[op(0, idempotent)]
    fn messages(&mut self, plain: Lease, forms: LeaseMut) -> Result<u64, ParserError>;

    /// Reads a message of pairing. `Malformed`.
    #[op(1, idempotent)]
    fn said(&mut self, bytes: Bytes<SAID>) -> Result<Said, ParserError>;

    /// Reads a datagram. `Malformed`.
    #[op(2, idempotent)]
    fn datagram(&mut self, bytes: Bytes<HELLO>) -> Result<Datagram, ParserError>;
}
