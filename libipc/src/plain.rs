//! Messages that fit in registers and carry nothing: all that is known about them
//! when they compile is used then, and what is left is a few moves around the
//! system call.

use crate::{
    FOREVER, arch,
    handle::Handle,
    incoming::{self, Request},
    label::{Flags, Label},
    lease::{Lease, LeaseMut},
    message_buffer::LeaseDescriptor,
    registers::{CallIn, CallOut, WORDS},
    server::{Dispatch, LeaseId, Outcome, Reply},
    status::{Cause, Status},
    wire::{Malformed, Sink, Source},
};

/// The words of a message, being written.
#[derive(Default)]
pub(crate) struct Words {
    words: [u64; WORDS],
    count: usize,
    /// Something does not fit.
    overflow: bool,
}

impl Sink for Words {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        if self.count < WORDS {
            self.words[self.count] = word;
            self.count += 1;
        } else {
            self.overflow = true;
        }
    }
    #[inline(always)]
    fn capability(&mut self, _: Handle, _: bool) {
        self.overflow = true;
    }
    #[inline(always)]
    fn lease(&mut self, _: LeaseDescriptor) {
        self.overflow = true;
    }
}

/// The words of a message, being read.
pub(crate) struct Taken<'m> {
    words: &'m [u64; WORDS],
    next: usize,
}

impl<'m> Taken<'m> {
    #[inline(always)]
    pub(crate) fn new(words: &'m [u64; WORDS]) -> Taken<'m> {
        Taken { words, next: 0 }
    }
}

impl Source for Taken<'_> {
    #[inline(always)]
    fn word(&mut self) -> Result<u64, Malformed> {
        let word = self.words.get(self.next).copied();
        self.next += 1;
        word.ok_or(Malformed)
    }
    #[inline(always)]
    fn capability(&mut self) -> Result<Handle, Malformed> {
        Err(Malformed)
    }
    #[inline(always)]
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        Err(Malformed)
    }
}

impl<'r> Request<'r> for Taken<'_> {
    #[inline(always)]
    fn take_lease(&mut self) -> Result<Lease<'r>, Malformed> {
        Err(Malformed)
    }
    #[inline(always)]
    fn take_lease_mut(&mut self) -> Result<LeaseMut<'r>, Malformed> {
        Err(Malformed)
    }
    #[inline(always)]
    fn lease_id(&mut self, _: bool) -> Result<LeaseId, Malformed> {
        Err(Malformed)
    }
    fn defer<T, E>(&mut self) -> Result<Reply<T, E>, Cause> {
        incoming::keep()
    }
}

/// Whether an output is a message that carries nothing but registers.
#[inline(always)]
pub(crate) fn is_plain(output: &CallOut) -> bool {
    output.status == Status::Message.to_word() && output.label.0 & Label::MIDDLE == 0
}

/// A copy for what is out of the ordinary, so that the original need not be in
/// memory.
#[cold]
#[inline(always)]
fn apart(output: &CallOut) -> CallOut {
    CallOut {
        words: core::array::from_fn(|index| output.words[index]),
        ..*output
    }
}

/// Receives with `first`, then serves plain requests until something else comes,
/// which is returned.
#[inline(always)]
pub(crate) fn serve<D: Dispatch + ?Sized>(first: &CallIn, server: &mut D) -> CallOut {
    let handle = first.handle;
    let mut output = arch::trap(first);
    loop {
        let plain = const { D::INTERFACE.plain() };
        let number = output.label.operation();
        let is_here = plain[usize::from(number) / 64] >> (number % 64) & 1 != 0;
        if !is_plain(&output) || !is_here || output.label.hash() != D::INTERFACE.hash {
            return apart(&output);
        }
        let mut answer = Words::default();
        let result = server.dispatch(number, &mut Taken::new(&output.words), &mut answer);
        const ANSWER: Flags = Flags::RECEIVE.union(Flags::REPLY);
        let nothing = [0; WORDS];
        let (flags, operation, words) = match result {
            Ok(Outcome::Answered(Ok(()))) if !answer.overflow => (ANSWER, Label::OK, answer.words),
            Ok(Outcome::Answered(Err(code))) => {
                let mut words = nothing;
                words[0] = code;
                (ANSWER, Label::SERVER_ERROR, words)
            }
            // A value whose type says that it is shorter than it is.
            Ok(Outcome::Answered(Ok(()))) => (ANSWER, Cause::Malformed as u8, nothing),
            Err(cause @ (Cause::Malformed | Cause::VersionMismatch)) => {
                (ANSWER, cause as u8, nothing)
            }
            // It is answered later, or as `Dropped` now.
            Ok(Outcome::Deferred) | Err(_) => (Flags::RECEIVE, 0, nothing),
        };
        output = arch::trap(&CallIn {
            handle,
            label: Label::control(flags, operation),
            words,
            deadline: FOREVER,
            request: Handle::NULL,
        });
    }
}
