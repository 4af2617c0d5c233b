//! What can be wrong with an archive, one line each.

use core::fmt;

/// Why some bytes are not a boot archive. Records are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// There are fewer bytes than the header, or than it says the archive has.
    Short {
        /// How many bytes are needed.
        need: u64,
        /// How many there are.
        have: u64,
    },
    /// The bytes do not begin with the magic number.
    NoArchive,
    /// The archive was made for another version of this format.
    Version(u32),
    /// The total length is not a whole number of pages, or too small for the table.
    BadLength(u64),
    /// A record has a kind that this version does not know.
    BadKind {
        /// The record.
        record: u32,
        /// Its kind.
        kind: u32,
    },
    /// A record's name is empty, too long, not UTF-8 or not padded with zeros.
    BadName(u32),
    /// A record's data does not start on a page or passes the end.
    BadRange(u32),
    /// A record is not behind its predecessor in name or in place.
    Unsorted(u32),
    /// The entry's bytes differ from those that were packed.
    BadChecksum,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { need, have } => {
                write!(f, "boot archive is cut short: {have} of {need} bytes")
            }
            Self::NoArchive => write!(f, "no boot archive behind the kernel image"),
            Self::Version(version) => write!(
                f,
                "boot archive has format version {version}, this system reads {}",
                crate::VERSION
            ),
            Self::BadLength(length) => {
                write!(f, "boot archive has an impossible length of {length} bytes")
            }
            Self::BadKind { record, kind } => {
                write!(f, "boot archive: record {record} has unknown kind {kind}")
            }
            Self::BadName(record) => write!(f, "boot archive: record {record} has a bad name"),
            Self::BadRange(record) => {
                write!(f, "boot archive: record {record} lies outside the archive")
            }
            Self::Unsorted(record) => {
                write!(f, "boot archive: record {record} is out of order")
            }
            Self::BadChecksum => {
                write!(
                    f,
                    "boot archive: an entry's bytes do not match its checksum"
                )
            }
        }
    }
}

impl core::error::Error for ArchiveError {}
