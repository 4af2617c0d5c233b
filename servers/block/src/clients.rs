//! What the server keeps for its clients: memory that they have registered, and
//! requests that have ended and wait to be collected.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use libipc::{
    interfaces::block::{BlockError, Completions},
    objects::EndpointClient,
    server::Reply,
};

/// Most memories, of all clients.
const MEMORIES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 6;

/// Who waits for memory to be free.
pub type Leaving = Reply<(), BlockError>;

/// Memory that a client has registered.
#[derive(Debug)]
pub struct Registered<M> {
    badge: u64,
    number: u64,
    /// As the disk knows it.
    pub memory: M,
    /// Its length in bytes.
    pub length: u64,
    /// Requests that use it.
    users: u64,
    /// Nobody may use it any more, and who is told when nobody does.
    leaving: Option<Option<Leaving>>,
}

/// All memory that is registered.
#[derive(Debug)]
pub struct Memories<M> {
    places: Vec<Option<Registered<M>>>,
    next: u64,
}

impl<M> Memories<M> {
    /// None yet. Numbers are made from `first` on: a client that still has one of
    /// this server's predecessor must not meet memory that it did not mean.
    pub fn new(first: u64) -> Self {
        Memories {
            places: Vec::new(),
            next: first,
        }
    }

    /// Whether this client may register one more, of at most so many.
    pub fn may_add(&self, badge: u64, most: u64) -> Result<(), BlockError> {
        let all = self.places.iter().flatten();
        let own = all.clone().filter(|one| one.badge == badge).count() as u64;
        match own < most && all.count() < MEMORIES {
            true => Ok(()),
            false => Err(BlockError::TooManyMemories),
        }
    }

    /// Adds one, which may be added, and returns its number.
    pub fn add(&mut self, badge: u64, memory: M, length: u64) -> u64 {
        let free = self.places.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.next += 1;
        let number = self.next << PLACE_BITS | place as u64;
        self.places[place] = Some(Registered {
            badge,
            number,
            memory,
            length,
            users: 0,
            leaving: None,
        });
        number
    }

    /// The memory that a client knows by this number, and its place.
    pub fn find(
        &mut self,
        badge: u64,
        number: u64,
    ) -> Result<(usize, &mut Registered<M>), BlockError> {
        let place = number as usize % MEMORIES;
        let found = self.places.get_mut(place).and_then(Option::as_mut);
        let found =
            found.filter(|one| one.number == number && one.badge == badge && one.leaving.is_none());
        Ok((place, found.ok_or(BlockError::NoSuchMemory)?))
    }

    /// What is at a place.
    pub fn at(&self, place: usize) -> Option<&M> {
        Some(&self.places.get(place)?.as_ref()?.memory)
    }

    /// One more request uses the memory.
    pub fn begin_use(&mut self, place: usize) {
        if let Some(Some(found)) = self.places.get_mut(place) {
            found.users += 1;
        }
    }

    /// One less does. Returns the memory if it leaves now, and who is to be told.
    pub fn end_use(&mut self, place: usize) -> Option<(M, Option<Leaving>)> {
        if let Some(Some(found)) = self.places.get_mut(place) {
            found.users -= 1;
        }
        self.leave_if_unused(place)
    }

    /// Nobody may use the memory any more. Returns it if it leaves now.
    pub fn leave(&mut self, place: usize, told: Option<Leaving>) -> Option<(M, Option<Leaving>)> {
        if let Some(Some(found)) = self.places.get_mut(place) {
            found.leaving = Some(told);
        }
        self.leave_if_unused(place)
    }

    fn leave_if_unused(&mut self, place: usize) -> Option<(M, Option<Leaving>)> {
        let slot = self.places.get_mut(place)?;
        let gone = slot.take_if(|one| one.users == 0 && one.leaving.is_some())?;
        Some((gone.memory, gone.leaving.flatten()))
    }

    /// Places of what a client has.
    pub fn of(&self, badge: u64) -> Vec<usize> {
        let all = self.places.iter().enumerate();
        all.filter(|(_, one)| one.as_ref().is_some_and(|one| one.badge == badge))
            .map(|(place, _)| place)
            .collect()
    }
}

/// A client that submits.
#[derive(Debug)]
struct Submitter {
    endpoint: EndpointClient,
    signals: u64,
    /// Requests that it has not collected.
    pending: u64,
    ended: VecDeque<(u32, Result<(), BlockError>)>,
    told: bool,
}

/// Those who submit, by badge.
#[derive(Debug, Default)]
pub struct Submitters(BTreeMap<u64, Submitter>);

impl Submitters {
    /// A client says who is to be told.
    pub fn name(&mut self, badge: u64, endpoint: EndpointClient, signals: u64) {
        match self.0.get_mut(&badge) {
            Some(known) => {
                (known.endpoint, known.signals) = (endpoint, signals);
                // What has ended meanwhile is told there.
                known.told = known.ended.is_empty();
            }
            None => {
                let new = Submitter {
                    endpoint,
                    signals,
                    pending: 0,
                    ended: VecDeque::new(),
                    told: true,
                };
                self.0.insert(badge, new);
            }
        }
    }

    /// Whether a client may submit one more, of at most so many.
    pub fn may_submit(&self, badge: u64, most: u64) -> Result<(), BlockError> {
        let known = self.0.get(&badge).ok_or(BlockError::NotNotified)?;
        match known.pending < most {
            true => Ok(()),
            false => Err(BlockError::QueueFull),
        }
    }

    /// It does.
    pub fn submit(&mut self, badge: u64) {
        if let Some(known) = self.0.get_mut(&badge) {
            known.pending += 1;
        }
    }

    /// A request has ended. Whoever is gone gets nothing.
    pub fn end(&mut self, badge: u64, tag: u32, result: Result<(), BlockError>) {
        if let Some(known) = self.0.get_mut(&badge) {
            known.ended.push_back((tag, result));
            known.told = false;
        }
    }

    /// Tells those for whom something has ended.
    pub fn tell(&mut self) {
        for known in self.0.values_mut().filter(|known| !known.told) {
            known.told = true;
            // Who cannot be told is gone, or will ask.
            let _ = known.endpoint.signal(known.signals);
        }
    }

    /// A client takes what has ended.
    pub fn collect(&mut self, badge: u64) -> Result<Completions, BlockError> {
        let known = self.0.get_mut(&badge).ok_or(BlockError::NotNotified)?;
        let mut taken = Completions::default();
        while !taken.is_full()
            && let Some((tag, result)) = known.ended.pop_front()
        {
            taken.push(tag, result);
            known.pending -= 1;
        }
        Ok(taken)
    }

    /// A client is gone.
    pub fn closed(&mut self, badge: u64) {
        self.0.remove(&badge);
    }
}
