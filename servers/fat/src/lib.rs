//! The FAT file server: FAT12, FAT16 and FAT32 with long names, to exchange files with
//! other systems.
//!
//! ```text
//! volume     what a file system offers, over nodes   -> hadris_fat: FAT itself
//! error      what it refuses, as clients are told it
//! time       what time it is, for whom it is written
//! check      whether all of it is whole
//! device     the disk as hadris_fat wants it         -> tessera_disk: sectors, a flush
//! ```
//!
//! Everything runs without a kernel. What is on the disk is not trusted: it can make an
//! operation fail, and nothing else. FAT has no journal: after a cut there may be clusters
//! that belong to nobody, and what was synced is there.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod check;
pub mod device;
pub mod error;
pub mod time;
pub mod volume;
