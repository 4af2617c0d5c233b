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
//! link       one stream: frames, handshake, encryption. Moves bytes, reads none
//! suite      the cryptography: Noise and SPAKE2, behind a trait
//! ```
//!
//! Beside that way: [`announce`] finds devices by datagrams, [`pairing`] makes two of
//! them trust each other by a PIN, [`trust`] is what is kept of that on the disk,
//! [`limits`] has every bound and every time, [`bytes`] the reader that all parsers use.
//!
//! The parts are separate so that they can be separate tasks: who holds the keys
//! ([`link`], [`announce`], [`trust`]), who reads a peer's bytes ([`peer`]) and who holds
//! the exports ([`table`]). They share no state and speak by values.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
pub mod announce;
pub mod bytes;
pub mod limits;
pub mod link;
pub mod node;
pub mod pairing;
pub mod peer;
pub mod random;
pub mod suite;
pub mod table;
pub mod trust;
pub mod wire;

/// A moment of a monotonic clock that only this device reads: milliseconds since some
/// moment that does not change while it runs.
pub type Millis = u64;
