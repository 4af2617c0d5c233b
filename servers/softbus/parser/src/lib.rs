//! Reads what one device says on the soft bus, in a task that holds nothing but the
//! endpoint at which it is asked: no key, no right, nothing of another device. The soft bus
//! starts one for each device that speaks to it, and another when one ends, does not answer
//! or answers nonsense.
//!
//! ```text
//! interface  what the soft bus asks
//! server     reads, by the protocol's own readers
//! form       a message as it is passed on: every field has its place
//! small      the same for a datagram and a message of pairing
//! ```
//!
//! Whoever breaks into it by what he says can answer what he could have said, and nothing
//! else: `form` and `small` make a message of any answer, or refuse it, by comparing
//! numbers with bounds.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod form;
pub mod interface;
pub mod server;
pub mod small;

pub use form::Form;
pub use interface::{BusParser, BusParserClient, ParserError};
pub use server::Reader;

/// The name under which it finds its endpoint.
pub const ENDPOINT: &str = "parser";
