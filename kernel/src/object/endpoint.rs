//! An endpoint: where messages and signals arrive.

use crate::{
    Entered,
    cell::{Bits, Link, Word},
    list::{List, Node, Through},
    memory::slab::{self, Object},
    object::{
        line::{Line, Senders},
        session::{All, Closed, Session},
        task::Task,
        thread::Thread,
    },
    schedule::{
        core::Core,
        inherit::{self, PRESSED},
    },
};

/// Whether calls get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They do. A new endpoint's bits are zero.
    Open = 0,
    /// They wait.
    Paused = 1,
    /// They fail, for good.
    Closed = 2,
}

impl Bits for State {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        [State::Open, State::Paused, State::Closed][bits as usize]
    }
}

/// An endpoint. On the fast path its home's core writes it, else who is inside alone.
#[repr(align(64))]
pub struct Endpoint {
    /// Unique number.
    pub id: Word<u64>,
    /// Whether calls get through.
    pub state: Word<State>,
    /// Who pays for sessions.
    pub payer: Link<Task>,
    /// Threads whose calls wait for a receiver.
    pub senders: Senders,
    /// Threads that wait for messages.
    pub receivers: Line,
    /// The core that all of them belong to, if it is one.
    core: Link<Core>,
    /// The same while the endpoint is open and settled: the core whose fast path may
    /// deliver here. Everybody else takes the kernel's lock.
    pub home: Link<Core>,
    /// The same while nothing is here for a receiver to take, so that one may wait.
    pub quiet: Link<Core>,
    /// Looks for waits through capabilities that are gone: how many began, and how
    /// many of them have ended ([`crate::ipc::waits::revoke`]).
    pub looks_begun: Word<u64>,
    /// See `looks_begun`; one less while one is going on.
    pub looks_ended: Word<u64>,
    /// Threads that last received here.
    pub servers: Word<u64>,
    /// Those of them that callers in line press.
    pub pressed: [Link<Thread>; PRESSED],
    /// Signal bits that nobody has taken.
    pub signals: Word<u64>,
    /// All sessions.
    pub sessions: List<Session, All>,
    /// How many.
    pub session_count: Word<u64>,
    /// Sessions whose `Closed` waits to be delivered.
    pub closed: List<Session, Closed>,
    /// Capabilities to receive from before this number are refused.
    pub epoch: Word<u64>,
    /// Capabilities, sessions and bindings that lead here.
    pub uses: Word<u64>,
    /// Those of them that can receive.
    pub receive_uses: Word<u64>,
    /// It is in the kernel's list of those.
    pub unsettled: Word<bool>,
    node: Node<Endpoint>,
}

impl Object for Endpoint {
    const CLASS: usize = 4;
}

/// Endpoints where somebody waits who need not.
#[derive(Debug)]
pub struct Unsettled;

impl Through<Endpoint> for Unsettled {
    fn node(object: &Endpoint) -> &Node<Endpoint> {
        &object.node
    }
}

impl Endpoint {
    /// A new endpoint, open, that `payer` pays for.
    pub fn create<'k>(
        k: Entered<'k>,
        payer: &'k Task,
    ) -> Result<&'k Endpoint, libipc_abi::objects::ObjectError> {
        let endpoint = slab::create_zeroed::<Endpoint>(k, payer)?;
        endpoint.id.set(k.kernel.new_id());
        endpoint.payer.set(Some(payer));
        Ok(endpoint)
    }

    /// Whether a receiver has something to take.
    pub fn has_more(&self) -> bool {
        !self.senders.is_empty() || self.signals.get() != 0 || !self.closed.is_empty()
    }

    /// What a receiver has to take has changed.
    pub fn update_quiet(&self) {
        match self.has_more() {
            true => self.quiet.set(None),
            false => self.quiet.copy(&self.home),
        }
    }

    /// The line of callers has changed.
    pub fn line_changed(&self, k: Entered<'_>) {
        self.update_quiet();
        inherit::press(k, self);
    }

    /// Whether calls get through from now on.
    pub fn set_state(&self, k: Entered<'_>, state: State) {
        self.state.set(state);
        self.find_home(k);
        inherit::press(k, self);
    }

    /// `receiver`, which belongs to that core, waits here from now on.
    pub fn admit(&self, k: Entered<'_>, receiver: &Thread) {
        let core = receiver.core(k);
        if self.receivers.is_empty() {
            self.core.set(Some(core));
            self.find_home(k);
        } else if !self.core.is(core) {
            self.scatter();
        }
        self.receivers.push(k, receiver);
    }

    /// Those that wait here belong to several cores.
    pub fn scatter(&self) {
        self.core.set(None);
        self.home.set(None);
        self.quiet.set(None);
    }

    /// Whether a look at who waits here is going on.
    pub fn is_looked_at(&self) -> bool {
        self.looks_begun.get() != self.looks_ended.get()
    }

    /// A look at who waits here begins, unless one is going on.
    pub fn begin_look(&self, k: Entered<'_>) {
        if !self.is_looked_at() {
            self.looks_begun.add(1);
            self.find_home(k);
            self.receivers.begin_look(k);
            self.senders.begin_look(k);
        }
    }

    /// The next one of those who wait; `None` if that was the last, which ends the
    /// look.
    pub fn look<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let next = self.receivers.look(k).or_else(|| self.senders.look(k));
        if next.is_none() {
            self.looks_ended.set(self.looks_begun.get());
            self.find_home(k);
        }
        next
    }

    /// Whether somebody may wait here who need not.
    pub fn set_unsettled(&self, k: Entered<'_>, unsettled: bool) {
        self.unsettled.set(unsettled);
        self.find_home(k);
    }

    fn find_home(&self, k: Entered<'_>) {
        let open = self.state.get() == State::Open && k.core.fast.get();
        let open = open && !self.unsettled.get();
        self.home.set(self.core.get(k).filter(|_| open));
        self.update_quiet();
    }

    /// One use less. The last one ends the endpoint: by then no thread waits
    /// here, for a waiting thread is a use.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 {
            slab::retire(k, self);
        }
    }
}
