//! Tasks that a case makes: this very program, begun at another function, in an
//! address space of its own, with no capability but those that it is given.
#![allow(unsafe_code, reason = "an entry point, and its argument as a function")]

mod fault;
mod image;

pub(crate) use fault::{Report, serve_fault};
pub(crate) use image::Image;

use crate::check::{Failure, Verdict};
use alloc::{string::ToString, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use libipc::{
    Capability, ExitCode, PAGE, Start,
    handle::{Handle, Rights},
    objects::{EndpointClient, FaultKind, MemoryClient, TaskClient, ThreadClient},
    start::{Header, write},
    time::{self, Instant},
};

/// Where a child's parts lie; far from all that the supervisor places and below
/// what `libipc` maps. The image keeps its addresses.
const START: u64 = 1 << 36;
/// First address of a child's stack. The page below is not mapped.
pub(crate) const STACK: u64 = START + (1 << 24);
/// First address of a child's heap.
const HEAP: u64 = START + (1 << 25);
/// Pages of a child's stack.
const STACK_PAGES: u64 = 16;
/// Pages of a child's heap.
const HEAP_PAGES: u64 = 32;
/// Frames of a child's quota.
pub(crate) const QUOTA: u64 = 224;

/// What a child does. One that fails panics, which its maker sees.
pub(crate) type Program = fn(Start) -> Verdict;

/// Where every role of this program begins: the supervisor passes no argument,
/// a case the function that its child is to run.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn _start(page: usize, argument: usize) -> ! {
    if argument == 0 {
        image::remember();
        libipc::start::run(page, crate::run::main)
    }
    static PROGRAM: AtomicUsize = AtomicUsize::new(0);
    fn run(start: Start) -> ExitCode {
        // SAFETY: `Child::new` put it there, in a copy of the same image at the
        // same addresses.
        let program: Program = unsafe { core::mem::transmute(PROGRAM.load(Relaxed)) };
        match program(start) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => panic!("{failure}"),
        }
    }
    PROGRAM.store(argument, Relaxed);
    libipc::start::run(page, run)
}

/// A capability for a child, by the name under which it finds it.
pub(crate) struct Given<'g> {
    pub(crate) name: &'g str,
    pub(crate) capability: &'g Capability,
    pub(crate) rights: Rights,
}

/// Gives a capability with all its rights.
pub(crate) fn given<'g>(name: &'g str, capability: &'g impl AsRef<Capability>) -> Given<'g> {
    Given {
        name,
        capability: capability.as_ref(),
        rights: Rights::all(),
    }
}

/// A child and what its maker holds of it. Dropping it ends the task.
pub(crate) struct Child {
    pub(crate) task: libipc::child::Child,
    pub(crate) thread: ThreadClient,
    /// Where its faults and its end arrive.
    pub(crate) faults: EndpointClient,
}

/// How a child is made.
pub(crate) struct Plan<'p> {
    /// What it runs.
    pub(crate) program: Program,
    /// What it gets, besides a capability for itself.
    pub(crate) given: &'p [Given<'p>],
    /// Numbers that it finds with [`number`].
    pub(crate) numbers: &'p [u64],
    /// Frames that it may use.
    pub(crate) quota: u64,
    /// Rights to itself.
    pub(crate) own: Rights,
    /// Its priority.
    pub(crate) priority: u64,
    /// The core that it runs on, if not its maker's.
    pub(crate) core: Option<u64>,
}

impl<'p> Plan<'p> {
    /// A child of the usual size, with no capability but for itself.
    pub(crate) fn new(program: Program) -> Plan<'p> {
        Plan {
            program,
            given: &[],
            numbers: &[],
            quota: QUOTA,
            own: Rights::INSPECT | Rights::CREATE | Rights::MAP | Rights::INSTALL,
            priority: crate::run::PRIORITY,
            core: None,
        }
    }

    /// It gets these capabilities.
    pub(crate) fn give(mut self, given: &'p [Given<'p>]) -> Self {
        self.given = given;
        self
    }

    /// It gets these numbers.
    pub(crate) fn tell(mut self, numbers: &'p [u64]) -> Self {
        self.numbers = numbers;
        self
    }

    /// It runs on this core.
    pub(crate) fn on(mut self, core: u64) -> Self {
        self.core = Some(core);
        self
    }

    /// Makes the child and lets it run.
    pub(crate) fn start(self, image: &Image) -> Result<Child, Failure> {
        let child = self.make(image)?;
        child.thread.resume()?;
        Ok(child)
    }

    /// Makes the child, which does not run yet.
    pub(crate) fn make(self, image: &Image) -> Result<Child, Failure> {
        let task = libipc::child::Child::create(&libipc::task(), self.quota)?;
        image.map(&task)?;
        let read_write = Rights::READ | Rights::WRITE;
        for (address, pages) in [(STACK, STACK_PAGES), (HEAP, HEAP_PAGES)] {
            let memory = task.create_memory(pages)?;
            task.map(&memory, address, 0, pages, read_write.bits().into())?;
        }
        let mut handles = Vec::new();
        handles.push(Handle(task.install(task.as_ref(), self.own.bits().into())?));
        for given in self.given {
            let handle = task.install(given.capability, given.rights.bits().into())?;
            handles.push(Handle(handle));
        }
        let page = self.start_page(&task, &handles)?;
        task.map(&page, START, 0, 1, Rights::READ.bits().into())?;
        let faults = libipc::task().create_endpoint()?;
        task.set_fault_handler(&faults)?;
        let thread = task.create_thread(
            _start as *const () as u64,
            STACK + STACK_PAGES * PAGE as u64,
            START,
            self.program as usize as u64,
            self.priority,
        )?;
        if let Some(core) = self.core {
            thread.set_core(core)?;
        }
        Ok(Child {
            task,
            thread,
            faults,
        })
    }

    fn start_page(&self, task: &TaskClient, handles: &[Handle]) -> Result<MemoryClient, Failure> {
        let header = Header {
            task: handles[0],
            counter_frequency: time::to_ticks(core::time::Duration::from_secs(1)),
            heap: HEAP,
            heap_length: HEAP_PAGES * PAGE as u64,
            stack: STACK,
            stack_length: STACK_PAGES * PAGE as u64,
            ..Header::default()
        };
        let names = self.given.iter().map(|given| given.name);
        let numbers: Vec<_> = self.numbers.iter().map(ToString::to_string).collect();
        let mut bytes = [0; PAGE];
        let length = write(
            &mut bytes,
            header,
            names.zip(handles[1..].iter().copied()),
            numbers.iter().map(|number| &**number),
        )
        .map_err(|error| Failure::new(format_args!("{error:?}")))?;
        let page = task.create_memory(1)?;
        page.write_from(0, &bytes[..length])?;
        Ok(page)
    }
}

/// The number with this index among those that the child was told.
pub(crate) fn number(start: &Start, index: usize) -> Result<u64, Failure> {
    let text = start.arguments().get(index);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::new(format_args!("the child was not told number {index}")))
}

impl Child {
    /// Waits for a fault, or the child's end, and answers that the child is to
    /// go on, or to end.
    #[track_caller]
    pub(crate) fn fault(&self, goes_on: bool) -> Result<Report, Failure> {
        serve_fault(&self.faults, patience(), goes_on)
    }

    /// Waits until the child has ended of its own accord, all well.
    #[track_caller]
    pub(crate) fn finish(self) -> Verdict {
        let report = self.fault(false)?;
        match report.kind {
            FaultKind::Exit if report.address == 0 => Ok(()),
            FaultKind::Panic => Err(Failure::new(format_args!(
                "the child: {}",
                self.text(report.address, report.code)
            ))),
            _ => Err(Failure::new(format_args!("the child ends with {report:?}"))),
        }
    }

    /// Text in the child's memory.
    pub(crate) fn text(&self, address: u64, length: u64) -> alloc::string::String {
        let mut bytes = [0; 512];
        let bytes = &mut bytes[..(length as usize).min(512)];
        match self.task.peek_into(address, bytes) {
            Ok(()) => alloc::string::String::from_utf8_lossy(bytes).into_owned(),
            Err(error) => alloc::format!("text that cannot be read: {error:?}"),
        }
    }

    /// Ends the task. All that it had is gone when this returns, but for what
    /// others still use.
    pub(crate) fn kill(&self) -> Verdict {
        Ok(self.task.kill()?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.task.kill();
    }
}

/// How long a case waits for what must come.
pub(crate) fn patience() -> Instant {
    Instant::after(core::time::Duration::from_secs(20))
}
