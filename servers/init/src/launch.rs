//! The kernel calls by which a program becomes a task.

use crate::{
    badge::Badge,
    devices::NoDevice,
    image::{self, Page, Segments, Shared, Source},
    layout::{Layout, START},
    slots::Running,
};
use alloc::{boxed::Box, string::String, vec, vec::Vec};
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
    /// Arguments or names do not fit into the start information.
    Start,
    /// The machine lacks a device that the page gives it.
    Device(NoDevice),
}

impl LaunchError {
    /// Whoever serves what the task was to use stays down.
    pub fn is_server_gone(&self) -> bool {
        matches!(self, LaunchError::Kernel(CallError::Transport(error)) if error.is_closed())
    }
}

impl From<NoDevice> for LaunchError {
    fn from(error: NoDevice) -> Self {
        LaunchError::Device(error)
    }
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
            gone if gone.is_server_gone() => SupervisorError::Down,
            LaunchError::Kernel(_) | LaunchError::Device(_) => SupervisorError::Internal,
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
            LaunchError::Device(NoDevice::Absent) => {
                f.write_str("the machine does not have its device")
            }
            LaunchError::Device(NoDevice::Shared) => {
                f.write_str("its device shares a page of registers with another")
            }
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
) -> Result<Box<Running>, LaunchError> {
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
        Ok(()) => Ok(Box::new(Running {
            own: Some((memory, parts.segments * PAGE_SIZE)),
            handle: Handle(handle),
            task,
            id,
            layout,
            core: 0,
            time: None,
            entry: layout.program + plan.entry,
            sizes: (stack, heap),
            given: Vec::new(),
            arguments: Vec::new(),
            devices: Vec::new(),
        })),
        Err(error) => {
            // What was made goes with the task; there is nothing else to undo.
            let _ = task.kill();
            Err(error)
        }
    }
}

/// Segments that are not shared, one after the other.
struct Own {
    address: u64,
    /// Page of the memory.
    first: u64,
    pages: u64,
    access: u64,
}

impl Own {
    /// Whether one with this address and access is mapped with them.
    fn goes_on(&self, address: u64, access: u64) -> bool {
        self.access == access && self.address + self.pages * PAGE_SIZE == address
    }
}

/// What is where in the memory that is a task's own, in pages: segments that are not
/// shared, stack with start information, and heap. What is seldom full comes last.
struct Parts {
    shared: Option<Shared>,
    /// Where each segment that is not shared begins.
    first: [u64; SEGMENTS],
    /// Where the last one ends.
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
            stack: (stack + START) / PAGE_SIZE,
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

    fn pages(&self) -> u64 {
        self.segments + self.stack + self.heap
    }

    /// Puts all but the start information in place.
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
            |index, page, at, bytes| {
                let place = (self.first[index] + page) * PAGE_SIZE + at as u64;
                memory.write_from(place, bytes).map_err(LaunchError::from)
            },
        )?;
        let map = |own: Own| task.map(memory, own.address, own.first, own.pages, own.access);
        let mut last: Option<Own> = None;
        for (index, segment) in plan.segments().iter().enumerate() {
            let address = layout.program + segment.address / PAGE_SIZE * PAGE_SIZE;
            let (pages, access) = (image::pages(segment), segment.access);
            if let Some(shared) = self.shared.filter(|_| mapped.contains(index)) {
                let offset = shared.first + segment.offset / PAGE_SIZE;
                task.map(shared.memory, address, offset, pages, access)?;
                continue;
            }
            match &mut last {
                Some(last) if last.goes_on(address, access) => last.pages += pages,
                _ => {
                    let own = Own {
                        address,
                        first: self.first[index],
                        pages,
                        access,
                    };
                    last.replace(own).map_or(Ok(()), map)?;
                }
            }
        }
        last.map_or(Ok(()), map)?;
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

/// Puts the start information at the end of a loaded task's stack. Returns what its
/// first thread begins with.
pub fn prepare<'a>(
    running: &'a mut Running,
    name: &'a str,
    arguments: impl Iterator<Item = &'a str> + Clone,
    priority: u64,
    seed: u64,
    scratch: &mut Page,
) -> Result<First, LaunchError> {
    let (stack, heap) = running.sizes;
    let header = Header {
        task: running.handle,
        counter_frequency: libipc::time::to_ticks(core::time::Duration::from_secs(1)),
        heap: running.layout.heap,
        heap_length: heap,
        base: running.layout.program,
        seed,
        stack: running.layout.stack,
        stack_length: stack + START,
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

    // Where it is aligned as stacks are.
    let place = stack + START - (length as u64).next_multiple_of(16);
    let (memory, offset) = running.own.take().ok_or(LaunchError::Start)?;
    memory.write_from(offset + place, &page[..length])?;
    Ok(First {
        start: running.layout.stack + place,
        priority,
    })
}

/// The first thread of a task, before it is made.
pub struct First {
    /// Where its stack ends and the start information begins.
    start: u64,
    priority: u64,
}

impl First {
    /// Makes it on the core chosen for it. It begins when it is resumed.
    pub fn make(self, running: &Running) -> Result<ThreadClient, LaunchError> {
        let (entry, start) = (running.entry, self.start);
        let task = &running.task;
        let thread = task.create_thread(entry, start, start, 0, self.priority)?;
        // It is on this one's.
        if running.core != FIRST_CORE {
            thread.set_core(running.core)?;
        }
        if let Some(time) = &running.time {
            time.bind(&thread)?;
        }
        Ok(thread)
    }

    /// Makes it and lets it run. Its task's fault handler tells of its end; so it sends
    /// no signals to `endpoint`, the supervisor's own.
    pub fn run(self, running: &Running, endpoint: &EndpointClient) -> Result<(), LaunchError> {
        if running.core != FIRST_CORE || running.time.is_some() {
            return Ok(self.make(running)?.resume()?);
        }
        let (entry, start) = (running.entry, self.start);
        let task = &running.task;
        task.start_thread(entry, start, start, self.priority, endpoint, 0)?;
        Ok(())
    }
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
