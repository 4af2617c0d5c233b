//! What the server asks of a disk.

use libipc::{
    interfaces::block::{BlockAction, BlockError, Geometry},
    objects::MemoryClient,
    start::AnyError,
};

/// A part of a disk and what is to happen to it. It was checked: the sectors are
/// there, the range is in the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What happens.
    pub action: BlockAction,
    /// First sector.
    pub sector: u64,
    /// How many sectors; none for a flush.
    pub count: u64,
    /// Where in the memory the bytes begin.
    pub offset: u64,
}

/// A disk that serves many requests at a time.
pub trait Disk {
    /// What it knows memory by.
    type Memory;

    /// What it is like.
    fn geometry(&self) -> Geometry;

    /// Lets it reach memory; also returns how many bytes that has.
    fn register(&mut self, memory: MemoryClient) -> Result<(Self::Memory, u64), BlockError>;

    /// Ends that. No request that uses the memory is under way.
    fn unregister(&mut self, memory: Self::Memory);

    /// Takes a request, to be known as `number`, which no other one under way has;
    /// `false` if there is no room now. A flush has no memory.
    fn take(&mut self, number: usize, transfer: Transfer, memory: Option<&Self::Memory>) -> bool;

    /// Begins what was taken. Whether something has ended already, and no signal will
    /// tell. A disk that fails to begin is served no more.
    fn begin(&mut self) -> Result<bool, AnyError>;

    /// A request that has ended, and how.
    fn ended(&mut self) -> Option<(usize, Result<(), BlockError>)>;
}
