//! The message of a call on a kernel object, as a source of arguments and a
//! sink for results.

use super::INTERFACES;
use crate::{
    Entered,
    ipc::{call::well_formed, plain},
    memory::frames::Words,
    object::thread::Thread,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    buffer::{CAPABILITIES, LeaseDescriptor, word},
    handle::Handle,
    label::Label,
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status},
    wire::{Malformed, Sink, Source},
};

/// Most words of a result.
const RESULT: usize = {
    let (mut most, mut index) = (WORDS, 0);
    while index < INTERFACES.len() {
        let operations = INTERFACES[index].operations;
        let mut number = 0;
        while number < operations.len() {
            let operation = &operations[number];
            assert!(
                operation.request_words as usize <= WORDS,
                "arguments for a kernel object fit into registers"
            );
            if operation.reply_words as usize > most {
                most = operation.reply_words as usize;
            }
            number += 1;
        }
        index += 1;
    }
    most
};

/// The arguments.
pub(super) struct Request<'k> {
    words: [u64; WORDS],
    buffer: &'k Words,
    word: usize,
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
            capability: 0,
            capabilities: label.capabilities(),
        })
    }
}

impl Source for Request<'_> {
    fn word(&mut self) -> Result<u64, Malformed> {
        let word = self.words.get(self.word).ok_or(Malformed)?;
        self.word += 1;
        Ok(*word)
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
    words: [u64; RESULT],
    buffer: &'k Words,
    count: usize,
    capabilities: usize,
}

impl<'k> Answer<'k> {
    /// An empty answer to a call of this thread.
    pub(super) fn new(k: Entered<'k>, thread: &Thread) -> Self {
        Answer {
            words: [0; RESULT],
            buffer: thread.buffer(k),
            count: 0,
            capabilities: 0,
        }
    }

    /// Capabilities that the caller is willing to receive.
    pub(super) fn open(&self) -> u64 {
        self.buffer[word::OPEN].load(Relaxed)
    }

    /// The registers. Words that do not fit there go to the buffer.
    pub(super) fn finish(self) -> CallOut {
        let (first, others) = self.words.split_at(WORDS);
        let others = &others[..self.count.saturating_sub(WORDS)];
        for (place, word) in self.buffer[word::BYTES..].iter().zip(others) {
            place.store(*word, Relaxed);
        }
        let mut out = plain(Status::Message);
        out.words.copy_from_slice(first);
        out.label = Label(Label::OK.into())
            .with_bytes(others.len() * 8)
            .with_capabilities(self.capabilities);
        out
    }
}

impl Sink for Answer<'_> {
    fn word(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.count) {
            *place = word;
            self.count += 1;
        }
    }

    fn capability(&mut self, handle: Handle, _copy: bool) {
        if self.capabilities < CAPABILITIES {
            self.buffer[word::CAPABILITIES + self.capabilities].store(handle.0, Relaxed);
            self.capabilities += 1;
        }
    }

    fn lease(&mut self, _lease: LeaseDescriptor) {}
}
