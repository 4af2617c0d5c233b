//! The heart of the kernel: run a user program until something happens, see
//! what it was, choose who runs next.

use crate::{
    Entered,
    arch::{Arch, Context, Line, Port, Trap},
    entry::Inside,
    fault,
    ipc::waits,
    memory::{slab, space::Progress},
    object::thread::{Special, State, Thread},
    start::KERNEL,
    syscall,
};

/// Sees to a trap of the calling core's thread and runs a user program until it
/// traps: then a port calls this again, with the core's stack empty. Inlined, so
/// that what a trap is need not be asked again.
#[inline(always)]
pub fn run(trap: Trap) -> ! {
    let context = enter(trap).unwrap_or_else(sleep);
    // SAFETY: the context of the current thread, which lives until this core has
    // entered the kernel again: no other core ends a thread that is current
    // somewhere (`ready::stop`). A context is changed through atomics only.
    #[allow(unsafe_code, reason = "no proof of being inside the kernel covers it")]
    Port::leave(unsafe { &*context })
}

/// The same for a system call, which most traps are.
pub extern "C" fn called() -> ! {
    run(Trap::Call)
}

/// Enters the kernel and leaves it again: whose context is to be loaded.
#[inline(always)]
fn enter(trap: Trap) -> Option<*const Context> {
    let inside = Inside::enter(&KERNEL);
    handle(inside.entered(), trap);
    let next = leave(inside.entered());
    next.map(|thread| &raw const thread.context)
}

/// Nobody is to run: waits until somebody is.
#[cold]
fn sleep() -> *const Context {
    loop {
        // What happened since the lock was given up has interrupted: the
        // interrupt waits, and this ends at once.
        Port::idle();
        if let Some(context) = enter(Trap::Interrupt) {
            return context;
        }
    }
}

/// Chooses who runs next: mostly who trapped, as nothing has changed.
#[inline(always)]
pub fn leave<'k>(k: Entered<'k>) -> Option<&'k Thread> {
    match k.kernel.is_tidy() {
        true => k.core.goes_on(k).or_else(|| k.core.schedule(k)),
        false => tidy_and_choose(k),
    }
}

/// Does what was put off and chooses who runs next.
#[inline(never)]
fn tidy_and_choose<'k>(k: Entered<'k>) -> Option<&'k Thread> {
    if k.kernel.has_put_off() {
        reap(k);
    }
    k.kernel.log.tell(k);
    // What is left for later needs the timer.
    let next = match k.kernel.has_put_off() || slab::is_crowded(k) {
        true => k.core.schedule(k),
        false => k.core.goes_on(k).or_else(|| k.core.schedule(k)),
    };
    // Of what this core held during this entry nothing is used from here on but
    // `next`, which is ready and therefore not retired; the other cores are
    // outside.
    slab::drain(k);
    k.kernel.has_tidied();
    next
}

/// Deals with a trap of the core's current thread, or with the end of its sleep.
#[inline(always)]
pub fn handle(k: Entered<'_>, trap: Trap) {
    match trap {
        Trap::Call => call(k),
        _ => handle_rest(k, trap),
    }
}

#[inline(always)]
fn call(k: Entered<'_>) {
    match k.core.current.get(k) {
        Some(thread) if thread.state.get() == State::Ready => syscall::syscall(k, thread),
        _ => handle_rest(k, Trap::Call),
    }
}

#[inline(never)]
fn handle_rest(k: Entered<'_>, trap: Trap) {
    let Some(thread) = k.core.current.get(k) else {
        return interrupts(k);
    };
    // Another core has stopped it meanwhile: it does once more what it was
    // about to do, when it goes on.
    let stopped = thread.state.get() != State::Ready;
    match trap {
        Trap::Interrupt => interrupts(k),
        Trap::Call => Port::retry(&thread.context),
        _ if stopped => {}
        Trap::FloatingPoint => {
            thread.mark(Special::FLOAT, true);
            Port::fp_load(&thread.context);
        }
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
            // It has entered the kernel, which is all that was wanted.
            Line::Core => k.core.look_around(),
            Line::Device(line) => {
                if let Some(interrupt) = k.kernel.line(k, line) {
                    interrupt.binding.signal(k);
                }
            }
        }
        if !Port::interrupt_waits() {
            break;
        }
    }
}

/// Steps of what was put off that somebody who is to run waits for.
const STEPS: u64 = 4;

/// Goes on with what was put off, until something else waits. It is done with the
/// priority of who put it off: who is to run and has a higher one waits for a few
/// steps only, and the timer sees to the rest.
#[inline(never)]
fn reap(k: Entered<'_>) {
    let kernel = k.kernel;
    // Its interrupt is what stops this.
    k.core.expect_alarms();
    let urgency = kernel.urgency.get();
    if k.core.claim(k) > u64::from(urgency) + 1 {
        k.core.set_patience(Some(STEPS));
    }
    while reap_first(k) == Some(Progress::Done) && !k.wanted() {}
    k.core.set_patience(None);
    // What this puts off itself is no more urgent.
    kernel.urgency.set(match kernel.has_put_off() {
        true => urgency,
        false => 0,
    });
}

/// Takes the first thing apart that was ended, after what was put off at endpoints.
/// What one ends may end others.
fn reap_first(k: Entered<'_>) -> Option<Progress> {
    let kernel = k.kernel;
    if let Some(endpoint) = kernel.unsettled.first(k) {
        return Some(waits::settle(k, endpoint));
    }
    if let Some(task) = kernel.dying_tasks.first(k) {
        return Some(task.reap(k));
    }
    kernel.dying_memory.first(k).map(|memory| memory.reap(k))
}

/// What the other cores do: wait until there is something to run, then run it.
pub fn secondary_main() -> ! {
    while !KERNEL.has_begun() {
        Port::idle();
    }
    if Port::core() < KERNEL.core_count.get() {
        run(Trap::Interrupt)
    }
    // It came too late to be counted.
    loop {
        Port::idle();
    }
}
