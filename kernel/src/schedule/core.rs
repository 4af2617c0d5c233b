//! A core: what runs on it, what is ready, what waits.

use super::{alarm::Wheel, budget, queue::RunQueue, ready};
use crate::{
    Entered,
    arch::{Arch, Port},
    bug,
    cell::{Link, Word},
    entry::{Gate, Mail},
    ipc,
    memory::{slab, space::Progress},
    object::{
        reservation::Reservation,
        task::Task,
        thread::{State, Thread},
    },
};
use libipc_abi::FOREVER;

/// Fraction of a second that a thread runs before others of its priority.
const SLICES_PER_SECOND: u64 = 100;

/// Alarms that one entry into the kernel looks at.
const LOOKS: u32 = 16;

/// How long a thread runs before others of its priority, in counter ticks.
pub fn slice() -> u64 {
    Port::frequency() / SLICES_PER_SECOND
}

/// How long a thread runs before what was put off with a lower priority goes on.
pub fn pause() -> u64 {
    slice() / 200
}

/// A core. Written by who is inside the kernel. The large fields come last, so
/// that the others are near its address.
#[repr(C, align(64))]
pub struct Core {
    /// By which it gets through the kernel without the lock.
    pub gate: Gate,
    /// Its number, 0 for the one that booted.
    pub number: usize,
    /// System calls may take the fast path.
    pub fast: Word<bool>,
    /// The thread that runs.
    pub current: Link<Thread>,
    /// The address space that is chosen ([`Task::space`]).
    space: Word<u64>,
    /// When the current thread has had its slice.
    slice_end: Word<u64>,
    /// How long that is, in counter ticks.
    slice: Word<u64>,
    /// Since when the current thread, or idling, is accounted.
    since: Word<u64>,
    /// When the timer will interrupt.
    alarm: Word<u64>,
    /// Counter ticks without a thread to run.
    pub idle: Word<u64>,
    /// System calls so far, but for those on the fast path.
    pub calls: Word<u64>,
    /// Bytes copied so far for leases, and from and to memory.
    pub copied: Word<u64>,
    /// Interrupts so far.
    pub interrupts: Word<u64>,
    /// Switches between threads so far, but for those on the fast path.
    pub switches: Word<u64>,
    /// Messages on the fast path so far: each is a system call and a switch.
    passed: Word<u64>,
    /// Steps that are left for what was put off, + 1; 0 if there is no hurry.
    patience: Word<u64>,
    /// The scheduler is to look, though the current thread is ready.
    restless: Word<bool>,
    /// The thread that goes on with the current one's slice.
    heir: Link<Thread>,
    /// Ready threads.
    pub queue: RunQueue,
    /// Waits with an end.
    pub alarms: Wheel,
}

impl Core {
    /// A core with nothing to do.
    pub const fn new(number: usize) -> Core {
        Core {
            gate: Gate::new(),
            number,
            fast: Word::zeroed(),
            queue: RunQueue::empty(),
            alarms: Wheel::empty(),
            current: Link::none(),
            space: Word::zeroed(),
            slice_end: Word::zeroed(),
            slice: Word::zeroed(),
            since: Word::zeroed(),
            alarm: Word::zeroed(),
            idle: Word::zeroed(),
            calls: Word::zeroed(),
            copied: Word::zeroed(),
            interrupts: Word::zeroed(),
            switches: Word::zeroed(),
            passed: Word::zeroed(),
            patience: Word::zeroed(),
            restless: Word::zeroed(),
            heir: Link::none(),
        }
    }

    /// The core's time begins to be accounted.
    pub fn begin(&self, now: u64) {
        self.since.set(now);
        self.slice.set(slice());
    }

    /// Makes the core enter the kernel soon, if it is not the calling one.
    pub fn kick(&self, k: Entered<'_>) {
        self.post(k, Mail::KICKED);
    }

    fn post(&self, k: Entered<'_>, mail: Mail) {
        if core::ptr::eq(self, k.core) {
            return;
        }
        let old = self.gate.post(mail | Mail::KICKED);
        if !old.contains(Mail::KICKED) {
            Port::interrupt_core(self.number);
        }
    }

    /// The core has entered the kernel: reads its mail.
    #[inline]
    pub fn attend(&self, k: Entered<'_>) {
        if self.gate.has_mail() {
            self.read_mail(k);
        }
    }

    #[cold]
    fn read_mail(&self, k: Entered<'_>) {
        bug::stop_if_ending();
        if self.gate.take_mail().contains(Mail::EVICTED) {
            self.choose_space(&k.kernel.boot_task);
        }
    }

    /// `thread` has come into the run queue: the core is told if that changes
    /// what it should do now.
    pub fn tell(&self, k: Entered<'_>, thread: &Thread) {
        if core::ptr::eq(self, k.core) {
            return;
        }
        let priority = thread.effective.get();
        let urgent = self.current.get(k).is_none_or(|current| {
            let own = current.effective.get();
            // Equals take turns, for which the timer has to be set.
            priority > own || priority == own && self.alarm.get() > self.slice_end.get()
        });
        if urgent {
            self.kick(k);
        }
    }

    /// Another core has set an alarm: the timer may have to ring earlier.
    pub fn look_at_alarms(&self, k: Entered<'_>) {
        if self.alarms.next() < self.alarm.get() {
            self.kick(k);
        }
    }

    /// `thread`, which is ready, goes on with the current thread's slice, as one
    /// of them has called the other.
    pub fn bequeath(&self, thread: &Thread) {
        self.heir.set(Some(thread));
        self.look_around();
    }

    /// An alarm was set on this core: the timer may have to ring earlier.
    pub fn heed_alarm(&self, deadline: u64) {
        if deadline < self.alarm.get() {
            self.look_around();
        }
    }

    /// Whether the thread may run at once, with the timer as it is set: before all
    /// that are ready, or among equals that the end of the slice interrupts.
    #[inline(always)]
    pub fn comes_next(&self, thread: &Thread) -> bool {
        self.comes_first(thread.effective.bits())
    }

    /// The same for a thread of this priority.
    #[inline(always)]
    pub fn comes_first(&self, own: u64) -> bool {
        let top = self.queue.top();
        top <= own || top == own + 1 && self.alarm.get() <= self.slice_end.get()
    }

    /// Whether a thread of this priority, which waits and whose time is not counted, may
    /// run instead of `current` at once, with the timer as it is set: before all that are
    /// ready. If both are `ORDINARY`, the current one's time is not counted either.
    #[inline(always)]
    pub fn may_preempt<const ALONE: bool, const ORDINARY: bool>(
        &self,
        current: &Thread,
        priority: u64,
    ) -> bool {
        self.queue.top() <= priority
            && (ORDINARY || current.runs_on.is_none())
            && (ALONE || current.next_core.get() == self.number)
    }

    /// Whether a thread of priority `woken` may become ready while the current thread goes
    /// on, which has this priority, with the timer as it is set.
    #[inline(always)]
    pub fn may_wait(&self, priority: u64, woken: u64) -> bool {
        woken != priority || self.alarm.get() <= self.slice_end.get()
    }

    /// The thread that runs when `current` waits, if the timer may stay as it is: its
    /// time is not counted, and it is alone with its priority.
    #[inline(always)]
    pub fn follows<'k, const ALONE: bool>(
        &self,
        k: Entered<'k>,
        current: &Thread,
    ) -> Option<&'k Thread> {
        let next = self.queue.only(k)?;
        let counted = !current.runs_on.is_none() || !next.runs_on.is_none();
        let moves = !ALONE && current.next_core.get() != self.number;
        (!counted && !moves).then_some(next)
    }

    /// Accounts the time of `current`, which is not counted, up to now, when the
    /// slice of another one begins.
    #[inline(always)]
    pub fn begin_turn(&self, current: &Thread) {
        let now = Port::count();
        self.spend_until(now, current);
        self.begin_slice(now);
    }

    /// Accounts the time of `current`, which runs on `budget`, up to now; not if
    /// that is used up.
    #[inline(always)]
    pub fn spend(&self, current: &Thread, budget: Option<&Reservation>) -> bool {
        let now = Port::count();
        if let Some(budget) = budget
            && !budget.spend(now, now.wrapping_sub(self.since.get()))
        {
            return false;
        }
        self.spend_until(now, current);
        true
    }

    #[inline(always)]
    fn spend_until(&self, now: u64, current: &Thread) {
        let spent = now.wrapping_sub(self.since.get());
        self.since.set(now);
        current.time.add(spent);
    }

    /// Goes from the current thread, of whose floating-point state a call has left
    /// what it keeps, to `next`, to which a message went.
    #[inline(always)]
    pub fn pass_to<const ALONE: bool>(&self, next: &Thread) {
        self.passed.add(1);
        self.go_to::<ALONE>(next);
    }

    /// The same after a fault or an interrupt, which is no system call.
    pub fn switch_to(&self, next: &Thread) {
        self.switches.add(1);
        self.go_to::<false>(next);
    }

    #[inline(always)]
    fn go_to<const ALONE: bool>(&self, next: &Thread) {
        self.current.set(Some(next));
        let space = next.space.get();
        if self.space.replace(space) != space {
            Port::pass_space::<ALONE>(space);
        }
    }

    /// System calls and switches between threads so far.
    pub fn counts(&self) -> (u64, u64) {
        let passed = self.passed.get();
        (self.calls.get() + passed, self.switches.get() + passed)
    }

    /// The priority of who is to run now, + 1; 0 if nobody is.
    pub fn claim(&self, k: Entered<'_>) -> u64 {
        if self.alarms.next() <= Port::now() {
            // Whoever wakes then.
            return 1 << 8;
        }
        let ready = |thread: &&Thread| thread.state.get() == State::Ready;
        let current = self.current.get(k).filter(ready);
        let own = current.map_or(0, |thread| u64::from(thread.effective.get()) + 1);
        own.max(self.queue.top())
    }

    /// So many steps more, if at all, until somebody is to run.
    pub fn set_patience(&self, steps: Option<u64>) {
        self.patience.set(steps.map_or(0, |steps| steps + 1));
    }

    /// One step less; whether none is left.
    pub fn loses_patience(&self) -> bool {
        match self.patience.get() {
            0 => false,
            1 => true,
            left => {
                self.patience.set(left - 1);
                false
            }
        }
    }

    /// Sees to it that the timer rings no later than when the next wait ends.
    pub fn expect_alarms(&self) {
        let next = self.alarms.next();
        if next < self.alarm.get() {
            self.alarm.set(next);
            Port::set_alarm(next);
        }
    }

    /// The current thread lets others of its priority run.
    pub fn yield_now(&self) {
        self.slice_end.set(0);
    }

    /// The current thread, if nothing has happened since it was chosen that could
    /// make another one run or the timer ring earlier. Who runs on a reservation is
    /// not looked at here: what is left of it may have changed.
    #[inline(always)]
    pub fn goes_on<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let thread = self.current.get(k)?;
        let stays = thread.state.get() == State::Ready
            && thread.next_core.get() == self.number
            && thread.runs_on.is_none()
            && !self.restless.get();
        (stays && self.comes_next(thread)).then_some(thread)
    }

    /// Ends waits whose time has come and chooses the thread to run, `None` if
    /// there is nothing to do.
    #[inline(never)]
    pub fn schedule<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        self.restless.set(false);
        let now = Port::now();
        let mut looks = LOOKS;
        while let Some(thread) = self.alarms.due(k, now, &mut looks) {
            ipc::end::timed_out(k, thread);
        }
        let current = self.current.get(k);
        self.account(k, current, now);
        if let Some(current) = current
            && current.state.get() == State::Ready
            && !budget::has_time(k, current)
        {
            budget::wait(k, current);
        }
        let stays = |thread: &&Thread| {
            thread.state.get() == State::Ready && thread.next_core.get() == self.number
        };
        let running = current.filter(stays);
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
        self.switch(k, current, next, now);
        if let Some(current) = current
            && current.next_core.get() != self.number
        {
            ready::migrate(k, current);
        }
        self.arm(k, next, looks == 0, now);
        next
    }

    fn begin_slice(&self, now: u64) {
        self.slice_end.set(now.saturating_add(self.slice.get()));
    }

    fn account(&self, k: Entered<'_>, current: Option<&Thread>, now: u64) {
        let spent = now.wrapping_sub(self.since.replace(now));
        match current {
            Some(thread) => {
                thread.time.add(spent);
                budget::charge(k, thread, spent);
                if let Some(task) = thread.task.get(k) {
                    thread.tell_task(task);
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
            if !next.is_some_and(|next| self.heir.is(next)) {
                self.begin_slice(now);
            }
        }
        self.heir.set(None);
        if let Some(task) = next.and_then(|next| next.task.get(k)) {
            self.choose_space(task);
        }
    }

    fn choose_space(&self, task: &Task) {
        let space = task.space.get();
        if self.space.replace(space) != space {
            Port::switch_space(space);
        }
    }

    /// Chooses the address space of nobody, if the task's is chosen: the task is
    /// being taken apart. `Again` until the core has done so.
    pub fn leave_space(&self, k: Entered<'_>, task: &Task) -> Progress {
        if self.space.get() != task.space.get() {
            return Progress::Done;
        }
        if core::ptr::eq(self, k.core) {
            self.choose_space(&k.kernel.boot_task);
            return Progress::Done;
        }
        self.post(k, Mail::EVICTED);
        Progress::Again
    }

    /// Counter ticks without a thread to run, those that pass now included.
    pub fn idle_until(&self, now: u64) -> u64 {
        let passing = self.current.is_none().then(|| self.passing(now));
        self.idle.get() + passing.unwrap_or(0)
    }

    /// Counter ticks that are not accounted yet to whom they are spent on.
    pub fn passing(&self, now: u64) -> u64 {
        now.saturating_sub(self.since.get())
    }

    /// Sets the timer for the next wait that ends, or slice or budget that is
    /// over.
    fn arm(&self, k: Entered<'_>, next: Option<&Thread>, more: bool, now: u64) {
        // What was put off because much is to be freed goes on at once, and because
        // somebody is to run after a while.
        let mut alarm = if more || slab::is_crowded(k) {
            0
        } else {
            self.alarms.next()
        };
        if k.kernel.has_put_off() {
            alarm = alarm.min(now.saturating_add(pause()));
        }
        if let Some(time) = next.and_then(|next| next.runs_on.get(k)) {
            alarm = alarm.min(now.saturating_add(time.left.get()));
        }
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
        self.look_around();
    }

    /// Somebody wanted the scheduler to look.
    pub fn look_around(&self) {
        self.restless.set(true);
    }

    /// As the timer does that interrupts at its time.
    #[cfg(test)]
    pub(crate) fn ring_if_due(&self) {
        if self.alarm.get() <= Port::now() {
            self.alarm_rang();
        }
    }
}
