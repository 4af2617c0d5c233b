//! When the kernel itself is wrong: it says where, and stops.

use crate::{
    Entered,
    arch::{Arch, Port},
    logln,
    start::KERNEL,
};
use core::{
    fmt::Display,
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};
use libipc_abi::objects::Shutdown;

/// Return addresses that are printed.
const DEPTH: usize = 24;

/// Number + 1 of the core that reports a bug, or 0.
static REPORTER: AtomicUsize = AtomicUsize::new(0);

/// Where a core stops for good once another reports a bug.
pub fn stop_if_ending() {
    if REPORTER.load(Relaxed) != 0 {
        begin();
    }
}

/// The calling core is to report a bug. Whether it is the first to do so here:
/// if another core does, it stops; if it did before, that has failed.
pub fn begin() -> bool {
    let own = Port::core() + 1;
    match REPORTER.compare_exchange(0, own, AcqRel, Acquire) {
        Ok(_) => true,
        Err(reporter) if reporter == own => false,
        Err(_) => loop {
            Port::idle();
        },
    }
}

/// Reports a bug of the kernel and stops the machine.
pub fn bug(reason: &dyn Display) -> ! {
    begin();
    let k = Entered::in_the_end(&KERNEL);
    for core in KERNEL.cores() {
        core.kick(k);
    }
    KERNEL.log.seize_console();
    logln!(KERNEL, "kernel bug on core {}: {reason}", k.core.number);
    if let Some(thread) = k.core.current.get(k) {
        let task = thread.task.get(k).map_or(0, |task| task.id.get());
        logln!(
            KERNEL,
            "  while serving thread {} of task {task}",
            thread.id.get()
        );
    }
    let mut frame = Port::frame_pointer();
    for _ in 0..DEPTH {
        let Some((address, next)) = Port::caller(frame) else {
            break;
        };
        logln!(
            KERNEL,
            "  at {address:#x} {}",
            crate::start::symbol(address)
        );
        if next <= frame {
            break;
        }
        frame = next;
    }
    Port::shutdown(Shutdown::Fail)
}
