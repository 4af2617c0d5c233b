//! libipc on the host, over the fake kernel.

mod again;
mod agreement;
mod common;
mod forwarding;
mod ipc;
mod near;
mod notebook;
mod records;
mod relending;
mod tables;
mod words;
