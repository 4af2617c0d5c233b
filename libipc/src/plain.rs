//! The common way of a message: all that is known about it when it compiles is used
//! then, and what is left is a few moves around the system call. What passes no
//! capabilities, is not recorded and flagged as nothing out of the ordinary is served
//! here.

use crate::{
    FOREVER, arch,
    buffer::Buffer,
    capability,
    handle::Handle,
    incoming::{self, Request},
    label::{Flags, Label},
    lease::{Lease, LeaseMut},
    message::{self, Writer},
    message_buffer::{LeaseDescriptor, word},
    operation::Operation,
    registers::{CallIn, CallOut, WORDS},
    server::{Dispatch, LeaseId, Outcome, Outgoing, Reply},
    status::{Cause, Status},
    wire::{Malformed, Source},
};

/// A message that has just arrived: nothing has been called since, so what is not
/// in registers is still in the buffer.
pub(crate) struct Taken<'m> {
    words: &'m [u64; WORDS],
    label: Label,
    next: usize,
    capabilities: usize,
    next_capability: usize,
    next_lease: usize,
}

impl<'m> Taken<'m> {
    /// One with so many capabilities.
    #[inline(always)]
    pub(crate) fn new(label: Label, words: &'m [u64; WORDS], capabilities: usize) -> Taken<'m> {
        Taken {
            words,
            label,
            next: 0,
            capabilities,
            next_capability: 0,
            next_lease: 0,
        }
    }

    /// Deletes the capabilities that nobody took.
    #[inline(always)]
    pub(crate) fn discard(&mut self) {
        while let Ok(handle) = self.capability() {
            capability::delete(handle);
        }
    }

    #[inline(always)]
    fn far_lease(
        &mut self,
        allowed: impl Fn(LeaseDescriptor) -> bool,
    ) -> Result<(usize, usize), Malformed> {
        let (index, descriptor) = self.lease()?;
        let length = usize::try_from(descriptor.length).map_err(|_| Malformed)?;
        if allowed(descriptor) {
            Ok((index, length))
        } else {
            Err(Malformed)
        }
    }
}

impl Source for Taken<'_> {
    #[inline(always)]
    fn word(&mut self) -> Result<u64, Malformed> {
        let word = message::take_word(self.label, self.words, self.next)?;
        self.next += 1;
        Ok(word)
    }

    #[inline(always)]
    fn words(&mut self, into: &mut [u64]) -> Result<(), Malformed> {
        message::take_words(self.label, self.words, self.next, into)?;
        self.next += into.len();
        Ok(())
    }

    #[inline(always)]
    fn capability(&mut self) -> Result<Handle, Malformed> {
        let index = self.next_capability;
        if index == self.capabilities {
            return Err(Malformed);
        }
        self.next_capability += 1;
        Ok(Handle(Buffer::current().get(word::CAPABILITIES + index)))
    }

    #[inline(always)]
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        let index = self.next_lease;
        if index >= self.label.leases() {
            return Err(Malformed);
        }
        self.next_lease += 1;
        Ok((index, Buffer::current().lease(index)))
    }
}

impl<'r> Request<'r> for Taken<'_> {
    #[inline(always)]
    fn take_lease(&mut self) -> Result<Lease<'r>, Malformed> {
        let (index, length) = self.far_lease(Lease::allowed)?;
        Ok(Lease::far(Handle::REQUEST, index, length))
    }
    #[inline(always)]
    fn take_lease_mut(&mut self) -> Result<LeaseMut<'r>, Malformed> {
        let (index, length) = self.far_lease(LeaseMut::allowed)?;
        Ok(LeaseMut::far(Handle::REQUEST, index, length))
    }
    #[inline(always)]
    fn lease_id(&mut self, writable: bool) -> Result<LeaseId, Malformed> {
        let allowed = |descriptor| {
            if writable {
                LeaseMut::allowed(descriptor)
            } else {
                Lease::allowed(descriptor)
            }
        };
        let (index, length) = self.far_lease(allowed)?;
        Ok(LeaseId::new(index, length, writable))
    }
    fn defer<T, E>(&mut self) -> Result<Reply<T, E>, Cause> {
        incoming::keep()
    }
}

/// Whether an output is the result of the operation.
#[inline(always)]
pub(crate) fn is_result(output: &CallOut, operation: &Operation) -> bool {
    let may_be_longer = usize::from(operation.reply_words) > WORDS;
    let ignored = if may_be_longer { Label::BYTES } else { 0 };
    let capabilities = operation.reply_capabilities.into();
    let expected = Label::call(Label::OK, 0).with_capabilities(capabilities);
    // Both at once. Half of the label, with its sign, as riscv64 has it.
    let half = |word: u64| word as u32 as i32 as u64;
    let label = half(output.label.0 & !ignored) ^ half(expected.0);
    (output.status ^ Status::Message.to_word()) | label == 0
}

/// A copy for what is out of the ordinary, so that the original need not be in
/// memory.
#[inline(always)]
pub(crate) fn apart(output: &CallOut) -> CallOut {
    // Word by word, so that no call of `memcpy` is made of it.
    let [a, b, c, d, e, f, g, h] = output.words;
    CallOut {
        words: [a, b, c, d, e, f, g, h],
        ..*output
    }
}

/// Receives with `first`, then serves plain requests until something else comes,
/// which is returned.
#[inline(always)]
pub(crate) fn serve<D: Dispatch + ?Sized>(first: &CallIn, server: &mut D) -> CallOut {
    let handle = first.handle;
    let mut output = arch::trap(first);
    const ANSWER: Flags = Flags::RECEIVE.union(Flags::REPLY);
    loop {
        let recorded = const { D::INTERFACE.recorded() };
        let label = output.label;
        let number = label.operation();
        let is_recorded = recorded[usize::from(number) / 64] >> (number % 64) & 1 != 0;
        // No capability, no flag, and this very interface.
        let rest = label.0 & !(0xff | Label::BYTES | Label::LEASES);
        let expected = Label::call(0, D::INTERFACE.hash).0;
        if output.status != Status::Message.to_word() || is_recorded || rest != expected {
            return apart(&output);
        }
        let mut answer = Outgoing(Writer::new(handle, Label::control(ANSWER, Label::OK)));
        let mut request = Taken::new(label, &output.words, 0);
        let result = server.dispatch(number, &mut request, &mut answer);
        let answer = &mut answer.0;
        let mut words = [0; WORDS];
        let label = match result {
            Ok(Outcome::Answered(Ok(()))) => {
                if answer.finish().is_err() {
                    // Its type says that it is shorter than it is.
                    answer.shape.discard();
                    Label::control(ANSWER, Cause::Malformed as u8)
                } else if answer.shape.moves() {
                    // Whether capabilities arrived must be known.
                    answer.input.label = answer.input.label.with_flags(Flags::REPLY);
                    answer.input.handle = Handle::NULL;
                    if arch::trap(&answer.input).status != Status::Message.to_word() {
                        answer.shape.discard();
                    }
                    Label::control(Flags::RECEIVE, 0)
                } else {
                    words = answer.input.words;
                    answer.input.label
                }
            }
            Ok(Outcome::Answered(Err(code))) => {
                words[0] = code;
                Label::control(ANSWER, Label::SERVER_ERROR)
            }
            Err(cause @ (Cause::Malformed | Cause::VersionMismatch)) => {
                Label::control(ANSWER, cause as u8)
            }
            // It is answered later, or as `Dropped` now.
            Ok(Outcome::Deferred) | Err(_) => Label::control(Flags::RECEIVE, 0),
        };
        output = arch::trap(&CallIn {
            handle,
            label,
            words,
            deadline: FOREVER,
            request: Handle::NULL,
        });
    }
}
