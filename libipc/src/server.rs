//! The server's side of a call.
//!
//! A simple server is [`serve`] and its trait. One that also waits for signals,
//! or tells its clients apart, uses a [`Receiver`]:
//!
//! ```
//! use libipc::{objects::EndpointClient, server::{Event, Receiver}, status::TransportError};
//!
//! #[libipc::interface]
//! pub trait Counter {
//!     /// Adds `amount` and returns the sum.
//!     #[op(0)]
//!     fn add(&mut self, amount: u64) -> Result<u64, libipc::objects::ObjectError>;
//! }
//! # pub use number as _;
//!
//! struct Session<'s> { sum: &'s mut u64, badge: u64 }
//!
//! impl Counter for Session<'_> {
//!     fn add(&mut self, amount: u64) -> Result<u64, libipc::objects::ObjectError> {
//!         *self.sum += amount;
//!         Ok(*self.sum + self.badge)
//!     }
//! }
//!
//! fn run(endpoint: &EndpointClient) -> TransportError {
//!     let mut sum = 0;
//!     let mut receiver = Receiver::new(endpoint);
//!     loop {
//!         match receiver.next() {
//!             Ok(Event::Message(message)) => {
//!                 let badge = message.badge();
//!                 let mut session = Session { sum: &mut sum, badge };
//!                 message.dispatch::<dyn Counter>(&mut session);
//!             }
//!             Ok(Event::Signals(_) | Event::Closed(_)) => {}
//!             Err(error) => return error,
//!         }
//!     }
//! }
//! ```

pub use crate::incoming::Incoming;
pub use crate::reply::{LeaseId, Reply};

use crate::{
    arch,
    handle::Handle,
    label::{Flags, Label},
    message::Writer,
    message_buffer::{CAPABILITIES, LeaseDescriptor},
    objects::EndpointClient,
    operation::Interface,
    registers::{CallIn, WORDS},
    status::{Cause, Status, TransportError},
    time::Instant,
    wire::Sink,
};
use core::fmt;

/// What a dispatch did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result is in the reply, or the server's error is this code.
    Answered(Result<(), u64>),
    /// It will be answered later.
    Deferred,
}

/// A result being put into a reply.
pub struct Outgoing(pub(crate) Writer);

impl Sink for Outgoing {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.0.word(word);
    }
    fn capability(&mut self, handle: Handle, copy: bool) {
        self.0.capability(handle, copy);
    }
    fn lease(&mut self, lease: LeaseDescriptor) {
        self.0.lease(lease);
    }
}

/// Anything that serves an interface: `dyn Trait` for each trait with the
/// attribute [`interface`](macro@crate::interface).
pub trait Dispatch {
    /// What it serves.
    const INTERFACE: Interface;

    /// Runs one operation.
    fn dispatch(
        &mut self,
        operation: u8,
        request: &mut Incoming<'_>,
        reply: &mut Outgoing,
    ) -> Result<Outcome, Cause>;
}

/// Runs an operation and completes its reply: the label, and the words in the
/// writer. `None` if it will be answered later, or cannot be answered.
pub(crate) fn run<D: Dispatch + ?Sized>(
    server: &mut D,
    label: Label,
    request: &mut Incoming<'_>,
    reply: &mut Outgoing,
) -> Option<Label> {
    let result = if label.hash() == D::INTERFACE.hash {
        server.dispatch(label.operation(), request, reply)
    } else {
        Err(Cause::VersionMismatch)
    };
    match result {
        Ok(Outcome::Answered(Ok(()))) => Some(complete(&reply.0)),
        Ok(Outcome::Answered(Err(code))) => {
            reply.0.words[0] = code;
            Some(error_label())
        }
        Ok(Outcome::Deferred) => None,
        Err(cause @ (Cause::Malformed | Cause::VersionMismatch)) => {
            Some(Label::control(Flags::empty(), cause as u8))
        }
        // Nothing else may be said in a reply: the request ends as `Dropped`.
        Err(_) => None,
    }
}

/// The label of a reply with a result.
pub(crate) fn complete(writer: &Writer) -> Label {
    writer
        .finish(Label::control(Flags::empty(), Label::OK))
        .unwrap_or_else(|cause| {
            writer.discard();
            Label::control(Flags::empty(), cause as u8)
        })
}

/// The label of a reply with the server's error.
pub(crate) fn error_label() -> Label {
    Label::control(Flags::empty(), Label::SERVER_ERROR)
}

/// Serves one interface at an endpoint until it ends, and returns why.
pub fn serve<D: Dispatch + ?Sized>(endpoint: &EndpointClient, server: &mut D) -> TransportError {
    let mut receiver = Receiver::new(endpoint);
    loop {
        match receiver.next() {
            Ok(Event::Message(message)) => message.dispatch_then_wait(server),
            Ok(Event::Signals(_) | Event::Closed(_)) => {}
            Err(error) => return error,
        }
    }
}

/// What a server waits for at its endpoint.
#[allow(
    clippy::large_enum_variant,
    reason = "an event is matched at once, and a message must not allocate"
)]
#[derive(Debug)]
pub enum Event<'r, 'e> {
    /// Somebody calls.
    Message(Message<'r, 'e>),
    /// These bits of the signal word were set; they are cleared.
    Signals(u64),
    /// The last capability with this badge is gone.
    Closed(u64),
}

/// Receives at an endpoint. The answer to one message leaves together with the
/// wait for the next.
pub struct Receiver<'e> {
    endpoint: &'e EndpointClient,
    /// An answer that has not left: it fits in registers, or nothing can
    /// overwrite the message buffer before it leaves.
    pending: Option<(Label, [u64; WORDS])>,
}

impl<'e> Receiver<'e> {
    /// Receives at `endpoint`. Needs `RECEIVE`.
    pub fn new(endpoint: &'e EndpointClient) -> Receiver<'e> {
        Receiver {
            endpoint,
            pending: None,
        }
    }

    /// Where it receives.
    pub fn endpoint(&self) -> &'e EndpointClient {
        self.endpoint
    }

    /// Waits without end.
    #[expect(
        clippy::should_implement_trait,
        reason = "an event borrows its receiver"
    )]
    pub fn next(&mut self) -> Result<Event<'_, 'e>, TransportError> {
        self.wait(Instant::FOREVER)
    }

    /// Waits until `deadline`, then fails with `TimedOut`. An endpoint that is
    /// closed, or was handed to a successor, is an error too.
    pub fn wait(&mut self, deadline: Instant) -> Result<Event<'_, 'e>, TransportError> {
        let handle = self.endpoint.as_ref().handle();
        let (label, words) = match self.pending.take() {
            Some((label, words)) => (label.with_flags(Flags::RECEIVE | Flags::REPLY), words),
            None => (Label::control(Flags::RECEIVE, 0), [0; WORDS]),
        };
        Writer::new().open(CAPABILITIES);
        let output = arch::trap(&CallIn {
            handle,
            label,
            words,
            deadline: deadline.ticks(),
            request: Handle::NULL,
        });
        match Status::from_word(output.status) {
            Some(Status::Message) => Ok(Event::Message(Message {
                receiver: self,
                label: output.label,
                badge: output.badge,
                request_id: output.request_id,
                incoming: Incoming::far(output.label, output.words),
            })),
            Some(Status::Signals) => Ok(Event::Signals(output.words[0])),
            Some(Status::Closed) => Ok(Event::Closed(output.badge)),
            Some(Status::Error(error)) => Err(error),
            None => Err(TransportError::refused(Cause::Malformed)),
        }
    }

    /// Sends an answer that still waits here, for a server that goes on to do
    /// something long.
    pub fn flush(&mut self) {
        if let Some((label, words)) = self.pending.take() {
            // A caller that no longer waits has no use for the answer.
            let _ = reply(Handle::NULL, label, words);
        }
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Answers a request: the implicit one, or one that was kept.
pub(crate) fn reply(kept: Handle, label: Label, words: [u64; WORDS]) -> Result<(), TransportError> {
    let output = arch::trap(&CallIn {
        handle: Handle::NULL,
        label: label.with_flags(Flags::REPLY),
        words,
        deadline: crate::FOREVER,
        request: kept,
    });
    match Status::from_word(output.status) {
        Some(Status::Error(error)) => Err(error),
        _ => Ok(()),
    }
}

/// A request to serve. One that is dropped instead ends as `Dropped` when the
/// server next waits.
pub struct Message<'r, 'e> {
    receiver: &'r mut Receiver<'e>,
    label: Label,
    badge: u64,
    request_id: u64,
    incoming: Incoming<'r>,
}

impl Message<'_, '_> {
    /// The badge of the capability that it came through.
    pub fn badge(&self) -> u64 {
        self.badge
    }

    /// Thread 24 bits (high) and call number 40 bits (low), by the kernel.
    pub fn request_id(&self) -> u64 {
        self.request_id
    }

    /// Its label.
    pub fn label(&self) -> Label {
        self.label
    }

    /// Whether it calls this interface, for a server that has several at one
    /// endpoint.
    pub fn is<D: Dispatch + ?Sized>(&self) -> bool {
        self.label.hash() == D::INTERFACE.hash
    }

    /// Runs the operation and answers: the answer leaves when the server next
    /// waits, or at once if it carries more than registers hold.
    pub fn dispatch<D: Dispatch + ?Sized>(self, server: &mut D) {
        let Some((receiver, in_registers)) = self.run(server) else {
            return;
        };
        if !in_registers {
            receiver.flush();
        }
    }

    /// The same for a loop that waits at once.
    fn dispatch_then_wait<D: Dispatch + ?Sized>(self, server: &mut D) {
        self.run(server);
    }

    /// Answers that the operation or interface is not known here.
    pub fn refuse(self) {
        let label = Label::control(Flags::empty(), Cause::VersionMismatch as u8);
        self.receiver.pending = Some((label, [0; WORDS]));
    }
}

impl<'r, 'e> Message<'r, 'e> {
    fn run<D: Dispatch + ?Sized>(mut self, server: &mut D) -> Option<(&'r mut Receiver<'e>, bool)> {
        let mut outgoing = Outgoing(Writer::new());
        let label = run(server, self.label, &mut self.incoming, &mut outgoing)?;
        let writer = outgoing.0;
        if writer.moves() {
            // What the caller did not get is still this server's, to delete.
            if reply(Handle::NULL, label, writer.words).is_err() {
                writer.discard();
            }
            return None;
        }
        self.receiver.pending = Some((label, writer.words));
        Some((self.receiver, writer.fits_registers()))
    }
}

impl fmt::Debug for Message<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("label", &self.label)
            .field("badge", &self.badge)
            .field("request_id", &self.request_id)
            .finish()
    }
}
