//! `Consent`: the owner is asked, on a prompt that no client can draw.

use super::*;

/// Why the owner was not asked. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ConsentError {
    /// The page does not let the caller ask.
    NotPermitted = 1,
    /// Too many questions wait for an answer.
    Busy = 2,
    /// The question is empty.
    Empty = 3,
}

describe!(ConsentError {
    NotPermitted => "not allowed to ask the owner",
    Busy => "too many questions wait for the owner",
    Empty => "there is no question",
});

/// Asks whoever sits in front of the device. A caller who waits no longer has no answer,
/// and the question goes.
#[interface]
pub trait Consent {
    /// Whether the owner says yes. `NotPermitted`, `Busy`, `Empty`.
    #[op(0)]
    #[deferred]
    fn ask(&mut self, question: Text<200>) -> Result<bool, ConsentError>;
}
