//! Arguments and results of calls to the fake kernel's objects.

use crate::{
    buffer::Buffer,
    handle::Handle,
    message_buffer::{CAPABILITIES, LeaseDescriptor, word},
    registers::{CallIn, WORDS},
    wire::{Malformed, Sink, Source},
};

/// A request's arguments, in the calling thread's registers and buffer.
pub(super) struct Request<'i> {
    pub(super) input: &'i CallIn,
    pub(super) next: usize,
    pub(super) capabilities: usize,
}

impl Source for Request<'_> {
    fn word(&mut self) -> Result<u64, Malformed> {
        let index = self.next;
        self.next += 1;
        match self.input.words.get(index) {
            Some(word) => Ok(*word),
            None if index - WORDS < self.input.label.bytes() / 8 => {
                Ok(Buffer::current().get(word::BYTES + index - WORDS))
            }
            None => Err(Malformed),
        }
    }
    fn capability(&mut self) -> Result<Handle, Malformed> {
        if self.capabilities == self.input.label.capabilities().min(CAPABILITIES) {
            return Err(Malformed);
        }
        self.capabilities += 1;
        let slot = word::CAPABILITIES + self.capabilities - 1;
        Ok(Handle(Buffer::current().get(slot)))
    }
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        Err(Malformed)
    }
}

/// A result, into the calling thread's registers and buffer.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) words: [u64; WORDS],
    pub(super) count: usize,
    pub(super) capabilities: usize,
}

impl Sink for Reply {
    fn word(&mut self, word: u64) {
        match self.words.get_mut(self.count) {
            Some(room) => *room = word,
            None => Buffer::current().set(word::BYTES + self.count - WORDS, word),
        }
        self.count += 1;
    }
    fn capability(&mut self, handle: Handle, _: bool) {
        Buffer::current().set(word::CAPABILITIES + self.capabilities, handle.0);
        self.capabilities += 1;
    }
    fn lease(&mut self, _: LeaseDescriptor) {}
}
