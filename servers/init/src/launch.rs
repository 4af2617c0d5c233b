//! The kernel calls by which a program becomes a task.

use crate::{
    badge::Badge,
    image::{self, Page, Segments, Shared, Source},
    layout::{Layout, START},
    slots::Running,
};
use alloc::{string::String, vec, vec::Vec};
use libipc::{
    CallError, PAGE,
    child::Child,
    handle::{Handle, Rights},
    interfaces::{
        loader::{ElfError, Plan, SEGMENTS},
        supervisor::SupervisorError,
    },
    objects::{EndpointClient, MemoryClient, ObjectError, TaskClient, ThreadClient},
    status::Cause,
};
use libipc_abi::start::{self, Header};

/// Why a program could not be made a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchError {
    /// Its file is not one that can be loaded.
    Elf(ElfError),
    /// The kernel refused.
    Kernel(CallError<ObjectError>),
    /// Heap, stack or program are larger than the address space allows.
    TooLarge,
    /// Arguments or names do not fit into the start page.
    Start,
    /// The machine lacks a device that the page gives it.
    NoDevice,
}

impl From<ElfError> for LaunchError {
    fn from(error: ElfError) -> Self {
        LaunchError::Elf(error)
    }
}

impl From<CallError<ObjectError>> for LaunchError {
    fn from(error: CallError<ObjectError>) -> Self {
        LaunchError::Kernel(error)
    }
}

impl From<LaunchError> for SupervisorError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Elf(_) => SupervisorError::BadProgram,
            LaunchError::TooLarge => SupervisorError::Quota,
            LaunchError::Start => SupervisorError::BadArguments,
            LaunchError::Kernel(CallError::Transport(error))
                if error.cause == Cause::QuotaExceeded =>
            {
                SupervisorError::Quota
            }
            LaunchError::Kernel(_) | LaunchError::NoDevice => SupervisorError::Internal,
        }
    }
}

impl core::fmt::Display for LaunchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LaunchError::Elf(error) => error.fmt(f),
            LaunchError::Kernel(error) => error.fmt(f),
            LaunchError::TooLarge => f.write_str("heap, stack or program are too large"),
            LaunchError::Start => f.write_str("arguments or names do not fit"),
            LaunchError::NoDevice => f.write_str("its device is not in the device tree"),
        }
    }
}

/// What a task may use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Everything.
    pub quota: u64,
    /// Its heap.
    pub heap: u64,
    /// The stack of its first thread.
    pub stack: u64,
}

const PAGE_SIZE: u64 = PAGE as u64;

/// The core that booted, where the supervisor runs.
const FIRST_CORE: u64 = 0;

/// Makes a task, paid by `payer`, with program, stack and heap in place, but
/// without a thread. Its faults go to `handler`, with this badge. Pages are composed in
/// `scratch`.
pub fn load(
    payer: &TaskClient,
    plan: &Plan,
    source: &mut impl Source,
    sizes: Sizes,
    random: u64,
    (handler, badge): (&EndpointClient, Badge),
    scratch: &mut Page,
) -> Result<Running, LaunchError> {
    let page = |bytes: u64| bytes.max(1).checked_next_multiple_of(PAGE_SIZE);
    let (stack, heap) = (page(sizes.stack), page(sizes.heap));
    let (stack, heap) = stack.zip(heap).ok_or(LaunchError::TooLarge)?;
    let layout = Layout::new(image::span(plan), stack, heap, random);
    let layout = layout.ok_or(LaunchError::TooLarge)?;

    let parts = Parts::new(plan, source, stack, heap);
    let frames = sizes.quota.div_ceil(PAGE_SIZE);
    let (task, memory, id, handle) = Child::with_memory(
        payer,
        frames,
        parts.pages(),
        OWN_RIGHTS,
        handler,
        badge.to_word(),
    )?;
    match parts.fill(&task, &memory, plan, source, &layout, scratch) {
        Ok(()) => Ok(Running {
            own: Some((memory, parts.start())),
            handle: Handle(handle),
            task,
            id,
            layout,
            core: 0,
            time: None,
            entry: layout.program + plan.entry,
            sizes: (stack, heap),
            given: Vec::new(),
        }),
        Err(error) => {
            // What was made goes with the task; there is nothing else to undo.
            let _ = task.kill();
            Err(error)
        }
    }
}

/// The memory that is a task's own, and its page in which the start page comes.
pub type Own = (MemoryClient, u64);

/// What is where in the memory that is a task's own, in pages: segments that are not
/// shared, then stack, heap and start page.
struct Parts {
    shared: Option<Shared>,
    /// Where each segment that is not shared begins.
    first: [u64; SEGMENTS],
    segments: u64,
    stack: u64,
    heap: u64,
}

impl Parts {
    fn new(plan: &Plan, source: &impl Source, stack: u64, heap: u64) -> Parts {
        let mut parts = Parts {
            shared: source.shared(),
            first: [0; SEGMENTS],
            segments: 0,
            stack: stack / PAGE_SIZE,
            heap: heap / PAGE_SIZE,
        };
        let mapped = parts.mapped();
        for (index, segment) in plan.segments().iter().enumerate() {
            if !mapped.contains(index) {
                parts.first[index] = parts.segments;
                parts.segments += image::pages(segment);
            }
        }
        parts
    }

    /// Segments that are mapped from where the file is.
    fn mapped(&self) -> Segments {
        self.shared
            .map_or(Segments::default(), |shared| shared.segments)
    }

    /// The start page.
    fn start(&self) -> u64 {
        self.segments + self.stack + self.heap
    }

    fn pages(&self) -> u64 {
        self.start() + 1
    }

    /// Puts all but the start page in place.
    fn fill(
        &self,
        task: &Child,
        memory: &MemoryClient,
        plan: &Plan,
        source: &mut impl Source,
        layout: &Layout,
        scratch: &mut Page,
    ) -> Result<(), LaunchError> {
        let mapped = self.mapped();
        image::compose(
            plan,
            layout.program,
            source,
            mapped,
            scratch,
            |index, page, bytes| {
                memory
                    .write_from((self.first[index] + page) * PAGE_SIZE, bytes)
                    .map_err(LaunchError::from)
            },
        )?;
        for (index, segment) in plan.segments().iter().enumerate() {
            let address = layout.program + segment.address / PAGE_SIZE * PAGE_SIZE;
            let (memory, offset) = match &self.shared {
                Some(shared) if mapped.contains(index) => {
                    (shared.memory, shared.first + segment.offset / PAGE_SIZE)
                }
                _ => (memory, self.first[index]),
            };
            let pages = image::pages(segment);
            task.map(memory, address, offset, pages, segment.access)?;
        }
        let read_write = u64::from((Rights::READ | Rights::WRITE).bits());
        let (stack, heap) = (self.segments, self.segments + self.stack);
        task.map(memory, layout.stack, stack, self.stack, read_write)?;
        task.map(memory, layout.heap, heap, self.heap, read_write)?;
        Ok(())
    }
}

/// Rights to itself that a task gets: it may make objects from its quota, but
/// not end the watch over it.
const OWN_RIGHTS: Rights = Rights::INSPECT
    .union(Rights::CREATE)
    .union(Rights::MAP)
    .union(Rights::INSTALL);

/// Gives a loaded task its start page and its first thread, on the core chosen
/// for it. The thread begins when it is resumed.
pub fn prepare<'a>(
    running: &'a mut Running,
    name: &'a str,
    arguments: impl Iterator<Item = &'a str> + Clone,
    priority: u64,
    seed: u64,
    scratch: &mut Page,
) -> Result<ThreadClient, LaunchError> {
    let memory = running.own.take();
    let task = &running.task;
    let (stack, heap) = running.sizes;
    let header = Header {
        task: running.handle,
        counter_frequency: libipc::time::to_ticks(core::time::Duration::from_secs(1)),
        heap: running.layout.heap,
        heap_length: heap,
        base: running.layout.program,
        seed,
        stack: running.layout.stack,
        stack_length: stack,
        ..Header::default()
    };
    let given = running.given.iter();
    let capabilities = given.map(|(name, handle)| (name.as_str(), Handle(*handle)));
    let texts = core::iter::once(name).chain(arguments);
    // Most need one page, and clearing more is work.
    let mut more;
    let mut page = scratch.bytes();
    let mut written = start::write(page, header, capabilities.clone(), texts.clone());
    if written == Err(start::WriteError::TooLong) {
        more = vec![0; START as usize];
        page = &mut more[..];
        written = start::write(page, header, capabilities, texts);
    }
    let length = written.map_err(|_| LaunchError::Start)?;

    let pages = length.div_ceil(PAGE) as u64;
    let (memory, first) = match memory.filter(|_| pages == 1) {
        Some(own) => own,
        None => (task.create_memory(pages)?, 0),
    };
    memory.write_from(first * PAGE_SIZE, &page[..length])?;
    let read = u64::from(Rights::READ.bits());
    task.map(&memory, running.layout.start, first, pages, read)?;
    let top = running.layout.stack + stack;
    let thread = task.create_thread(running.entry, top, running.layout.start, 0, priority)?;
    // It is on this one's.
    if running.core != FIRST_CORE {
        thread.set_core(running.core)?;
    }
    if let Some(time) = &running.time {
        time.bind(&thread)?;
    }
    Ok(thread)
}

/// Puts a copy of a capability into a loaded task, to be found as `name`.
pub fn give(
    running: &mut Running,
    name: &str,
    capability: &libipc::Capability,
    rights: Rights,
) -> Result<(), LaunchError> {
    let taken = running.given.iter().any(|(given, _)| given == name);
    if name.is_empty() || name.len() > start::NAME || taken {
        return Err(LaunchError::Start);
    }
    let handle = running.task.install(capability, rights.bits().into())?;
    running.given.push((String::from(name), handle));
    Ok(())
}
