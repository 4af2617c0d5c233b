//! From boot to the first task.

use crate::{
    Entered, Kernel,
    arch::{Access, Arch, Port, Trap},
    capability::object::Target,
    cell::Word,
    entry::Inside,
    kernel::CORES,
    logln,
    memory::{
        copy::{self, Place},
        space::{self, Mapping, Progress},
    },
    object::{
        memory::Memory,
        task::Task,
        thread::{Start, Thread},
    },
    platform::Platform,
    schedule::ready,
};
use core::{convert::Infallible, fmt, ops::Range};
use libipc_abi::{
    PAGE,
    handle::{Handle, Rights},
    objects::ObjectError,
    start::{self, Header},
};
use spin::Once;

/// The kernel of this machine.
pub static KERNEL: Kernel = Kernel::new();

/// How the kernel finds the name of one of its functions.
pub type Symbols = fn(usize) -> Option<(&'static str, usize)>;

static SYMBOLS: Once<Symbols> = Once::new();

/// Where the first task's program is loaded.
const BASE: u64 = 0x1000_0000;
/// Its heap.
const HEAP: u64 = 0x4000_0000;
/// The end of its stack.
const STACK: u64 = 0x8000_0000;
/// Pages of its stack.
const STACK_PAGES: u64 = 16;
/// Its start page.
const START: u64 = 0x9000_0000;
/// Its priority: nothing outranks it.
const PRIORITY: u8 = 255;
/// Its heap is this part of free memory, within bounds.
const HEAP_PART: u64 = 8;
const HEAP_BOUNDS: Range<u64> = 128..2048;

/// A part of the first program.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// Where it goes, relative to the program's base.
    pub address: u64,
    /// Its bytes in memory; those past `bytes` are zero.
    pub length: u64,
    /// What the file holds.
    pub bytes: &'a [u8],
    /// Bits of the access rights to memory.
    pub access: Access,
}

/// The first program, checked by boot.
pub struct Program<'a> {
    /// First instruction, relative to the base.
    pub entry: u64,
    /// Its parts, on pages of their own.
    pub segments: &'a [Segment<'a>],
    /// Words that hold an address: where, and relative to the base.
    pub relocations: &'a mut dyn Iterator<Item = (u64, u64)>,
}

/// The name of the kernel's function at an address, with the offset in it.
pub fn symbol(address: usize) -> impl fmt::Display {
    fmt::from_fn(
        move |f| match SYMBOLS.get().and_then(|symbols| symbols(address)) {
            Some((name, offset)) => write!(f, "{name}+{offset:#x}"),
            None => Ok(()),
        },
    )
}

/// Why the kernel cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// No free range of memory holds the table of page frames.
    Frames,
    /// The first task could not be made.
    FirstTask(ObjectError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Frames => f.write_str("no memory for the table of page frames"),
            StartError::FirstTask(ObjectError::QuotaExceeded) => {
                f.write_str("not enough memory for the first task")
            }
            StartError::FirstTask(error) => write!(f, "cannot make the first task: {error}"),
        }
    }
}

/// The boot core's way into the kernel. The other cores are up and wait for it.
pub fn main(
    platform: &Platform,
    program: Program<'_>,
    symbols: Symbols,
) -> Result<Infallible, StartError> {
    SYMBOLS.call_once(|| symbols);
    Port::initialise(platform);
    KERNEL.core_count.set(platform.cores.min(CORES));
    KERNEL.set_fast(!platform.slow);
    if !KERNEL
        .frames
        .take_over(platform.memory.clone(), &platform.reserved)
    {
        return Err(StartError::Frames);
    }
    logln!(
        KERNEL,
        "Tessera on {}: {} KiB free of {} KiB, {} core{}",
        Port::NAME,
        KERNEL.frames.free() * (PAGE as u64 / 1024),
        KERNEL.frames.total() * (PAGE as u64 / 1024),
        platform.cores,
        if platform.cores == 1 { "" } else { "s" },
    );
    let [first, second] = Port::guards().map(|(name, state)| {
        let state = state.map_or("absent", |on| if on { "on" } else { "off" });
        (name, state)
    });
    logln!(
        KERNEL,
        "guards: {} {}, {} {}",
        first.0,
        first.1,
        second.0,
        second.1
    );
    {
        let inside = Inside::enter(&KERNEL);
        let k = inside.entered();
        first_task(k, platform, program).map_err(StartError::FirstTask)?;
        KERNEL.begin(k);
    }
    crate::run::run(Trap::Interrupt)
}

/// Makes the first task and its thread.
pub fn first_task(
    k: Entered<'_>,
    platform: &Platform,
    program: Program<'_>,
) -> Result<(), ObjectError> {
    let task = Task::create_first(k)?;
    load(k, task, program.segments, program.relocations)?;
    let heap_pages = (k.kernel.frames.free() / HEAP_PART).clamp(HEAP_BOUNDS.start, HEAP_BOUNDS.end);
    let all = Access::READ | Access::WRITE;
    place(k, task, HEAP, heap_pages, all)?;
    place(k, task, STACK - STACK_PAGES * PAGE as u64, STACK_PAGES, all)?;
    let page = place(k, task, START, 1, Access::READ)?;

    let give = |target: &Target<'_>, rights| task.table.insert(k, task, target, rights);
    let own = give(&Target::Task(task), Rights::all())?;
    let system = give(&Target::System, Rights::all())?;
    let archive = whole_pages(&platform.archive);
    let archive = Memory::fixed(k, task, &archive, false)?;
    // Programs run where they lie in it.
    let run = Rights::READ | Rights::EXECUTE | Rights::GRANT;
    let archive = give(&Target::Memory(archive), run)?;
    let tree = whole_pages(&platform.device_tree);
    let tree = Memory::fixed(k, task, &tree, false)?;
    let tree = give(&Target::Memory(tree), Rights::READ | Rights::GRANT)?;

    let header = Header {
        task: own,
        counter_frequency: Port::frequency(),
        heap: HEAP,
        heap_length: heap_pages * PAGE as u64,
        base: BASE,
        seed: platform.seed,
        ..Header::default()
    };
    // Where in its first page the device tree begins.
    let offset = platform.device_tree.start % PAGE as u64;
    let named = [
        ("system", system),
        ("archive", archive),
        ("devicetree", tree),
        ("devicetree-offset", Handle(offset)),
    ];
    let mut bytes = [0; 512];
    let length =
        start::write(&mut bytes, header, named, ["init"]).map_err(|_| ObjectError::BadArgument)?;
    copy::write(k, &bytes[..length], Place::Memory(page, 0))
        .map_err(|_| ObjectError::LeaseFault)?;

    let start = Start {
        entry: BASE + program.entry,
        stack: STACK,
        arguments: [START, 0],
        priority: PRIORITY,
    };
    let thread = Thread::create(k, task, &start)?;
    ready::wake(k, thread);
    Ok(())
}

/// The pages that hold the range.
fn whole_pages(range: &Range<u64>) -> Range<u64> {
    let page = PAGE as u64;
    range.start & !(page - 1)..range.end.next_multiple_of(page)
}

/// Makes memory and maps all of it.
fn place<'k>(
    k: Entered<'k>,
    task: &'k Task,
    address: u64,
    pages: u64,
    access: Access,
) -> Result<&'k Memory, ObjectError> {
    let memory = Memory::create(k, task, pages)?;
    let mapping = Mapping {
        memory,
        source: None,
        address,
        offset: 0,
        pages,
        access,
        most: access,
        tables: Word::default(),
    };
    while space::map(k, task, &mapping)? == Progress::Again {}
    Ok(memory)
}

fn load<'k>(
    k: Entered<'k>,
    task: &'k Task,
    segments: &[Segment<'_>],
    relocations: &mut dyn Iterator<Item = (u64, u64)>,
) -> Result<(), ObjectError> {
    const MOST: usize = 8;
    let mut memories: [Option<&'k Memory>; MOST] = [None; MOST];
    if segments.len() > MOST {
        return Err(ObjectError::OutOfRange);
    }
    let page = PAGE as u64;
    let first = |segment: &Segment<'_>| segment.address & !(page - 1);
    for (segment, slot) in segments.iter().zip(&mut memories) {
        let start = first(segment);
        let end = segment
            .address
            .checked_add(segment.length)
            .ok_or(ObjectError::OutOfRange)?;
        let pages = end.div_ceil(page) - start / page;
        let address = BASE.checked_add(start).ok_or(ObjectError::OutOfRange)?;
        let memory = place(k, task, address, pages, segment.access)?;
        copy::write(
            k,
            segment.bytes,
            Place::Memory(memory, segment.address - start),
        )
        .map_err(|_| ObjectError::LeaseFault)?;
        *slot = Some(memory);
    }
    for (offset, value) in relocations {
        let place = segments
            .iter()
            .zip(&memories)
            .find_map(|(segment, memory)| {
                let inside = offset.checked_sub(first(segment))?;
                (offset < segment.address + segment.length)
                    .then_some((*memory)?)
                    .map(|m| (m, inside))
            });
        let (memory, inside) = place.ok_or(ObjectError::OutOfRange)?;
        let word = (BASE + value).to_le_bytes();
        copy::write(k, &word, Place::Memory(memory, inside))
            .map_err(|_| ObjectError::LeaseFault)?;
    }
    Ok(())
}
