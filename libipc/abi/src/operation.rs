//! The constant table of an interface: kernel, tracer and bus handle any
//! interface by it, with no code of their own for each.

use crate::{
    buffer,
    wire::{ErrorCode, Sink, Wire},
};

/// What a repeat of an operation does, and so when a stub may retry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Must run at most once; retried only if it did not run.
    Once,
    /// Harmless to run again at any later time, after anyone else's calls.
    Idempotent,
    /// The server keeps request and reply; a repeat is answered from the record.
    Recorded,
}

/// One operation of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number, explicit and append-only.
    pub number: u8,
    /// The method's name.
    pub name: &'static str,
    /// What a repeat does.
    pub class: Class,
    /// Most words of its request.
    pub request_words: u16,
    /// Most words of its reply.
    pub reply_words: u16,
    /// Capabilities in its request.
    pub request_capabilities: u8,
    /// Capabilities in its reply.
    pub reply_capabilities: u8,
    /// Leases that it lends.
    pub leases: u8,
    /// Whether the server may answer later, from another place.
    pub deferred: bool,
    /// Hash of name, number, class, arguments and result.
    pub hash: u32,
}

/// An interface: its name, hash and operations in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The trait's name.
    pub name: &'static str,
    /// In every label that calls it.
    pub hash: u32,
    /// Sorted by number.
    pub operations: &'static [Operation],
}

impl Interface {
    /// The operation with this number.
    pub fn operation(&self, number: u8) -> Option<&'static Operation> {
        self.operations.iter().find(|op| op.number == number)
    }
}

/// Puts an operation's result into a reply, or returns its error's code.
#[inline(always)]
pub fn outcome<T: Wire, E: ErrorCode>(
    result: Result<T, E>,
    reply: &mut impl Sink,
) -> Result<(), u64> {
    match result {
        Ok(value) => {
            value.put(reply);
            Ok(())
        }
        Err(error) => Err(error.to_code()),
    }
}

/// The sum of what the parts of a message take; what does not fit in a message
/// does not compile.
pub const fn words(parts: &[usize]) -> u16 {
    let sum = sum(parts);
    assert!(
        sum <= buffer::MAX_WORDS,
        "this operation has more words than a message"
    );
    sum as u16
}

/// As [`words`], of capabilities.
pub const fn capabilities(parts: &[usize]) -> u8 {
    let sum = sum(parts);
    assert!(
        sum <= buffer::CAPABILITIES,
        "this operation has more capabilities than a message"
    );
    sum as u8
}

/// Checks a number of leases at compile time.
pub const fn leases(count: usize) -> u8 {
    assert!(
        count <= buffer::LEASES,
        "this operation has more leases than a call"
    );
    count as u8
}

const fn sum(parts: &[usize]) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < parts.len() {
        sum += parts[index];
        index += 1;
    }
    sum
}
