//! Reads the device tree (Devicetree Specification 0.4) into a `Platform`.
//!
//! Bytes first: [`length`] and `check` see to it that the header's offsets lie
//! inside, which the crate `fdt` takes for granted. Then one pass over all nodes
//! gathers what [`Gathered`] has room for, and `finish` sees whether it is all.

mod gather;
mod node;

use crate::refusal::Refusal;
use core::ops::Range;
use fdt::{
    Fdt,
    parsing::{NoPanic, unaligned::UnalignedParser},
};
use gather::Gathered;
use tessera_kernel::platform::Platform;

/// Bytes of the header (specification 5.2).
pub(crate) const HEADER: usize = 40;
/// Where in it the length of the whole tree is.
#[cfg_attr(test, expect(dead_code, reason = "for `start`"))]
pub(crate) const TOTAL: usize = Field::Total as usize * 4;
/// Longest tree that is read.
pub(crate) const MAX_TREE: usize = 2 << 20;

const MAGIC: u32 = 0xd00d_feed;

type Parser<'a> = (UnalignedParser<'a>, NoPanic);
type Tree<'a> = Fdt<'a, Parser<'a>>;

/// What the tree has to describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each port is one of them, tests are both")]
pub(crate) enum Machine {
    /// PL011, GICv2, generic timer, PSCI.
    Aarch64,
    /// NS16550, PLIC.
    Riscv64,
}

/// Fields of the header, in its order.
#[derive(Clone, Copy)]
enum Field {
    Magic,
    Total,
    Structure,
    Strings,
    Reservations,
    StringsSize = 8,
    StructureSize = 9,
}

fn field(header: &[u8], field: Field) -> Option<u64> {
    let start = field as usize * 4;
    let bytes = header.get(start..start + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?).into())
}

/// Bytes of the tree that has this header.
pub(crate) fn length(header: &[u8]) -> Result<usize, Refusal> {
    if field(header, Field::Magic) != Some(MAGIC.into()) {
        return Err(Refusal::NoTree);
    }
    field(header, Field::Total)
        .map(|length| length as usize)
        .filter(|length| (HEADER..=MAX_TREE).contains(length))
        .ok_or(Refusal::TreeHeader)
}

/// Checks that the parts lie inside, and returns where the last one ends: a
/// loader may have padded the tree.
fn check(bytes: &[u8]) -> Option<u64> {
    let structure = field(bytes, Field::Structure)?;
    let strings = field(bytes, Field::Strings)?;
    let structure_size = field(bytes, Field::StructureSize)?;
    let reservations = field(bytes, Field::Reservations)?;
    // At least an empty root and the end.
    if structure_size < 16 || reservations < HEADER as u64 || !reservations.is_multiple_of(8) {
        return None;
    }
    let end = (structure + structure_size).max(strings + field(bytes, Field::StringsSize)?);
    (end <= bytes.len() as u64).then_some(end)
}

fn open(bytes: &[u8]) -> Result<(Tree<'_>, u64), Refusal> {
    let bytes = bytes.get(..length(bytes)?).ok_or(Refusal::TreeHeader)?;
    let used = check(bytes).ok_or(Refusal::TreeHeader)?;
    let tree = Fdt::new_unaligned_fallible(bytes).map_err(|_| Refusal::TreeHeader)?;
    Ok((tree, used))
}

/// Registers of the console, if the tree is good enough to name one.
pub(crate) fn console(bytes: &[u8], machine: Machine) -> Option<u64> {
    let (tree, _) = open(bytes).ok()?;
    let mut found = Gathered::new(machine, 0, 0..0);
    // What is wrong after the console is for `platform` to say.
    let _ = found.gather(&tree);
    found.console
}

/// Everything that the tree says about the machine: the tree lies at `address`,
/// `id` is what firmware calls the core that booted, `image` is the kernel.
/// Frequency 0 means that the core itself knows.
pub(crate) fn platform(
    bytes: &[u8],
    address: u64,
    id: u64,
    image: Range<u64>,
    machine: Machine,
) -> Result<Platform, Refusal> {
    let (tree, used) = open(bytes)?;
    let mut found = Gathered::new(machine, id, image.clone());
    found.gather(&tree)?;
    let mut platform = found.finish()?;
    platform.image = image;
    platform.device_tree = address..address + used;
    reservations(bytes, &mut platform)?;
    Ok(platform)
}

/// The memory reservation block (specification 5.3): pairs of address and
/// length, up to one that is all zeros.
fn reservations(bytes: &[u8], platform: &mut Platform) -> Result<(), Refusal> {
    const BLOCK: Refusal = Refusal::Malformed("memory reservations");

    let start = field(bytes, Field::Reservations).ok_or(BLOCK)? as usize;
    let mut pairs = bytes.get(start..).ok_or(BLOCK)?.chunks_exact(16);
    loop {
        let (address, length) = pairs.next().ok_or(BLOCK)?.split_at(8);
        let word = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| BLOCK);
        let (address, length) = (word(address)?, word(length)?);
        if address == 0 && length == 0 {
            return Ok(());
        }
        let end = address.checked_add(length).ok_or(BLOCK)?;
        reserve(platform, address..end)?;
    }
}

/// Adds a range that is not free.
pub(crate) fn reserve(platform: &mut Platform, range: Range<u64>) -> Result<(), Refusal> {
    if range.is_empty() {
        return Ok(());
    }
    let free = platform
        .reserved
        .iter_mut()
        .find(|range| range.is_empty())
        .ok_or(Refusal::TooMany("reserved ranges"))?;
    *free = range;
    Ok(())
}

#[cfg(test)]
mod tests;
