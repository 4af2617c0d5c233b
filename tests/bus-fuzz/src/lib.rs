//! Feeds every parser that a packet of the soft bus reaches what no peer should send:
//! before decryption and after it, on the side that calls and on the one that answers.
//!
//! ```text
//! campaign   how often, which target, what is kept
//! mutate     changes to bytes, and what they begin with: the folder `corpus`
//! build      messages that are nearly right, for what lies behind the first check
//! targets    one file for each parser
//! ```
//!
//! Inputs follow from a seed alone. They are of both kinds: bytes that were changed
//! (anything may come before decryption), and messages that were built with right numbers,
//! keys and tags and then perhaps changed (what an honest-looking peer may send).
#![forbid(unsafe_code)]

pub mod build;
pub mod campaign;
pub mod mutate;
pub mod targets;
