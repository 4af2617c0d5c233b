//! `Start`: makes programs that are ready to run.

use super::{CapabilityName, ProgramClient, ProgramName, SupervisorError};
use crate::interfaces::loader::{NOTE, Plan};
use crate::wire::Bytes;
use crate::{Lease, Wire, interface};

/// Makes programs that are ready to run. Held by shells.
#[interface]
pub trait Start {
    /// Loads the program of this name from the boot archive. It begins at
    /// [`super::Program::run`], and until then can be given arguments and
    /// capabilities. `NotFound` unless the page lets shells start it.
    #[op(0)]
    fn load(
        &mut self,
        program: ProgramName,
        limits: Limits,
    ) -> Result<ProgramClient, SupervisorError>;

    /// Loads the program in `file` as `plan` says, which a
    /// [`crate::interfaces::loader::Loader`] proposed; it is checked here again.
    /// The program is called `name`.
    #[op(1)]
    fn load_file(
        &mut self,
        name: ProgramName,
        limits: Limits,
        plan: Plan,
        file: Lease,
    ) -> Result<ProgramClient, SupervisorError>;

    /// The note of a program in the boot archive, empty if it has none; see
    /// [`mod@crate::note`].
    #[op(2, idempotent)]
    fn note(&mut self, program: ProgramName) -> Result<Bytes<NOTE>, SupervisorError>;

    /// The program with this index, from 0 on, among those of the boot archive
    /// that may be started; `NotFound` past the last.
    #[op(3, idempotent)]
    fn program(&mut self, index: u64) -> Result<ProgramName, SupervisorError>;

    /// The name with this index, from 0 on, among those that this caller may
    /// grant to a program; `NotFound` past the last.
    #[op(4, idempotent)]
    fn grantable(&mut self, index: u64) -> Result<CapabilityName, SupervisorError>;
}

/// What a program may use, in bytes. Zero means what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Limits {
    /// All memory that it may cause to be used. It comes out of the quota of
    /// the task that starts it.
    pub quota: u64,
    /// Ceiling of its heap.
    pub heap: u64,
    /// Stack of its first thread.
    pub stack: u64,
}
