//! What the kernel calls when a thread faults: an interface that a supervisor
//! serves, declared beside those of the kernel's objects.

#[path = "../abi/src/objects/fault.rs"]
mod declaration;

pub use declaration::*;

// What the declaration finds in its parent module.
use crate::objects::{FaultKind, ObjectError};
use libipc_macros::interface;
