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

/// Number of the operation that every server answers before any other: do these
/// operations mean the same to both of us? Its label has the hash of the
/// interface's name alone.
///
/// Word 0 is how many operations are asked about; each further word is one,
/// number 32 bits (low) and hash 32 bits (high). The reply's word 0 is the hash
/// by which to call them; `VersionMismatch` if one is unknown or another here.
pub const AGREE: u8 = 255;

/// An interface: its name, hash and operations in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The trait's name.
    pub name: &'static str,
    /// Hash of the name alone, in labels of [`AGREE`].
    pub name_hash: u32,
    /// In every label that calls it.
    pub hash: u32,
    /// The hashes that it had before operations were added: calls with one of
    /// them mean the same.
    pub older: &'static [u32],
    /// Sorted by number.
    pub operations: &'static [Operation],
}

impl Interface {
    /// The operation with this number.
    pub fn operation(&self, number: u8) -> Option<&'static Operation> {
        // Where it is as long as no number is left out.
        match self.operations.get(usize::from(number)) {
            Some(operation) if operation.number == number => Some(operation),
            _ => self.operations.iter().find(|op| op.number == number),
        }
    }

    /// Whether calls with this hash are of this interface as it is or was.
    #[inline(always)]
    pub fn accepts(&self, hash: u32) -> bool {
        hash == self.hash || self.older.contains(&hash)
    }

    /// The numbers of the recorded operations, as a set of bits.
    pub const fn recorded(&self) -> [u64; 4] {
        let (mut set, mut index) = ([0; 4], 0);
        while index < self.operations.len() {
            let operation = &self.operations[index];
            if matches!(operation.class, Class::Recorded) {
                set[operation.number as usize / 64] |= 1 << (operation.number % 64);
            }
            index += 1;
        }
        set
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

/// As [`capabilities`], of a recorded operation: a capability is handed over
/// once.
pub const fn no_capabilities(parts: &[usize]) -> u8 {
    assert!(
        sum(parts) == 0,
        "a recorded operation has no capabilities in its request or reply"
    );
    0
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
