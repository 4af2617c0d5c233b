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
    registers::{CallOut, WORDS},
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
    /// The call is to be tried again. It has no result then: that would be written
    /// over its arguments.
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

    /// The endpoint of an argument, from which the caller may receive, and the
    /// capability that leads there.
    fn received(&self, handle: Handle) -> Result<(&'k Slot, &'k Endpoint), ObjectError> {
        let slot = self.slot(handle)?;
        let Some(Target::Endpoint(endpoint, _, epoch)) = slot.target(self.k) else {
            return Err(ObjectError::Denied);
        };
        if !handle.rights().contains(Rights::RECEIVE) || epoch != endpoint.epoch.get() {
            return Err(ObjectError::Denied);
        }
        match endpoint.state.get() {
            EndpointState::Closed => Err(ObjectError::Died),
            _ => Ok((slot, endpoint)),
        }
    }

    /// Binds to the endpoint of an argument, which is to be signalled.
    fn bind(&self, binding: &Binding, handle: Handle, signals: u64) -> Result<(), ObjectError> {
        let (source, endpoint) = self.signalled(handle)?;
        binding.bind(self.k, source, endpoint, None, signals);
        Ok(())
    }

    /// The handle that the call was made with.
    fn handle(&self) -> Handle {
        Port::called(&self.thread.context).0
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
        Port::word(&self.thread.context, PROGRESS)
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
                let context = &self.thread.context;
                for index in forward {
                    Port::set_word(context, index, Port::word(context, index) + done);
                }
                Port::set_word(context, length, Port::word(context, length) - done);
                self.again = true;
                Ok(())
            }
            Err(Stop::Source | Stop::Destination) => Err(ObjectError::LeaseFault),
        }
    }
}

/// Any call: to a server if the handle is an endpoint's, to the kernel else.
#[inline(never)]
pub fn call<'k>(k: Entered<'k>, thread: &'k Thread, handle: Handle, label: Label) -> Outcome {
    let Some(task) = thread.task.get(k) else {
        return Outcome::Blocked;
    };
    // What needs no slot has the index of none.
    let target = match handle.index() {
        0 => without_slot(k, thread, handle),
        _ => task.table.find(k, handle).and_then(|slot| slot.target(k)),
    };
    let Some(target) = target else {
        return Outcome::Done(refused(no_target(k, task, handle)));
    };
    let flags = label.flags();
    if let Target::Endpoint(endpoint, session, _) = target
        && flags != Flags::OBJECT
    {
        if !handle.rights().contains(Rights::CALL) {
            return Outcome::Done(refused(Cause::Denied));
        }
        let call = Port::call_in(&thread.context);
        return ipc::call::call(k, thread, endpoint, session, &call);
    }
    if flags == Flags::REPEAT {
        return Outcome::Done(refused(Cause::Malformed));
    }
    thread.remember(label.0);
    object(k, thread, task, target, handle.rights(), label)
}

fn without_slot<'k>(k: Entered<'k>, thread: &'k Thread, handle: Handle) -> Option<Target<'k>> {
    match handle {
        Handle::THREAD => Some(Target::Thread(thread)),
        Handle::REQUEST => thread.client.get(k).map(|client| Target::Reply(client, 0)),
        _ => None,
    }
}

/// Why a handle leads nowhere.
#[cold]
fn no_target(k: Entered<'_>, task: &Task, handle: Handle) -> Cause {
    if handle == Handle::REQUEST {
        Cause::Cancelled
    } else if task.table.find_any(k, handle).is_some() {
        Cause::Revoked
    } else {
        Cause::Denied
    }
}

/// Calls a kernel object.
#[inline(always)]
fn object<'k>(
    k: Entered<'k>,
    thread: &'k Thread,
    task: &'k Task,
    target: Target<'k>,
    rights: Rights,
    label: Label,
) -> Outcome {
    if !message::acceptable(label) {
        return Outcome::Done(refused(Cause::Malformed));
    }
    let operation = label.operation();
    let mut caller = Caller {
        k,
        thread,
        task,
        rights,
        again: false,
    };
    let mut request = Request::new(k, thread, label);
    let mut answer = Answer::new(k, thread);
    /// Runs the operation if the caller means this object's interface.
    macro_rules! run {
        ($object:ident { $($field:ident),* }) => {{
            let caller = &mut caller;
            let mut on = $object::On { caller, $($field),* };
            match objects::$object::INTERFACE.accepts(label.hash()) {
                true => objects::$object::dispatch(&mut on, operation, &mut request, &mut answer),
                false => Err(Cause::VersionMismatch),
            }
        }};
    }
    let result = match target {
        Target::Task(task) => run!(task { task }),
        Target::Thread(thread) => run!(thread { thread }),
        Target::Endpoint(endpoint, _, epoch) => run!(endpoint { endpoint, epoch }),
        Target::Memory(memory) => run!(memory { memory }),
        Target::Interrupt(interrupt) => run!(interrupt { interrupt }),
        Target::Reservation(reservation) => run!(reservation { reservation }),
        Target::Dma(dma) => run!(dma { dma }),
        Target::System => run!(system {}),
        Target::Reply(client, number) => run!(reply { client, number }),
    };
    if caller.again {
        debug_assert!(answer.is_empty(), "the arguments are still there");
        return Outcome::Retry;
    }
    if !matches!(thread.state.get(), State::Ready | State::Stopped) {
        // It ended itself, or waits for its fault handler.
        return Outcome::Blocked;
    }
    match result {
        Ok(Ok(())) => {
            answer.deliver();
            Outcome::Delivered
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
