//! An interface with everything that an interface can have, for tests.

use libipc::{ErrorCode, Lease, LeaseMut, Text, Wire, objects::EndpointClient};

/// Why the notebook refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub(crate) enum NotebookError {
    /// There is no such page.
    NoSuchPage = 1,
    /// The caller's memory could not be used.
    BadMemory = 2,
    /// It could not make a capability.
    NoResources = 9,
}

impl core::fmt::Display for NotebookError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            NotebookError::NoSuchPage => "no such page",
            NotebookError::BadMemory => "memory cannot be used",
            NotebookError::NoResources => "no resources left",
        })
    }
}

/// What is known of the notebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub(crate) struct Cover {
    /// Whose it is.
    pub(crate) owner: Text<40>,
    /// The badge of the asking capability.
    pub(crate) badge: u64,
    /// Bytes in it.
    pub(crate) bytes: u32,
}

/// A notebook of one page.
#[libipc::interface]
pub(crate) trait Notebook {
    /// The cover.
    #[op(0, idempotent)]
    fn cover(&mut self) -> Result<Cover, NotebookError>;

    /// Replaces the text.
    #[op(1)]
    fn write(&mut self, from: Lease) -> Result<u64, NotebookError>;

    /// Copies the text from `offset` on.
    #[op(2, idempotent)]
    fn read(&mut self, offset: u64, into: LeaseMut) -> Result<u64, NotebookError>;

    /// Another capability for the notebook, with this badge.
    #[op(3)]
    fn open(&mut self, badge: u64) -> Result<NotebookClient, NotebookError>;

    /// Signals `keep` now, and `borrowed` now too; `keep` stays.
    #[op(4)]
    fn watch(
        &mut self,
        keep: EndpointClient,
        borrowed: &EndpointClient,
    ) -> Result<(), NotebookError>;

    /// Answers when somebody writes next, with the text.
    #[op(5)]
    #[deferred]
    fn changed(&mut self, into: LeaseMut) -> Result<u64, NotebookError>;

    /// Throws the requests that wait in `changed` away.
    #[op(7)]
    fn forget(&mut self) -> Result<(), NotebookError>;

    /// Sixty numbers after `first`.
    #[op(8, idempotent)]
    fn numbers(&mut self, first: i64) -> Result<[i64; 60], NotebookError>;

    /// Adds a line and returns how many there are; a repeat adds none.
    #[op(9, recorded)]
    fn add_line(&mut self, line: Lease) -> Result<u64, NotebookError>;

    /// The same, answering after `milliseconds`, and with more words than
    /// registers hold: all of them are the count.
    #[op(10, recorded)]
    fn add_slowly(&mut self, milliseconds: u64) -> Result<[u64; 20], NotebookError>;

    /// Panics.
    #[op(200)]
    fn tear(&mut self) -> Result<(), NotebookError>;
}
