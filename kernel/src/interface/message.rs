//! The message of a call on a kernel object, as a source of arguments and a
//! sink for results.

use super::INTERFACES;
use crate::{
    Entered,
    arch::{Arch, Port},
    ipc::call::well_formed,
    object::thread::Thread,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    buffer::{BYTES, CAPABILITIES, LeaseDescriptor, word},
    handle::Handle,
    label::Label,
    registers::WORDS,
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
    k: Entered<'k>,
    caller: &'k Thread,
    word: usize,
    capability: usize,
    capabilities: usize,
}

impl<'k> Request<'k> {
    /// The message of a call that [`acceptable`] was asked about.
    #[inline(always)]
    pub(super) fn new(k: Entered<'k>, caller: &'k Thread, label: Label) -> Self {
        Request {
            k,
            caller,
            word: 0,
            capability: 0,
            capabilities: label.capabilities(),
        }
    }
}

/// Whether a kernel object takes such a message: it takes no leases.
pub(super) fn acceptable(label: Label) -> bool {
    well_formed(label) && label.leases() == 0
}

impl Source for Request<'_> {
    #[inline(always)]
    fn word(&mut self) -> Result<u64, Malformed> {
        if self.word >= WORDS {
            return Err(Malformed);
        }
        let word = Port::word(&self.caller.context, self.word);
        self.word += 1;
        Ok(word)
    }

    #[inline(always)]
    fn capability(&mut self) -> Result<Handle, Malformed> {
        if self.capability >= self.capabilities {
            return Err(Malformed);
        }
        let buffer = self.caller.buffer(self.k);
        let handle = buffer[word::CAPABILITIES + self.capability].load(Relaxed);
        self.capability += 1;
        Ok(Handle(handle))
    }

    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        Err(Malformed)
    }
}

/// The results, which go to the caller's registers as they come.
pub(super) struct Answer<'k> {
    k: Entered<'k>,
    caller: &'k Thread,
    count: usize,
    capabilities: usize,
}

impl<'k> Answer<'k> {
    /// An empty answer to a call of this thread.
    #[inline(always)]
    pub(super) fn new(k: Entered<'k>, caller: &'k Thread) -> Self {
        Answer {
            k,
            caller,
            count: 0,
            capabilities: 0,
        }
    }

    /// Whether no word of it was written.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes what is left of the caller's registers.
    #[inline(always)]
    pub(super) fn deliver(&self) {
        let context = &self.caller.context;
        let label = Label(Label::OK.into())
            .with_bytes(self.count.saturating_sub(WORDS) * 8)
            .with_capabilities(self.capabilities);
        Port::object_out(context, label);
        // Most operations have no words for the caller.
        match self.count {
            0 => (0..WORDS).for_each(|index| Port::set_word(context, index, 0)),
            count => (count..WORDS).for_each(|index| Port::set_word(context, index, 0)),
        }
    }
}

impl Sink for Answer<'_> {
    /// As many as the caller is willing to receive.
    #[inline(always)]
    fn takes(&self, capabilities: u8) -> bool {
        let open = || self.caller.buffer(self.k)[word::OPEN].load(Relaxed);
        capabilities == 0 || open() >= u64::from(capabilities)
    }

    /// Words that do not fit into registers go to the buffer.
    #[inline(always)]
    fn word(&mut self, word: u64) {
        match self.count {
            0..WORDS => Port::set_word(&self.caller.context, self.count, word),
            // Checked above for all results: none is so long that it starts anew.
            _ => {
                let buffer = self.caller.buffer(self.k);
                let place = (word::BYTES + self.count - WORDS) % buffer.len();
                buffer[place].store(word, Relaxed);
            }
        }
        self.count += 1;
    }

    #[inline(always)]
    fn capability(&mut self, handle: Handle, _copy: bool) {
        if self.capabilities < CAPABILITIES {
            let place = word::CAPABILITIES + self.capabilities;
            self.caller.buffer(self.k)[place].store(handle.0, Relaxed);
            self.capabilities += 1;
        }
    }

    fn lease(&mut self, _lease: LeaseDescriptor) {}
}
