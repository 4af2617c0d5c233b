//! The first program: the supervisor's ELF file in the boot archive.
//!
//! `xmas-elf` panics on files whose header lies about sizes, so everything that
//! it will index with is checked first.

use core::fmt;
use tessera_archive::{Archive, ArchiveError, Kind};
use tessera_kernel::{arch::Access, start::Segment};
use xmas_elf::{
    ElfFile,
    header::{Machine, Type as FileType},
    program::{ProgramHeader, Type},
};

/// Its name in the archive.
const NAME: &str = "init";

/// Most parts that it may have.
const SEGMENTS: usize = 8;

/// Bytes of the ELF header, of a program header and of an `Elf64_Rela`.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const RELA: usize = 24;

/// Tags of the dynamic section (ELF gABI, "Dynamic Section").
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;

/// Why the first program cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgramError {
    /// The archive is damaged.
    Archive(ArchiveError),
    /// There is no program `init` in it.
    Missing,
    /// It is no 64-bit little-endian position-independent ELF file of this
    /// machine.
    NotForUs,
    /// Its headers point outside it, or at each other.
    Malformed,
    /// A part is writable and executable, or shares a page with another.
    Segments,
    /// A relocation is not `RELATIVE`.
    Relocation,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramError::Archive(error) => error.fmt(f),
            ProgramError::Missing => write!(f, "the boot archive has no program `{NAME}`"),
            ProgramError::NotForUs => write!(f, "`{NAME}` is no program for this machine"),
            ProgramError::Malformed => write!(f, "`{NAME}` is a damaged ELF file"),
            ProgramError::Segments => write!(f, "`{NAME}` has segments that cannot be mapped"),
            ProgramError::Relocation => write!(f, "`{NAME}` has a relocation that is not RELATIVE"),
        }
    }
}

/// The machine's numbers in ELF files.
pub(crate) struct Elf {
    pub(crate) machine: Machine,
    /// Type of its `RELATIVE` relocation.
    pub(crate) relative: u32,
}

/// The first program, checked.
pub(crate) struct First<'a> {
    pub(crate) entry: u64,
    segments: [Segment<'a>; SEGMENTS],
    count: usize,
    relocations: &'a [u8],
}

impl<'a> First<'a> {
    /// Finds and checks the program in an archive.
    pub(crate) fn find(archive: &'a [u8], elf: &Elf) -> Result<Self, ProgramError> {
        let archive = Archive::new(archive).map_err(ProgramError::Archive)?;
        let entry = archive
            .find(Kind::Program, NAME)
            .ok_or(ProgramError::Missing)?;
        entry.verify().map_err(ProgramError::Archive)?;
        Self::new(entry.data, elf)
    }

    /// Checks an ELF file.
    pub(crate) fn new(bytes: &'a [u8], elf: &Elf) -> Result<Self, ProgramError> {
        check_header(bytes)?;
        let file = ElfFile::new(bytes).map_err(|_| ProgramError::Malformed)?;
        let header = &file.header.pt2;
        if header.machine().as_machine() != elf.machine
            || header.type_().as_type() != FileType::SharedObject
        {
            return Err(ProgramError::NotForUs);
        }
        let empty = Segment {
            address: 0,
            length: 0,
            bytes: &[],
            access: Access::empty(),
        };
        let mut first = First {
            entry: header.entry_point(),
            segments: [empty; SEGMENTS],
            count: 0,
            relocations: &[],
        };
        let mut dynamic: &[u8] = &[];
        for part in file.program_iter() {
            let ProgramHeader::Ph64(part) = part else {
                return Err(ProgramError::NotForUs);
            };
            let data = || slice(bytes, part.offset, part.file_size);
            match part.get_type() {
                Ok(Type::Load) => {
                    let access = access(part.flags.0)?;
                    first.add(Segment {
                        address: part.virtual_addr,
                        length: part.mem_size,
                        bytes: data()?,
                        access,
                    })?;
                }
                Ok(Type::Dynamic) => dynamic = data()?,
                _ => {}
            }
        }
        first.relocations = first.relocation_table(dynamic)?;
        let types = first
            .relocations
            .chunks_exact(RELA)
            .map(|rela| word(rela, 8));
        if types
            .into_iter()
            .any(|info| info != Some(u64::from(elf.relative)))
        {
            return Err(ProgramError::Relocation);
        }
        Ok(first)
    }

    /// Its parts.
    pub(crate) fn segments(&self) -> &[Segment<'a>] {
        &self.segments[..self.count]
    }

    /// Words that hold addresses: where, and relative to the base.
    pub(crate) fn relocations(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        self.relocations
            .chunks_exact(RELA)
            .filter_map(|rela| Some((word(rela, 0)?, word(rela, 16)?)))
    }

    fn add(&mut self, segment: Segment<'a>) -> Result<(), ProgramError> {
        let end = segment
            .address
            .checked_add(segment.length)
            .ok_or(ProgramError::Segments)?;
        let page = tessera_archive::PAGE as u64;
        let before = self
            .segments()
            .last()
            .map_or(0, |last| last.address + last.length);
        let place = self
            .segments
            .get_mut(self.count)
            .ok_or(ProgramError::Segments)?;
        let shares_page = segment.address & !(page - 1) < before;
        if end > 1 << 30
            || segment.length == 0
            || (segment.bytes.len() as u64) > segment.length
            || shares_page
        {
            return Err(ProgramError::Segments);
        }
        *place = segment;
        self.count += 1;
        Ok(())
    }

    /// What the dynamic section says of relocations.
    fn relocation_table(&self, dynamic: &[u8]) -> Result<&'a [u8], ProgramError> {
        let find = |tag| {
            let mut entries = dynamic.chunks_exact(16);
            entries
                .find(|entry| word(entry, 0) == Some(tag))
                .and_then(|entry| word(entry, 8))
        };
        let (Some(address), Some(size)) = (find(DT_RELA), find(DT_RELASZ)) else {
            return Ok(&[]);
        };
        let table = self.segments().iter().find_map(|segment| {
            let offset = address.checked_sub(segment.address)?;
            slice(segment.bytes, offset, size).ok()
        });
        table.ok_or(ProgramError::Malformed)
    }
}

/// Checks what `xmas-elf` takes on trust: class and order of bytes, and that
/// the program headers lie inside the file, aligned.
fn check_header(bytes: &[u8]) -> Result<(), ProgramError> {
    let header = bytes.get(..HEADER).ok_or(ProgramError::Malformed)?;
    // Magic, 64 bits, little endian, version 1.
    if header[..7] != [0x7f, b'E', b'L', b'F', 2, 1, 1] {
        return Err(ProgramError::NotForUs);
    }
    let half = |at| u16::from_le_bytes([header[at], header[at + 1]]);
    let (size, count) = (half(54) as usize, half(56) as usize);
    let offset = word(header, 32).ok_or(ProgramError::Malformed)?;
    let aligned = offset.is_multiple_of(8) && bytes.as_ptr().addr().is_multiple_of(8);
    if size != PROGRAM_HEADER || count == 0 || offset == 0 || !aligned {
        return Err(ProgramError::Malformed);
    }
    slice(bytes, offset, (size * count) as u64).map(|_| ())
}

fn access(flags: u32) -> Result<Access, ProgramError> {
    // ELF gABI, "Segment Permissions": PF_X 1, PF_W 2, PF_R 4.
    let all = [(4, Access::READ), (2, Access::WRITE), (1, Access::EXECUTE)];
    let access = all
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, access)| access);
    let access: Access = access.fold(Access::empty(), |sum, one| sum | one);
    if access.is_empty() || access.contains(Access::WRITE | Access::EXECUTE) {
        return Err(ProgramError::Segments);
    }
    Ok(access)
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Result<&[u8], ProgramError> {
    let start = usize::try_from(offset).ok();
    let end = offset
        .checked_add(length)
        .and_then(|end| usize::try_from(end).ok());
    start
        .zip(end)
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or(ProgramError::Malformed)
}

fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes
        .get(offset..offset + 8)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::{vec, vec::Vec};

    const ELF: Elf = Elf {
        machine: Machine::AArch64,
        relative: 1027,
    };

    /// An ELF file with two segments and one relocation.
    fn sample() -> Vec<u8> {
        let mut file = vec![0; 0x3000];
        let put = |file: &mut Vec<u8>, at: usize, value: u64, size: usize| {
            file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        };
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        put(&mut file, 16, 3, 2);
        put(&mut file, 18, 183, 2);
        put(&mut file, 20, 1, 4);
        put(&mut file, 24, 0x1000, 8);
        put(&mut file, 32, 64, 8);
        put(&mut file, 52, 64, 2);
        put(&mut file, 54, 56, 2);
        put(&mut file, 56, 3, 2);
        let parts = [
            (1, 5, 0x1000, 0x100, 0x100),
            (1, 6, 0x2000, 0x200, 0x1800),
            (2, 6, 0x2080, 32, 32),
        ];
        for (index, (kind, flags, at, size, memory)) in parts.into_iter().enumerate() {
            let start = 64 + 56 * index;
            put(&mut file, start, kind, 4);
            put(&mut file, start + 4, flags, 4);
            put(&mut file, start + 8, at, 8);
            put(&mut file, start + 16, at, 8);
            put(&mut file, start + 32, size, 8);
            put(&mut file, start + 40, memory, 8);
        }
        for (index, value) in [DT_RELA, 0x2100, DT_RELASZ, 24].into_iter().enumerate() {
            put(&mut file, 0x2080 + 8 * index, value, 8);
        }
        for (index, value) in [0x2000, 1027, 0x1010].into_iter().enumerate() {
            put(&mut file, 0x2100 + 8 * index, value, 8);
        }
        file
    }

    /// Entry, number of segments, relocations.
    type Read = (u64, usize, Vec<(u64, u64)>);

    fn check(bytes: &[u8]) -> Result<Read, ProgramError> {
        // Aligned to words, as an archive's data is.
        let mut room = vec![0; bytes.len() + 8];
        let start = room.as_ptr().align_offset(8);
        let copy = &mut room[start..start + bytes.len()];
        copy.copy_from_slice(bytes);
        let first = First::new(copy, &ELF)?;
        Ok((
            first.entry,
            first.segments().len(),
            first.relocations().collect(),
        ))
    }

    #[test]
    fn a_good_file_is_read() {
        assert_eq!(check(&sample()), Ok((0x1000, 2, vec![(0x2000, 0x1010)])));
    }

    #[test]
    fn bad_files_are_refused() {
        let with = |at: usize, value: &[u8]| {
            let mut file = sample();
            file[at..at + value.len()].copy_from_slice(value);
            check(&file).unwrap_err()
        };
        assert_eq!(with(4, &[1]), ProgramError::NotForUs);
        assert_eq!(with(18, &[243]), ProgramError::NotForUs);
        assert_eq!(with(54, &[8]), ProgramError::Malformed);
        assert_eq!(with(32, &[255, 255]), ProgramError::Malformed);
        assert_eq!(with(68, &[7]), ProgramError::Segments);
        assert_eq!(with(80, &[0, 0x20]), ProgramError::Segments);
        assert_eq!(with(0x2108, &[1, 1]), ProgramError::Relocation);
        assert_eq!(with(0x2088, &[0, 0, 0, 0xff]), ProgramError::Malformed);
        assert_eq!(check(&sample()[..63]), Err(ProgramError::Malformed));
        let no_archive = First::find(&[0; 64], &ELF).err();
        assert_eq!(
            no_archive,
            Some(ProgramError::Archive(ArchiveError::NoArchive))
        );
        assert!(std::format!("{}", ProgramError::Missing).contains(NAME));
    }

    #[test]
    fn no_mutation_panics() {
        let good = sample();
        let mut state = 7_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        for _ in 0..20_000 {
            let mut file = good.clone();
            for _ in 0..1 + random() % 4 {
                // Most of the file is padding: hit what is not.
                let at = if random() % 2 == 0 {
                    random() % 232
                } else {
                    0x2080 + random() % 160
                };
                file[at] = random() as u8;
            }
            file.truncate(file.len() - random() % 2 * (random() % 0x2fff));
            let _ = check(&file);
        }
    }
}
