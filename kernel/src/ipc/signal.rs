//! Signals: bits that are set in an endpoint's word.

use super::{Outcome, deliver, plain, refused};
use crate::{
    Entered,
    capability::object::Target,
    object::{
        endpoint::{Endpoint, State},
        thread::Thread,
    },
};
use libipc_abi::{
    handle::{ObjectType, Rights},
    registers::CallIn,
    status::{Cause, Status},
};

/// The system call: sets the bits of word 0.
pub fn signal(k: Entered<'_>, thread: &Thread, call: &CallIn) -> Outcome {
    let Some(task) = thread.task.get(k) else {
        return Outcome::Blocked;
    };
    let target = task
        .table
        .get(k, call.handle, ObjectType::Endpoint, Rights::SIGNAL);
    let Ok(Target::Endpoint(endpoint, ..)) = target else {
        return Outcome::Done(refused(Cause::Denied));
    };
    if endpoint.state.get() == State::Closed {
        return Outcome::Done(refused(Cause::Died));
    }
    raise(k, endpoint, call.words[0]);
    Outcome::Done(plain(Status::Message))
}

/// Sets bits and wakes a receiver with all that are set.
pub fn raise(k: Entered<'_>, endpoint: &Endpoint, bits: u64) {
    let bits = bits | endpoint.signals.get();
    if bits == 0 || endpoint.state.get() == State::Closed {
        return;
    }
    match endpoint.receivers.first(k) {
        Some(receiver) => {
            endpoint.signals.set(0);
            deliver::event(k, receiver, Status::Signals, bits, 0);
        }
        None => {
            endpoint.signals.set(bits);
            endpoint.quiet.set(None);
        }
    }
}
