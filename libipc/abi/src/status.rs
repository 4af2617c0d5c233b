//! How a system call ended.

use core::fmt;

/// Why a call did not end with its server's answer. The set is closed and the
/// numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// The handle is not valid, of the wrong type or lacks a right.
    Denied = 16,
    /// The capability demands that its server stands alone, and it does not.
    FarOnly = 17,
    /// The call could only be answered by somebody who waits for the caller.
    Deadlock = 18,
    /// The server, or its endpoint, is gone.
    Died = 19,
    /// The server threw the duty to answer away.
    Dropped = 20,
    /// The deadline passed.
    TimedOut = 21,
    /// Somebody cancelled the call.
    Cancelled = 22,
    /// The capability was taken back.
    Revoked = 23,
    /// The other device cannot be reached.
    Unreachable = 24,
    /// The other side restarted and has forgotten this client.
    EpochChanged = 25,
    /// The other side does not know the operation or the interface.
    VersionMismatch = 26,
    /// A quota, a table or a limit is exhausted.
    QuotaExceeded = 27,
    /// The memory that was lent, or named, cannot be read or written.
    LeaseFault = 28,
    /// The message is not what the operation expects.
    Malformed = 29,
}

impl Cause {
    /// All causes, in the order of their numbers, which are consecutive.
    pub const ALL: [Cause; 14] = [
        Cause::Denied,
        Cause::FarOnly,
        Cause::Deadlock,
        Cause::Died,
        Cause::Dropped,
        Cause::TimedOut,
        Cause::Cancelled,
        Cause::Revoked,
        Cause::Unreachable,
        Cause::EpochChanged,
        Cause::VersionMismatch,
        Cause::QuotaExceeded,
        Cause::LeaseFault,
        Cause::Malformed,
    ];

    /// The cause with this number.
    pub const fn from_bits(bits: u8) -> Option<Cause> {
        if bits < 16 || bits as usize - 16 >= Self::ALL.len() {
            return None;
        }
        Some(Self::ALL[bits as usize - 16])
    }
}

/// A call that did not end with its server's answer: a cause, and whether the
/// server may have run it.
///
/// ```
/// use libipc_abi::status::{Cause, TransportError};
/// let e = TransportError { cause: Cause::Died, delivered: true };
/// assert_eq!(e.to_string(), "the server is gone (the call may have run)");
/// # extern crate std; use std::string::ToString;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportError {
    /// Why.
    pub cause: Cause,
    /// `false` means that the call did not run.
    pub delivered: bool,
}

impl TransportError {
    /// An error of a call that did not run.
    pub const fn refused(cause: Cause) -> Self {
        TransportError {
            cause,
            delivered: false,
        }
    }

    /// An error of a call that a server had received.
    pub const fn delivered(cause: Cause) -> Self {
        TransportError {
            cause,
            delivered: true,
        }
    }

    /// Nobody serves the endpoint any more, and nobody will.
    pub fn is_closed(&self) -> bool {
        *self == TransportError::refused(Cause::Died)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Denied => {
                "not allowed: the capability is missing, of another type or lacks a right, or its owner says no"
            }
            Cause::FarOnly => "the capability demands a server that stands alone",
            Cause::Deadlock => "the server waits for this very caller",
            Cause::Died => "the server is gone",
            Cause::Dropped => "the server threw the request away",
            Cause::TimedOut => "the deadline passed",
            Cause::Cancelled => "the call was cancelled",
            Cause::Revoked => "the capability was taken back",
            Cause::Unreachable => "the other device cannot be reached",
            Cause::EpochChanged => "the other side restarted",
            Cause::VersionMismatch => "the other side does not know this operation",
            Cause::QuotaExceeded => "a quota or table is exhausted",
            Cause::LeaseFault => "memory that the call names cannot be read or written",
            Cause::Malformed => "the message is malformed",
        })?;
        if self.delivered {
            f.write_str(" (the call may have run)")
        } else {
            Ok(())
        }
    }
}

impl core::error::Error for TransportError {}

/// The first result register of every system call.
///
/// Bits 0 to 7 say what happened; bit 8 is `delivered` of a transport error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A message or a reply is in the registers.
    Message,
    /// Word 0 holds the endpoint's signal word, which is now zero.
    Signals,
    /// The last capability with this badge is gone.
    Closed,
    /// The call failed on the way.
    Error(TransportError),
}

impl Status {
    const DELIVERED: u64 = 1 << 8;

    /// The register's value.
    pub const fn to_word(self) -> u64 {
        match self {
            Status::Message => 0,
            Status::Signals => 1,
            Status::Closed => 2,
            Status::Error(e) => e.cause as u64 | if e.delivered { Self::DELIVERED } else { 0 },
        }
    }

    /// Reads the register's value; `None` for a word that no kernel makes.
    pub const fn from_word(word: u64) -> Option<Status> {
        match word {
            0 => Some(Status::Message),
            1 => Some(Status::Signals),
            2 => Some(Status::Closed),
            _ if word & !0x1ff != 0 => None,
            _ => match Cause::from_bits(word as u8) {
                Some(cause) => Some(Status::Error(TransportError {
                    cause,
                    delivered: word & Self::DELIVERED != 0,
                })),
                None => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_its_word() {
        let errors = Cause::ALL.iter().flat_map(|&cause| {
            [
                TransportError::refused(cause),
                TransportError::delivered(cause),
            ]
            .map(Status::Error)
        });
        for status in [Status::Message, Status::Signals, Status::Closed]
            .into_iter()
            .chain(errors)
        {
            assert_eq!(Status::from_word(status.to_word()), Some(status));
        }
        assert_eq!(
            (0..1 << 12)
                .filter(|&w| Status::from_word(w).is_some())
                .count(),
            3 + 28
        );
    }
}
