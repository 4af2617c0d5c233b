//! The timing wheel against a sorted list.

use super::machine::Machine;
use crate::{object::thread::Thread, schedule::alarm::Wheel};
use libipc_abi::FOREVER;
use proptest::{collection::vec, prelude::*};
use std::{boxed::Box, collections::BTreeMap, vec::Vec};

const THREADS: usize = 24;

/// What a test does with the wheel.
#[derive(Clone, Debug)]
enum Step {
    /// A thread waits for so long from now on.
    Set(usize, u64),
    /// A thread's wait ends.
    Clear(usize),
    /// So much time passes, and so many alarms are looked at at once.
    Pass(u64, u32),
}

/// Spans of every magnitude.
fn span() -> impl Strategy<Value = u64> {
    (0_u32..64, any::<u64>()).prop_map(|(bits, value)| value >> (63 - bits) >> 1)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..THREADS, span()).prop_map(|(thread, span)| Step::Set(thread, span)),
        1 => (0..THREADS).prop_map(Step::Clear),
        3 => (span(), 1_u32..20).prop_map(|(span, looks)| Step::Pass(span, looks)),
        3 => (0_u64..300, 1_u32..20).prop_map(|(span, looks)| Step::Pass(span, looks)),
    ]
}

struct Model {
    m: Machine,
    wheel: Box<Wheel>,
    threads: Vec<&'static Thread>,
    /// Deadlines of the alarms that are set.
    set: BTreeMap<usize, u64>,
    now: u64,
}

impl Model {
    fn new() -> Model {
        let m = Machine::new(128);
        let task = m.task(100);
        let threads = (0..THREADS).map(|_| m.thread(task)).collect();
        Model {
            m,
            wheel: Box::new(Wheel::empty()),
            threads,
            set: BTreeMap::new(),
            now: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Set(thread, span) => {
                self.clear(thread);
                let deadline = self.now.saturating_add(span);
                self.wheel.set(self.m.k, self.threads[thread], deadline);
                if deadline != FOREVER {
                    self.set.insert(thread, deadline);
                }
            }
            Step::Clear(thread) => self.clear(thread),
            Step::Pass(span, looks) => {
                // Time itself never comes to its end.
                self.now = self.now.saturating_add(span).min(FOREVER - 1);
                self.look(looks);
            }
        }
        let first = self.set.values().copied().min().unwrap_or(FOREVER);
        assert!(self.wheel.next() <= first, "the timer would ring too late");
        assert_eq!(self.wheel.next() == FOREVER, self.set.is_empty());
    }

    fn clear(&mut self, thread: usize) {
        self.wheel.clear(self.m.k, self.threads[thread]);
        self.set.remove(&thread);
    }

    /// Takes what is due, by so many looks at a time.
    fn look(&mut self, looks: u32) {
        let mut rounds = 0;
        loop {
            let mut left = looks;
            while let Some(thread) = self.wheel.due(self.m.k, self.now, &mut left) {
                let mut threads = self.threads.iter();
                let index = threads.position(|other| core::ptr::eq(*other, thread));
                let deadline = self.set.remove(&index.unwrap());
                assert!(deadline.unwrap() <= self.now, "too early");
                let next = self.set.values().min();
                assert!(
                    next.is_none_or(|next| deadline.unwrap() <= *next),
                    "out of order"
                );
            }
            if left > 0 {
                break;
            }
            // An alarm comes nearer by a level with each look, and no level has
            // it twice.
            rounds += 1;
            assert!(rounds <= 12 * THREADS, "looks that lead nowhere");
        }
        let late = self.set.values().filter(|deadline| **deadline <= self.now);
        assert_eq!(late.count(), 0, "too late");
        assert!(self.wheel.next() > self.now, "the timer would ring at once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    #[cfg_attr(miri, ignore = "the tests below do under Miri")]
    fn alarms_ring_in_time_and_once(steps in vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
        }
        // At the end of time all have rung.
        model.now = FOREVER - 1;
        model.look(16);
        prop_assert!(model.set.is_empty());
    }
}

#[test]
fn a_slot_s_next_turn_is_not_its_last() {
    let mut model = Model::new();
    for step in [
        Step::Set(0, 5),
        Step::Pass(5, 16),
        Step::Pass(0x100 - 5, 16),
        Step::Set(0, 5),
        Step::Pass(1, 16),
        Step::Pass(4, 16),
    ] {
        model.step(&step);
    }
    assert!(model.set.is_empty());
}

#[test]
fn alarms_at_the_same_time_are_all_taken() {
    let mut model = Model::new();
    for thread in 0..THREADS {
        model.step(&Step::Set(thread, 1 << 40));
    }
    model.step(&Step::Pass((1 << 40) - 1, 1));
    assert_eq!(model.set.len(), THREADS);
    model.step(&Step::Pass(1, 1));
    assert!(model.set.is_empty());
}
