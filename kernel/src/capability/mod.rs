//! Capabilities: the slots that hold them, and the table of each task.

pub mod derivation;
pub mod object;
pub mod revoke;
pub mod slot;
pub mod table;
