//! The heart of the kernel: run a user program until something happens, see
//! what it was, choose who runs next.

use crate::{
    Entered, Kernel,
    arch::{Arch, Line, Port, Trap},
    fault,
    ipc::{end, signal},
    memory::{slab, space::Progress},
    object::thread::Thread,
    syscall,
};

/// Runs threads for ever.
pub fn run(kernel: &Kernel) -> ! {
    loop {
        let k = Entered::new(kernel);
        match leave(k) {
            Some(thread) => {
                let trap = Port::run(&thread.context);
                handle(Entered::new(kernel), thread, trap);
            }
            None => {
                Port::idle();
                interrupts(Entered::new(kernel));
            }
        }
    }
}

/// Does what was put off and chooses who runs next.
pub fn leave<'k>(k: Entered<'k>) -> Option<&'k Thread> {
    reap(k);
    k.kernel.log.tell(k);
    let next = k.core.schedule(k);
    // This core is the only one that runs threads, and nothing of what it held
    // during this entry is used from here on but `next`, which is ready and
    // therefore not retired.
    slab::drain(k);
    next
}

/// Deals with whatever ended a user program's run.
pub fn handle(k: Entered<'_>, thread: &Thread, trap: Trap) {
    match trap {
        Trap::Call => syscall::syscall(k, thread),
        Trap::Interrupt => interrupts(k),
        Trap::FloatingPoint => Port::fp_load(&thread.context),
        Trap::Fault {
            kind,
            address,
            code,
        } => fault::fault(k, thread, kind, address, code),
    }
}

/// Takes all interrupts that wait.
fn interrupts(k: Entered<'_>) {
    while let Some(line) = Port::claim() {
        k.core.interrupts.add(1);
        match line {
            Line::Timer => k.core.alarm_rang(),
            Line::Core => {}
            Line::Device(line) => {
                if let Some(interrupt) = k.kernel.line(k, line)
                    && let Some(endpoint) = interrupt.endpoint.get(k)
                {
                    signal::raise(k, endpoint, interrupt.signals.get());
                }
            }
        }
    }
}

/// Goes on taking apart what was ended, until an interrupt waits.
fn reap(k: Entered<'_>) {
    while reap_first(k) == Some(Progress::Done) {}
}

/// Takes the first thing that was ended apart. What one ends may end others.
fn reap_first(k: Entered<'_>) -> Option<Progress> {
    let kernel = k.kernel;
    if let Some(endpoint) = kernel.closing.first(k) {
        return Some(end::disperse(k, endpoint));
    }
    if let Some(task) = kernel.dying_tasks.first(k) {
        return Some(task.reap(k));
    }
    kernel.dying_memory.first(k).map(|memory| memory.reap(k))
}

/// What the other cores do: they are counted, then sleep.
pub fn secondary_main() -> ! {
    crate::start::KERNEL.core_is_up();
    loop {
        Port::idle();
    }
}
