//! A core: what runs on it, what is ready, what waits.

use super::{alarm::Wheel, queue::RunQueue};
use crate::{
    Entered,
    arch::{Arch, Port},
    cell::{Link, Word},
    ipc,
    object::{
        task::Task,
        thread::{State, Thread},
    },
};
use libipc_abi::FOREVER;

/// Fraction of a second that a thread runs before others of its priority.
const SLICES_PER_SECOND: u64 = 100;

/// Alarms that one entry into the kernel looks at.
const LOOKS: u32 = 16;

/// A core. Written by itself only.
pub struct Core {
    /// Ready threads.
    pub queue: RunQueue,
    /// Waits with an end.
    pub alarms: Wheel,
    /// The thread that runs.
    pub current: Link<Thread>,
    /// The task whose address space is chosen; it may have ended.
    space: Word<u64>,
    /// When the current thread has had its slice.
    slice_end: Word<u64>,
    /// Since when the current thread, or idling, is accounted.
    since: Word<u64>,
    /// When the timer will interrupt.
    alarm: Word<u64>,
    /// Counter ticks without a thread to run.
    pub idle: Word<u64>,
    /// System calls so far.
    pub calls: Word<u64>,
    /// Interrupts so far.
    pub interrupts: Word<u64>,
    /// Switches between threads so far.
    pub switches: Word<u64>,
}

impl Default for Core {
    fn default() -> Self {
        Self::new()
    }
}

impl Core {
    /// A core with nothing to do.
    pub const fn new() -> Core {
        Core {
            queue: RunQueue::empty(),
            alarms: Wheel::empty(),
            current: Link::none(),
            space: Word::zeroed(),
            slice_end: Word::zeroed(),
            since: Word::zeroed(),
            alarm: Word::zeroed(),
            idle: Word::zeroed(),
            calls: Word::zeroed(),
            interrupts: Word::zeroed(),
            switches: Word::zeroed(),
        }
    }

    /// Makes a thread ready that was not.
    pub fn wake(&self, k: Entered<'_>, thread: &Thread) {
        if thread.suspended.get() {
            thread.state.set(State::Stopped);
            return;
        }
        thread.state.set(State::Ready);
        if !self.current.is(thread) {
            self.queue.push(k, thread);
        }
    }

    /// As `wake`, before others of its priority: the thread that a call goes to.
    pub fn hand_over(&self, k: Entered<'_>, thread: &Thread) {
        if thread.suspended.get() {
            thread.state.set(State::Stopped);
            return;
        }
        thread.state.set(State::Ready);
        if !self.current.is(thread) {
            self.queue.push_front(k, thread);
        }
    }

    /// Takes a ready thread out of the run queue.
    pub fn unready(&self, k: Entered<'_>, thread: &Thread) {
        if thread.state.get() == State::Ready && !self.current.is(thread) {
            self.queue.remove(k, thread);
        }
    }

    /// Changes the priority that a thread runs with.
    pub fn set_effective(&self, k: Entered<'_>, thread: &Thread, priority: u8) {
        if thread.effective.get() == priority {
            return;
        }
        let queued = thread.state.get() == State::Ready && !self.current.is(thread);
        if queued {
            self.queue.remove(k, thread);
        }
        thread.effective.set(priority);
        if queued {
            self.queue.push(k, thread);
        }
    }

    /// The current thread lets others of its priority run.
    pub fn yield_now(&self) {
        self.slice_end.set(0);
    }

    /// Ends waits whose time has come and chooses the thread to run, `None` if
    /// there is nothing to do.
    pub fn schedule<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let now = Port::now();
        let mut looks = LOOKS;
        while let Some(thread) = self.alarms.due(k, now, &mut looks) {
            ipc::end::timed_out(k, thread);
        }
        let current = self.current.get(k);
        let running = current.filter(|thread| thread.state.get() == State::Ready);
        let next = match (running, self.queue.highest()) {
            (Some(running), highest) => {
                let priority = running.effective.get();
                let slice_over = now >= self.slice_end.get();
                match highest {
                    Some(highest) if highest > priority => {
                        self.queue.push_front(k, running);
                        self.queue.pop(k)
                    }
                    Some(highest) if highest == priority && slice_over => {
                        self.queue.push(k, running);
                        self.queue.pop(k)
                    }
                    _ => {
                        if slice_over {
                            self.begin_slice(now);
                        }
                        Some(running)
                    }
                }
            }
            (None, _) => self.queue.pop(k),
        };
        self.account(k, current, now);
        self.switch(k, current, next, now);
        self.arm(next, looks == 0);
        next
    }

    fn begin_slice(&self, now: u64) {
        self.slice_end
            .set(now.saturating_add(Port::frequency() / SLICES_PER_SECOND));
    }

    fn account(&self, k: Entered<'_>, current: Option<&Thread>, now: u64) {
        let spent = now.wrapping_sub(self.since.replace(now));
        match current {
            Some(thread) => {
                thread.time.add(spent);
                if let Some(task) = thread.task.get(k) {
                    task.time.add(spent);
                }
            }
            None => {
                self.idle.add(spent);
            }
        }
    }

    fn switch<'k>(
        &self,
        k: Entered<'k>,
        current: Option<&'k Thread>,
        next: Option<&'k Thread>,
        now: u64,
    ) {
        let same = match (current, next) {
            (Some(current), Some(next)) => core::ptr::eq(current, next),
            (None, None) => true,
            _ => false,
        };
        if !same {
            if let Some(current) = current {
                Port::fp_save(&current.context);
            }
            self.switches.add(1);
            self.current.set(next);
            self.begin_slice(now);
        }
        if let Some(task) = next.and_then(|next| next.task.get(k)) {
            self.choose_space(task);
        }
    }

    fn choose_space(&self, task: &Task) {
        // Ids are never used twice, so a successor at the same place differs.
        if self.space.get() != task.id.get() {
            self.space.set(task.id.get());
            Port::switch_space(task.root.get(), task.asid.get());
        }
    }

    /// Chooses the address space of nobody, if the task's is chosen: the task is
    /// being taken apart.
    pub fn leave_space(&self, k: Entered<'_>, task: &Task) {
        if self.space.get() == task.id.get() {
            self.choose_space(&k.kernel.boot_task);
        }
    }

    /// Sets the timer for the next wait that ends or slice that is over.
    fn arm(&self, next: Option<&Thread>, more: bool) {
        let mut alarm = if more { 0 } else { self.alarms.next() };
        if let Some(next) = next
            && self
                .queue
                .highest()
                .is_some_and(|highest| highest >= next.effective.get())
        {
            alarm = alarm.min(self.slice_end.get());
        }
        if self.alarm.replace(alarm) != alarm {
            Port::set_alarm(alarm);
        }
    }

    /// The timer interrupted: it is off now.
    pub fn alarm_rang(&self) {
        self.alarm.set(FOREVER);
    }

    /// The current thread is being ended: it no longer runs.
    pub fn forget(&self, thread: &Thread) {
        if self.current.is(thread) {
            self.current.set(None);
        }
    }
}
