//! What the supervisor does for holders of its capabilities: one interface for
//! each power of a system page, so that one can be held without the others.
//!
//! | name in the page | interface | what its holder may do |
//! |---|---|---|
//! | `start` | [`Start`], [`Program`] | start programs, look after them, kill them |
//! | `inspect` | [`Inspect`] | ask what runs and who waits for whom |
//! | `caps` | [`Caps`] | ask what authority each task holds |
//! | `kill-any` | [`KillAny`] | kill any task |
//!
//! Shutting down is no power of the supervisor but a right of the kernel's
//! `System` object, which a page gives under the name `shutdown`.
//!
//! Wherever an operation takes a `task`, it is a task's name or its number in
//! decimal, as [`Inspect::task`] tells them.

pub mod caps;
pub mod inspect;
pub mod kill_any;
pub mod program;
pub mod start;

pub use caps::{Caps, CapsClient, Holding, rights_in_words};
pub use inspect::{Inspect, InspectClient, Machine, TaskLine, TaskState, ThreadLine};
pub use kill_any::{KillAny, KillAnyClient};
pub use program::{Ended, Outcome, Program, ProgramClient};
pub use start::{Limits, Start, StartClient};

use crate::ErrorCode;
use crate::wire::Text;

/// Name of a task, an endpoint, an interface or an operation.
pub type Name = Text<32>;

/// Name of a capability as its holder finds it.
pub type CapabilityName = Text<{ libipc_abi::start::NAME }>;

/// Name of a program in the boot archive.
pub type ProgramName = Text<64>;

/// Why the supervisor refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum SupervisorError {
    /// There is no task, program or entry of this name, number or index.
    NotFound = 1,
    /// Several tasks have this name; only a number tells them apart.
    Ambiguous = 2,
    /// The system page does not let this caller grant that.
    NotGrantable = 3,
    /// The program has been started already, or has not been yet.
    WrongState = 4,
    /// The arguments are not text, or too long in all.
    BadArguments = 5,
    /// The name is empty, in use, or too long.
    BadName = 6,
    /// The program's file is damaged or no program for this machine.
    BadProgram = 7,
    /// The quota is too small for the program, or larger than what is left.
    Quota = 8,
    /// Too many programs, or too many capabilities for one.
    TooMany = 9,
    /// The kernel refused for a reason that should not arise.
    Internal = 10,
    /// The supervisor itself cannot be asked that.
    Supervisor = 11,
    /// A capability that was passed lacks a right that this needs.
    Right = 12,
    /// Who serves it is down: the machine has no such device, say.
    Down = 13,
}

impl core::fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SupervisorError::NotFound => "there is no such task or program",
            SupervisorError::Ambiguous => "several tasks have this name: use the number",
            SupervisorError::NotGrantable => "the system page does not let this shell grant that",
            SupervisorError::WrongState => "the program runs already, or does not run yet",
            SupervisorError::BadArguments => "the arguments are not text, or too long",
            SupervisorError::BadName => "the name is empty, in use or too long",
            SupervisorError::BadProgram => "the file is damaged or no program for this machine",
            SupervisorError::Quota => "there is not enough memory in the quota",
            SupervisorError::TooMany => "there are too many programs or capabilities",
            SupervisorError::Internal => "the kernel refused",
            SupervisorError::Supervisor => "the supervisor itself cannot be asked that",
            SupervisorError::Down => "who serves that is down (`ps` lists tasks, `log` says why)",
            SupervisorError::Right => "the capability that was passed lacks a right",
        })
    }
}

impl core::error::Error for SupervisorError {}
