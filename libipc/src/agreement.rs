//! How client and server of different builds find out whether they mean the
//! same: by the hashes of the operations used.
//!
//! A label carries the hash of the whole interface, and a server takes those of
//! its own earlier versions too. A client that is refused asks about the one
//! operation that it wanted, and from then on calls it by the server's hash.

use crate::{
    CallError,
    client::{self, Connection},
    objects::ObjectError,
    operation::{AGREE, Class, Interface, Operation},
    server::{Incoming, Outcome, Outgoing},
    status::{Cause, TransportError},
    wire::{Malformed, Sink, Source},
};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static AGREEMENT: Operation = Operation {
    number: AGREE,
    name: "agree",
    class: Class::Idempotent,
    request_words: 256,
    reply_words: 1,
    request_capabilities: 0,
    reply_capabilities: 0,
    leases: 0,
    deferred: false,
    hash: 0,
};

/// What a client knows of its server's version: the server's hash (low half),
/// and which of the first 32 operations may be called by it (high half). Zero
/// while nobody had to ask.
#[derive(Debug, Default)]
pub(crate) struct Agreement(AtomicU64);

impl Agreement {
    /// The hash by which to call the operation at `index`, if it is not the
    /// client's own.
    #[inline]
    pub(crate) fn hash(&self, index: usize) -> Option<u32> {
        let known = self.0.load(Relaxed);
        (known >> 32 & bit(index) != 0).then_some(known as u32)
    }

    /// Asks the server about these operations.
    pub(crate) fn ask(
        &self,
        connection: &Connection,
        interface: &'static Interface,
        operations: impl Iterator<Item = (usize, &'static Operation)> + Clone,
    ) -> Result<(), TransportError> {
        let count = operations.clone().count() as u64;
        let agreed = operations.clone().map(|(index, _)| bit(index));
        let agreed = agreed.fold(0, |all, bit| all | bit);
        let asked =
            operations.map(|(_, asked)| u64::from(asked.number) | u64::from(asked.hash) << 32);
        let words = core::iter::once(count).chain(asked);
        let answer = client::ask(connection, interface, &AGREEMENT, words);
        let hash: u32 = answer.map_err(|error: CallError<ObjectError>| {
            // A server has no error of its own to answer with.
            let malformed = TransportError::delivered(Cause::Malformed);
            error.transport().unwrap_or(malformed)
        })?;
        // What is known of another version is no longer true.
        let known = self.0.load(Relaxed);
        let kept = if known as u32 == hash { known >> 32 } else { 0 };
        self.0
            .store(u64::from(hash) | (kept | agreed) << 32, Relaxed);
        Ok(())
    }
}

impl Clone for Agreement {
    fn clone(&self) -> Self {
        Agreement(AtomicU64::new(self.0.load(Relaxed)))
    }
}

/// Operations from the 33rd on are asked about each time.
fn bit(index: usize) -> u64 {
    if index < 32 { 1 << index } else { 0 }
}

/// Answers [`AGREE`] for a server of `interface`.
#[cold]
#[inline(never)]
pub(crate) fn answer(
    interface: &Interface,
    mut request: Incoming<'_>,
    reply: &mut Outgoing,
) -> Result<Outcome, Cause> {
    for _ in 0..request.word()? {
        let asked = request.word()?;
        let number = u8::try_from(asked & 0xffff_ffff).map_err(|_| Malformed)?;
        let own = interface.operation(number);
        if own.is_none_or(|own| u64::from(own.hash) != asked >> 32) {
            return Err(Cause::VersionMismatch);
        }
    }
    reply.word(interface.hash.into());
    Ok(Outcome::Answered(Ok(())))
}
