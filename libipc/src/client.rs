//! The client's side of a call.

use crate::{
    CallError, Capability,
    agreement::Agreement,
    arch, capability,
    handle::{Handle, Rights},
    kept::Kept,
    label::{Flags, Label},
    lease::{Lend, LendMut},
    message::{self, Attached, Reader, Shape, Writer, failed, failure},
    message_buffer::{CAPABILITIES, LeaseDescriptor},
    near::{Gate, NearAnswer, NearCall},
    operation::{AGREE, Class, Interface, Operation},
    plain::{self, Taken},
    registers::CallOut,
    status::{Cause, Status, TransportError},
    time::Instant,
    wire::{ErrorCode, Sink, Wire},
};
use core::{
    fmt, hint,
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
            repeating: true,
            plain: AtomicBool::new(false),
            ..self.apart()
        })
    }

    /// A copy, which does not own the capability.
    #[inline(always)]
    fn apart(&self) -> Connection {
        Connection {
            capability: Capability::from_handle(self.capability.handle()),
            deadline: self.deadline,
            gate: self.gate,
            agreement: self.agreement.clone(),
            repeating: self.repeating,
            plain: AtomicBool::new(self.plain.load(Relaxed)),
        }
    }

    /// The label of a call of the operation at `index`.
    #[inline(never)]
    fn label(&self, own: Label, index: usize) -> Label {
        let hash = self.agreement.hash(index);
        let label = hash.map_or(own, |hash| own.with_hash(hash));
        if self.repeating {
            label.with_flags(Flags::REPEAT)
        } else {
            label
        }
    }
}

impl Deadline {
    /// In ticks of the counter.
    #[inline(never)]
    fn ticks(self) -> u64 {
        let instant = match self {
            Deadline::Inherit => Instant::FOREVER,
            Deadline::At(instant) => instant,
            Deadline::After(timeout) => Instant::after(timeout),
        };
        instant.ticks()
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
    /// Of the operation in the interface's table.
    index: usize,
    flags: Flags,
    /// Of the kernel, which is of the same build: there is nothing to agree on.
    kernel: bool,
    writer: Writer,
}

impl<'a> Call<'a> {
    /// A call of the operation at `index` of the interface's table.
    #[inline(always)]
    pub fn new(connection: &'a Connection, interface: &'static Interface, index: usize) -> Self {
        Call::flagged(connection, interface, index, Flags::empty(), false)
    }

    /// The same, of a kernel object.
    #[inline(always)]
    pub fn kernel(connection: &'a Connection, interface: &'static Interface, index: usize) -> Self {
        Call::flagged(connection, interface, index, Flags::empty(), true)
    }

    /// The same, of the kernel object behind an endpoint capability itself.
    #[inline(always)]
    pub fn object(connection: &'a Connection, interface: &'static Interface, index: usize) -> Self {
        Call::flagged(connection, interface, index, Flags::OBJECT, true)
    }

    #[inline(always)]
    fn flagged(
        connection: &'a Connection,
        interface: &'static Interface,
        index: usize,
        flags: Flags,
        kernel: bool,
    ) -> Self {
        let operation = &interface.operations[index];
        let label = Label::call(operation.number, interface.hash).with_flags(flags);
        Call {
            connection,
            interface,
            index,
            flags,
            kernel,
            writer: Writer::new(connection.capability.handle(), label),
        }
    }

    /// Passes a copy of the client's capability.
    #[inline(always)]
    pub fn copy(&mut self, client: &impl AsRef<Capability>) {
        self.writer.capability(client.as_ref().handle(), true);
    }

    /// Lends memory to read.
    #[inline(always)]
    pub fn lend(&mut self, memory: impl Lend + 'a) {
        self.writer.lease(memory.describe());
    }

    /// Lends memory to read and write.
    #[inline(always)]
    pub fn lend_mut(&mut self, memory: impl LendMut + 'a) {
        self.writer.lease(memory.describe());
    }

    /// Sends the call, waits for the answer and takes the result out of it.
    ///
    /// Only the words are in memory, and next to nothing has to outlive the system
    /// call, unless something is out of the ordinary.
    #[inline(always)]
    pub fn finish<T: Wire, E: ErrorCode>(mut self) -> Result<T, CallError<E>> {
        let operation = &self.interface.operations[self.index];
        let registers = self.writer.shape.registers();
        let kept = Kept::new(
            &self.writer.input.words,
            registers,
            (!self.kernel).then_some(self.connection),
        );
        let fits = self.writer.finish().is_ok();
        if !(fits && self.connection.plain.load(Relaxed)) {
            return self.late(&kept, None);
        }
        let output = {
            let _open = message::open_for(operation.reply_capabilities.into());
            arch::trap(&self.writer.input)
        };
        if !plain::is_result(&output, operation) {
            return self.late(&kept, Some(plain::apart(&output)));
        }
        let capabilities = operation.reply_capabilities.into();
        let mut taken = Taken::new(output.label, &output.words, capabilities);
        let result = T::take(&mut taken);
        taken.discard();
        result.map_err(|_| CallError::Transport(TransportError::delivered(Cause::Malformed)))
    }

    /// The result of a call that is out of the ordinary, or whose `first` attempt ended so.
    #[inline(always)]
    fn late<T: Wire, E: ErrorCode>(
        &self,
        kept: &Kept<'_>,
        first: Option<CallOut>,
    ) -> Result<T, CallError<E>> {
        let attempts = |connection| Attempts {
            connection,
            interface: self.interface,
            operation: &self.interface.operations[self.index],
            index: self.index,
            flags: self.flags,
        };
        let shape = self.writer.shape;
        let result = if self.kernel {
            // Often made of a handle for this call alone: then it need not be in memory
            // otherwise.
            let connection = ManuallyDrop::new(self.connection.apart());
            attempts(&connection).finish(kept, shape, first)
        } else {
            // From memory, not from a register that would have to keep it.
            match hint::black_box(kept).connection {
                Some(connection) => attempts(connection).finish(kept, shape, first),
                None => Err(CallError::Transport(TransportError::refused(Cause::Denied))),
            }
        };
        // Matched, so that a result of the ordinary kind need not be in memory.
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(error),
        }
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

impl Attempts<'_> {
    /// The result of a call; if its `first` attempt ended with this, others may follow.
    #[cold]
    #[inline(never)]
    fn finish<T: Wire, E: ErrorCode>(
        &self,
        kept: &Kept<'_>,
        shape: Shape,
        first: Option<CallOut>,
    ) -> Result<T, CallError<E>> {
        let failed = |output: &CallOut| output.status != Status::Message.to_word();
        let output = match first {
            Some(output) if !failed(&output) => output,
            first => {
                let error = first.map(|output| failure(&output));
                self.end(&mut self.writer(kept, shape), error)
            }
        };
        result(&output)
    }

    /// The message again.
    fn writer(&self, kept: &Kept<'_>, shape: Shape) -> Writer {
        let (operation, hash) = (self.operation.number, self.interface.hash);
        let label = Label::call(operation, hash).with_flags(self.flags);
        let label = self.connection.label(label, self.index);
        let mut writer = Writer::new(self.connection.capability.handle(), label);
        writer.input.words = kept.words(shape.registers());
        writer.shape = shape;
        writer
    }

    /// Makes the call in the writer, or goes on after a first attempt that failed.
    fn end(&self, writer: &mut Writer, first: Option<TransportError>) -> CallOut {
        // What is done from here on may overwrite the buffer.
        let mut moved = [Handle::NULL; CAPABILITIES];
        if writer.shape.moves() {
            let places = moved.iter_mut().zip(writer.shape.moved());
            places.for_each(|(place, handle)| *place = handle);
        }
        let finished = writer.finish().map_err(TransportError::refused);
        let error = first.or(finished.err());
        let mut output = failed(error.unwrap_or(TransportError::refused(Cause::Cancelled)));
        if error.is_none() {
            self.attempt(writer, &mut output);
        }
        if output.status != Status::Message.to_word() {
            let error = self.recover(writer, &mut output);
            if error.is_some_and(|error| !error.delivered) && writer.shape.moves() {
                moved
                    .into_iter()
                    .for_each(|handle| _ = capability::delete(handle));
            }
        }
        output
    }

    #[inline]
    fn attempt(&self, writer: &mut Writer, output: &mut CallOut) {
        writer.input.deadline = self.connection.deadline.ticks();
        let operation = self.operation;
        let _open = message::open_for(operation.reply_capabilities.into());
        if let Some(gate) = self.connection.gate
            && !operation.deferred
        {
            let mut answer = NearAnswer::new();
            if gate.call(&NearCall::new(&writer.input), &mut answer) {
                *output = answer.into_output();
                return;
            }
        }
        *output = arch::trap(&writer.input);
    }

    /// After a failure: tries again if that is harmless. The error with which the call
    /// ended in the end, if it did.
    fn recover(&self, writer: &mut Writer, output: &mut CallOut) -> Option<TransportError> {
        let error = failure(output);
        match error.cause {
            Cause::VersionMismatch | Cause::Died | Cause::Dropped => {
                self.again(writer, output, error);
                (output.status != Status::Message.to_word()).then(|| failure(output))
            }
            _ => Some(error),
        }
    }

    /// Tries again if that is harmless.
    #[cold]
    #[inline(never)]
    fn again(&self, writer: &mut Writer, output: &mut CallOut, error: TransportError) {
        if error == TransportError::refused(Cause::VersionMismatch) {
            if let Some(hash) = self.agreed_hash(writer) {
                writer.input.label = writer.input.label.with_hash(hash);
                self.attempt(writer, output);
            }
        } else if self.may_retry(writer, error) {
            let repeats = error.delivered && self.operation.class == Class::Recorded;
            if repeats {
                writer.input.label = writer.input.label.with_flags(Flags::REPEAT);
            }
            let before = *output;
            self.attempt(writer, output);
            // A server that has no record of the first attempt does not know
            // more than that attempt's error says.
            let unknown = Status::Error(TransportError::delivered(Cause::Dropped)).to_word();
            if repeats && output.status == unknown {
                *output = before;
            }
        }
    }

    /// The hash by which to call the operation, if the server has it as another
    /// version of the interface. What the call moves is gone with the first
    /// attempt, so such a call is not made again.
    fn agreed_hash(&self, writer: &Writer) -> Option<u32> {
        let (connection, index) = (self.connection, self.index);
        let answerable = !self.flags.contains(Flags::OBJECT);
        if writer.shape.moves() || !answerable || self.operation.number == AGREE {
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
        let complete = !error.delivered || !writer.shape.moves();
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
    result(&call.end(&mut writer, None))
}

impl Sink for Call<'_> {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.writer.word(word);
    }
    #[inline(always)]
    fn words(&mut self, words: &[u64]) {
        self.writer.words(words);
    }
    #[inline(always)]
    fn capability(&mut self, handle: Handle, copy: bool) {
        self.writer.capability(handle, copy);
    }
    #[inline(always)]
    fn lease(&mut self, lease: LeaseDescriptor) {
        self.writer.lease(lease);
    }
}
