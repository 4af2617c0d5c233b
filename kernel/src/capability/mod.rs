//! Capabilities: the slots that hold them, and the table of each task.

pub mod object;
pub mod slot;
pub mod table;
