//! The soft bus server: other devices' capabilities as capabilities here, and what is
//! published here for them.
//!
//! In the order in which a call to another device passes them, and one from there:
//!
//! ```text
//! server     the loop: messages, sockets, time
//! calls      a call is kept, sent, and ended as it ended there; and the other way
//! objects    capabilities in messages, in and out
//!            -> tessera_softbus_protocol: sessions, rights, what survives a loss
//! wires      datagrams and streams of the network server
//!            -> tessera_softbus_keys: the keys, in a task of their own
//! parsers    tasks that read what other devices say
//!            -> tessera_softbus_parser
//! fair       which call of which device is next
//! crew       threads that make the calls of other devices here
//! ```
//!
//! Beside that way: `interface` is what programs ask of the bus, `asked` what of that goes
//! to another device as a whole, `events` what the protocol tells, `names` what devices are
//! called, [`users`] who may do what, [`registry`] what a repeat of an operation does, [`services`] what is published,
//! `consent` what the owner is asked, [`given`] what he said yes to, [`audit`] who used
//! what, and [`kept`] how both outlive the bus.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod asked;
pub mod audit;
mod calls;
pub mod consent;
pub mod crew;
mod events;
pub mod fair;
pub mod given;
mod interface;
pub mod kept;
mod names;
pub mod objects;
pub mod parsers;
pub mod registry;
pub mod server;
pub mod services;
pub mod users;
pub mod wires;
