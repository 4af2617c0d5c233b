//! Messages as who passes them on sees them: of any interface, and without knowing it.
//!
//! A proxy keeps each request that arrives at its endpoint, sends what is in it to
//! wherever the server is, and answers with what comes back from there, a transport error
//! included: that needs the right `PROXY`. Whoever is at the other end makes the call of
//! it, and gives back how that ended.
//!
//! ```
//! use libipc::{
//!     Capability, fake,
//!     forward::{Memory, Outbound},
//!     objects::ObjectError,
//!     server::{Event, Receiver},
//!     time::Instant,
//! };
//!
//! #[libipc::interface]
//! pub trait Counter {
//!     /// Adds `amount` and returns the sum.
//!     #[op(0)]
//!     fn add(&mut self, amount: u64) -> Result<u64, ObjectError>;
//! }
//! # pub use number as _;
//!
//! struct Sum(u64);
//!
//! impl Counter for Sum {
//!     fn add(&mut self, amount: u64) -> Result<u64, ObjectError> {
//!         self.0 += amount;
//!         Ok(self.0)
//!     }
//! }
//!
//! fn main() {
//!     let proxy: CounterClient = fake::serve(|endpoint| {
//!         let counter: CounterClient =
//!             fake::serve(|endpoint| libipc::serve::<dyn Counter>(endpoint, &mut Sum(5)));
//!         let behind = Capability::from(counter);
//!         let mut receiver = Receiver::new(endpoint);
//!         loop {
//!             match receiver.next() {
//!                 Ok(Event::Message(message)) => {
//!                     let Ok(request) = message.keep() else { continue };
//!                     let answer = Outbound::of(&request).call(&behind, &mut [], Instant::FOREVER);
//!                     request.answer(endpoint, answer);
//!                 }
//!                 Ok(_) => {}
//!                 Err(error) => return error,
//!             }
//!         }
//!     });
//!     assert_eq!(proxy.add(2), Ok(7));
//! }
//! ```

use crate::{
    Capability, Lease, LeaseFault, LeaseMut, arch,
    buffer::Buffer,
    handle::Handle,
    incoming,
    label::{Flags, Label},
    lease::sealed::{Lend, LendMut},
    message::{self, Attached, Writer, failure},
    message_buffer::{Access, CAPABILITIES, MAX_WORDS, word},
    objects::EndpointClient,
    registers::{CallOut, WORDS},
    server::Reply,
    status::{Cause, Status, TransportError},
    time::Instant,
    wire::Sink,
};
use alloc::vec::Vec;

/// What a request lends: how much, and whether it may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// Bytes.
    pub length: usize,
    /// Whether they may be read.
    pub readable: bool,
    /// Whether they may be written.
    pub writable: bool,
}

/// A request of any interface, kept to be answered later. Dropping it answers
/// `Dropped`.
#[derive(Debug)]
pub struct Forwarded {
    /// The badge of the capability that it came through.
    pub badge: u64,
    /// Thread 24 bits (high) and call number 40 bits (low), by the kernel.
    pub request_id: u64,
    /// Number of the operation, or [`AGREE`](crate::operation::AGREE).
    pub operation: u8,
    /// The interface's hash.
    pub hash: u32,
    /// Whether it repeats the thread's last call.
    pub repeats: bool,
    /// Its words, without zeros at the end.
    pub words: Vec<u64>,
    /// The capabilities that came with it.
    pub capabilities: Vec<Capability>,
    /// What it lends.
    pub leases: Vec<Lent>,
    reply: Reply<(), ()>,
}

/// How a call of any interface ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The operation succeeded, with these words and capabilities.
    Done(Vec<u64>, Vec<Capability>),
    /// The server refused, with this code.
    Refused(u64),
    /// It did not end with the server's answer.
    Ended(TransportError),
}

impl Forwarded {
    /// Keeps the request that the kernel delivered last.
    pub(crate) fn keep(message: &CallOut, attached: &mut Attached) -> Result<Self, Cause> {
        let label = message.label;
        let words = words(label, &message.words);
        let (handles, lent) = attached.take_all();
        let capabilities = handles.map(Capability::from_handle).collect();
        let leases = lent.map(|lease| {
            let access = Access::from_bits_retain(lease.access);
            Lent {
                length: usize::try_from(lease.length).unwrap_or(usize::MAX),
                readable: access.contains(Access::READ),
                writable: access.contains(Access::WRITE),
            }
        });
        let leases = leases.collect();
        Ok(Forwarded {
            badge: message.badge,
            request_id: message.request_id,
            operation: label.operation(),
            hash: label.hash(),
            repeats: label.flags().contains(Flags::REPEAT),
            words,
            capabilities,
            leases,
            reply: incoming::keep()?,
        })
    }

    /// Copies from `offset` of a lease into all of `into`. `LeaseFault` too if there is
    /// no such lease.
    pub fn read(&self, lease: usize, offset: usize, into: &mut [u8]) -> Result<(), LeaseFault> {
        let lent = self.leases.get(lease).ok_or(LeaseFault)?;
        Lease::far(self.reply.handle(), lease, lent.length).read_at(offset, into)
    }

    /// Copies all of `from` to `offset` of a lease. `LeaseFault` too if there is no such
    /// lease.
    pub fn write(&self, lease: usize, offset: usize, from: &[u8]) -> Result<(), LeaseFault> {
        let lent = self.leases.get(lease).ok_or(LeaseFault)?;
        LeaseMut::far(self.reply.handle(), lease, lent.length).write_at(offset, from)
    }

    /// Whether the caller has stopped waiting.
    pub fn cancelled(&self) -> bool {
        self.reply.cancelled()
    }

    /// When the caller gives up.
    pub fn deadline(&self) -> Instant {
        self.reply.deadline()
    }

    /// Answers, and says whether the caller was still there to get it. A transport error
    /// needs `PROXY` on the endpoint, and is `Dropped` without it.
    pub fn answer(self, endpoint: &EndpointClient, answer: Answer) -> bool {
        let mut writer = Writer::new(Handle::NULL, Label(0));
        let operation = match answer {
            Answer::Done(words, capabilities) => {
                writer.words(&words);
                for capability in capabilities {
                    writer.capability(capability.into_handle(), false);
                }
                match writer.finish() {
                    Ok(()) => Label::OK,
                    Err(cause) => {
                        writer.shape.discard();
                        writer.clear();
                        cause as u8
                    }
                }
            }
            Answer::Refused(code) => {
                writer.input.words[0] = code;
                Label::SERVER_ERROR
            }
            Answer::Ended(error) => {
                writer.input.handle = endpoint.as_ref().handle();
                writer.input.words[0] = error.delivered.into();
                error.cause as u8
            }
        };
        let counts = writer.input.label.0 & Label::MIDDLE;
        let label = Label::control(Flags::REPLY, operation);
        writer.input.label = Label(label.0 | counts);
        self.reply.send(writer)
    }
}

/// Memory that is lent to whoever serves a call.
#[derive(Debug)]
pub enum Memory<'m> {
    /// To be read.
    Read(&'m [u8]),
    /// To be read and written.
    Write(&'m mut [u8]),
}

/// A call of any interface.
#[derive(Debug)]
pub struct Outbound<'m> {
    /// Number of the operation.
    pub operation: u8,
    /// The interface's hash.
    pub hash: u32,
    /// Its words. Those that are missing are zero.
    pub words: &'m [u64],
    /// Capabilities to hand over.
    pub capabilities: Vec<Capability>,
}

impl<'m> Outbound<'m> {
    /// The call that a request is, without its capabilities.
    pub fn of(request: &'m Forwarded) -> Self {
        Outbound {
            operation: request.operation,
            hash: request.hash,
            words: &request.words,
            capabilities: Vec::new(),
        }
    }

    /// Makes the call and waits for its end, at the latest at `deadline`. The answer may
    /// bring capabilities. `Malformed` if it is larger than a message.
    pub fn call(self, server: &Capability, memory: &mut [Memory<'_>], deadline: Instant) -> Answer {
        let label = Label::call(self.operation, self.hash);
        let mut writer = Writer::new(server.handle(), label);
        writer.words(self.words);
        for capability in self.capabilities {
            writer.capability(capability.into_handle(), false);
        }
        for memory in memory {
            writer.lease(match memory {
                Memory::Read(bytes) => Lend::describe(&**bytes),
                Memory::Write(bytes) => LendMut::describe(&mut **bytes),
            });
        }
        let mut moved = [Handle::NULL; CAPABILITIES];
        let places = moved.iter_mut().zip(writer.shape.moved());
        places.for_each(|(place, handle)| *place = handle);
        let output = match writer.finish() {
            Ok(()) => {
                writer.input.deadline = deadline.ticks();
                let _open = message::open_for(CAPABILITIES);
                arch::trap(&writer.input)
            }
            Err(cause) => message::failed(TransportError::refused(cause)),
        };
        if output.status != Status::Message.to_word() {
            let error = failure(&output);
            if !error.delivered {
                // Nobody has them but the sender.
                moved.into_iter().for_each(|handle| {
                    crate::capability::delete(handle);
                });
            }
            return Answer::Ended(error);
        }
        let label = output.label;
        match label.operation() {
            Label::OK => {
                let mut attached = Attached::default();
                attached.note(label);
                let (handles, _) = attached.take_all();
                let capabilities = handles.map(Capability::from_handle).collect();
                Answer::Done(words(label, &output.words), capabilities)
            }
            Label::SERVER_ERROR => Answer::Refused(output.words[0]),
            other => Answer::Ended(TransportError::delivered(
                Cause::from_bits(other).unwrap_or(Cause::Malformed),
            )),
        }
    }
}

/// The words of the message that arrived last, without zeros at the end.
fn words(label: Label, registers: &[u64; WORDS]) -> Vec<u64> {
    let more = (label.bytes() / 8).min(MAX_WORDS - WORDS);
    let mut words = Vec::with_capacity(WORDS + more);
    words.extend_from_slice(registers);
    words.resize(WORDS + more, 0);
    Buffer::current().read(word::BYTES, &mut words[WORDS..]);
    let end = words.iter().rposition(|word| *word != 0);
    words.truncate(end.map_or(0, |last| last + 1));
    words
}
