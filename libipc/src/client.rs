//! The client's side of a call.

use crate::{
    CallError, Capability,
    agreement::Agreement,
    arch,
    handle::Handle,
    label::{Flags, Label},
    lease::{Lend, LendMut},
    message::{self, Attached, Reader, Writer, failed, failure},
    message_buffer::LeaseDescriptor,
    near::{Gate, NearAnswer, NearCall},
    operation::{AGREE, Class, Interface, Operation},
    plain,
    registers::CallOut,
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

    /// Calls go through `gate` while it is idle.
    #[must_use]
    pub fn with_gate(mut self, gate: &'static dyn Gate) -> Self {
        self.gate = Some(gate);
        self.plain = AtomicBool::new(false);
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

/// A call being made: arguments are put into it, then it is sent.
///
/// The methods of clients, which the interface macro makes, use it.
pub struct Call<'a> {
    connection: &'a Connection,
    interface: &'static Interface,
    operation: &'static Operation,
    /// Of the operation in the interface's table.
    index: usize,
    writer: Writer,
}

impl<'a> Call<'a> {
    /// A call of the operation at `index` of the interface's table.
    #[inline(always)]
    pub fn new(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
    ) -> Call<'a> {
        let operation = &interface.operations[index];
        let mut label = Label::call(operation.number, interface.hash);
        if !connection.plain.load(Relaxed) {
            label = connection.label(label, index);
        }
        Call {
            connection,
            interface,
            operation,
            index,
            writer: Writer::new(connection.capability.handle(), label),
        }
    }

    /// The same, of the kernel object behind an endpoint capability itself.
    #[inline(always)]
    pub fn object(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
    ) -> Call<'a> {
        let mut call = Call::new(connection, interface, index);
        let label = &mut call.writer.input.label;
        *label = label.with_flags(Flags::OBJECT);
        call
    }

    /// Asks the server about operations of the interface.
    pub(crate) fn agreement(
        connection: &'a Connection,
        interface: &'static Interface,
        operation: &'static Operation,
    ) -> Call<'a> {
        let label = Label::call(operation.number, interface.name_hash);
        Call {
            connection,
            interface,
            operation,
            index: 0,
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
        if !self.operation.fits_registers() || !self.connection.plain.load(Relaxed) {
            return self.finish_any();
        }
        let output = arch::trap(&self.writer.input);
        if !plain::is_plain(&output) || output.label.operation() != Label::OK {
            return self.finish_with(output);
        }
        let result = T::take(&mut plain::Taken::new(&output.words));
        result.map_err(|_| CallError::Transport(TransportError::delivered(Cause::Malformed)))
    }

    /// The same for a call with anything attached.
    fn finish_any<T: Wire, E: ErrorCode>(mut self) -> Result<T, CallError<E>> {
        let output = self.send();
        self.result(output)
    }

    /// The same for a plain call that has ended with this, which is no plain answer.
    #[cold]
    fn finish_with<T: Wire, E: ErrorCode>(
        mut self,
        mut output: CallOut,
    ) -> Result<T, CallError<E>> {
        if output.status != Status::Message.to_word() {
            self.recover(&mut output);
        }
        self.result(output)
    }

    fn result<T: Wire, E: ErrorCode>(&self, output: CallOut) -> Result<T, CallError<E>> {
        let broken = CallError::Transport(TransportError::delivered(Cause::Malformed));
        if output.status != Status::Message.to_word() {
            return Err(failure(&output).into());
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

    fn send(&mut self) -> CallOut {
        if let Err(cause) = self.writer.finish() {
            self.writer.discard();
            return failed(TransportError::refused(cause));
        }
        let mut output = self.attempt();
        if output.status != Status::Message.to_word() {
            self.recover(&mut output);
        }
        output
    }

    #[inline]
    fn attempt(&mut self) -> CallOut {
        self.writer.input.deadline = self.connection.deadline().ticks();
        let operation = self.operation;
        let _open = message::open_for(operation.reply_capabilities.into());
        if let Some(gate) = self.connection.gate
            && !operation.deferred
        {
            let mut answer = NearAnswer::new();
            if gate.call(&NearCall::new(&self.writer.input), &mut answer) {
                return answer.into_output();
            }
        }
        arch::trap(&self.writer.input)
    }

    /// After a failure: tries again if that is harmless, and deletes what was
    /// to be moved and is still here.
    #[cold]
    fn recover(&mut self, output: &mut CallOut) {
        let error = failure(output);
        if error == TransportError::refused(Cause::VersionMismatch) {
            if let Some(hash) = self.agreed_hash() {
                self.writer.input.label = self.writer.input.label.with_hash(hash);
                *output = self.attempt();
            }
        } else if self.may_retry(error) {
            let repeats = error.delivered && self.operation.class == Class::Recorded;
            if repeats {
                self.writer.input.label = self.writer.input.label.with_flags(Flags::REPEAT);
            }
            let again = self.attempt();
            // A server that has no record of the first attempt does not know
            // more than that attempt's error says.
            let unknown = Status::Error(TransportError::delivered(Cause::Dropped)).to_word();
            if !repeats || again.status != unknown {
                *output = again;
            }
        }
        if output.status != Status::Message.to_word() && !failure(output).delivered {
            self.writer.discard();
        }
    }

    /// The hash by which to call the operation, if the server has it as another
    /// version of the interface. What the call moves is gone with the first
    /// attempt, so such a call is not made again.
    fn agreed_hash(&self) -> Option<u32> {
        let (connection, index) = (self.connection, self.index);
        let answerable = !self.writer.input.label.flags().contains(Flags::OBJECT);
        if self.writer.moves() || !answerable || self.operation.number == AGREE {
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
    fn may_retry(&self, error: TransportError) -> bool {
        let passing = matches!(error.cause, Cause::Died | Cause::Dropped);
        let harmless = !error.delivered || self.operation.class != Class::Once;
        let complete = !error.delivered || !self.writer.moves();
        passing && harmless && complete
    }
}

impl Sink for Call<'_> {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.writer.word(word);
    }
    fn capability(&mut self, handle: Handle, copy: bool) {
        self.writer.capability(handle, copy);
    }
    fn lease(&mut self, lease: LeaseDescriptor) {
        self.writer.lease(lease);
    }
}
