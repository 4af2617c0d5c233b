//! The kernel as a server: calls on its objects.
//!
//! Each file implements the trait of one object that `libipc_abi::objects`
//! declares; this one finds the object and runs the declared dispatch.

mod dma;
mod endpoint;
mod interrupt;
mod memory;
mod message;
mod reply;
mod reservation;
mod system;
mod task;
mod thread;

use crate::{
    Entered,
    arch::{Arch, Port},
    capability::{object::Target, slot::Slot},
    ipc::{self, Outcome, plain, refused},
    memory::{copy::Stop, space::Progress},
    object::{
        binding::Binding,
        endpoint::{Endpoint, State as EndpointState},
        task::Task,
        thread::{State, Thread},
    },
};
use libipc_abi::{
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    objects::{self, ObjectError},
    operation::Interface,
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status},
    wire::ErrorCode,
};
use message::{Answer, Request};

/// The word of its call in which an operation that can be interrupted keeps how far
/// it has come: the last one, which none has an argument in. It is 0 at first.
const PROGRESS: usize = WORDS - 1;

/// Who calls an object, and with what right.
pub struct Caller<'k> {
    k: Entered<'k>,
    thread: &'k Thread,
    task: &'k Task,
    rights: Rights,
    /// The call is to be tried again.
    again: bool,
}

impl<'k> Caller<'k> {
    fn need(&self, rights: Rights) -> Result<(), ObjectError> {
        if self.rights.contains(rights) {
            Ok(())
        } else {
            Err(ObjectError::Denied)
        }
    }

    /// The object of an argument.
    fn argument(
        &self,
        handle: Handle,
        kind: ObjectType,
        rights: Rights,
    ) -> Result<Target<'k>, ObjectError> {
        self.task.table.get(self.k, handle, kind, rights)
    }

    /// The endpoint of an argument, which is to be signalled, and the capability that
    /// leads there.
    fn signalled(&self, handle: Handle) -> Result<(&'k Slot, &'k Endpoint), ObjectError> {
        let slot = self.slot(handle)?;
        let Some(Target::Endpoint(endpoint, ..)) = slot.target(self.k) else {
            return Err(ObjectError::Denied);
        };
        if !handle.rights().contains(Rights::SIGNAL) {
            return Err(ObjectError::Denied);
        }
        if endpoint.state.get() == EndpointState::Closed {
            return Err(ObjectError::Died);
        }
        Ok((slot, endpoint))
    }

    /// Binds to the endpoint of an argument, which is to be signalled.
    fn bind(&self, binding: &Binding, handle: Handle, signals: u64) -> Result<(), ObjectError> {
        let (source, endpoint) = self.signalled(handle)?;
        binding.bind(self.k, source, endpoint, None, signals);
        Ok(())
    }

    /// The handle that the call was made with.
    fn handle(&self) -> Handle {
        Port::call_in(&self.thread.context).handle
    }

    /// The slot of an argument.
    fn slot(&self, handle: Handle) -> Result<&'k Slot, ObjectError> {
        let slot = self.task.table.find(self.k, handle);
        slot.ok_or(ObjectError::Denied)
    }

    /// Makes a capability for the caller.
    fn give(&self, target: &Target<'_>, rights: Rights) -> Result<Handle, ObjectError> {
        self.task.table.insert(self.k, self.task, target, rights)
    }

    /// The capability that the call was made with is as new as `epoch`.
    fn renew_epoch(&self, epoch: u64) {
        if let Ok(slot) = self.slot(self.handle()) {
            slot.set_epoch(epoch);
        }
    }

    /// The result of an operation that may have to be tried again.
    fn finished(&mut self, progress: Progress) -> Result<(), ObjectError> {
        self.again |= progress == Progress::Again;
        Ok(())
    }

    /// How far the operation has come that was interrupted; 0 at first. The caller
    /// can write what it likes there.
    fn progress(&self) -> u64 {
        Port::call_in(&self.thread.context).words[PROGRESS]
    }

    /// The operation is to be tried again, and has come so far.
    fn interrupted(&mut self, progress: u64) -> Result<(), ObjectError> {
        Port::set_word(&self.thread.context, PROGRESS, progress);
        self.finished(Progress::Again)
    }

    /// The result of a copy. After an interruption the call's words say what is
    /// left: those in `forward` grow, the one in `length` shrinks.
    fn copied(
        &mut self,
        result: Result<(), Stop>,
        forward: [usize; 2],
        length: usize,
    ) -> Result<(), ObjectError> {
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Interrupt(done)) => {
                let words = Port::call_in(&self.thread.context).words;
                for index in forward {
                    Port::set_word(&self.thread.context, index, words[index] + done);
                }
                Port::set_word(&self.thread.context, length, words[length] - done);
                self.again = true;
                Ok(())
            }
            Err(Stop::Source | Stop::Destination) => Err(ObjectError::LeaseFault),
        }
    }
}

/// Any call: to a server if the handle is an endpoint's, to the kernel else.
pub fn call(k: Entered<'_>, thread: &Thread, call: &CallIn) -> Outcome {
    let (Some(thread), Some(task)) = (k.core.current.get(k), thread.task.get(k)) else {
        return Outcome::Blocked;
    };
    let flags = call.label.flags();
    let target = match call.handle {
        Handle::THREAD => Some(Target::Thread(thread)),
        Handle::REQUEST => thread.client.get(k).map(|client| Target::Reply(client, 0)),
        handle => task.table.find(k, handle).and_then(|slot| slot.target(k)),
    };
    let Some(target) = target else {
        let cause = if call.handle == Handle::REQUEST {
            Cause::Cancelled
        } else if task.table.find_any(k, call.handle).is_some() {
            Cause::Revoked
        } else {
            Cause::Denied
        };
        return Outcome::Done(refused(cause));
    };
    match target {
        Target::Endpoint(endpoint, session, _) if flags != Flags::OBJECT => {
            if !call.handle.rights().contains(Rights::CALL) {
                return Outcome::Done(refused(Cause::Denied));
            }
            ipc::call::call(k, thread, endpoint, session, call)
        }
        _ if flags == Flags::REPEAT => Outcome::Done(refused(Cause::Malformed)),
        Target::Endpoint(..)
        | Target::System
        | Target::Task(_)
        | Target::Thread(_)
        | Target::Memory(_)
        | Target::Interrupt(_)
        | Target::Reservation(_)
        | Target::Dma(_)
        | Target::Reply(..) => {
            thread.remember(call.label.0);
            let rights = call.handle.rights();
            object(
                Caller {
                    k,
                    thread,
                    task,
                    rights,
                    again: false,
                },
                target,
                call,
            )
        }
    }
}

/// Calls a kernel object.
fn object<'k>(caller: Caller<'k>, target: Target<'k>, call: &CallIn) -> Outcome {
    let (k, thread) = (caller.k, caller.thread);
    if !message::acceptable(call.label) {
        return Outcome::Done(refused(Cause::Malformed));
    }
    let interface = interface(&target);
    if !interface.accepts(call.label.hash()) {
        return Outcome::Done(refused(Cause::VersionMismatch));
    }
    let operation = call.label.operation();
    let returned = interface
        .operation(operation)
        .map_or(0, |op| op.reply_capabilities);
    let mut answer = Answer::new(k, thread);
    if answer.open() < u64::from(returned) {
        return Outcome::Done(refused(Cause::QuotaExceeded));
    }
    let mut request = Request::new(k, thread, call);
    let mut handler = Handler { caller, target };
    let result = handler.run(operation, &mut request, &mut answer);
    if handler.caller.again {
        return Outcome::Retry;
    }
    if !matches!(thread.state.get(), State::Ready | State::Stopped) {
        // It ended itself, or waits for its fault handler.
        return Outcome::Blocked;
    }
    match result {
        Ok(Ok(())) => {
            answer.deliver(thread);
            // As of a call that waited, the result is in the registers.
            Outcome::Blocked
        }
        Ok(Err(code)) => Outcome::Done(refusal(code)),
        Err(cause) => Outcome::Done(refused(cause)),
    }
}

/// How an object's error arrives.
#[cold]
fn refusal(code: u64) -> CallOut {
    match ObjectError::from_code(code).and_then(ObjectError::cause) {
        Some(cause) => refused(cause),
        None => {
            let mut out = plain(Status::Message);
            out.label = Label::control(Flags::empty(), Label::SERVER_ERROR);
            out.words[0] = code;
            out
        }
    }
}

/// All of them.
const INTERFACES: [&Interface; ObjectType::ALL.len()] = [
    &objects::task::INTERFACE,
    &objects::thread::INTERFACE,
    &objects::endpoint::INTERFACE,
    &objects::memory::INTERFACE,
    &objects::interrupt::INTERFACE,
    &objects::reservation::INTERFACE,
    &objects::dma::INTERFACE,
    &objects::system::INTERFACE,
    &objects::reply::INTERFACE,
];

fn interface(target: &Target<'_>) -> &'static Interface {
    match target {
        Target::Task(_) => &objects::task::INTERFACE,
        Target::Thread(_) => &objects::thread::INTERFACE,
        Target::Endpoint(..) => &objects::endpoint::INTERFACE,
        Target::Memory(_) => &objects::memory::INTERFACE,
        Target::Interrupt(_) => &objects::interrupt::INTERFACE,
        Target::Reservation(_) => &objects::reservation::INTERFACE,
        Target::Dma(_) => &objects::dma::INTERFACE,
        Target::System => &objects::system::INTERFACE,
        Target::Reply(..) => &objects::reply::INTERFACE,
    }
}

struct Handler<'k> {
    caller: Caller<'k>,
    target: Target<'k>,
}

impl<'k> Handler<'k> {
    fn run(
        &mut self,
        operation: u8,
        request: &mut Request<'k>,
        answer: &mut Answer<'k>,
    ) -> Result<Result<(), u64>, Cause> {
        let caller = &mut self.caller;
        match self.target {
            Target::Task(task) => {
                objects::task::dispatch(&mut task::On { caller, task }, operation, request, answer)
            }
            Target::Thread(thread) => objects::thread::dispatch(
                &mut thread::On { caller, thread },
                operation,
                request,
                answer,
            ),
            Target::Endpoint(endpoint, _, epoch) => objects::endpoint::dispatch(
                &mut endpoint::On {
                    caller,
                    endpoint,
                    epoch,
                },
                operation,
                request,
                answer,
            ),
            Target::Memory(memory) => objects::memory::dispatch(
                &mut memory::On { caller, memory },
                operation,
                request,
                answer,
            ),
            Target::Interrupt(interrupt) => objects::interrupt::dispatch(
                &mut interrupt::On { caller, interrupt },
                operation,
                request,
                answer,
            ),
            Target::Reservation(reservation) => objects::reservation::dispatch(
                &mut reservation::On {
                    caller,
                    reservation,
                },
                operation,
                request,
                answer,
            ),
            Target::Dma(dma) => {
                objects::dma::dispatch(&mut dma::On { caller, dma }, operation, request, answer)
            }
            Target::System => {
                objects::system::dispatch(&mut system::On { caller }, operation, request, answer)
            }
            Target::Reply(client, number) => objects::reply::dispatch(
                &mut reply::On {
                    caller,
                    client,
                    number,
                },
                operation,
                request,
                answer,
            ),
        }
    }
}
