//! Where the linker put the kernel, its stacks and tables, and what follows.

#![allow(unsafe_code, reason = "addresses that the linker defines")]

use crate::{
    map::{PAGE, Table},
    refusal::Refusal,
};
use core::{cell::UnsafeCell, ops::Range};
use tessera_archive::Header;
use tessera_kernel::{
    arch::{Arch, Boot, Port},
    platform::{CORES, Platform},
};

/// Where the image is loaded; `link/` says the same.
pub(crate) const LOAD: u64 = if cfg!(target_arch = "aarch64") {
    0x4020_0000
} else {
    0x8020_0000
};

/// Bytes of a core's stack, and of the gap below it that is not mapped.
const STACK: usize = 16 << 10;
const GUARD: usize = PAGE as usize;
/// From one core's stack to the next.
pub(crate) const STACK_STRIDE: usize = GUARD + STACK;

/// The stacks: for each core the gap, then the stack.
#[repr(C, align(4096))]
pub(crate) struct Stacks(UnsafeCell<[[u8; STACK_STRIDE]; CORES]>);

// SAFETY: each core uses its own part alone, and only as its stack.
unsafe impl Sync for Stacks {}

#[unsafe(link_section = ".stacks")]
pub(crate) static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK_STRIDE]; CORES]));

/// Tables for the kernel's map: the root, one for each gigabyte that is not all
/// RAM, one for each 2 MiB that are not all alike.
#[unsafe(link_section = ".tables")]
pub(crate) static TABLES: [Table; 16] = [const { Table::empty() }; 16];

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static image_end: u8;
}

/// The physical address of something in the image.
pub(crate) fn physical<T>(symbol: *const T) -> u64 {
    (symbol.addr() as u64).wrapping_sub(Port::OFFSET)
}

/// All of it.
pub(crate) fn all() -> Range<u64> {
    physical(&raw const image_start)..physical(&raw const image_end)
}

/// Instructions.
pub(crate) fn text() -> Range<u64> {
    physical(&raw const image_start)..physical(&raw const text_end)
}

/// Constants.
pub(crate) fn rodata() -> Range<u64> {
    physical(&raw const text_end)..physical(&raw const rodata_end)
}

/// Data, and the tables.
pub(crate) fn data() -> Range<u64> {
    physical(&raw const rodata_end)..physical(&raw const STACKS)
}

/// Tables that the map does not use, a part of `data`.
pub(crate) fn spare_tables(used: usize) -> Range<u64> {
    physical(&raw const TABLES) + used as u64 * PAGE..physical(&raw const STACKS)
}

/// A core's stack, without the gap.
pub(crate) fn stack(core: usize) -> Range<u64> {
    let start = physical(&raw const STACKS) + (core * STACK_STRIDE) as u64;
    start + GUARD as u64..start + STACK_STRIDE as u64
}

/// The same, as the kernel sees it.
pub(crate) fn stack_seen(core: usize) -> Range<usize> {
    let stack = stack(core);
    Port::physical(stack.start).addr()..Port::physical(stack.end).addr()
}

/// The archive, by its own header's word, if it lies in RAM and clear of the
/// device tree.
pub(crate) fn archive(platform: &Platform) -> Result<Range<u64>, Refusal> {
    let start = all().end;
    if start + PAGE > platform.memory.end {
        return Err(Refusal::Misplaced("the kernel image fills all RAM"));
    }
    let page = Port::physical(start).cast_const();
    // SAFETY: a page of RAM that the early map has, and that nobody writes.
    let page = unsafe { core::slice::from_raw_parts(page, PAGE as usize) };
    let archive = start..start.saturating_add(Header::read(page)?.length());
    let tree = &platform.device_tree;
    if archive.end > platform.memory.end {
        return Err(Refusal::Misplaced("the boot archive does not fit in RAM"));
    }
    if archive.start < tree.end && tree.start < archive.end {
        return Err(Refusal::Misplaced(
            "the boot archive and the device tree overlap: more RAM, or a smaller system, is needed",
        ));
    }
    Ok(archive)
}
