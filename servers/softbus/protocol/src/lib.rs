//! The protocol of the soft bus, without input, output, clock or randomness of its
//! own: bytes, time and random numbers go in, bytes, wishes and events come out.
//! `servers/softbus/PROTOCOL.md` is its specification.
//!
//! In the order in which a call passes them:
//!
//! ```text
//! node       one device: everything below put together; what a host of the crate uses
//! table      what is exported to whom; rights are checked here, on every call
//! peer       one other device: calls, credit, and what survives a broken stream
//! wire       the messages inside a session, read and written: bounded, no state
//! parser     who reads a peer's plain text: a trait
//! link       one stream: frames, handshake, encryption. Moves bytes, reads none
//! keys       who holds what is secret: two traits
//! suite      the cryptography: Noise and SPAKE2, behind a trait
//! ```
//!
//! Beside that way: [`announce`] finds devices by datagrams, [`pairing`] makes two of
//! them trust each other by a PIN, [`trust`] is what is kept of that on the disk,
//! [`limits`] has every bound and every time, [`bytes`] the reader that all parsers use,
//! [`records`] how several byte strings lie in memory that one task lends another.
//!
//! Three tasks share the work, and trust one another no more than they must: who holds the
//! keys ([`keys`]), who reads what came from one peer ([`parser`]), and who holds the
//! exports (all the rest). They speak by values, through the two traits; [`keys::Holder`]
//! and [`parser::Inline`] do the same in place, in the laboratory and in tests.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
pub mod announce;
pub mod bytes;
pub mod keys;
pub mod limits;
pub mod link;
pub mod node;
pub mod pairing;
pub mod parser;
pub mod peer;
pub mod random;
pub mod records;
pub mod suite;
pub mod table;
pub mod trust;
pub mod versions;
pub mod wire;

/// A moment of a monotonic clock that only this device reads: milliseconds since some
/// moment that does not change while it runs.
pub type Millis = u64;
