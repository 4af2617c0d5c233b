//! A program's ELF file without what only debuggers read: section headers,
//! symbols and all other sections that are in no segment.

use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::{PT_GNU_STACK, PT_NULL};
use elf::endian::LittleEndian;

/// Size of the header of a 64-bit ELF file, and where it tells of sections.
const HEADER: usize = 64;
const SECTION_HEADERS_AT: std::ops::Range<usize> = 40..48;
const SECTION_COUNTS: std::ops::Range<usize> = 58..64;

/// The file up to the end of its last segment, with no sections.
pub fn strip(elf: &[u8]) -> Result<Vec<u8>> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
    let segments = file.segments().context("has no segments")?;
    let table = u64::from(file.ehdr.e_phnum) * u64::from(file.ehdr.e_phentsize);
    let end = segments
        .iter()
        .filter(|segment| ![PT_NULL, PT_GNU_STACK].contains(&segment.p_type))
        .map(|segment| segment.p_offset.saturating_add(segment.p_filesz))
        .chain([HEADER as u64, file.ehdr.e_phoff.saturating_add(table)])
        .max()
        .and_then(|end| usize::try_from(end).ok())
        .unwrap_or(usize::MAX);
    let mut stripped = elf.get(..end).context("is cut short")?.to_vec();
    stripped[SECTION_HEADERS_AT].fill(0);
    stripped[SECTION_COUNTS].fill(0);
    Ok(stripped)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A segment of an ELF file for tests.
    #[derive(Clone, Copy)]
    pub(crate) struct Segment {
        pub(crate) virt: u64,
        pub(crate) phys: u64,
        pub(crate) data: &'static [u8],
        pub(crate) memory: u64,
    }

    /// A 64-bit ELF file with these segments.
    pub(crate) fn elf(segments: &[Segment]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend(2u16.to_le_bytes());
        file.extend(243u16.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend([0u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(0u32.to_le_bytes());
        let counts = [64, 56, segments.len() as u16, 0, 0, 0];
        file.extend(counts.iter().flat_map(|half| half.to_le_bytes()));
        let mut offset = 64 + 56 * segments.len() as u64;
        for segment in segments {
            file.extend(1u32.to_le_bytes());
            file.extend(7u32.to_le_bytes());
            let length = segment.data.len() as u64;
            let words = [
                offset,
                segment.virt,
                segment.phys,
                length,
                segment.memory,
                4096,
            ];
            file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            offset += length;
        }
        file.extend(segments.iter().flat_map(|segment| segment.data));
        file
    }

    #[test]
    fn segments_stay_and_the_rest_goes() {
        let whole = elf(&[Segment {
            virt: 0,
            phys: 0,
            data: b"program",
            memory: 7,
        }]);
        let mut with_more = whole.clone();
        with_more.extend(b"debug information");
        assert_eq!(strip(&with_more).unwrap(), whole);
        assert_eq!(strip(&whole).unwrap(), whole);
    }

    #[test]
    fn no_program_is_an_error() {
        assert!(strip(b"text").is_err());
        let whole = elf(&[Segment {
            virt: 0,
            phys: 0,
            data: b"program",
            memory: 7,
        }]);
        assert!(strip(&whole[..whole.len() - 1]).is_err());
    }
}
