//! What each task of a system costs: its code, data, stack and the ceiling of
//! its heap, against the RAM that the page was made for.

use std::fmt::Write;

use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::{PF_X, PT_LOAD, SHF_ALLOC};
use elf::endian::LittleEndian;

use super::Parts;

/// Bytes that a program takes up in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Executable segments.
    pub code: u64,
    /// All other segments, zero-filled memory included.
    pub data: u64,
}

/// Adds up the segments of an ELF file.
pub fn footprint(elf: &[u8]) -> Result<Footprint> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
    let mut sum = Footprint::default();
    for segment in file.segments().context("has no segments")? {
        match segment.p_type == PT_LOAD {
            true if segment.p_flags & PF_X != 0 => sum.code += segment.p_memsz,
            true => sum.data += segment.p_memsz,
            false => {}
        }
    }
    Ok(sum)
}

/// The bytes of each section that is in memory.
pub fn sections(elf: &[u8]) -> Result<Vec<(String, u64)>> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
    let (Some(headers), Some(names)) = file
        .section_headers_with_strtab()
        .context("has bad section headers")?
    else {
        return Ok(Vec::new());
    };
    let in_memory = headers
        .iter()
        .filter(|h| h.sh_flags & u64::from(SHF_ALLOC) != 0);
    let named = in_memory.filter(|h| h.sh_size > 0).filter_map(|header| {
        Some((
            names.get(header.sh_name as usize).ok()?.to_string(),
            header.sh_size,
        ))
    });
    Ok(named.collect())
}

/// The table that `cargo xtask size` and `build` print.
pub fn table(parts: &Parts) -> Result<String> {
    let page = parts.page();
    let mut text = String::new();
    writeln!(
        text,
        "{:<12} {:>9} {:>9} {:>9} {:>9} {:>10}   KiB, {} on {}",
        "task", "code", "data", "stack", "heap", "quota", page.name, parts.arch
    )?;
    let mut row = |name: &str, of: Footprint, stack: u64, heap: u64, quota: u64| {
        let kib = |bytes: u64| bytes.div_ceil(1024);
        let columns = [of.code, of.data, stack, heap].map(kib);
        let [code, data, stack, heap] = columns;
        let quota = kib(quota);
        writeln!(
            text,
            "{name:<12} {code:>9} {data:>9} {stack:>9} {heap:>9} {quota:>10}"
        )
    };
    row("kernel", footprint(&parts.built().kernel)?, 0, 0, 0)?;
    let price = |program: &str| {
        let elf = parts
            .built()
            .programs
            .get(program)
            .context("was not built")?;
        footprint(elf).with_context(|| format!("program `{program}`"))
    };
    row(
        "init",
        price(tessera_page::SUPERVISOR)?,
        0,
        0,
        page.supervisor_quota,
    )?;
    for task in &page.tasks {
        row(
            &task.name,
            price(&task.program)?,
            task.stack,
            task.heap,
            task.quota,
        )?;
    }
    let image = parts.pack(page)?.len() as u64;
    let quotas = page.tasks.iter().map(|task| task.quota).sum::<u64>() + page.supervisor_quota;
    writeln!(
        text,
        "image {} KiB and quotas {} KiB, of {} KiB of RAM: {} KiB are left",
        image / 1024,
        quotas / 1024,
        page.ram / 1024,
        page.ram.saturating_sub(image + quotas) / 1024,
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::strip::tests::{Segment, elf};

    #[test]
    fn memory_counts_not_file_bytes() {
        let file = elf(&[Segment {
            virt: 0,
            phys: 0,
            data: b"x",
            memory: 9000,
        }]);
        assert_eq!(
            footprint(&file).unwrap(),
            Footprint {
                code: 9000,
                data: 0
            }
        );
    }
}
