//! The endings that each of the five system calls can have: the promise to which
//! the conformance suite holds the kernel.
//!
//! Those of a kernel object's operation stand at its declaration in
//! [`crate::objects`].

use crate::{
    label::Flags,
    status::{Cause, Status, TransportError},
};

/// One of the five system calls.
#[derive(Clone, Copy, Debug)]
pub struct SystemCall {
    /// What it is called.
    pub name: &'static str,
    /// The flags of its label.
    pub flags: Flags,
    /// Every status with which it can end.
    pub endings: &'static [Status],
}

/// The call did not run.
const fn no(cause: Cause) -> Status {
    Status::Error(TransportError::refused(cause))
}

/// The call may have run.
const fn yes(cause: Cause) -> Status {
    Status::Error(TransportError::delivered(cause))
}

/// All five. What a holder of the right `PROXY` makes of a call besides is in
/// [`by_a_proxy`].
pub const SYSTEM_CALLS: [SystemCall; 5] = [
    SystemCall {
        name: "call",
        flags: Flags::empty(),
        endings: &[
            Status::Message,
            no(Cause::Denied),
            no(Cause::FarOnly),
            no(Cause::Deadlock),
            no(Cause::Died),
            yes(Cause::Died),
            yes(Cause::Dropped),
            no(Cause::TimedOut),
            yes(Cause::TimedOut),
            no(Cause::Cancelled),
            yes(Cause::Cancelled),
            no(Cause::Revoked),
            no(Cause::VersionMismatch),
            no(Cause::QuotaExceeded),
            // The answer's capabilities found no room.
            yes(Cause::QuotaExceeded),
            no(Cause::LeaseFault),
            no(Cause::Malformed),
        ],
    },
    SystemCall {
        name: "receive",
        flags: Flags::RECEIVE,
        endings: &[
            Status::Message,
            Status::Signals,
            Status::Closed,
            no(Cause::Denied),
            no(Cause::Died),
            no(Cause::TimedOut),
            no(Cause::Cancelled),
            no(Cause::Revoked),
        ],
    },
    SystemCall {
        name: "reply",
        flags: Flags::REPLY,
        endings: &[
            Status::Message,
            no(Cause::Denied),
            no(Cause::Cancelled),
            no(Cause::Malformed),
        ],
    },
    SystemCall {
        name: "reply_receive",
        flags: Flags::REPLY.union(Flags::RECEIVE),
        endings: &[
            Status::Message,
            Status::Signals,
            Status::Closed,
            no(Cause::Denied),
            no(Cause::Died),
            no(Cause::TimedOut),
            no(Cause::Cancelled),
            no(Cause::Revoked),
            no(Cause::Malformed),
        ],
    },
    SystemCall {
        name: "signal",
        flags: Flags::SIGNAL,
        endings: &[Status::Message, no(Cause::Denied), no(Cause::Died)],
    },
];

/// Whether a proxy's answer can end a call so: with any cause, delivered or not,
/// but that what was not understood did not run.
pub const fn by_a_proxy(error: TransportError) -> bool {
    !(error.delivered && matches!(error.cause, Cause::Malformed | Cause::VersionMismatch))
}
