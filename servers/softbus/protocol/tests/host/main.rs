//! The protocol on the host: whole nodes, with the cryptography that devices use.

#![forbid(unsafe_code)]

mod bounds;
mod calls;
mod came_of;
mod capture;
mod handing;
mod net;
mod pairing;
mod strategies;
mod vectors;
mod versions;
mod wire;
