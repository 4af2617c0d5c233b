//! System calls by hand: what a hostile program would write, without the care
//! that `libipc` takes.
#![allow(unsafe_code, reason = "traps and the message buffer are raw by nature")]

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod selected;
#[cfg(target_arch = "riscv64")]
#[path = "riscv64.rs"]
mod selected;

mod address;
mod printer;

pub(crate) use address::{PlaceAt, ReadTo, read_log_to};
pub(crate) use printer::Printer;
pub(crate) use selected::*;

use libipc::{
    FOREVER, PAGE,
    handle::Handle,
    label::{Flags, Label},
    message_buffer::{Access, LeaseDescriptor, Outer, word},
    operation::Interface,
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status, TransportError},
};

/// A trap with these registers and no deadline.
pub(crate) fn call(handle: Handle, label: Label, words: &[u64]) -> CallOut {
    call_until(handle, label, words, FOREVER)
}

/// The same with a deadline.
pub(crate) fn call_until(handle: Handle, label: Label, words: &[u64], deadline: u64) -> CallOut {
    let mut all = [0; WORDS];
    all[..words.len()].copy_from_slice(words);
    trap(&CallIn {
        handle,
        label,
        words: all,
        deadline,
        request: Handle::NULL,
    })
}

/// Calls an operation of a kernel object, or of a server.
pub(crate) fn operation(
    handle: Handle,
    interface: &Interface,
    number: u8,
    words: &[u64],
) -> CallOut {
    call(handle, Label::call(number, interface.hash), words)
}

/// Answers the request being served with these words.
pub(crate) fn reply(words: &[u64]) -> CallOut {
    let label = Label::control(Flags::REPLY, Label::OK);
    call(Handle::NULL, label, words)
}

/// Waits for a message or a signal.
pub(crate) fn receive(endpoint: Handle, deadline: u64) -> CallOut {
    let label = Label::control(Flags::RECEIVE, 0);
    call_until(endpoint, label, &[], deadline)
}

/// How the trap ended.
pub(crate) fn status(out: &CallOut) -> Option<Status> {
    Status::from_word(out.status)
}

/// The transport error with which it ended, if it did.
pub(crate) fn error(out: &CallOut) -> Option<TransportError> {
    match status(out) {
        Some(Status::Error(error)) => Some(error),
        _ => None,
    }
}

/// Whether the call was refused for this cause, without having run.
pub(crate) fn refused(out: &CallOut, cause: Cause) -> bool {
    error(out) == Some(TransportError::refused(cause))
}

/// Words of the calling thread's message buffer.
pub(crate) const BUFFER_WORDS: usize = PAGE / 8;

/// Reads a word of the calling thread's message buffer.
pub(crate) fn get(index: usize) -> u64 {
    assert!(index < BUFFER_WORDS);
    // SAFETY: the kernel keeps the page mapped while the thread lives, and the
    // index is inside.
    unsafe { buffer().wrapping_add(index).read_volatile() }
}

/// Writes a word of the calling thread's message buffer.
pub(crate) fn set(index: usize, value: u64) {
    assert!(index < BUFFER_WORDS);
    // SAFETY: as in `get`; nothing else refers to the page.
    unsafe { buffer().wrapping_add(index).write_volatile(value) }
}

/// Names a capability to pass with the next message.
pub(crate) fn attach(index: usize, handle: Handle) {
    set(word::CAPABILITIES + index, handle.0);
}

/// How the attached capabilities are passed: see the buffer's header.
pub(crate) fn passing(how: u64) {
    set(word::PASSING, how);
}

/// How many capabilities the thread is willing to receive.
pub(crate) fn open(slots: u64) {
    set(word::OPEN, slots);
}

/// A lease of the next call.
pub(crate) fn lend(index: usize, address: u64, length: u64, access: u64) {
    for (offset, field) in [address, length, access].into_iter().enumerate() {
        set(word::LEASE + 3 * index + offset, field);
    }
}

/// Part of a lease of a request, to be lent on with the next call.
pub(crate) fn relend(index: usize, outer: Outer, length: u64, access: Access) {
    let lease = LeaseDescriptor::relend(outer, length, access);
    lend(index, lease.address, lease.length, lease.access);
}
