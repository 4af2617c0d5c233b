//! The ext4 file server.
//!
//! ```text
//! volume     what a file system offers, over inodes
//! listing    directories by pages
//! store      files: sizes, the page cache, who has what open
//! nodes      what is known of inodes and names
//! pages      the page cache itself
//! writeback  the way of pages from and to the disk
//! extents    where pages are there
//! mounted    mount, sync, rest           -> rsext4: ext4 and its journal
//! device     the disk as rsext4 wants it
//! guard      the superblock, true to the journal
//! inodes     whether inodes are what was written, and whose they are
//! quotas     what each owner has, and may have
//! ```
//!
//! What it stands on is `tessera_disk`: sectors, and a flush.
//!
//! Everything runs without a kernel. What is on the disk is not trusted: it can
//! make an operation fail, and nothing else.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod error;
pub mod extents;
pub mod guard;
pub mod inodes;
pub mod listing;
pub mod mounted;
pub mod nodes;
pub mod pages;
pub mod quotas;
pub mod store;
pub mod volume;
mod writeback;
