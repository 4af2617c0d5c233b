//! The message of a call on a kernel object, as a source of arguments and a
//! sink for results.

use super::INTERFACES;
use crate::{
    Entered,
    arch::{Arch, Port},
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
    status::Status,
    wire::{Malformed, Sink, Source},
};

/// Arguments for a kernel object fit into registers; results may go on in the
/// buffer.
const _: () = {
    let mut index = 0;
    while index < INTERFACES.len() {
        let operations = INTERFACES[index].operations;
        let mut number = 0;
        while number < operations.len() {
            let operation = &operations[number];
            assert!(operation.request_words as usize <= WORDS);
            assert!(operation.reply_words as usize <= WORDS + BYTES / 8);
            number += 1;
        }
        index += 1;
    }
};

/// The arguments.
pub(super) struct Request<'k> {
    words: &'k [u64; WORDS],
    buffer: &'k Words,
    word: usize,
    capability: usize,
    capabilities: usize,
}

impl<'k> Request<'k> {
    /// The message of a call that [`acceptable`] was asked about.
    pub(super) fn new(k: Entered<'k>, thread: &Thread, call: &'k CallIn) -> Self {
        Request {
            words: &call.words,
            buffer: thread.buffer(k),
            word: 0,
            capability: 0,
            capabilities: call.label.capabilities(),
        }
    }
}

/// Whether a kernel object takes such a message: it takes no leases.
pub(super) fn acceptable(label: Label) -> bool {
    well_formed(label) && label.leases() == 0
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
    words: [u64; WORDS],
    buffer: &'k Words,
    count: usize,
    capabilities: usize,
}

impl<'k> Answer<'k> {
    /// An empty answer to a call of this thread.
    pub(super) fn new(k: Entered<'k>, thread: &Thread) -> Self {
        Answer {
            words: [0; WORDS],
            buffer: thread.buffer(k),
            count: 0,
            capabilities: 0,
        }
    }

    /// Capabilities that the caller is willing to receive.
    pub(super) fn open(&self) -> u64 {
        self.buffer[word::OPEN].load(Relaxed)
    }

    /// Writes the caller's registers.
    pub(super) fn deliver(self, caller: &Thread) {
        let out = CallOut {
            label: Label(Label::OK.into())
                .with_bytes(self.count.saturating_sub(WORDS) * 8)
                .with_capabilities(self.capabilities),
            words: self.words,
            ..plain(Status::Message)
        };
        Port::call_out(&caller.context, &out);
    }
}

impl Sink for Answer<'_> {
    /// Words that do not fit into registers go to the buffer.
    fn word(&mut self, word: u64) {
        match self.words.get_mut(self.count) {
            Some(place) => *place = word,
            // Checked above for all results: none is so long that it starts anew.
            None => {
                let place = (word::BYTES + self.count - WORDS) % self.buffer.len();
                self.buffer[place].store(word, Relaxed);
            }
        }
        self.count += 1;
    }

    fn capability(&mut self, handle: Handle, _copy: bool) {
        if self.capabilities < CAPABILITIES {
            self.buffer[word::CAPABILITIES + self.capabilities].store(handle.0, Relaxed);
            self.capabilities += 1;
        }
    }

    fn lease(&mut self, _lease: LeaseDescriptor) {}
}
