//! Messages between threads.
//!
//! Follow one through: [`call`] finds or awaits a receiver; [`deliver`] carries
//! the message over, with [`transfer`] for its capabilities; [`receive`] is the
//! server's side; [`lease`] copies what was lent; [`reply`] answers; [`end`]
//! holds every other way in which a wait ends, so that nobody is left hanging, and
//! [`waits`] goes through the lines of those who wait, step by step.
//! [`fast`] does the same in one pass where nothing is out of the ordinary.
//! [`signal`] and [`session`] are what endpoints do besides.

pub mod call;
pub mod deliver;
pub mod end;
pub mod fast;
pub mod lease;
pub mod receive;
pub mod reply;
pub mod session;
pub mod signal;
pub mod transfer;
pub mod waits;

use libipc_abi::{
    label::Label,
    registers::{CallOut, WORDS},
    status::{Cause, Status, TransportError},
};

/// What a system call came to.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is over, and this is the result.
    Done(CallOut),
    /// It is over, and the result is in its registers.
    Delivered,
    /// The thread waits; the result will be written to its registers.
    Blocked,
    /// Something else waits. The registers say what is left to do.
    Retry,
}

/// A result without a message.
pub fn plain(status: Status) -> CallOut {
    CallOut {
        status: status.to_word(),
        label: Label(0),
        words: [0; WORDS],
        badge: 0,
        request_id: 0,
    }
}

/// The result of a call that did not run.
pub fn refused(cause: Cause) -> CallOut {
    plain(Status::Error(TransportError::refused(cause)))
}
