//! Memory: frames, the objects in them, address spaces, copies.
//!
//! In reading order: [`frames`] hands out frames and keeps a record of each;
//! [`slab`] puts kernel objects into frames; [`quota`] says who pays;
//! [`space`] is a task's page tables; [`fill`] brings absent pages in;
//! [`copy`] moves bytes between tasks.

pub mod copy;
pub mod fill;
pub mod frames;
pub mod quota;
pub mod slab;
pub mod space;
