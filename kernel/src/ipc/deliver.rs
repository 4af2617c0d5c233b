//! Carrying a message from one thread to another.

use super::{lease, plain, transfer};
use crate::{
    Entered,
    arch::{Arch, Port},
    memory::copy,
    object::{
        session::Session,
        thread::{State, Thread},
    },
    schedule::{budget, inherit, ready},
};
use libipc_abi::{
    buffer::{BYTES, word},
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects,
    registers::{CallOut, WORDS},
    status::{Cause, Status},
};

/// Copies the bytes of a message between the buffers of two threads, in whole words.
#[inline(always)]
pub fn copy_bytes(from: &Thread, to: &Thread, bytes: usize) {
    if bytes > 0 {
        let start = 8 * word::BYTES as u64;
        let (from, to) = (from.buffer.get() + start, to.buffer.get() + start);
        copy::move_bytes(from, to, (bytes.min(BYTES) + 7) & !7);
    }
}

/// The same where there are some and nothing may be called.
#[inline(always)]
pub fn copy_some_bytes(from: &Thread, to: &Thread, bytes: usize) {
    let start = 8 * word::BYTES as u64;
    let (from, to) = (from.buffer.get() + start, to.buffer.get() + start);
    copy::move_words(from, to, (bytes + 7) & !7);
}

/// Takes `receiver` out of its wait and gives it the message of `sender`, whose
/// call has begun. On an error both are as before.
pub fn message(k: Entered<'_>, sender: &Thread, receiver: &Thread) -> Result<(), Cause> {
    let label = Label(sender.remembered(0));
    let alone = demands_alone(sender);
    if alone && receiver.task.get(k).is_none_or(|task| task.shared.get()) {
        return Err(Cause::FarOnly);
    }
    transfer::capabilities(k, sender, receiver, label.capabilities())
        .map_err(|failure| failure.cause())?;
    copy_bytes(sender, receiver, label.bytes());
    lease::describe(k, sender, receiver, label.leases());

    let out = heard(k, sender, label);
    finish_receive(k, receiver);
    Port::call_out(&receiver.context, &out);

    sender.state.set(State::Waiting);
    sender.server.set(Some(receiver));
    receiver.client.set(Some(sender));
    receiver.depth.set(sender.depth.get() + 1);
    if alone && let Some(task) = receiver.task.get(k) {
        task.alone.set(true);
    }
    receiver.received.add(1);
    // The receiver runs at no less than the priority of whom it serves.
    budget::donate(k, sender, receiver);
    inherit::settle(k, receiver);
    ready::hand_over(k, receiver);
    Ok(())
}

/// What the receiver of a call that has begun finds in its registers.
fn heard(k: Entered<'_>, sender: &Thread, label: Label) -> CallOut {
    CallOut {
        status: Status::Message.to_word(),
        label: label.with_flags(label.flags() & Flags::REPEAT),
        words: words(k, sender),
        badge: sender
            .session
            .get(k)
            .map_or(0, |session: &Session| session.badge.get()),
        request_id: sender.request_id(),
    }
}

/// Whether the capability that the sender calls through has the mark `FAR_ONLY`. A
/// fault is reported through none.
fn demands_alone(sender: &Thread) -> bool {
    let via = Handle(sender.via.get());
    via.rights().contains(Rights::FAR_ONLY)
}

/// The first words of the sender's message.
fn words(k: Entered<'_>, sender: &Thread) -> [u64; WORDS] {
    match sender.has_fault() {
        true => fault_words(k, sender),
        false => Port::call_in(&sender.context).words,
    }
}

/// The words of the call that the kernel makes when a thread faults:
/// [`libipc_abi::objects::Fault`].
#[inline(always)]
pub fn fault_words(k: Entered<'_>, thread: &Thread) -> [u64; WORDS] {
    let registers = Port::registers(&thread.context);
    [
        thread.task.get(k).map_or(0, |task| task.id.get()),
        thread.id.get(),
        thread.fault.kind.get() - 1,
        thread.fault.address.get(),
        thread.fault.code.get(),
        registers.pc,
        registers.sp,
        0,
    ]
}

/// The label of the call that the kernel makes when a thread faults.
pub fn fault_label() -> Label {
    Label::call(0, objects::fault::INTERFACE.hash)
}

/// Takes a thread out of its wait for messages.
pub fn finish_receive(k: Entered<'_>, receiver: &Thread) {
    ready::clear_alarm(k, receiver);
    if let Some(endpoint) = receiver.endpoint.take(k) {
        endpoint.receivers.remove(k, receiver);
        // Whoever delivers holds a use of the endpoint, so it lives on.
        endpoint.uses.take(1);
    }
}

/// Gives a thread that waits for messages signals, or the end of a session,
/// instead.
pub fn event(k: Entered<'_>, receiver: &Thread, status: Status, word: u64, badge: u64) {
    finish_receive(k, receiver);
    let mut out = plain(status);
    out.words[0] = word;
    out.badge = badge;
    Port::call_out(&receiver.context, &out);
    ready::wake(k, receiver);
}
