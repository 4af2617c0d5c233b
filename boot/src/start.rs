//! The way from entry to the kernel's main.

#![allow(unsafe_code, reason = "reads the device tree where the loader put it")]

use crate::{
    cores, entry, image,
    map::{Encoding, Map},
    program::First,
    refusal::Refusal,
    tree::{self, HEADER, MAX_TREE, TOTAL},
};
use core::{
    convert::Infallible,
    fmt::{self, Write},
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc_abi::objects::Shutdown;
use spin::Once;
use tessera_archive::{Archive, Kind, Symbols};
use tessera_kernel::{
    arch::{Access, Arch, Boot, Port},
    platform::Platform,
    start::Program,
};

/// For the other cores.
static PLATFORM: Once<Platform> = Once::new();
static ARCHIVE: Once<&[u8]> = Once::new();
static ROOT: AtomicU64 = AtomicU64::new(0);

/// The core that boots: with the device tree's address and its own name, on its
/// stack, in the early map.
pub(crate) extern "C" fn boot(tree: u64, id: u64) -> ! {
    match prepare(tree, id).and_then(|platform| run(&platform)) {
        Ok(never) => match never {},
        Err(refusal) => {
            let _ = writeln!(Console, "tessera: cannot boot: {refusal}\r");
            Port::shutdown(Shutdown::Fail)
        }
    }
}

/// Hands the first program to the kernel.
fn run(platform: &Platform) -> Result<Infallible, Refusal> {
    let archive = ARCHIVE.call_once(|| archive(platform));
    let first = First::find(archive, &entry::ELF)?;
    let program = Program {
        entry: first.entry,
        segments: first.segments(),
        relocations: &mut first.relocations(),
    };
    Ok(tessera_kernel::main(platform, program, symbol)?)
}

/// The archive as bytes. Nobody writes them: the kernel hands the archive out
/// to be read only.
fn archive(platform: &Platform) -> &'static [u8] {
    let range = &platform.archive;
    let start = Port::physical(range.start).cast_const();
    // SAFETY: `image::archive` found the range in RAM and clear of everything
    // else, the map has it, and it is reserved for good.
    unsafe { core::slice::from_raw_parts(start, (range.end - range.start) as usize) }
}

/// The kernel's function at a return address, which may be the first byte after
/// a call that never returns, by the archive's symbol table.
fn symbol(address: usize) -> Option<(&'static str, usize)> {
    let archive = Archive::new(ARCHIVE.get()?).ok()?;
    let table = Symbols::new(archive.find(Kind::Symbols, "kernel")?.data)?;
    let (name, offset) = table.find(address as u64 - 1)?;
    Some((name, offset as usize + 1))
}

/// Another core, with its number, on its stack, in the early map.
pub(crate) extern "C" fn secondary(core: usize) -> ! {
    Port::adopt(ROOT.load(Relaxed));
    if let Some(platform) = PLATFORM.get() {
        Port::core_up(platform, core, image::stack_seen(core));
    }
    cores::arrived();
    tessera_kernel::secondary_main()
}

fn prepare(tree: u64, id: u64) -> Result<Platform, Refusal> {
    let bytes = read_tree(tree)?;
    if let Some(console) = tree::console(bytes, entry::MACHINE) {
        entry::early_map(console, Access::WRITE | Access::DEVICE);
        Port::early_console(console);
    }
    let mut platform = tree::platform(bytes, tree, id, image::all(), entry::MACHINE)?;
    if platform.frequency == 0 {
        platform.frequency = Port::frequency();
    }
    platform.archive = image::archive(&platform)?;

    let used = map(&platform)?;
    Port::adopt(ROOT.load(Relaxed));
    Port::core_up(&platform, 0, image::stack_seen(0));
    cut_tree(&platform.device_tree);
    let platform = PLATFORM.call_once(|| platform);
    let stacks = image::stack(platform.cores - 1).end;
    let mut platform = Platform {
        cores: cores::start(platform),
        ..platform.clone()
    };
    entry::early_retire();
    Port::invalidate_space(0);

    for range in [
        image::all().start..image::spare_tables(used).start,
        image::spare_tables(used).end..stacks,
        platform.archive.clone(),
        platform.device_tree.clone(),
    ] {
        tree::reserve(&mut platform, range)?;
    }
    Ok(platform)
}

/// The device tree as bytes, once its header says how many.
fn read_tree(address: u64) -> Result<&'static [u8], Refusal> {
    // Where the kernel can see all of it, as much as there may be.
    let highest = 0u64.wrapping_sub(Port::OFFSET) - MAX_TREE as u64;
    if address == 0 || !address.is_multiple_of(8) || address > highest {
        return Err(Refusal::NoTree);
    }
    entry::early_map(address, Access::READ);
    let start = Port::physical(address).cast_const();
    // SAFETY: the loader says that the tree is there; the early map has the
    // whole gigabyte, and 8-byte alignment keeps the header's start inside.
    let header = unsafe { core::slice::from_raw_parts(start, HEADER) };
    let length = tree::length(header)?;
    entry::early_map(address + MAX_TREE as u64, Access::READ);
    // SAFETY: as above; `length` is at most `MAX_TREE`, and the early map has
    // its end as well.
    Ok(unsafe { core::slice::from_raw_parts(start, length) })
}

/// Loaders pad the tree, and what pads it is free memory from now on: makes the
/// tree's header say so.
fn cut_tree(range: &Range<u64>) {
    let length = (range.end - range.start) as u32;
    let field = Port::physical(range.start + TOTAL as u64).cast::<u32>();
    // SAFETY: a word of RAM in the final map; the slice of `read_tree` is not
    // used any more.
    unsafe { field.write(length.to_be()) };
}

/// Makes the kernel's final map. Returns how many tables it uses.
fn map(platform: &Platform) -> Result<usize, Refusal> {
    let encoding = Encoding {
        offset: Port::OFFSET,
        leaf: Port::kernel_entry,
        table: Port::table_entry,
    };
    let mut map = Map::new(encoding, &image::TABLES);
    let image = image::all();
    map.add(&image::text(), Access::READ | Access::EXECUTE)?;
    map.add(&image::rodata(), Access::READ)?;
    map.add(&image::data(), Access::WRITE)?;
    for core in 0..platform.cores {
        map.add(&image::stack(core), Access::WRITE)?;
    }
    // Stacks without a core are free memory.
    let free = image::stack(platform.cores - 1).end;
    map.add(&(platform.memory.start..image.start), Access::WRITE)?;
    map.add(&(free..platform.memory.end), Access::WRITE)?;

    let page = |start| start..start + 1;
    for device in [
        page(platform.console),
        platform.interrupts.clone(),
        platform.interrupts_cpu.clone(),
        page(platform.power),
    ] {
        if device.start != 0 {
            map.add(&device, Access::WRITE | Access::DEVICE)?;
        }
    }
    ROOT.store(image::physical(&raw const image::TABLES), Relaxed);
    Ok(map.used())
}

/// The early console, for a refusal.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(Port::print);
        Ok(())
    }
}

#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    tessera_kernel::bug::bug(info)
}
