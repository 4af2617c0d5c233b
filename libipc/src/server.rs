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

pub use crate::incoming::{Incoming, Request};
pub use crate::record::Records;
pub use crate::reply::{LeaseId, Reply};

use crate::{
    agreement, arch,
    client::Borrowed,
    forward::Forwarded,
    handle::Handle,
    label::{Flags, Label},
    message::{self, Attached, Writer, failed, failure},
    message_buffer::{CAPABILITIES, LeaseDescriptor},
    objects::{EndpointClient, ReplyClient},
    operation::{self, AGREE, Class, Interface},
    plain,
    record::Begun,
    registers::{CallIn, CallOut},
    status::{Cause, Status, TransportError},
    time::Instant,
    wire::{ErrorCode, Sink, Wire},
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
    #[inline(always)]
    fn words(&mut self, words: &[u64]) {
        self.0.words(words);
    }
    #[inline(always)]
    fn capability(&mut self, handle: Handle, copy: bool) {
        self.0.capability(handle, copy);
    }
    #[inline(always)]
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
    fn dispatch<'r>(
        &mut self,
        operation: u8,
        request: &mut impl Request<'r>,
        reply: &mut impl Sink,
    ) -> Result<Outcome, Cause>;
}

/// Runs an operation and completes its reply in the writer; `false` if it will
/// be answered later, or cannot be answered.
pub(crate) fn run<D: Dispatch + ?Sized>(
    server: &mut D,
    label: Label,
    mut request: Incoming<'_>,
    reply: &mut Outgoing,
) -> bool {
    let result = if D::INTERFACE.accepts(label.hash()) {
        server.dispatch(label.operation(), &mut request, reply)
    } else if asks(&D::INTERFACE, label) {
        agreement::answer(&D::INTERFACE, request, reply)
    } else {
        Err(Cause::VersionMismatch)
    };
    match result {
        Ok(Outcome::Answered(result)) => {
            complete(&mut reply.0, result);
            true
        }
        Ok(Outcome::Deferred) => false,
        Err(cause @ (Cause::Malformed | Cause::VersionMismatch)) => {
            refuse(&mut reply.0, cause);
            true
        }
        // Nothing else may be said in a reply: the request ends as `Dropped`.
        Err(_) => false,
    }
}

/// Whether the message asks whether its sender means the same interface.
fn asks(interface: &Interface, label: Label) -> bool {
    label.operation() == AGREE && label.hash() == interface.name_hash
}

/// Whether the operation is harmless to run again.
fn is_idempotent(interface: &Interface, label: Label) -> bool {
    let operation = interface.operation(label.operation());
    operation.is_some_and(|operation| operation.class == Class::Idempotent)
}

/// Completes a reply whose result is in the writer, or which is this error.
#[inline(always)]
pub(crate) fn complete(writer: &mut Writer, result: Result<(), u64>) {
    writer.input.label = Label::control(Flags::empty(), Label::OK);
    match result {
        Ok(()) => {
            if let Err(cause) = writer.finish() {
                writer.shape.discard();
                refuse(writer, cause);
            }
        }
        Err(code) => {
            writer.input.label = Label::control(Flags::empty(), Label::SERVER_ERROR);
            writer.input.words[0] = code;
        }
    }
}

/// Completes a reply that says that the request was not understood.
fn refuse(writer: &mut Writer, cause: Cause) {
    writer.clear();
    writer.input.label = Label::control(Flags::empty(), cause as u8);
}

/// Serves one interface at an endpoint until it ends, and returns why.
pub fn serve<D: Dispatch + ?Sized>(endpoint: &EndpointClient, server: &mut D) -> TransportError {
    let mut receiver = Receiver::new(endpoint);
    loop {
        let first = receiver.begin(Instant::FOREVER);
        receiver.message = plain::serve(first, server);
        match receiver.event() {
            Ok(Event::Message(message)) => message.dispatch_then_wait(server),
            Ok(Event::Signals(_) | Event::Closed(_)) => {}
            Err(error) => return error,
        }
    }
}

/// Whether the caller of the request being served has stopped waiting: a handler
/// with long work asks now and then, for nothing interrupts it.
pub fn cancelled() -> bool {
    let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
    request.cancelled().unwrap_or(true)
}

/// What a server waits for at its endpoint.
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
    /// The message that arrived last, and what came with it.
    message: CallOut,
    attached: Attached,
    /// The answer to it. If it is `pending` it has not left: it fits in
    /// registers, or nothing can overwrite the buffer before it leaves.
    answer: Outgoing,
    pending: bool,
    own_records: Records,
    shared_records: Option<&'e Records>,
}

impl<'e> Receiver<'e> {
    /// Receives at `endpoint`. Needs `RECEIVE`.
    pub fn new(endpoint: &'e EndpointClient) -> Receiver<'e> {
        Receiver {
            endpoint,
            message: failed(TransportError::refused(Cause::Cancelled)),
            attached: Attached::default(),
            answer: Outgoing(Writer::new(Handle::NULL, Label(0))),
            pending: false,
            own_records: Records::new(),
            shared_records: None,
        }
    }

    /// The same for one of several threads that serve `endpoint`: a repeat may
    /// reach another one than the first attempt did.
    pub fn sharing(endpoint: &'e EndpointClient, records: &'e Records) -> Receiver<'e> {
        let mut receiver = Receiver::new(endpoint);
        receiver.shared_records = Some(records);
        receiver
    }

    fn records(&self) -> &Records {
        self.shared_records.unwrap_or(&self.own_records)
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
        self.message = match self.pending {
            true => arch::trap(self.begin(deadline)),
            false => {
                // Nobody is told anything.
                let input = self.begin(deadline);
                arch::brief(input.handle, input.label, 0, input.deadline)
            }
        };
        self.event()
    }

    /// The system call to wait with.
    #[inline]
    fn begin(&mut self, deadline: Instant) -> &CallIn {
        self.attached.discard();
        let input = &mut self.answer.0.input;
        let flags = if core::mem::take(&mut self.pending) {
            Flags::RECEIVE | Flags::REPLY
        } else {
            input.label = Label(0);
            Flags::RECEIVE
        };
        input.label = input.label.with_flags(flags);
        input.handle = self.endpoint.as_ref().handle();
        input.deadline = deadline.ticks();
        message::open(CAPABILITIES);
        input
    }

    /// What has arrived.
    #[inline]
    fn event(&mut self) -> Result<Event<'_, 'e>, TransportError> {
        self.answer.0.input.request = Handle::NULL;
        match Status::from_word(self.message.status) {
            Some(Status::Message) => {
                self.attached.note(self.message.label);
                Ok(Event::Message(Message { receiver: self }))
            }
            Some(Status::Signals) => Ok(Event::Signals(self.message.words[0])),
            Some(Status::Closed) => {
                self.forget_session();
                Ok(Event::Closed(self.message.badge))
            }
            _ => Err(failure(&self.message)),
        }
    }

    /// The session of the last event has ended.
    #[cold]
    #[inline(never)]
    fn forget_session(&self) {
        self.records().closed(self.message.badge);
    }

    /// Answers a request that was kept: as long as that fits in registers, when the
    /// server next waits.
    pub fn answer<T: Wire, E: ErrorCode>(&mut self, reply: Reply<T, E>, result: Result<T, E>) {
        self.flush();
        let writer = &mut self.answer.0;
        writer.clear();
        let result = operation::outcome(result, writer);
        complete(writer, result);
        // The kernel takes the capability with the answer.
        writer.input.request = reply.into_handle();
        self.pending = true;
        if !self.answer.0.shape.fits_registers() {
            self.flush();
        }
    }

    /// Sends an answer that still waits here, for a server that goes on to do
    /// something long.
    pub fn flush(&mut self) {
        if core::mem::take(&mut self.pending) {
            self.send();
        }
    }

    fn send(&mut self) {
        let input = &mut self.answer.0.input;
        input.label = input.label.with_flags(Flags::REPLY);
        input.handle = Handle::NULL;
        if arch::trap(input).status != Status::Message.to_word() {
            // The caller no longer waits: what it was to get is still here.
            self.answer.0.shape.discard();
        }
        self.answer.0.input.request = Handle::NULL;
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        self.attached.discard();
        self.flush();
    }
}

impl fmt::Debug for Receiver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.endpoint.as_ref().handle())
    }
}

/// A request to serve. One that is dropped instead ends as `Dropped` when the
/// server next waits.
pub struct Message<'r, 'e> {
    receiver: &'r mut Receiver<'e>,
}

impl Message<'_, '_> {
    /// The badge of the capability that it came through.
    pub fn badge(&self) -> u64 {
        self.receiver.message.badge
    }

    /// Thread 24 bits (high) and call number 40 bits (low), by the kernel.
    pub fn request_id(&self) -> u64 {
        self.receiver.message.request_id
    }

    /// Its label.
    pub fn label(&self) -> Label {
        self.receiver.message.label
    }

    /// Whether it calls this interface, for a server that has several at one
    /// endpoint.
    pub fn is<D: Dispatch + ?Sized>(&self) -> bool {
        let label = self.label();
        D::INTERFACE.accepts(label.hash()) || asks(&D::INTERFACE, label)
    }

    /// Runs the operation and answers: the answer leaves when the server next
    /// waits, or at once if it carries more than registers hold.
    pub fn dispatch<D: Dispatch + ?Sized>(mut self, server: &mut D) {
        self.run(server);
        if !self.receiver.answer.0.shape.fits_registers() {
            self.receiver.flush();
        }
    }

    /// The same for a loop that waits at once. Only capabilities leave before:
    /// whether they arrived must be known.
    fn dispatch_then_wait<D: Dispatch + ?Sized>(mut self, server: &mut D) {
        self.run(server);
        if self.receiver.answer.0.shape.moves() {
            self.receiver.flush();
        }
    }

    #[inline]
    fn run<D: Dispatch + ?Sized>(&mut self, server: &mut D) {
        let label = self.label();
        let recorded = const { D::INTERFACE.recorded() };
        let number = usize::from(label.operation());
        let is_recorded = recorded[number / 64] >> (number % 64) & 1 != 0;
        if is_recorded {
            self.run_recorded(server);
        } else if label.flags().is_empty() || is_idempotent(&D::INTERFACE, label) {
            self.run_once(server);
        } else {
            // Whether the first attempt ran is not known here.
            self.receiver.pending = false;
        }
    }

    /// Runs an operation unless it did already.
    #[inline(never)]
    fn run_recorded<D: Dispatch + ?Sized>(&mut self, server: &mut D) {
        let (badge, id) = (self.badge(), self.request_id());
        let receiver = &mut *self.receiver;
        let (label, words) = (receiver.message.label, &receiver.message.words);
        let repeats = label.flags().contains(Flags::REPEAT);
        let label = label.with_flags(Flags::empty());
        let records = receiver.shared_records.unwrap_or(&receiver.own_records);
        let answer = &mut receiver.answer.0;
        match records.begin(badge, id, label, words, repeats, answer) {
            Begun::Answered => receiver.pending = true,
            Begun::Unknown => receiver.pending = false,
            Begun::Malformed => {
                refuse(answer, Cause::Malformed);
                receiver.pending = true;
            }
            Begun::Run => {
                self.run_once(server);
                let (records, answer) = (self.receiver.records(), &self.receiver.answer.0);
                match Cause::from_bits(answer.input.label.operation()) {
                    _ if !self.receiver.pending => {}
                    Some(_) => records.forget(badge, id),
                    None => records.complete(badge, id, answer),
                }
            }
        }
    }

    #[inline]
    fn run_once<D: Dispatch + ?Sized>(&mut self, server: &mut D) {
        let receiver = &mut *self.receiver;
        let label = receiver.message.label;
        let words = &receiver.message.words;
        let incoming = Incoming::far(label, words, &mut receiver.attached);
        receiver.answer.0.clear();
        receiver.pending = run(server, label, incoming, &mut receiver.answer);
    }

    /// Keeps it as it is, whatever its interface, to be passed on. `QuotaExceeded` if the
    /// table has no room, and then the request ends as `Dropped`.
    pub fn keep(self) -> Result<Forwarded, Cause> {
        Forwarded::keep(&self.receiver.message, &mut self.receiver.attached)
    }

    /// Answers that the operation or interface is not known here.
    pub fn refuse(self) {
        refuse(&mut self.receiver.answer.0, Cause::VersionMismatch);
        self.receiver.pending = true;
    }
}

impl fmt::Debug for Message<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("label", &self.label())
            .field("badge", &self.badge())
            .field("request_id", &self.request_id())
            .finish()
    }
}
