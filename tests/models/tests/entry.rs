//! Who is inside the kernel is alone there, and nobody waits for ever.
#![allow(unsafe_code, reason = "to look at what the lock guards")]

use loom::{cell::UnsafeCell, model::Builder, sync::Arc, thread};
use tessera_models::{gate::Gate, lock::Lock, machine::become_core};

/// What cores share, and what it guards: loom ends the test if two of them are at
/// `state` at once, or one does not see what another did there before.
struct Kernel {
    lock: Lock,
    gates: Vec<Gate>,
    state: UnsafeCell<u32>,
}

impl Kernel {
    fn new(cores: usize) -> Kernel {
        Kernel {
            lock: Lock::new(),
            gates: (0..cores).map(|_| Gate::new()).collect(),
            state: UnsafeCell::new(0),
        }
    }

    fn touch(&self) {
        // SAFETY: that nobody else is here is what loom checks.
        self.state.with_mut(|state| unsafe { *state += 1 });
    }

    /// As the kernel is entered and left (`kernel/src/entry/mod.rs`).
    fn inside(&self, core: usize) {
        let others = self.gates.iter().enumerate();
        let others = others.filter(|(other, _)| *other != core);
        self.lock.take();
        Gate::bar(others.clone().map(|(_, gate)| gate));
        if self.gates[core].has_mail() {
            self.gates[core].take_mail();
        }
        self.touch();
        others.for_each(|(_, gate)| gate.unbar());
        self.lock.give();
    }

    /// By the fast path if that is open. There the core keeps to what is its own;
    /// here that is all.
    fn pass(&self, core: usize) {
        let open = self.gates[core].enter();
        if open {
            self.touch();
        }
        self.gates[core].leave();
        if !open {
            self.inside(core);
        }
    }
}

/// Tries orders of events on cores that do one of `work` each. `switches` bounds
/// how often one core is set aside for another that could run as well.
fn cores(switches: usize, work: &'static [fn(&Kernel, usize)]) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 10_000;
    builder.check(move || {
        let kernel = Arc::new(Kernel::new(work.len()));
        let run = |number: usize, kernel: &Kernel| {
            become_core(number);
            work[number](kernel, number);
        };
        let others: Vec<_> = (1..work.len())
            .map(|number| {
                let kernel = Arc::clone(&kernel);
                thread::spawn(move || run(number, &kernel))
            })
            .collect();
        run(0, &kernel);
        for other in others {
            other.join().expect("a core ends");
        }
    });
}

fn locked(kernel: &Kernel, _: usize) {
    kernel.lock.take();
    kernel.touch();
    kernel.lock.give();
}

fn twice_locked(kernel: &Kernel, core: usize) {
    locked(kernel, core);
    locked(kernel, core);
}

fn twice_passing(kernel: &Kernel, core: usize) {
    kernel.pass(core);
    kernel.pass(core);
}

#[test]
fn one_at_a_time_has_the_lock_and_each_gets_it() {
    cores(3, &[locked, locked]);
    cores(2, &[twice_locked, locked]);
}

#[test]
fn three_get_the_lock() {
    cores(2, &[locked, locked, locked]);
}

#[test]
fn who_passes_is_not_met_by_who_has_the_lock() {
    cores(3, &[Kernel::inside, Kernel::pass]);
    cores(3, &[Kernel::inside, twice_passing]);
}

#[test]
fn two_with_the_lock_and_one_that_passes() {
    cores(2, &[Kernel::inside, Kernel::inside, Kernel::pass]);
}
