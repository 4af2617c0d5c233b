//! Calls that wait for bytes or for room.

use libipc::{
    interfaces::StreamError,
    server::{LeaseId, Reply},
};

/// A read that waits for bytes.
pub trait WaitingRead {
    /// Bytes that it takes at most.
    fn wanted(&self) -> usize;
    /// Copies bytes to the caller, at this offset.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StreamError>;
    /// Whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool;
    /// Ends the call: with the number of bytes that were put.
    fn answer(self, outcome: Result<u64, StreamError>);
}

/// A write that waits for room.
pub trait WaitingWrite {
    /// Bytes that it brings.
    fn offered(&self) -> usize;
    /// Copies bytes from the caller, from this offset on.
    fn get(&mut self, offset: usize, into: &mut [u8]) -> Result<(), StreamError>;
    /// Whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool;
    /// Ends the call: with the number of bytes that were taken.
    fn answer(self, outcome: Result<u64, StreamError>);
}

/// A `Stream::read` that waits.
#[derive(Debug)]
pub struct StreamRead {
    into: LeaseId,
    reply: Reply<u64, StreamError>,
}

impl StreamRead {
    /// As the interface hands it over.
    pub fn new(into: LeaseId, reply: Reply<u64, StreamError>) -> Self {
        StreamRead { into, reply }
    }
}

impl WaitingRead for StreamRead {
    fn wanted(&self) -> usize {
        self.into.len()
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StreamError> {
        let lease = self.reply.lease_mut(self.into);
        lease
            .and_then(|lease| lease.write_at(offset, bytes))
            .map_err(|_| StreamError::BadMemory)
    }

    fn is_cancelled(&self) -> bool {
        self.reply.cancelled()
    }

    fn answer(self, outcome: Result<u64, StreamError>) {
        self.reply.answer(outcome);
    }
}

/// A `Stream::write` that waits.
#[derive(Debug)]
pub struct StreamWrite {
    from: LeaseId,
    reply: Reply<u64, StreamError>,
}

impl StreamWrite {
    /// As the interface hands it over.
    pub fn new(from: LeaseId, reply: Reply<u64, StreamError>) -> Self {
        StreamWrite { from, reply }
    }
}

impl WaitingWrite for StreamWrite {
    fn offered(&self) -> usize {
        self.from.len()
    }

    fn get(&mut self, offset: usize, into: &mut [u8]) -> Result<(), StreamError> {
        let lease = self.reply.lease(self.from);
        lease
            .read_at(offset, into)
            .map_err(|_| StreamError::BadMemory)
    }

    fn is_cancelled(&self) -> bool {
        self.reply.cancelled()
    }

    fn answer(self, outcome: Result<u64, StreamError>) {
        self.reply.answer(outcome);
    }
}
