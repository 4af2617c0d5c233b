//! Holds the keys of the soft bus, and its part of the disk. No operation gives a secret
//! out: whoever holds [`BusKeys`] can speak as this device while it does, and has nothing
//! left of that afterwards.
//!
//! ```text
//! interface  what the soft bus asks: tags of datagrams, sessions, what is trusted
//! session    what it asks about one stream
//! server     answers it
//! store      the key, the name and the bus's records, on the disk
//! random     random numbers from a seed
//! client     the same as the protocol wants it
//! ```
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod client;
pub mod interface;
pub mod random;
pub mod server;
pub mod session;
pub mod store;

pub use client::{Connected, Keeper, Remote};
pub use interface::{BusKeys, BusKeysClient, KeysError, Record};
pub use session::{BusSession, BusSessionClient};
