//! The client's side of a call.

use crate::{
    CallError, Capability, FOREVER,
    agreement::Agreement,
    arch,
    handle::{Handle, Rights},
    label::{Flags, Label},
    lease::{Lend, LendMut},
    message::{self, Attached, Reader, Writer, failed, failure},
    message_buffer::LeaseDescriptor,
    near::{Gate, NearAnswer, NearCall},
    operation::{AGREE, Class, Interface, Operation},
    plain,
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status, TransportError},
    time::Instant,
    wire::{ErrorCode, Sink, Wire},
};
use core::{
    fmt,
    mem::ManuallyDrop,
    ops::Deref,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// What a client is made of: a capability, how long its calls may take, and the
/// gate of a server in the same task, if there is one.
#[derive(Debug)]
pub struct Connection {
    capability: Capability,
    deadline: Deadline,
    gate: Option<&'static dyn Gate>,
    agreement: Agreement,
    repeating: bool,
    /// None of the above is out of the ordinary.
    plain: AtomicBool,
}

/// When the calls of a client end.
#[derive(Clone, Copy, Debug)]
enum Deadline {
    /// With the request that the thread is serving, if it serves one.
    Inherit,
    At(Instant),
    After(Duration),
}

impl Connection {
    /// Calls end at `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Deadline::At(deadline);
        self.plain = AtomicBool::new(false);
        self
    }

    /// Each call ends after `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Deadline::After(timeout);
        self.plain = AtomicBool::new(false);
        self
    }

    /// Calls go through `gate` while it is idle, unless the capability has the
    /// mark `FAR_ONLY`.
    #[must_use]
    pub fn with_gate(mut self, gate: &'static dyn Gate) -> Self {
        // Such a capability demands a server in a task of its own, which the kernel
        // sees to.
        if !self.capability.rights().contains(Rights::FAR_ONLY) {
            self.gate = Some(gate);
            self.plain = AtomicBool::new(false);
        }
        self
    }

    /// See the clients' method of this name.
    pub fn agree(
        &self,
        interface: &'static Interface,
        numbers: &[u8],
    ) -> Result<(), TransportError> {
        let chosen = |number| numbers.is_empty() || numbers.contains(&number);
        let operations = interface.operations.iter().enumerate();
        let asked = operations.filter(|(_, operation)| chosen(operation.number));
        self.ask(interface, asked)
    }

    /// Asks the server about operations; from then on calls may have its hash.
    fn ask(
        &self,
        interface: &'static Interface,
        asked: impl Iterator<Item = (usize, &'static Operation)> + Clone,
    ) -> Result<(), TransportError> {
        self.agreement.ask(self, interface, asked)?;
        self.plain.store(false, Relaxed);
        Ok(())
    }

    /// See the clients' method of this name.
    pub fn repeating(&self) -> Repeating {
        Repeating(Connection {
            capability: Capability::from_handle(self.capability.handle()),
            deadline: self.deadline,
            gate: self.gate,
            agreement: self.agreement.clone(),
            repeating: true,
            plain: AtomicBool::new(false),
        })
    }

    /// The label of a call of the operation at `index`.
    fn label(&self, own: Label, index: usize) -> Label {
        let hash = self.agreement.hash(index);
        let label = hash.map_or(own, |hash| own.with_hash(hash));
        if self.repeating {
            label.with_flags(Flags::REPEAT)
        } else {
            label
        }
    }

    fn deadline(&self) -> Instant {
        match self.deadline {
            Deadline::Inherit => Instant::FOREVER,
            Deadline::At(instant) => instant,
            Deadline::After(timeout) => Instant::after(timeout),
        }
    }
}

impl From<Capability> for Connection {
    fn from(capability: Capability) -> Self {
        Connection {
            capability,
            deadline: Deadline::Inherit,
            gate: None,
            agreement: Agreement::default(),
            repeating: false,
            plain: AtomicBool::new(true),
        }
    }
}

/// A connection that repeats calls over a handle that another one owns.
#[derive(Debug)]
pub struct Repeating(Connection);

impl<C: From<Connection>> From<Repeating> for Borrowed<C> {
    fn from(repeating: Repeating) -> Self {
        Borrowed(ManuallyDrop::new(C::from(repeating.0)))
    }
}

impl From<Connection> for Capability {
    fn from(connection: Connection) -> Self {
        connection.capability
    }
}

impl AsRef<Capability> for Connection {
    fn as_ref(&self) -> &Capability {
        &self.capability
    }
}

/// A client over a handle that somebody else owns.
pub struct Borrowed<C>(ManuallyDrop<C>);

impl<C: From<Capability>> Borrowed<C> {
    /// Makes a client that does not delete the handle.
    pub fn new(handle: Handle) -> Borrowed<C> {
        Borrowed(ManuallyDrop::new(C::from(Capability::from_handle(handle))))
    }
}

impl<C> Deref for Borrowed<C> {
    type Target = C;
    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C: fmt::Debug> fmt::Debug for Borrowed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A call being made: arguments are put into it, then it is sent. `PLAIN` if its
/// operation fits in registers ([`Operation::fits_registers`]).
///
/// The methods of clients, which the interface macro makes, use it.
pub struct Call<'a, const PLAIN: bool> {
    connection: &'a Connection,
    interface: &'static Interface,
    /// Of the operation in the interface's table.
    index: usize,
    flags: Flags,
    writer: Writer,
}

impl<'a, const PLAIN: bool> Call<'a, PLAIN> {
    /// A call of the operation at `index` of the interface's table.
    #[inline(always)]
    pub fn new(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
    ) -> Call<'a, PLAIN> {
        Call::flagged(connection, interface, index, Flags::empty())
    }

    /// The same, of the kernel object behind an endpoint capability itself.
    #[inline(always)]
    pub fn object(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
    ) -> Call<'a, PLAIN> {
        Call::flagged(connection, interface, index, Flags::OBJECT)
    }

    #[inline(always)]
    fn flagged(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
        flags: Flags,
    ) -> Call<'a, PLAIN> {
        let operation = &interface.operations[index];
        let label = Label::call(operation.number, interface.hash).with_flags(flags);
        Call {
            connection,
            interface,
            index,
            flags,
            writer: Writer::new(connection.capability.handle(), label),
        }
    }

    /// Passes a copy of the client's capability.
    pub fn copy(&mut self, client: &impl AsRef<Capability>) {
        self.writer.capability(client.as_ref().handle(), true);
    }

    /// Lends memory to read.
    pub fn lend(&mut self, memory: impl Lend + 'a) {
        self.writer.lease(memory.describe());
    }

    /// Lends memory to read and write.
    pub fn lend_mut(&mut self, memory: impl LendMut + 'a) {
        self.writer.lease(memory.describe());
    }

    /// Sends the call, waits for the answer and takes the result out of it.
    #[inline(always)]
    pub fn finish<T: Wire, E: ErrorCode>(self) -> Result<T, CallError<E>> {
        if !PLAIN {
            let call = Attempts::new(self.connection, self.interface, self.index, self.flags);
            return call.finish(self.writer);
        }
        // Nothing of it is in memory, unless something is out of the ordinary.
        let CallIn {
            handle,
            label,
            words,
            ..
        } = self.writer.input;
        let call = (self.connection, self.interface, self.index, self.flags);
        // A copy, so that the original need not be in memory.
        let apart = || core::array::from_fn(|index| words[index]);
        if !self.connection.plain.load(Relaxed) {
            return Attempts::finish_plain(call, apart(), None);
        }
        let output = arch::trap(&CallIn {
            handle,
            label,
            words,
            deadline: FOREVER,
            request: Handle::NULL,
        });
        if !plain::is_plain(&output) || output.label.operation() != Label::OK {
            return Attempts::finish_plain(call, apart(), Some(output));
        }
        let result = T::take(&mut plain::Taken::new(&output.words));
        result.map_err(|_| CallError::Transport(TransportError::delivered(Cause::Malformed)))
    }
}

/// What is known of a call while it is tried.
struct Attempts<'a> {
    connection: &'a Connection,
    interface: &'static Interface,
    operation: &'static Operation,
    index: usize,
    flags: Flags,
}

impl<'a> Attempts<'a> {
    fn new(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
        flags: Flags,
    ) -> Attempts<'a> {
        Attempts {
            connection,
            interface,
            operation: &interface.operations[index],
            index,
            flags,
        }
    }

    /// Makes a call that is written.
    fn finish<T: Wire, E: ErrorCode>(&self, mut writer: Writer) -> Result<T, CallError<E>> {
        let own = writer.input.label;
        writer.input.label = self.connection.label(own, self.index);
        result(&self.send(&mut writer))
    }

    /// The same for one of an operation that fits in registers, which may have
    /// been tried and ended with `output`.
    #[cold]
    fn finish_plain<T: Wire, E: ErrorCode>(
        (connection, interface, index, flags): (&Connection, &'static Interface, usize, Flags),
        words: [u64; WORDS],
        output: Option<CallOut>,
    ) -> Result<T, CallError<E>> {
        let call = Attempts::new(connection, interface, index, flags);
        let label = Label::call(call.operation.number, interface.hash).with_flags(flags);
        let mut writer = Writer::new(connection.capability.handle(), label);
        for &word in &words[..call.operation.request_words.into()] {
            writer.word(word);
        }
        let Some(mut output) = output else {
            return call.finish(writer);
        };
        if output.status != Status::Message.to_word() {
            call.recover(&mut writer, &mut output);
        }
        result(&output)
    }

    fn send(&self, writer: &mut Writer) -> CallOut {
        if let Err(cause) = writer.finish() {
            writer.discard();
            return failed(TransportError::refused(cause));
        }
        let mut output = self.attempt(writer);
        if output.status != Status::Message.to_word() {
            self.recover(writer, &mut output);
        }
        output
    }

    #[inline]
    fn attempt(&self, writer: &mut Writer) -> CallOut {
        writer.input.deadline = self.connection.deadline().ticks();
        let operation = self.operation;
        let _open = message::open_for(operation.reply_capabilities.into());
        if let Some(gate) = self.connection.gate
            && !operation.deferred
        {
            let mut answer = NearAnswer::new();
            if gate.call(&NearCall::new(&writer.input), &mut answer) {
                return answer.into_output();
            }
        }
        arch::trap(&writer.input)
    }

    /// After a failure: tries again if that is harmless, and deletes what was
    /// to be moved and is still here.
    #[cold]
    fn recover(&self, writer: &mut Writer, output: &mut CallOut) {
        let error = failure(output);
        if error == TransportError::refused(Cause::VersionMismatch) {
            if let Some(hash) = self.agreed_hash(writer) {
                writer.input.label = writer.input.label.with_hash(hash);
                *output = self.attempt(writer);
            }
        } else if self.may_retry(writer, error) {
            let repeats = error.delivered && self.operation.class == Class::Recorded;
            if repeats {
                writer.input.label = writer.input.label.with_flags(Flags::REPEAT);
            }
            let again = self.attempt(writer);
            // A server that has no record of the first attempt does not know
            // more than that attempt's error says.
            let unknown = Status::Error(TransportError::delivered(Cause::Dropped)).to_word();
            if !repeats || again.status != unknown {
                *output = again;
            }
        }
        if output.status != Status::Message.to_word() && !failure(output).delivered {
            writer.discard();
        }
    }

    /// The hash by which to call the operation, if the server has it as another
    /// version of the interface. What the call moves is gone with the first
    /// attempt, so such a call is not made again.
    fn agreed_hash(&self, writer: &Writer) -> Option<u32> {
        let (connection, index) = (self.connection, self.index);
        let answerable = !self.flags.contains(Flags::OBJECT);
        if writer.moves() || !answerable || self.operation.number == AGREE {
            return None;
        }
        let asked = core::iter::once((index, self.operation));
        connection.ask(self.interface, asked).ok()?;
        let hash = connection.agreement.hash(index);
        Some(hash.unwrap_or(self.interface.hash))
    }

    /// Whether a second attempt is harmless and has a chance: the server died
    /// or dropped the call, which did not run, may run twice, or is recorded.
    /// Once is enough: who fails again has a reason that does not pass.
    fn may_retry(&self, writer: &Writer, error: TransportError) -> bool {
        let passing = matches!(error.cause, Cause::Died | Cause::Dropped);
        let harmless = !error.delivered || self.operation.class != Class::Once;
        let complete = !error.delivered || !writer.moves();
        passing && harmless && complete
    }
}

/// Takes the result out of what a call ended with.
fn result<T: Wire, E: ErrorCode>(output: &CallOut) -> Result<T, CallError<E>> {
    let broken = CallError::Transport(TransportError::delivered(Cause::Malformed));
    if output.status != Status::Message.to_word() {
        return Err(failure(output).into());
    }
    match output.label.operation() {
        Label::OK => {
            let mut attached = Attached::default();
            attached.note(output.label);
            let mut reader = Reader::new(output.label, &output.words, &mut attached);
            let result = T::take(&mut reader);
            attached.discard();
            result.map_err(|_| broken)
        }
        Label::SERVER_ERROR => match E::from_code(output.words[0]) {
            Some(error) => Err(CallError::Server(error)),
            None => Err(broken),
        },
        other => Err(match Cause::from_bits(other) {
            Some(cause) => TransportError::delivered(cause).into(),
            None => broken,
        }),
    }
}

/// Asks the server about operations of the interface.
pub(crate) fn ask<T: Wire, E: ErrorCode>(
    connection: &Connection,
    interface: &'static Interface,
    operation: &'static Operation,
    words: impl Iterator<Item = u64>,
) -> Result<T, CallError<E>> {
    let label = Label::call(operation.number, interface.name_hash);
    let mut writer = Writer::new(connection.capability.handle(), label);
    words.for_each(|word| writer.word(word));
    let call = Attempts {
        connection,
        interface,
        operation,
        index: 0,
        flags: Flags::empty(),
    };
    result(&call.send(&mut writer))
}

impl<const PLAIN: bool> Sink for Call<'_, PLAIN> {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.writer.word(word);
    }
    #[inline(always)]
    fn words(&mut self, words: &[u64]) {
        self.writer.words(words);
    }
    fn capability(&mut self, handle: Handle, copy: bool) {
        self.writer.capability(handle, copy);
    }
    fn lease(&mut self, lease: LeaseDescriptor) {
        self.writer.lease(lease);
    }
}
