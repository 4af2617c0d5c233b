//! The boot archive: everything the first task needs, appended to the kernel
//! image by `cargo xtask` and found by the kernel behind it.
//!
//! All numbers are little endian, all data starts on a page:
//!
//! ```text
//! page 0   header   magic, version, number of entries, total length
//!          table    one record per entry: kind, name, offset, length, checksum
//! page n   data     of the first entry, padded with zeros to a page
//!          ...      of the next one
//! ```
//!
//! The header alone, hence the first page, tells the total length. The records
//! are sorted by kind and name, each pair occurs once, and data lies in the
//! order of the records without overlap: [`Archive::new`] checks all of that in
//! one pass, so that an entry of a checked archive can be used without a doubt.
//!
//! Reading order: `layout` (where each field lies), `checksum`, `reader`, `writer`;
//! then the contents of two kinds of entries, `symbols` and `interfaces`.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "write")]
extern crate alloc;

mod checksum;
mod error;
mod interfaces;
mod layout;
mod reader;
mod symbols;
#[cfg(feature = "write")]
mod writer;

pub use error::ArchiveError;
pub use interfaces::{INTERFACES, Interfaces};
pub use layout::{Header, Kind, MAX_NAME, PAGE, VERSION};
pub use reader::{Archive, Entries, Entry};
pub use symbols::Symbols;
#[cfg(feature = "write")]
pub use symbols::write_symbols;
#[cfg(feature = "write")]
pub use writer::{WriteError, Writer};
