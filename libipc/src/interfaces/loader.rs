//! `Loader`: reads ELF files that nobody vouches for, in a task that holds
//! nothing. Its answer is a proposal that the supervisor checks again.

use crate::wire::Bytes;
use crate::{ErrorCode, Lease, Wire, interface};

/// Most segments of a program.
pub const SEGMENTS: usize = 8;

/// Most bytes of a program's note.
pub const NOTE: usize = 64;

/// Reads ELF files.
#[interface]
pub trait Loader {
    /// How to load the static position-independent program in `file`.
    #[op(0, idempotent)]
    fn plan(&mut self, file: Lease) -> Result<Plan, ElfError>;
}

/// How to load a program. Addresses count from where it will be loaded, offsets
/// from the begin of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Plan {
    /// Where it begins.
    pub entry: u64,
    /// How many of `segments` there are.
    pub count: u64,
    /// In ascending order of addresses; the rest is zero.
    pub segments: [Segment; SEGMENTS],
    /// Where the table of relocations begins, 24 bytes for each.
    pub relocations: u64,
    /// How many there are.
    pub relocation_count: u64,
    /// The program's note for whoever starts it, as [`mod@crate::note`] reads it.
    pub note: Bytes<NOTE>,
}

/// A part of a program with one kind of access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Segment {
    /// Where it is loaded.
    pub address: u64,
    /// Bytes that it takes there; what the file does not have is zero.
    pub memory: u64,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// Bytes that the file has.
    pub length: u64,
    /// Rights of memory: `READ`, `WRITE`, `EXECUTE`.
    pub access: u64,
}

impl Plan {
    /// The segments that there are.
    pub fn segments(&self) -> &[Segment] {
        let count = usize::try_from(self.count).unwrap_or(SEGMENTS);
        &self.segments[..count.min(SEGMENTS)]
    }
}

/// Why a file is no program that can be loaded. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ElfError {
    /// It is no ELF file, or one that is cut short.
    NotElf = 1,
    /// It is for another processor.
    OtherMachine = 2,
    /// It is not position-independent, or needs a dynamic linker.
    NotStaticPie = 3,
    /// It has no segments, or more than [`SEGMENTS`].
    SegmentCount = 4,
    /// A segment lies outside the file or the address space, or overlaps
    /// another.
    SegmentRange = 5,
    /// A segment would be writable and executable.
    WriteExecute = 6,
    /// The entry is not in an executable segment.
    Entry = 7,
    /// A relocation is of an unknown kind or outside a writable segment.
    Relocation = 8,
    /// It is larger than the limit.
    TooLarge = 9,
    /// The file could not be read.
    Unreadable = 10,
}

impl core::fmt::Display for ElfError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ElfError::NotElf => "it is no ELF file, or is cut short",
            ElfError::OtherMachine => "it is a program for another processor",
            ElfError::NotStaticPie => "it is not linked as a static position-independent program",
            ElfError::SegmentCount => "it has no segments, or too many",
            ElfError::SegmentRange => "its segments overlap or lie outside the file",
            ElfError::WriteExecute => "a segment would be writable and executable",
            ElfError::Entry => "its entry is not in an executable segment",
            ElfError::Relocation => "it has a relocation of an unknown kind or place",
            ElfError::TooLarge => "it is too large",
            ElfError::Unreadable => "the file could not be read",
        })
    }
}

impl core::error::Error for ElfError {}
