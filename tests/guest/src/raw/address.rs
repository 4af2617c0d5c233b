//! Operations that use the caller's memory by address, as a hostile program
//! calls them: with any address. A case names addresses that its Rust code does
//! not use, or the memory of another task.

use libipc::{
    CallError,
    objects::{
        EndpointClient, MemoryClient, ObjectError, ReplyClient, SystemClient, TaskClient,
        ThreadClient,
    },
};

type Answer<T> = Result<T, CallError<ObjectError>>;

/// Placing memory and threads, in whatever task.
pub(crate) trait PlaceAt {
    /// `map`.
    fn map_at(
        &self,
        memory: &MemoryClient,
        address: u64,
        offset: u64,
        pages: u64,
        access: u64,
    ) -> Answer<()>;
    /// `unmap`.
    fn unmap_at(&self, address: u64, pages: u64) -> Answer<()>;
    /// `protect`.
    fn protect_at(&self, address: u64, pages: u64, access: u64) -> Answer<()>;
    /// `create_thread`.
    fn thread_at(
        &self,
        entry: u64,
        stack: u64,
        start: u64,
        argument: u64,
        priority: u64,
    ) -> Answer<ThreadClient>;
    /// `start_thread`, with a signal.
    fn start_at(
        &self,
        entry: u64,
        stack: u64,
        argument: u64,
        priority: u64,
        watcher: &EndpointClient,
    ) -> Answer<u64>;
    /// `peek`.
    fn peek_to(&self, address: u64, into: u64, length: u64) -> Answer<()>;
}

impl PlaceAt for TaskClient {
    fn map_at(
        &self,
        memory: &MemoryClient,
        address: u64,
        offset: u64,
        pages: u64,
        access: u64,
    ) -> Answer<()> {
        // SAFETY: a case keeps to the rule above, here and below.
        unsafe { self.map(memory, address, offset, pages, access) }
    }
    fn unmap_at(&self, address: u64, pages: u64) -> Answer<()> {
        // SAFETY: as above.
        unsafe { self.unmap(address, pages) }
    }
    fn protect_at(&self, address: u64, pages: u64, access: u64) -> Answer<()> {
        // SAFETY: as above.
        unsafe { self.protect(address, pages, access) }
    }
    fn thread_at(
        &self,
        entry: u64,
        stack: u64,
        start: u64,
        argument: u64,
        priority: u64,
    ) -> Answer<ThreadClient> {
        // SAFETY: as above; the thread is of another task, or never resumed.
        unsafe { self.create_thread(entry, stack, start, argument, priority) }
    }
    fn start_at(
        &self,
        entry: u64,
        stack: u64,
        argument: u64,
        priority: u64,
        watcher: &EndpointClient,
    ) -> Answer<u64> {
        // SAFETY: as above; the thread is of another task.
        unsafe { self.start_thread(entry, stack, argument, priority, watcher, 1) }
    }
    fn peek_to(&self, address: u64, into: u64, length: u64) -> Answer<()> {
        // SAFETY: as above.
        unsafe { self.peek(address, into, length) }
    }
}

/// Copying to an address.
pub(crate) trait ReadTo<const ARGUMENTS: usize> {
    /// `read`: what to read, then address and length.
    fn read_to(&self, what: [u64; ARGUMENTS], into: u64, length: u64) -> Answer<()>;
}

impl ReadTo<1> for MemoryClient {
    fn read_to(&self, [offset]: [u64; 1], into: u64, length: u64) -> Answer<()> {
        // SAFETY: as above.
        unsafe { self.read(offset, into, length) }
    }
}

impl ReadTo<2> for ReplyClient {
    fn read_to(&self, [lease, offset]: [u64; 2], into: u64, length: u64) -> Answer<()> {
        // SAFETY: as above.
        unsafe { self.read(lease, offset, into, length) }
    }
}

/// `read_log` to an address.
pub(crate) fn read_log_to(
    system: &SystemClient,
    from: u64,
    into: u64,
    length: u64,
) -> Answer<(u64, u64)> {
    // SAFETY: as above.
    unsafe { system.read_log(from, into, length) }
}
