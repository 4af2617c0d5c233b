//! A laboratory for the soft bus: up to a thousand devices, each the protocol's own
//! crate, on a simulated network, in one thread and in virtual time. Equal options and
//! seeds make equal events, whose digest is printed.
//!
//! ```text
//! options    how large, how long, how bad
//! world      the loop: what happens next, to whom
//! machine    one device: its clock, its disk, its crashes
//! network    datagrams and streams between them: lost, late, twice, cut
//! app        what runs on the devices: servers, and calls to those of others
//! greedy     what devices make of the rights that they are given: all of them
//! hostile    who has no right to anything, and tries
//! truth      what really happened, and the invariants
//! report     what is printed
//! cheap      a cipher that costs nothing
//! random     random numbers that a seed determines
//! ```
#![forbid(unsafe_code)]

pub mod app;
pub mod cheap;
pub mod greedy;
pub mod hostile;
pub mod machine;
pub mod network;
pub mod options;
pub mod random;
pub mod report;
pub mod truth;
pub mod world;

pub use options::Options;
pub use report::Report;
pub use world::run;
