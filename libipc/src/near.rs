//! Near calls: client and server in one task, without a trap.
//!
//! A gate stands before a server. A call through it is made on the caller's own
//! thread if the gate is idle; otherwise the very same call goes through the
//! kernel to the endpoint, where the gate's service thread takes it up. So one
//! request runs at a time, as it does far, and the client's code is the same.
//!
//! A capability with the mark `FAR_ONLY` demands a server that stands alone: calls
//! through it do not enter, and end in `FarOnly` if the task is said to be shared.
//!
//! ```text
//!   Idle --- a caller enters ---> Busy(its thread) --- it leaves ---> Idle
//!   Idle --- set_far ---> Far: every call goes through the kernel
//! ```
#![allow(
    unsafe_code,
    reason = "whoever holds the gate may use the server behind it"
)]

use crate::{
    arch,
    buffer::Buffer,
    capability,
    handle::Handle,
    label::Label,
    message::{Attached, Writer, failed},
    message_buffer::word,
    objects::EndpointClient,
    registers::{CallIn, CallOut, WORDS},
    server::{self, Dispatch, Event, Incoming, Outgoing, Receiver},
    status::{Cause, Status, TransportError},
    sync::backoff,
    thread,
    time::Instant,
};
use alloc::boxed::Box;
use core::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
};

/// Stack that must be left for a server to run on its caller's thread.
pub const STACK_NEEDED: usize = 16 * 1024;

/// A call on its way into a gate. Only clients make one, so its leases are
/// memory that the client's method borrows.
pub struct NearCall<'c> {
    input: &'c CallIn,
    borrowed: PhantomData<&'c ()>,
}

impl<'c> NearCall<'c> {
    pub(crate) fn new(input: &'c CallIn) -> NearCall<'c> {
        NearCall {
            input,
            borrowed: PhantomData,
        }
    }

    pub(crate) fn label(&self) -> Label {
        self.input.label
    }

    pub(crate) fn words(&self) -> &'c [u64; WORDS] {
        &self.input.words
    }

    /// Gives the server capabilities of its own for those that are copied: both
    /// live in one table.
    fn copy_capabilities(&self) -> Result<(), Cause> {
        let buffer = Buffer::current();
        let count = self.input.label.capabilities();
        let copies = buffer.get(word::PASSING);
        for index in (0..count).filter(|index| copies & 1 << index != 0) {
            let slot = word::CAPABILITIES + index;
            let rights = Handle(buffer.get(slot)).rights().bits();
            match capability::task().derive(buffer.get(slot), rights.into()) {
                Ok(copy) => buffer.set(slot, copy),
                Err(_) => {
                    for earlier in (0..index).filter(|earlier| copies & 1 << earlier != 0) {
                        capability::delete(Handle(buffer.get(word::CAPABILITIES + earlier)));
                    }
                    return Err(Cause::Denied);
                }
            }
        }
        Ok(())
    }
}

/// What came out of a gate.
pub struct NearAnswer(CallOut);

impl NearAnswer {
    /// Room for an answer: until there is one, the call was dropped.
    #[inline]
    pub(crate) fn new() -> NearAnswer {
        NearAnswer(failed(TransportError::delivered(Cause::Dropped)))
    }

    #[inline]
    pub(crate) fn into_output(self) -> CallOut {
        self.0
    }

    /// The call did not run. It is done with.
    fn refuse(&mut self, cause: Cause) -> bool {
        self.0.status = Status::Error(TransportError::refused(cause)).to_word();
        true
    }
}

/// What a client calls through: see [`NearGate`].
pub trait Gate: Sync + fmt::Debug {
    /// Runs the call here, or returns `false` if it must go through the kernel.
    fn call(&self, call: &NearCall<'_>, answer: &mut NearAnswer) -> bool;
}

/// A gate with the server behind it.
///
/// ```no_run
/// use libipc::{near::NearGate, objects::EndpointClient, Capability};
/// # #[libipc::interface]
/// # pub trait Counter {
/// #     /// Adds.
/// #     #[op(0)]
/// #     fn add(&mut self, amount: u64) -> Result<u64, libipc::objects::ObjectError>;
/// # }
/// # struct Sum(u64);
/// # impl Counter for Sum {
/// #     fn add(&mut self, amount: u64) -> Result<u64, libipc::objects::ObjectError> {
/// #         self.0 += amount;
/// #         Ok(self.0)
/// #     }
/// # }
/// # fn example(endpoint: &'static EndpointClient, capability: Capability) {
/// let gate = NearGate::<dyn Counter + Send>::leak(Box::new(Sum(0)));
/// libipc::thread::spawn(move || gate.serve(endpoint)).unwrap().detach();
/// let counter = CounterClient::from(capability).with_gate(gate);
/// assert_eq!(counter.add(2), Ok(2));
/// # }
/// ```
pub struct NearGate<D: ?Sized> {
    /// [`IDLE`], [`FAR`], or the number of the thread inside, with [`FAR`] if
    /// it is the service thread of a gate that is far.
    state: AtomicU64,
    /// Used only by the thread whose number is in `state`.
    server: UnsafeCell<Box<D>>,
}

const IDLE: u64 = 0;
const FAR: u64 = 1;

// SAFETY: the server is reached only by the one thread that put its number into
// `state`, so it need not be `Sync`; it moves between threads, so it is `Send`.
unsafe impl<D: Send + ?Sized> Sync for NearGate<D> {}

impl<D: Dispatch + Send + ?Sized> NearGate<D> {
    /// An idle gate before `server`.
    pub const fn new(server: Box<D>) -> NearGate<D> {
        NearGate {
            state: AtomicU64::new(IDLE),
            server: UnsafeCell::new(server),
        }
    }

    /// The same, for as long as the program runs.
    pub fn leak(server: Box<D>) -> &'static NearGate<D>
    where
        D: 'static,
    {
        Box::leak(Box::new(NearGate::new(server)))
    }

    /// Sends every call through the kernel from now on, and returns when nobody
    /// is inside; `TimedOut` if somebody still is at `deadline`.
    pub fn set_far(&self, deadline: Instant) -> Result<(), TransportError> {
        self.change(IDLE, FAR, deadline)
    }

    /// Lets calls through again.
    pub fn set_near(&self, deadline: Instant) -> Result<(), TransportError> {
        self.change(FAR, IDLE, deadline)
    }

    fn change(&self, from: u64, to: u64, deadline: Instant) -> Result<(), TransportError> {
        let mut attempt = 0;
        loop {
            match self.exchange(from, to) {
                Ok(()) => return Ok(()),
                Err(state) if state == to => return Ok(()),
                Err(_) if deadline.passed() => {
                    return Err(TransportError::refused(Cause::TimedOut));
                }
                Err(_) => backoff(&mut attempt),
            }
        }
    }

    /// Serves the calls that come through the kernel, until the endpoint ends.
    pub fn serve(&self, endpoint: &EndpointClient) -> TransportError {
        let mut receiver = Receiver::new(endpoint);
        loop {
            match receiver.next() {
                Ok(Event::Message(message)) => {
                    let mut inside = self.wait();
                    message.dispatch(inside.server());
                }
                Ok(Event::Signals(_) | Event::Closed(_)) => {}
                Err(error) => return error,
            }
        }
    }

    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        self.state
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
            .map(|_| ())
    }

    /// Enters as the service thread: waits for whoever is inside.
    fn wait(&self) -> Inside<'_, D> {
        let thread = Buffer::current().thread_number();
        let mut attempt = 0;
        loop {
            for rest in [IDLE, FAR] {
                if self.exchange(rest, thread | rest).is_ok() {
                    return Inside { gate: self, rest };
                }
            }
            backoff(&mut attempt);
        }
    }
}

impl<D: Dispatch + Send + ?Sized> Gate for NearGate<D> {
    fn call(&self, call: &NearCall<'_>, answer: &mut NearAnswer) -> bool {
        let thread = Buffer::current().thread_number();
        match self.exchange(IDLE, thread) {
            Ok(()) => {}
            Err(state) if state & !FAR == thread => return answer.refuse(Cause::Deadlock),
            Err(_) => return false,
        }
        let mut inside = Inside {
            gate: self,
            rest: IDLE,
        };
        if Instant::from_ticks(call.input.deadline).passed() {
            return answer.refuse(Cause::TimedOut);
        }
        if thread::stack_left(arch::stack_pointer()).is_some_and(|left| left < STACK_NEEDED) {
            return answer.refuse(Cause::QuotaExceeded);
        }
        if call.label().capabilities() > 0
            && let Err(cause) = call.copy_capabilities()
        {
            return answer.refuse(cause);
        }
        let mut attached = Attached::default();
        attached.note(call.label());
        let incoming = Incoming::near(call, &mut attached);
        let mut outgoing = Outgoing(Writer::new(Handle::NULL, Label(0)));
        if server::run(inside.server(), call.label(), incoming, &mut outgoing) {
            let label = outgoing.0.input.label;
            match Cause::from_bits(label.operation()) {
                // As the kernel does with a message that was not understood.
                Some(cause) => _ = answer.refuse(cause),
                None => {
                    answer.0.status = Status::Message.to_word();
                    answer.0.label = label;
                    answer.0.words = outgoing.0.input.words;
                }
            }
        }
        attached.discard();
        true
    }
}

impl<D: ?Sized> fmt::Debug for NearGate<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state.load(Ordering::Relaxed) {
            IDLE => f.write_str("NearGate(Idle)"),
            FAR => f.write_str("NearGate(Far)"),
            _ => f.write_str("NearGate(Busy)"),
        }
    }
}

/// The calling thread is inside the gate.
struct Inside<'g, D: ?Sized> {
    gate: &'g NearGate<D>,
    /// The state to leave behind.
    rest: u64,
}

impl<D: ?Sized> Inside<'_, D> {
    fn server(&mut self) -> &mut D {
        // SAFETY: this thread's number is in `state`, so no other thread is
        // inside, and a second entry by this thread is refused.
        unsafe { &mut *self.gate.server.get() }
    }
}

impl<D: ?Sized> Drop for Inside<'_, D> {
    fn drop(&mut self) {
        self.gate.state.store(self.rest, Ordering::Release);
    }
}
