//! libipc on the host, over the fake kernel.

mod common;
mod ipc;
mod near;
mod notebook;
mod tables;
