//! The protocol on the host: whole nodes, with the cryptography that devices use.

#![forbid(unsafe_code)]

mod answers;
mod arriving;
mod bounds;
mod calls;
mod came_of;
mod capture;
mod counts;
mod fields;
mod handing;
mod keys;
mod net;
mod objects;
mod other;
mod owner;
mod pairing;
mod presence;
mod readers;
mod rules;
mod strategies;
mod streams;
mod text;
mod times;
mod vectors;
mod versions;
mod wire;
