//! Where each field lies: the header and the kinds of entries.

use crate::ArchiveError;

/// Size and alignment of everything in an archive.
pub const PAGE: usize = 4096;
/// Version of the format.
pub const VERSION: u32 = 2;
/// Longest name of an entry in bytes.
pub const MAX_NAME: usize = 64;

pub(crate) const MAGIC: [u8; 8] = *b"TESSERA\0";
pub(crate) const HEADER: usize = 64;
pub(crate) const RECORD: usize = 128;

/// Offsets of the fields inside a record.
pub(crate) mod record {
    pub(crate) const KIND: usize = 0;
    pub(crate) const NAME_LENGTH: usize = 4;
    pub(crate) const OFFSET: usize = 8;
    pub(crate) const LENGTH: usize = 16;
    pub(crate) const CHECKSUM: usize = 24;
    pub(crate) const NAME: usize = 64;
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Kind {
    /// A program in ELF, started by its name.
    Program = 1,
    /// A file, shown under `/boot`.
    File = 2,
    /// The compiled system page (crate `tessera-page`).
    Page = 3,
    /// Sorted addresses and names of the program or kernel of that name.
    Symbols = 4,
    /// Names of all interfaces and their operations by hash.
    Interfaces = 5,
}

impl Kind {
    /// The kind with that number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Program,
            2 => Self::File,
            3 => Self::Page,
            4 => Self::Symbols,
            5 => Self::Interfaces,
            _ => return None,
        })
    }
}

/// The checked header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    entries: u32,
    length: u64,
}

impl Header {
    /// Reads the header; `first_page` need not hold more than that.
    pub fn read(first_page: &[u8]) -> Result<Self, ArchiveError> {
        let short = ArchiveError::Short {
            need: HEADER as u64,
            have: first_page.len() as u64,
        };
        let header = first_page.get(..HEADER).ok_or(short)?;
        if header[..8] != MAGIC {
            return Err(ArchiveError::NoArchive);
        }
        let version = read_u32(header, 8);
        if version != VERSION {
            return Err(ArchiveError::Version(version));
        }
        let read = Self {
            entries: read_u32(header, 12),
            length: read_u64(header, 16),
        };
        if !read.length.is_multiple_of(PAGE as u64) || read.length < read.table_end() {
            return Err(ArchiveError::BadLength(read.length));
        }
        Ok(read)
    }

    #[cfg(feature = "write")]
    pub(crate) fn write(entries: u32, length: u64, into: &mut [u8]) {
        into[..8].copy_from_slice(&MAGIC);
        into[8..12].copy_from_slice(&VERSION.to_le_bytes());
        into[12..16].copy_from_slice(&entries.to_le_bytes());
        into[16..24].copy_from_slice(&length.to_le_bytes());
    }

    /// Length of the whole archive in bytes, a whole number of pages.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// How many entries there are.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Where the table ends; cannot overflow, as the number of entries has 32 bits.
    pub(crate) const fn table_end(&self) -> u64 {
        HEADER as u64 + self.entries as u64 * RECORD as u64
    }
}

/// Reads four bytes of a slice that is known to hold them.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Reads eight bytes of a slice that is known to hold them.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
