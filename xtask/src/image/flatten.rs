//! The kernel's ELF file becomes the flat image that QEMU loads: what each
//! segment holds at its physical address, zeros between and behind.

use anyhow::{Context, Result, bail, ensure};
use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::LittleEndian;

use crate::arch::Arch;

/// Everything in the image starts on a page.
const PAGE: usize = 4096;
/// More than any kernel needs; what is above this is a wrong linker script.
const LARGEST: u64 = 64 << 20;

/// The bytes of all segments from the lowest physical address on, zero-filled
/// memory included, up to a page boundary.
pub fn flatten(elf: &[u8]) -> Result<Vec<u8>> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
    let segments = file.segments().context("has nothing to load")?;
    let loads = || {
        segments
            .iter()
            .filter(|s| s.p_type == PT_LOAD && s.p_memsz > 0)
    };
    let base = loads()
        .map(|s| s.p_paddr)
        .min()
        .context("has nothing to load")?;

    let mut image = Vec::new();
    for segment in loads() {
        let data = file.segment_data(&segment).context("is cut short")?;
        let start = segment.p_paddr - base;
        let end = start
            .checked_add(segment.p_memsz)
            .context("has a segment without end")?;
        ensure!(end <= LARGEST, "would need {} MiB in memory", end >> 20);
        ensure!(
            data.len() as u64 <= segment.p_memsz,
            "has a segment larger than its memory"
        );
        let (start, end) = (usize::try_from(start)?, usize::try_from(end)?);
        if image.len() < end {
            image.resize(end.next_multiple_of(PAGE), 0);
        }
        let room = &mut image[start..start + data.len()];
        if room.iter().any(|byte| *byte != 0) {
            bail!("has segments that lie on each other");
        }
        room.copy_from_slice(data);
    }
    check_end(&file, image.len() as u64)?;
    Ok(image)
}

/// The kernel looks for the archive at its symbol `image_end`.
fn check_end(file: &ElfBytes<'_, LittleEndian>, length: u64) -> Result<()> {
    let Some((symbols, names)) = file.symbol_table().context("has a bad symbol table")? else {
        return Ok(());
    };
    let value = |wanted: &str| {
        let symbol = symbols
            .iter()
            .find(|symbol| names.get(symbol.st_name as usize).ok() == Some(wanted));
        symbol.map(|symbol| symbol.st_value)
    };
    let (start, end) = (value("image_start"), value("image_end"));
    let told = end
        .zip(start)
        .and_then(|(end, start)| end.checked_sub(start));
    ensure!(
        told == Some(length),
        "has {length} bytes to load, but its symbols `image_start` and `image_end` say {told:?}"
    );
    Ok(())
}

/// Offset of `image_size` in the header of an aarch64 image, and its mark.
const IMAGE_SIZE: usize = 16;
const MARK: (usize, &[u8]) = (56, b"ARM\x64");

/// Tells the loader how long the image has become, so that nothing is laid
/// over the archive. Only aarch64's boot protocol has a field for it that
/// matters: on riscv64 QEMU goes by the file's length.
pub fn set_image_size(arch: Arch, image: &mut [u8]) {
    let size = image.len() as u64;
    let (at, mark) = MARK;
    if arch == Arch::Aarch64 && image.get(at..at + mark.len()) == Some(mark) {
        image[IMAGE_SIZE..IMAGE_SIZE + 8].copy_from_slice(&size.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::strip::tests::{Segment, elf};

    #[test]
    fn segments_go_to_their_physical_places() {
        let kernel = elf(&[
            Segment {
                virt: 0xffff_0000,
                phys: 0x20_2000,
                data: b"data",
                memory: 0x1800,
            },
            Segment {
                virt: 0xfffe_0000,
                phys: 0x20_0000,
                data: b"text",
                memory: 4,
            },
        ]);
        let image = flatten(&kernel).unwrap();
        assert_eq!(image.len(), 0x4000);
        assert_eq!(&image[..5], b"text\0");
        assert_eq!(&image[0x2000..0x2005], b"data\0");
    }

    #[test]
    fn a_bad_kernel_is_refused() {
        let error = |elf: &[u8]| flatten(elf).unwrap_err().to_string();
        assert_eq!(error(b"#!/bin/sh"), "is no ELF file");
        assert_eq!(error(&elf(&[])), "has nothing to load");
        let far = Segment {
            virt: 0,
            phys: 1 << 40,
            data: b"x",
            memory: 1,
        };
        let near = Segment {
            virt: 0,
            phys: 0,
            data: b"y",
            memory: 1,
        };
        assert!(error(&elf(&[near, far])).starts_with("would need"));
        assert!(error(&elf(&[near, near])).contains("on each other"));
        let lying = Segment {
            virt: 0,
            phys: 0,
            data: b"long",
            memory: 1,
        };
        assert!(error(&elf(&[lying])).contains("larger than its memory"));
    }

    #[test]
    fn the_size_goes_into_the_header_of_an_arm_image() {
        let mut image = vec![0; 8192];
        image[56..60].copy_from_slice(b"ARM\x64");
        set_image_size(Arch::Riscv64, &mut image);
        assert_eq!(image[16..24], [0; 8]);
        set_image_size(Arch::Aarch64, &mut image);
        assert_eq!(image[16..24], 8192u64.to_le_bytes());
    }
}
