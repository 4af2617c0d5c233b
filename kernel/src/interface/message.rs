//! The message of a call on a kernel object, as a source of arguments and a
//! sink for results.

use crate::{
    Entered,
    ipc::{call::well_formed, plain},
    memory::frames::Words,
    object::thread::Thread,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    buffer::{BYTES, CAPABILITIES, LeaseDescriptor, word},
    handle::Handle,
    label::Label,
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status},
    wire::{Malformed, Sink, Source},
};

/// The arguments.
pub(super) struct Request<'k> {
    words: [u64; WORDS],
    buffer: &'k Words,
    word: usize,
    /// Words altogether.
    length: usize,
    capability: usize,
    capabilities: usize,
}

impl<'k> Request<'k> {
    /// The message of a call. Kernel objects take no leases.
    pub(super) fn new(k: Entered<'k>, thread: &Thread, call: &CallIn) -> Result<Self, Cause> {
        let label = call.label;
        if !well_formed(label) || label.leases() != 0 {
            return Err(Cause::Malformed);
        }
        Ok(Request {
            words: call.words,
            buffer: thread.buffer(k),
            word: 0,
            length: WORDS + label.bytes() / 8,
            capability: 0,
            capabilities: label.capabilities(),
        })
    }
}

impl Source for Request<'_> {
    fn word(&mut self) -> Result<u64, Malformed> {
        let index = self.word;
        if index >= self.length {
            return Err(Malformed);
        }
        self.word += 1;
        Ok(match self.words.get(index) {
            Some(word) => *word,
            None => self.buffer[word::BYTES + index - WORDS].load(Relaxed),
        })
    }

    fn capability(&mut self) -> Result<Handle, Malformed> {
        if self.capability >= self.capabilities {
            return Err(Malformed);
        }
        let handle = self.buffer[word::CAPABILITIES + self.capability].load(Relaxed);
        self.capability += 1;
        Ok(Handle(handle))
    }

    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        Err(Malformed)
    }
}

/// The results.
pub(super) struct Answer<'k> {
    out: CallOut,
    buffer: &'k Words,
    words: usize,
    capabilities: usize,
}

impl<'k> Answer<'k> {
    /// An empty answer to a call of this thread.
    pub(super) fn new(k: Entered<'k>, thread: &Thread) -> Self {
        Answer {
            out: plain(Status::Message),
            buffer: thread.buffer(k),
            words: 0,
            capabilities: 0,
        }
    }

    /// Capabilities that the caller is willing to receive.
    pub(super) fn open(&self) -> u64 {
        self.buffer[word::OPEN].load(Relaxed)
    }

    /// The registers.
    pub(super) fn finish(mut self) -> CallOut {
        self.out.label = Label(Label::OK.into())
            .with_bytes(self.words.saturating_sub(WORDS) * 8)
            .with_capabilities(self.capabilities);
        self.out
    }
}

impl Sink for Answer<'_> {
    fn word(&mut self, word: u64) {
        match self.out.words.get_mut(self.words) {
            Some(place) => *place = word,
            // Results are small, fixed types: they fit.
            None if self.words < WORDS + BYTES / 8 => {
                self.buffer[word::BYTES + self.words - WORDS].store(word, Relaxed);
            }
            None => return,
        }
        self.words += 1;
    }

    fn capability(&mut self, handle: Handle, _copy: bool) {
        if self.capabilities < CAPABILITIES {
            self.buffer[word::CAPABILITIES + self.capabilities].store(handle.0, Relaxed);
            self.capabilities += 1;
        }
    }

    fn lease(&mut self, _lease: LeaseDescriptor) {}
}
